import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.questions import ischemia_score, select_question


def test_score_against_normal_leaves_the_third_class_out():
    p = {"ischemia": np.array([0.2]), "normal": np.array([0.3]), "other": np.array([0.5])}
    assert ischemia_score(p, "roc_auc")[0] == pytest.approx(0.4)
    assert ischemia_score(p, "roc_auc_vs_rest")[0] == ischemia_score(p, "roc_auc_vs_other")[0] == 0.2


def test_a_question_is_about_its_own_classes():
    table = pd.DataFrame({"label": ["other", "ischemia", "other"], "patient": ["a", "b", "c"]})
    table = table.assign(p_ischemia=[0.1, 0.6, 0.3], p_normal=0.2, p_other=[0.7, 0.2, 0.5])
    positive, score, patient = select_question(table, "roc_auc")
    assert (positive.tolist(), patient.tolist()) == ([True], ["b"])  # no normal recording
    assert score == pytest.approx([0.75])
    for question in ("roc_auc_vs_rest", "roc_auc_vs_other"):
        positive, score, patient = select_question(table, question)
        assert (positive.tolist(), score.tolist()) == ([False, True, False], [0.1, 0.6, 0.3])
