import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from ecg.evaluation.calibration import calibration_line, expected_calibration_error, reliability, wilson


def test_calibration_line_finds_slope_and_intercept():
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 100_000)
    positive = rng.random(100_000) < 1 / (1 + np.exp(-odds))
    slope, intercept = calibration_line(positive, 1 / (1 + np.exp(-2 * odds)))
    assert slope == pytest.approx(0.5, abs=0.01)
    assert intercept == pytest.approx(0, abs=0.05)
    slope, intercept = calibration_line(positive, 1 / (1 + np.exp(-(odds - 1))))
    assert (slope, intercept) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.02))


def test_the_slope_is_that_of_a_logistic_regression():
    rng = np.random.default_rng(2)
    for n, spread in ((20, 1), (60, 3), (2000, 5)):
        odds = rng.normal(0, spread, n)
        positive = rng.random(n) < 1 / (1 + np.exp(-(odds / 3 - 1)))
        line = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(odds[:, None], positive)
        slope, _ = calibration_line(positive, 1 / (1 + np.exp(-odds)))
        assert slope == pytest.approx(line.coef_[0, 0], rel=1e-4)


def test_no_slope_where_the_classes_do_not_overlap():
    slope, intercept = calibration_line(np.array([True, True, False]), np.array([0.9, 0.8, 0.3]))
    assert np.isnan(slope)
    assert np.isfinite(intercept)


def test_calibration_error_by_hand():
    # Bins .1-.2: mean .15, none of two; .9-1: mean .95, three of four. (2 * .15 + 4 * .2) / 6.
    positive = np.array([False, False, True, True, True, False])
    table = reliability(positive, np.array([0.12, 0.18, 0.95, 0.95, 0.9, 1.0]))
    assert list(table.n) == [2, 4]
    assert expected_calibration_error(table) == pytest.approx((2 * 0.15 + 4 * 0.2) / 6)


def test_intervals_of_shares_are_wilsons():
    bins = pd.DataFrame({"n": [2, 4, 30, 7], "observed": [0, 0.75, 0.5, 1.0]})
    expected = [
        binomtest(round(p * n), n).proportion_ci(method="wilson") for n, p in zip(bins.n, bins.observed, strict=True)
    ]
    found = wilson(bins)
    np.testing.assert_allclose(found[["low", "high"]], expected, atol=1e-12)
    assert ((found.low <= found.observed) & (found.observed <= found.high)).all()
