import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ecg.evaluation.measures import calibration_line, calibration_rows, reliability


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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("positive", [np.ones(3, bool), np.zeros(3, bool)])
def test_no_line_without_both_classes(positive):
    slope, intercept, error = calibration_rows(positive, np.array([0.1, 0.3, 0.35]))
    assert np.isnan([slope["value"], intercept["value"]]).all()
    assert slope["reason"] == intercept["reason"] == "no such recording"
    assert error["value"] == pytest.approx(abs(positive[0] - 0.25))


def test_calibration_error_by_hand():
    # Bins .1-.2: mean .15, none of two; .8-1: mean .95, three of four. (2 * .15 + 4 * .2) / 6.
    positive = np.array([False, False, True, True, True, False])
    probability = np.array([0.12, 0.18, 0.95, 0.95, 0.9, 1.0])
    table, error = reliability(positive, probability), calibration_rows(positive, probability)[-1]
    assert table[["bin_low", "bin_high", "n"]].to_numpy().tolist() == [[0.1, 0.2, 2], [0.8, 1, 4]]
    assert error["value"] == pytest.approx((2 * 0.15 + 4 * 0.2) / 6)


def test_low_probabilities_are_told_apart_and_a_bin_holds_its_lower_edge():
    table = reliability(np.zeros(6, bool), np.array([0.0, 0.0099, 0.01, 0.02, 0.05, 0.0999]))
    assert table[["bin_low", "bin_high", "n"]].to_numpy().tolist() == [
        *([0, 0.01, 2], [0.01, 0.02, 1], [0.02, 0.05, 1], [0.05, 0.1, 2])
    ]


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]
)
def test_intervals_of_shares_are_wilsons(k, n, low, high):
    # The examples of Newcombe 1998, Statistics in Medicine 17:857, table I.
    bins = reliability(np.arange(n) < k, np.full(n, 0.15))
    assert (bins.low.item(), bins.high.item()) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
