import numpy as np
import pandas as pd
from sklearn.metrics import auc

from ecg.evaluation.curves import BINS, POINTS, confusion, curves, distribution, net_benefit
from ecg.model.comparisons import roc_auc, select_comparison


def scored(labels, p):
    table = pd.DataFrame({"label": labels, "patient": np.arange(len(labels)), "p_ischemia": p})
    return table.assign(p_normal=1 - table.p_ischemia, p_other=0.0)


def against_normal(test):
    return (points["roc_auc"] for points in curves(test))


def test_curves_of_many_records_have_few_points_and_the_same_area():
    rng = np.random.default_rng(0)
    label = np.repeat(["ischemia", "normal"], [4000, 6000])
    test = scored(label, 1 / (1 + np.exp(-rng.normal(label == "ischemia"))))
    roc, precision_recall = against_normal(test)
    assert len(roc) == len(precision_recall) == POINTS
    positive, score, _ = select_comparison(test, "roc_auc")
    assert abs(auc(roc.fpr, roc.tpr) - roc_auc(positive, score)[0]) < 1e-3
    ends = roc.iloc[[0, -1]], precision_recall.iloc[[0, -1]]
    assert ends[0][["fpr", "tpr"]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert ends[1][["recall", "precision"]].to_numpy().tolist() == [[0, 1], [1, 0.4]]


def test_points_by_hand():
    roc, precision_recall = against_normal(scored(["ischemia", "normal", "ischemia", "normal"], [0.9, 0.7, 0.7, 0.1]))
    points = [[0, 0, 1], [0, 0.5, 0.9], [0.5, 1, 0.7], [1, 1, 0.1]]
    assert roc[["fpr", "tpr", "threshold"]].to_numpy().tolist() == points
    points = [[0, 1, 1], [0.5, 1, 0.9], [1, 2 / 3, 0.7], [1, 0.5, 0.1]]
    assert precision_recall[["recall", "precision", "threshold"]].to_numpy().tolist() == points


def test_decisions_by_class():
    test = scored(["ischemia", "other", "ischemia", "ischemia", "other"], [0.04, 0.039, 0.9, 0.01, 0.02])
    assert confusion(test, 0.04).to_dict("records") == [
        {"label": "ischemia", "called": 2, "not_called": 1},
        {"label": "other", "called": 0, "not_called": 2},
    ]


def test_net_benefit_is_that_of_dcurves():
    # The first 30 patients of df_binary, a data set of dcurves 1.1.7; the right values are what its dca returns.
    positive = np.isin(np.arange(30), [7, 11, 15, 27])
    p = [0.0372006, 0.5789074, 0.0215508, 0.0039097, 0.01879, 0.0426375, 0.2962621, 0.3872923, 0.0372536, 0.0320365]
    p += [0.0380078, 0.0273008, 0.0619617, 0.0267902, 0.0284285, 0.4535079, 0.0203532, 0.3295228, 0.0543158, 0.0408924]
    p += [0.0081056, 0.0504427, 0.0128147, 0.0164768, 0.1552008, 0.0130115, 0.011675, 0.0332257, 0.0926513, 0.0484699]
    table = net_benefit(positive, np.array(p)).set_index("threshold").loc[[0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5]]
    expected = [0.1252525253, 0.1204081633, 0.0526315789, 0.0518518519, 0.0416666667, 0.0502487562, -0.0333333333]
    np.testing.assert_allclose(table["model"], expected, atol=1e-9)
    expected = [0.1245791246, 0.1156462585, 0.0877192982, 0.0370370370, -0.0833333333, -0.2935323383, -0.7333333333]
    np.testing.assert_allclose(table["all"], expected, atol=1e-9)
    assert (table["none"] == 0).all()


def test_every_record_is_in_one_bin_of_its_class():
    test = scored(["ischemia", "other", "other", "other", "normal"], [1.0, 0.0, 0.25, 0.2499, 1e-9])
    bins = distribution(test)
    assert bins.groupby("label").n.sum().to_dict() == {"ischemia": 1, "normal": 1, "other": 3}
    other = bins[(bins.label == "other") & (bins.n > 0)]
    assert other.bin_low.tolist() == [0, BINS[19], 0.25]
    assert other.bin_high.tolist() == [BINS[1], 0.25, BINS[21]]
    assert bins[bins.label == "ischemia"].n.iloc[-1] == 1
