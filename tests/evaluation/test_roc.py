import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ecg.evaluation.roc import delong, roc_auc


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
