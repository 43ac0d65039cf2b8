"""The tables of the page, with numbers by hand."""

import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.names import format_interval, format_number
from ecg.reporting import tables

TIMES = np.array([-200.0, -100, 0, 100, 200])


def test_numbers_as_they_are_written():
    assert [format_number(x) for x in (0.98765, -0.5, 0, 1, 0.00012, np.nan)] == [
        *("0.988", "−0.500", "0.000", "1.000", "1e-04", "–")
    ]
    row = {"value": 0.9, "low": 0.8, "high": 0.95, "reason": ""}
    assert format_interval(row) == "0.900 (0.800 – 0.950)"
    assert format_interval(row | {"low": np.nan}) == "0.900"
    assert format_interval(row | {"value": np.nan, "reason": "too few"}) == "none: too few"


def test_sensitivity_at_given_specificities():
    # At a specificity of 0.9, a fifth of a comparison's ischemic recordings is found, of the other's none.
    curves = {
        "roc_auc": pd.DataFrame({"fpr": [0, 0.1, 0.4, 1], "tpr": [0, 0.2, 0.7, 1]}),
        "roc_auc_vs_rest": pd.DataFrame({"fpr": [0, 0.2, 1], "tpr": [0, 1, 1]}),
        "roc_auc_vs_other": pd.DataFrame({"fpr": [], "tpr": []}),
    }
    curves = {name: points.assign(specificity=1 - points.fpr) for name, points in curves.items()}
    table = tables.curve_table(curves, "tpr", "specificity", "specificity").set_index("specificity")
    expected = {"0.50": 0.7, "0.70": 0.2, "0.80": 0.2, "0.90": 0.2, "0.95": 0, "0.99": 0}
    assert table.loc["against normal"].to_dict() == expected
    assert table.loc["against all others", ["0.90", "0.80"]].tolist() == [0, 1]


def test_precision_at_given_recalls():
    curves = {"roc_auc": pd.DataFrame({"recall": [0, 0.5, 0.9, 1], "precision": [1, 0.5, 0.6, 0.3]})}
    row = tables.curve_table(curves, "precision", "recall", "recall").iloc[0]
    assert row[["0.50", "0.70", "0.90", "0.95", "0.99"]].tolist() == [0.6, 0.6, 0.6, 0.3, 0.3]


def test_evidence_in_each_part_of_the_beat():
    maps = {"normal": np.zeros(5), "ischemia": np.array([1.0, -5, 0, 2, 1])}
    sums = tables.sums_by_part(maps, TIMES)
    assert list(sums) == ["before QRS", "QRS", "ST–T"]
    assert sums.loc["ischemia"].tolist() == [-0.8, 0, pytest.approx(0.6)]


def test_the_most_confident_errors():
    test = pd.DataFrame({"label": ["normal", "normal", "ischemia", "ischemia", "other", "normal"]})
    test["p_ischemia"] = [0.6, 0.9, 0.1, 0.4, 0.99, 0.2]
    errors = tables.confident_errors(test, 0.5, 1)
    assert list(zip(errors.index, errors.kind, strict=True)) == [(4, "false alarm"), (2, "miss")]
    assert tables.confident_errors(test, 0.5, 4).index.tolist() == [4, 1, 0, 2, 3]


def test_every_recording_is_counted_once():
    split = pd.DataFrame({"record": list("abcde"), "source": "s", "label": ["normal"] * 4 + [""]})
    split["split"] = ["train", "train", "test", "", ""]
    split["reason"] = ["", "", "", "flat lead: V1", "header: empty"]
    counts, refused = tables.count_recordings(split, ["train", "val", "test"])
    rows = [["s", "normal", 4, 2, 0, 1, 1], ["s", "unknown", 1, 0, 0, 0, 1], ["all", "", 5, 2, 0, 1, 2]]
    assert counts.values.tolist() == rows
    assert refused.values.tolist() == [["flat lead", "s", "normal", 1], ["header", "s", "unknown", 1]]
