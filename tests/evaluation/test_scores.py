import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ecg.evaluation.bootstrap import auc_interval, bootstrap_intervals, resample_patients
from ecg.evaluation.calibration import calibration_line, expected_calibration_error, reliability
from ecg.evaluation.decision import fit_temperature, threshold_for
from ecg.evaluation.questions import ischemia_score
from ecg.evaluation.rates import predictive_values
from ecg.evaluation.roc import delong, roc_auc
from ecg.params import Evaluate


def test_roc_auc_by_hand():
    # Pairs (positive, negative): .8>.1 .8>.4 .8>.8? tie, .4>.1 .4=.4 tie, .4<.8: (1 + 1 + .5 + 1 + .5 + 0) / 6
    positive = np.array([True, True, False, False, False])
    score = np.array([0.8, 0.4, 0.1, 0.4, 0.8])
    assert roc_auc(positive, score)[0] == pytest.approx(4 / 6)


def test_roc_auc_equals_scikit_learn_with_ties_and_weights():
    rng = np.random.default_rng(0)
    positive, score = rng.random(300) < 0.3, rng.integers(0, 40, 300) / 40
    weights = rng.integers(0, 4, (5, 300))
    expected = [roc_auc_score(positive, score, sample_weight=w) for w in weights]
    np.testing.assert_allclose(roc_auc(positive, score, weights), expected, rtol=1e-12)
    assert roc_auc(positive, score)[0] == pytest.approx(roc_auc_score(positive, score), rel=1e-12)


def test_resamples_draw_whole_patients_and_keep_the_strata():
    patient = np.array(["a", "a", "b", "c", "c", "d"])
    positive = np.array([True, False, True, False, False, False])
    drawn = resample_patients(positive, patient, np.random.default_rng(0), 200)
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 3] == drawn[:, 4]).all()
    assert (drawn[:, 0] + drawn[:, 2] == 2).all() and (drawn[:, 3] + drawn[:, 5] == 2).all()
    assert set(drawn[:, 0]) == {0, 1, 2}


def test_interval_covers_the_truth_as_often_as_it_says():
    # Two normal scores one standard deviation apart: AUC = Phi(1 / sqrt 2) = 0.7602.
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        positive = np.arange(120) < 40
        score = rng.normal(positive.astype(float), 1)
        low, high = auc_interval(positive, score, np.arange(120), Evaluate(bootstrap=400, seed=trial))
        hits += low <= 0.76025 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_interval_is_wider_where_patients_repeat():
    rng = np.random.default_rng(2)
    positive = np.repeat(np.arange(60) < 20, 5)
    score = np.repeat(rng.normal(np.arange(60) < 20, 1), 5)
    apart = np.subtract(*auc_interval(positive, score, np.arange(300), Evaluate(bootstrap=500, seed=0))[::-1])
    together = np.subtract(
        *auc_interval(positive, score, np.repeat(np.arange(60), 5), Evaluate(bootstrap=500, seed=0))[::-1]
    )
    assert together > 1.8 * apart


@pytest.mark.parametrize("specificity", [0.5, 0.9, 0.99])
def test_threshold_holds_its_specificity_and_is_the_lowest(specificity):
    scores = np.random.default_rng(3).random(257)
    threshold = threshold_for(specificity, scores)
    assert (scores < threshold).mean() >= specificity
    assert (scores < np.sort(scores[scores < threshold])[-1]).mean() < specificity


def test_threshold_with_ties():
    assert (np.full(10, 0.25) < threshold_for(0.9, np.full(10, 0.25))).all()


def test_score_against_normal_leaves_the_third_class_out():
    p = {"ischemia": np.array([0.2]), "normal": np.array([0.3]), "other": np.array([0.5])}
    assert ischemia_score(p, "roc_auc")[0] == pytest.approx(0.4)
    assert ischemia_score(p, "roc_auc_vs_rest")[0] == ischemia_score(p, "roc_auc_vs_other")[0] == 0.2


def test_rates_have_the_spread_of_a_binomial():
    # 200 patients of one record each, 80 % right: the standard error is sqrt(.8 * .2 / 200) = 0.0283.
    right = np.arange(200) < 160

    def share(weights):
        return (weights @ right / weights.sum(axis=1))[:, None]

    ((low, high),) = bootstrap_intervals(share, np.zeros(200), np.arange(200), Evaluate(bootstrap=4000, seed=0))
    assert low == pytest.approx(0.8 - 1.96 * 0.0283, abs=0.008)
    assert high == pytest.approx(0.8 + 1.96 * 0.0283, abs=0.008)


def direct_delong(positive, one, two):
    """DeLong's variance pair by pair, as in the paper of 1988."""

    def placements(score):
        x, y = score[positive][:, None], score[~positive][None, :]
        psi = (x > y) + 0.5 * (x == y)
        return psi.mean(axis=1), psi.mean(axis=0)

    (v10a, v01a), (v10b, v01b) = placements(one), placements(two)
    s10, s01 = np.cov(v10a, v10b), np.cov(v01a, v01b)
    covariance = s10 / positive.sum() + s01 / (~positive).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = v10a.mean() - v10b.mean()
    return difference, 2 * norm.sf(abs(difference) / np.sqrt(variance))


@pytest.mark.parametrize("seed", range(3))
def test_delong_equals_the_direct_computation_also_with_ties(seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(150) < 0.3
    one = np.round(rng.normal(positive, 1), 1)
    two = np.round(one + rng.normal(0, 1, 150), 1)
    assert delong(positive, one, two) == pytest.approx(direct_delong(positive, one, two), rel=1e-9)
    assert delong(positive, one, two)[0] == pytest.approx(roc_auc(positive, one)[0] - roc_auc(positive, two)[0])


def test_delong_of_scores_that_rank_alike_has_no_p():
    positive, score = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.5, 0.1])
    difference, p = delong(positive, score, 2 * score)
    assert difference == 0
    assert np.isnan(p)


def test_predictive_values_by_hand():
    # Of 1,000 with prevalence 2 %: 18 of 20 ill are called, 98 of 980 healthy; 882 and 2 are not.
    ppv, npv = predictive_values(np.array(0.9), np.array(0.9), 0.02)
    assert ppv == pytest.approx(18 / 116)
    assert npv == pytest.approx(882 / 884)


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


def test_calibration_line_finds_slope_and_intercept():
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 100_000)
    positive = rng.random(100_000) < 1 / (1 + np.exp(-odds))
    slope, intercept = calibration_line(positive, 1 / (1 + np.exp(-2 * odds)))
    assert slope == pytest.approx(0.5, abs=0.01)
    assert intercept == pytest.approx(0, abs=0.05)
    slope, intercept = calibration_line(positive, 1 / (1 + np.exp(-(odds - 1))))
    assert (slope, intercept) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.02))


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
