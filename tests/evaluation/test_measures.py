"""Rates at the threshold, calibration and subgroups."""

import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.measures import (
    calibration_line,
    calibration_rows,
    measures,
    reliability,
    subgroups,
)
from ecg.params import Evaluate

EVALUATE = Evaluate(bootstrap=100, seed=1)
# Ischemic: two of three called; normal: none of four; other: one of two.
P = {"ischemia": [0.9, 0.3, 0.1], "normal": [0.0, 0.1, 0.1, 0.2], "other": [0.6, 0.2]}


def rates(classes):
    table = pd.DataFrame([(label, p) for label in classes for p in P[label]], columns=["label", "p_ischemia"])
    table = table.assign(patient=np.arange(len(table)), p_normal=(1 - table.p_ischemia) / 2, distance=0.5)
    table["p_other"] = table.p_normal
    return measures(table, 0.3, EVALUATE).set_index("measure")


def test_rates_by_hand_are_of_ischemia_against_everything_else():
    found = rates(P)
    expected = {"sensitivity": 2 / 3, "specificity": 5 / 6, "specificity_normal": 1, "specificity_other": 1 / 2}
    expected |= {"called": 3 / 9, "ppv": 2 / 3, "npv": 5 / 6}
    # Of 900 with a prevalence of 2 %, 12 of 18 ischemic and 147 of 882 others are called.
    expected |= {"ppv_at_2": 12 / (12 + 147), "npv_at_2": 735 / (735 + 6)}
    expected["brier"] = (0.1**2 + 0.7**2 + 0.9**2 + 0 + 0.1**2 + 0.1**2 + 0.2**2 + 0.6**2 + 0.2**2) / 9
    assert found.value[list(expected)].to_dict() == pytest.approx(expected)
    rows = found.loc[list(expected)]
    assert ((rows.low <= rows.value) & (rows.value <= rows.high)).all()
    counts = {"specificity": 6, "specificity_normal": 4, "specificity_other": 2}
    assert found.n_others[list(counts)].to_dict() == counts
    assert (found.n_ischemia == 3).all()
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
    assert found.value[["called", "brier"]].notna().all()
    assert none.reason.notna().all()


def test_calibration_line_finds_slope_and_intercept():
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 100_000)
    positive = rng.random(100_000) < 1 / (1 + np.exp(-odds))
    slope, intercept = calibration_line(positive, 1 / (1 + np.exp(-2 * odds)))
    assert slope == pytest.approx(0.5, abs=0.01)
    assert intercept == pytest.approx(0, abs=0.05)
    slope, intercept = calibration_line(positive, 1 / (1 + np.exp(-(odds - 1))))
    assert (slope, intercept) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.02))


def test_no_slope_where_the_classes_do_not_overlap():
    slope, intercept = calibration_line(np.array([True, True, False]), np.array([0.9, 0.8, 0.3]))
    assert np.isnan(slope)
    assert np.isfinite(intercept)


def test_calibration_error_by_hand():
    # Bins .1-.2: mean .15, none of two; .8-1: mean .95, three of four. (2 * .15 + 4 * .2) / 6.
    positive = np.array([False, False, True, True, True, False])
    probability = np.array([0.12, 0.18, 0.95, 0.95, 0.9, 1.0])
    table, error = reliability(positive, probability), calibration_rows(positive, probability)[-1]
    assert table[["bin_low", "bin_high", "n"]].to_numpy().tolist() == [[0.1, 0.2, 2], [0.8, 1, 4]]
    assert error["value"] == pytest.approx((2 * 0.15 + 4 * 0.2) / 6)


def recordings(labels):
    n = len(labels)
    table = pd.DataFrame({"label": labels, "patient": np.arange(n), "source": "north", "sex": "", "noise_uv": 10.0})
    p = np.linspace(0.9, 0.1, n)
    return table.assign(p_ischemia=p, p_normal=1 - p, p_other=0.0, age=np.nan, heart_rate=70.0)


def test_groups_add_up_and_what_is_not_known_is_a_group():
    groups = subgroups(recordings(["ischemia"] * 6 + ["normal"] * 8 + ["other"]), np.array([9.0, 20.0]), EVALUATE)
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
    groups = subgroups(recordings(labels), np.array([9.0, 20.0]), EVALUATE)
    assert set(groups.reason) == reasons
    assert groups.roc_auc.isna().all()


def test_equal_terciles_are_no_error():
    groups = subgroups(recordings(["ischemia"] * 6 + ["normal"] * 8), np.array([10.0, 10.0]), EVALUATE)
    assert groups.group[groups.grouping == "noise"].tolist() == ["≥ 10.0 uV"]
