import numpy as np
import pytest
import torch
from scipy.special import logit, softmax

from ecg.evaluation.measures import calibration_line
from ecg.model.decision import calibrated, fit_calibration, fit_line, fit_temperature, ischemia_log_odds, threshold_for

SHARES = np.array([0.7, 0.2, 0.1])


def draw(logits, rng):
    """Draw a class of each row's probabilities."""
    return (rng.random((len(logits), 1)) > softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("specificity", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("digits", [2, 9])  # with two, many are equal
def test_threshold_holds_its_specificity_and_is_the_lowest(specificity, digits):
    scores = np.random.default_rng(3).random(257).round(digits)
    threshold = threshold_for(specificity, scores)
    assert (scores < threshold).mean() >= specificity
    assert (scores < np.sort(scores[scores < threshold])[-1]).mean() < specificity


def test_temperature_is_the_factor_by_which_logits_were_stretched():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    shares = np.log(SHARES)
    assert fit_temperature(3 * (logits - shares), shares, draw(logits, rng)) == pytest.approx(3, rel=0.05)


def test_temperature_is_bounded_where_classes_are_apart():
    target = np.array([0, 1, 0, 1])
    assert fit_temperature(np.eye(2)[target], np.zeros(2), target) == pytest.approx(0.25, rel=0.01)


def test_the_line_is_finite_where_the_classes_do_not_overlap():
    slope, intercept = fit_line(np.array([-3.0, -2, -1, 1, 2]), np.array([False, False, False, True, True]))
    assert 1 < slope < 5
    assert abs(intercept) < 5


@pytest.mark.parametrize("classes", [2, 3])
def test_calibrated_probabilities_have_the_line_of_identity(classes):
    # The logits were stretched, and overestimate ischemia.
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (20_000, classes))
    target, shares = draw(logits, rng), SHARES[:classes] / SHARES[:classes].sum()
    worse = 3 * (logits - np.log(shares)) + np.eye(classes)[1]
    p = calibrated(torch.from_numpy(worse), fit_calibration(worse, target, shares, 1), 1).exp().numpy()
    assert calibration_line(target == 1, p[:, 1]) == (pytest.approx(1, abs=0.01), pytest.approx(0, abs=0.01))
    if classes == 2:
        np.testing.assert_allclose(logit(p[:, 1]), ischemia_log_odds(logits, 1), atol=0.5)
