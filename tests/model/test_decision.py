import numpy as np
import pytest
from scipy.special import expit, logit, softmax
from sklearn.linear_model import LogisticRegression

from ecg.evaluation.measures import calibration_line
from ecg.model.decision import (
    Calibration,
    calibrated,
    fit_calibration,
    fit_line,
    fit_temperature,
    ischemia_log_odds,
    threshold_for,
)

SHARES = np.array([0.7, 0.2, 0.1])


def draw(logits, rng):
    """Draw a class of each row's probabilities."""
    return (rng.random((len(logits), 1)) > softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)


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
    shares = np.log(SHARES)
    assert fit_temperature(3 * (logits - shares), shares, draw(logits, rng)) == pytest.approx(3, rel=0.05)


def test_temperature_is_bounded_where_classes_are_apart():
    assert fit_temperature(np.eye(2)[[0, 1, 0, 1]], np.zeros(2), np.array([0, 1, 0, 1])) == pytest.approx(
        0.25, rel=0.01
    )


def test_the_line_is_a_logistic_regression_where_positives_are_many():
    rng = np.random.default_rng(1)
    odds = rng.normal(-1, 2, 20_000)
    positive = rng.random(20_000) < expit(0.4 * odds + 1)
    right = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], positive)
    assert fit_line(odds, positive) == pytest.approx((right.coef_[0, 0], right.intercept_[0]), rel=0.02)


def test_the_line_is_finite_where_the_classes_do_not_overlap():
    slope, intercept = fit_line(np.array([-3.0, -2, -1, 1, 2]), np.array([False, False, False, True, True]))
    assert 1 < slope < 5
    assert abs(intercept) < 5


def test_calibrated_moves_ischemia_along_the_line_and_keeps_the_ratios_of_others():
    logits = np.random.default_rng(2).normal(0, 3, (50, 3))
    first = softmax(logits / 2 + np.log(SHARES), axis=1)
    p = calibrated(logits, Calibration(2, np.log(SHARES), 0.5, 1), 1)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(logit(p[:, 1]), 0.5 * logit(first[:, 1]) + 1)
    np.testing.assert_allclose(p[:, 0] / p[:, 2], first[:, 0] / first[:, 2])


@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_calibrated_means_what_it_says(classes):
    # Logits that were stretched, and are surer of ischemia than they may be.
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (20_000, classes))
    target, shares = draw(logits, rng), SHARES[:classes] / SHARES[:classes].sum()
    worse = 3 * (logits - np.log(shares)) + np.eye(classes)[1]
    p = calibrated(worse, fit_calibration(worse, target, shares, 1), 1)
    assert calibration_line(target == 1, p[:, 1]) == (pytest.approx(1, abs=0.01), pytest.approx(0, abs=0.01))
    if classes == 2:
        np.testing.assert_allclose(logit(p[:, 1]), ischemia_log_odds(logits, 1), atol=0.5)
