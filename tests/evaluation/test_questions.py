import numpy as np
import pytest

from ecg.evaluation.questions import ischemia_score


def test_score_against_normal_leaves_the_third_class_out():
    p = {"ischemia": np.array([0.2]), "normal": np.array([0.3]), "other": np.array([0.5])}
    assert ischemia_score(p, "roc_auc")[0] == pytest.approx(0.4)
    assert ischemia_score(p, "roc_auc_vs_rest")[0] == ischemia_score(p, "roc_auc_vs_other")[0] == 0.2
