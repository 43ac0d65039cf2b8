import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ecg.model.comparisons import roc_auc


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
