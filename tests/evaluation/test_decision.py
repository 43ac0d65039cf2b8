import numpy as np
import pytest

from ecg.evaluation.decision import fit_temperature, threshold_for


@pytest.mark.parametrize("specificity", [0.5, 0.9, 0.99])
def test_threshold_holds_its_specificity_and_is_the_lowest(specificity):
    scores = np.random.default_rng(3).random(257)
    threshold = threshold_for(specificity, scores)
    assert (scores < threshold).mean() >= specificity
    assert (scores < np.sort(scores[scores < threshold])[-1]).mean() < specificity


def test_threshold_with_ties():
    assert (np.full(10, 0.25) < threshold_for(0.9, np.full(10, 0.25))).all()


def test_temperature_finds_how_far_logits_were_stretched():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (rng.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    shares = np.log([0.7, 0.2, 0.1])
    assert fit_temperature(3 * (logits - shares), shares, target) == pytest.approx(3, rel=0.05)


def test_temperature_is_bounded_where_classes_are_apart():
    assert fit_temperature(np.eye(2)[[0, 1, 0, 1]], np.zeros(2), np.array([0, 1, 0, 1])) == pytest.approx(
        0.25, rel=0.01
    )
