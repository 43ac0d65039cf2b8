import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.bootstrap import auc_row, mean_aucs
from ecg.evaluation.curves import curves
from ecg.model.comparisons import COMPARISONS, counts_and_aucs, ischemia_score, select_comparison
from ecg.params import Evaluate


def test_score_against_normal_leaves_the_third_class_out():
    p = {"ischemia": np.array([0.2]), "normal": np.array([0.3]), "other": np.array([0.5])}
    assert ischemia_score(p, "roc_auc")[0] == pytest.approx(0.4)
    assert ischemia_score(p, "roc_auc_vs_rest")[0] == ischemia_score(p, "roc_auc_vs_other")[0] == 0.2


def test_a_question_is_about_its_own_classes():
    table = pd.DataFrame({"label": ["other", "ischemia", "other"], "patient": ["a", "b", "c"]})
    table = table.assign(p_ischemia=[0.1, 0.6, 0.3], p_normal=0.2, p_other=[0.7, 0.2, 0.5])
    positive, score, patient = select_comparison(table, "roc_auc")
    assert (positive.tolist(), patient.tolist()) == ([True], ["b"])  # no normal recording
    assert score == pytest.approx([0.75])
    for comparison in ("roc_auc_vs_rest", "roc_auc_vs_other"):
        positive, score, patient = select_comparison(table, comparison)
        assert (positive.tolist(), score.tolist()) == ([False, True, False], [0.1, 0.6, 0.3])


def test_of_two_classes_one_question_has_an_answer():
    table = pd.DataFrame({"label": ["normal", "ischemia", "normal"], "patient": ["a", "b", "c"]})
    two = table.assign(p_ischemia=[0.1, 0.6, 0.3], p_normal=[0.9, 0.4, 0.7])
    rows = {comparison: auc_row(two, comparison, Evaluate(bootstrap=100, seed=1)) for comparison in COMPARISONS}
    assert "value" in rows.pop("roc_auc")
    assert all("value" not in row and row["reason"] == "no other recording" for row in rows.values())
    assert [counts_and_aucs(two)[comparison] is None for comparison in COMPARISONS] == [False, True, True]
    assert mean_aucs([two], Evaluate(bootstrap=100, seed=1))["roc_auc_vs_rest"] is None
    assert [len(points) > 0 for points in curves(two)[0].values()] == [True, False, False]
    # A model of three classes ranks by another score there, and a third class is a comparison to one of two.
    for asked in (two.assign(p_other=0.1), two.assign(label=["other", "ischemia", "normal"])):
        assert len(select_comparison(asked, "roc_auc_vs_rest")[0]) == 3
