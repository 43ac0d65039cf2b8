"""Rates at the threshold, calibration, subgroups and points of curves."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc

from ecg.evaluation import measures
from ecg.model.comparisons import COMPARISONS, roc_auc, select_comparison
from ecg.params import Evaluate

EVALUATE = Evaluate(bootstrap=100, seed=1)
# Ischemic: two of three called; normal: none of four; other: one of two.
P = {"ischemia": [0.9, 0.3, 0.1], "normal": [0.0, 0.1, 0.1, 0.2], "other": [0.6, 0.2]}


def rates(classes, times=1):
    table = pd.DataFrame([(label, p) for label in classes for p in P[label] * times], columns=["label", "p_ischemia"])
    table = table.assign(patient=np.arange(len(table)), p_normal=(1 - table.p_ischemia) / 2, distance=0.5)
    table["p_other"] = table.p_normal
    return measures.measures(table, 0.3, EVALUATE).set_index("measure")


def test_rates_by_hand_are_of_ischemia_against_everything_else():
    found = rates(P, times=4)
    expected = {"sensitivity": 2 / 3, "specificity": 5 / 6, "specificity_normal": 1, "specificity_other": 1 / 2}
    expected |= {"called": 3 / 9, "ppv": 2 / 3, "npv": 5 / 6}
    # Of 900 with a prevalence of 2 %, 12 of 18 ischemic and 147 of 882 others are called.
    expected |= {"ppv_at_2": 12 / (12 + 147), "npv_at_2": 735 / (735 + 6)}
    expected["brier"] = (0.1**2 + 0.7**2 + 0.9**2 + 0 + 0.1**2 + 0.1**2 + 0.2**2 + 0.6**2 + 0.2**2) / 9
    assert found.value[list(expected)].to_dict() == pytest.approx(expected)
    few = found.index[found.reason == "fewer than 10 recordings"]
    assert list(few) == ["specificity_other"] and found.low[few].isna().all()
    rows = found.loc[list(expected)].drop(few)
    assert ((rows.low <= rows.value) & (rows.value <= rows.high)).all()
    counts = {"specificity": 24, "specificity_normal": 16, "specificity_other": 8}
    assert found.n_others[list(counts)].to_dict() == counts
    assert (found.n_ischemia == 12).all()
    assert found.value.unlike_training == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("classes", "absent"),
    [
        (["ischemia", "other"], {"specificity_normal"}),
        (["ischemia", "normal"], {"specificity_other"}),
        (["ischemia"], {"specificity", "specificity_normal", "specificity_other"}),
        (["normal", "other"], {"sensitivity"}),
    ],
)
def test_a_rate_without_such_records_has_a_reason(classes, absent):
    found = rates(classes)
    none = found[found.value.isna()]
    assert absent <= set(none.index)
    assert (none.reason[list(absent)] == "no such recording").all()
    assert found.value[["called", "brier"]].notna().all() and found.low[["sensitivity", "npv_at_2"]].isna().all()
    assert none.reason.notna().all()


def test_calibration_line_finds_slope_and_intercept():
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 100_000)
    positive = rng.random(100_000) < 1 / (1 + np.exp(-odds))
    slope, intercept = measures.calibration_line(positive, 1 / (1 + np.exp(-2 * odds)))
    assert slope == pytest.approx(0.5, abs=0.01)
    assert intercept == pytest.approx(0, abs=0.05)
    slope, intercept = measures.calibration_line(positive, 1 / (1 + np.exp(-(odds - 1))))
    assert (slope, intercept) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.02))


def test_no_slope_where_the_classes_do_not_overlap():
    slope, intercept = measures.calibration_line(np.array([True, True, False]), np.array([0.9, 0.8, 0.3]))
    assert np.isnan(slope)
    assert np.isfinite(intercept)


def test_calibration_error_by_hand():
    # Bins .1-.2: mean .15, none of two; .8-1: mean .95, three of four. (2 * .15 + 4 * .2) / 6.
    positive = np.array([False, False, True, True, True, False])
    probability = np.array([0.12, 0.18, 0.95, 0.95, 0.9, 1.0])
    table, error = measures.reliability(positive, probability), measures.calibration_rows(positive, probability)[-1]
    assert table[["bin_low", "bin_high", "n"]].to_numpy().tolist() == [[0.1, 0.2, 2], [0.8, 1, 4]]
    assert error["value"] == pytest.approx((2 * 0.15 + 4 * 0.2) / 6)
    # Wilson's interval of none of two: z^2 / (2 + z^2).
    assert table[["low", "high"]].iloc[0].tolist() == pytest.approx([0, 1.96**2 / (2 + 1.96**2)], abs=1e-4)


def recordings(labels):
    n = len(labels)
    table = pd.DataFrame({"label": labels, "patient": np.arange(n), "source": "north", "sex": "", "noise_uv": 10.0})
    p = np.linspace(0.9, 0.1, n)
    return table.assign(p_ischemia=p, p_normal=1 - p, p_other=0.0, age=np.nan, heart_rate=70.0)


def test_groups_add_up_and_what_is_not_known_is_a_group():
    labels = ["ischemia"] * 6 + ["normal"] * 8 + ["other"]
    groups = measures.subgroups(recordings(labels), np.array([9.0, 20.0]), EVALUATE)
    sums = groups.groupby("grouping")[["n_ischemia", "n_normal"]].sum()
    assert (sums == [6, 8]).all(axis=None)
    assert set(groups.group) == {"test", "north", "unknown", "60 – 99 /min", "9.0 – 20.0 uV"}
    assert (groups.roc_auc == 1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("labels", "reasons"),
    [
        (["ischemia"] * 9 + ["other"] * 9, {"fewer than 5 patients with normal"}),
        (["ischemia"] * 9 + ["normal"] * 4, {"fewer than 5 patients with normal"}),
        (["normal"] * 9 + ["other"] * 9, {"fewer than 5 patients with ischemia"}),
        (["other"] * 9, set()),
    ],
)
def test_a_group_without_either_class_has_a_reason(labels, reasons):
    groups = measures.subgroups(recordings(labels), np.array([9.0, 20.0]), EVALUATE)
    assert set(groups.reason) == reasons
    assert groups.roc_auc.isna().all()


def test_equal_terciles_are_no_error():
    groups = measures.subgroups(recordings(["ischemia"] * 6 + ["normal"] * 8), np.array([10.0, 10.0]), EVALUATE)
    assert groups.group[groups.grouping == "noise"].tolist() == ["≥ 10.0 uV"]


def scored(labels, p):
    table = pd.DataFrame({"label": labels, "patient": np.arange(len(labels)), "p_ischemia": p})
    return table.assign(p_normal=1 - table.p_ischemia, p_other=0.0)


def against_normal(test):
    return (points["roc_auc"] for points in measures.curves(test))


def test_curves_of_many_records_have_few_points_and_the_same_area():
    rng = np.random.default_rng(0)
    label = np.repeat(["ischemia", "normal"], [4000, 6000])
    test = scored(label, 1 / (1 + np.exp(-rng.normal(label == "ischemia"))))
    roc, precision_recall = against_normal(test)
    assert len(roc) == len(precision_recall) == measures.POINTS
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("labels", "answered"),
    [
        (["ischemia", "other"], ["roc_auc_vs_rest", "roc_auc_vs_other"]),
        (["ischemia", "normal"], ["roc_auc", "roc_auc_vs_rest"]),
        (["normal", "other"], []),
        (["ischemia"], []),
    ],
)
def test_a_question_without_such_records_has_no_points(labels, answered):
    for table in measures.curves(scored(labels, np.linspace(0.9, 0.1, len(labels)))):
        assert list(table) == list(COMPARISONS)
        assert [comparison for comparison, points in table.items() if len(points)] == answered


def test_decisions_by_class():
    test = scored(["ischemia", "other", "ischemia", "ischemia", "other"], [0.04, 0.039, 0.9, 0.01, 0.02])
    table = measures.confusion(test, 0.04)[["label", "called", "not_called"]]
    assert table.values.tolist() == [["ischemia", 2, 1], ["other", 0, 2]]


def test_net_benefit_is_that_of_dcurves():
    # The first 30 patients of df_binary, a data set of dcurves 1.1.7; the right values are what its dca returns.
    positive = np.isin(np.arange(30), [7, 11, 15, 27])
    p = [0.0372006, 0.5789074, 0.0215508, 0.0039097, 0.01879, 0.0426375, 0.2962621, 0.3872923, 0.0372536, 0.0320365]
    p += [0.0380078, 0.0273008, 0.0619617, 0.0267902, 0.0284285, 0.4535079, 0.0203532, 0.3295228, 0.0543158, 0.0408924]
    p += [0.0081056, 0.0504427, 0.0128147, 0.0164768, 0.1552008, 0.0130115, 0.011675, 0.0332257, 0.0926513, 0.0484699]
    table = measures.net_benefit(positive, np.array(p)).set_index("threshold")
    table = table.loc[[0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5]]
    expected = [0.1252525253, 0.1204081633, 0.0526315789, 0.0518518519, 0.0416666667, 0.0502487562, -0.0333333333]
    np.testing.assert_allclose(table["model"], expected, atol=1e-9)
    expected = [0.1245791246, 0.1156462585, 0.0877192982, 0.0370370370, -0.0833333333, -0.2935323383, -0.7333333333]
    np.testing.assert_allclose(table["all"], expected, atol=1e-9)
    assert (table["none"] == 0).all()


def test_every_record_is_in_one_bin_of_its_class():
    test = scored(["ischemia", "other", "other", "other", "normal"], [1.0, 0.0, 0.25, 0.2499, 1e-9])
    bins = measures.distribution(test)
    assert bins.groupby("label").n.sum().to_dict() == {"ischemia": 1, "normal": 1, "other": 3}
    other = bins[(bins.label == "other") & (bins.n > 0)]
    assert other.bin_low.tolist() == [0, measures.BINS[19], 0.25]
    assert other.bin_high.tolist() == [measures.BINS[1], 0.25, measures.BINS[21]]
    assert bins[bins.label == "ischemia"].n.iloc[-1] == 1
