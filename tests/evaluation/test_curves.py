import numpy as np
import pandas as pd
from sklearn.metrics import auc

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
