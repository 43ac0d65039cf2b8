import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ecg.scores import bootstrap_interval, ischemia_score, resample_patients, roc_auc, threshold_for


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
        low, high = bootstrap_interval(positive, score, np.arange(120), n=400, seed=trial)
        hits += low <= 0.76025 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_interval_is_wider_where_patients_repeat():
    rng = np.random.default_rng(2)
    positive = np.repeat(np.arange(60) < 20, 5)
    score = np.repeat(rng.normal(np.arange(60) < 20, 1), 5)
    apart = np.subtract(*bootstrap_interval(positive, score, np.arange(300), n=500, seed=0)[::-1])
    together = np.subtract(*bootstrap_interval(positive, score, np.repeat(np.arange(60), 5), n=500, seed=0)[::-1])
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
