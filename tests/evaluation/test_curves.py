import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from ecg.evaluation.curves import POINTS, curves
from ecg.evaluation.questions import select_question
from ecg.evaluation.roc import roc_auc


def test_curves_of_many_records_have_few_points_and_the_same_area():
    rng = np.random.default_rng(0)
    label = np.repeat(["ischemia", "normal"], [4000, 6000])
    p = 1 / (1 + np.exp(-rng.normal(label == "ischemia")))
    test = pd.DataFrame({"label": label, "patient": np.arange(10_000), "p_ischemia": p, "p_normal": 1 - p})
    roc, precision_recall = (table[table.question == table.question.iloc[0]] for table in curves(test))
    assert len(roc) == len(precision_recall) == POINTS
    positive, score, _ = select_question(test, "roc_auc")
    assert abs(auc(roc.fpr, roc.tpr) - roc_auc(positive, score)[0]) < 1e-3
    ends = roc.iloc[[0, -1]], precision_recall.iloc[[0, -1]]
    assert ends[0][["fpr", "tpr"]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert ends[1][["recall", "precision"]].to_numpy().tolist() == [[1, 0.4], [0, 1]]


@pytest.mark.parametrize("digits", [1, 2, 9])  # of the scores: with few, many are alike
def test_points_are_those_of_scikit_learn_but_for_those_that_show_nothing(digits):
    rng = np.random.default_rng(1)
    label = np.where(rng.random(200) < 0.2, "ischemia", "normal")
    p = np.round(1 / (1 + np.exp(-rng.normal(2.0 * (label == "ischemia")))), digits)
    test = pd.DataFrame({"label": label, "patient": np.arange(200), "p_ischemia": p, "p_normal": 1 - p})
    roc, precision_recall = (table[table.question == table.question.iloc[0]] for table in curves(test))
    positive, score, _ = select_question(test, "roc_auc")
    every = np.column_stack(roc_curve(positive, score, drop_intermediate=False)[:2]).round(6).tolist()
    shown = roc[["fpr", "tpr"]].to_numpy().tolist()
    assert all(point in every for point in shown)
    assert len(shown) < len(every)
    assert auc(roc.fpr, roc.tpr) == pytest.approx(roc_auc(positive, score)[0], abs=1e-6)
    precision, recall, _ = precision_recall_curve(positive, score)
    every = np.column_stack([recall, precision]).round(6).tolist()
    shown = precision_recall[["recall", "precision"]].to_numpy().tolist()
    assert all(point in every for point in shown)
    # At each recall the best precision and the worst are there.
    for value in set(recall.round(6)):
        both = [[point[1] for point in points if point[0] == value] for points in (every, shown)]
        assert (max(both[0]), min(both[0])) == (max(both[1]), min(both[1]))
    score = score.round(6)  # as thresholds are
    for row in roc[1:].itertuples():
        above = score >= row.threshold
        assert (above[~positive].mean(), above[positive].mean()) == pytest.approx((row.fpr, row.tpr), abs=1e-6)


def test_one_score_for_all_is_a_straight_line():
    test = pd.DataFrame({"label": ["ischemia", "normal"], "patient": [1, 2], "p_ischemia": 0.5, "p_normal": 0.5})
    roc, precision_recall = (table[table.question == table.question.iloc[0]] for table in curves(test))
    assert roc[["fpr", "tpr", "threshold"]].to_numpy().tolist() == [[0, 0, 1], [1, 1, 0.5]]
    assert precision_recall[["recall", "precision"]].to_numpy().tolist() == [[1, 0.5], [0, 1]]
