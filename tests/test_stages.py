"""The stages run as scripts, one after the other, on a handful of recordings."""

import json
import shutil
from functools import partial

import evaluate
import numpy as np
import pandas as pd
import pytest
import train
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score

from ecg.evaluation.names import SIMPLE_MODELS

SICK_OR_NORMAL = ["ischemia", "normal"]


def read(folder, name):
    return pd.read_csv(folder / "data" / name, keep_default_na=False, dtype={"record": str, "patient": str})


def test_counts_add_up_and_no_patient_is_in_two_splits(finished):
    index, beats, split = (read(finished, name) for name in ("recordings.csv", "beats.csv", "split.csv"))
    kept = index[index.reason == ""]
    assert list(beats.record) == list(kept.record)
    found = beats[beats.reason == ""]
    assert list(found.row.astype(float)) == list(range(len(found)))
    assert (beats.reason[beats.row == ""] != "").all()
    assert list(split.record) == list(index.record)
    dealt = split[split.split != ""]
    assert list(dealt.record) == list(found.record) and (dealt.reason == "").all()
    for name in ("row", "heart_rate", "noise_uv", "n_beats", "n_used"):
        assert list(dealt[name].astype(float)) == list(found[name].astype(float)), name
    array = np.load(finished / "data/beats.npy")
    assert array.shape == (len(found), 12, 82)
    assert array.dtype == np.float32
    assert np.isfinite(array).all()
    assert (dealt.groupby("patient").split.nunique() == 1).all()
    assert set(dealt.split) == {"train", "val", "test"}


def test_numbers_can_be_recomputed_from_the_predictions(finished):
    table = read(finished, "predictions.csv")
    numbers = json.loads((finished / "metrics/evaluate.json").read_text())
    trained = json.loads((finished / "data/train.json").read_text())
    np.testing.assert_allclose(table[["p_normal", "p_ischemia", "p_other"]].sum(axis=1), 1)

    def auc(rows, negatives, score):
        rows = rows[rows.label.isin(["ischemia", *negatives])]
        return round(roc_auc_score(rows.label == "ischemia", score(rows)), 9)

    def against_normal(rows):
        return rows.p_ischemia / (rows.p_ischemia + rows.p_normal)

    test, val, train = (table[table.split == split] for split in ("test", "val", "train"))
    assert numbers["roc_auc"] == round(auc(test, ["normal"], against_normal), 4)
    assert numbers["roc_auc_vs_rest"] == round(auc(test, ["normal", "other"], lambda rows: rows.p_ischemia), 4)
    assert numbers["roc_auc_vs_other"] == round(auc(test, ["other"], lambda rows: rows.p_ischemia), 4)
    assert trained["roc_auc_val"] == auc(val, ["normal"], against_normal)
    assert trained["roc_auc_vs_rest_val"] == auc(val, ["normal", "other"], lambda rows: rows.p_ischemia)
    assert trained["brier_val"] == pytest.approx(brier_score_loss(val.label == "ischemia", val.p_ischemia), abs=1e-6)
    assert numbers["roc_auc_vs_rest_val"] == round(trained["roc_auc_vs_rest_val"], 4)
    of_label = [row[f"p_{row['label']}"] for row in val.to_dict("records")]
    assert trained["cross_entropy_val"] == pytest.approx(-np.log(of_label).mean(), abs=1e-5)
    assert trained["roc_auc_train"] == auc(train, ["normal"], against_normal)
    assert numbers["roc_auc_low"] <= numbers["roc_auc"] <= numbers["roc_auc_high"]
    decimals = [len(str(value).partition(".")[2]) for value in numbers.values()]
    assert max(decimals) <= 4, "beyond four decimals, processors differ"

    details = pd.read_csv(finished / "metrics/evaluate.csv").set_index("measure").value
    cut, ill, score = trained["threshold"], test.label == "ischemia", test.p_ischemia
    called = score >= cut
    precision = partial(precision_score, zero_division=np.nan)
    expected = {key: numbers[key] for key in ("roc_auc", "roc_auc_vs_rest", "roc_auc_vs_other")}
    rates = {"sensitivity": recall_score(ill, called), "specificity": recall_score(~ill, ~called)}
    rates |= {f"specificity_{name}": (score[test.label == name] < cut).mean() for name in ("normal", "other")}
    rates |= {"brier": brier_score_loss(ill, score)}
    expected |= rates | {"called": called.mean(), "ppv": precision(ill, called), "npv": precision(~ill, ~called)}
    for share, suffix in ((0.02, "_at_2"), (0.10, "_at_10")):
        weight = np.where(ill, share / ill.mean(), (1 - share) / (1 - ill.mean()))
        expected[f"ppv{suffix}"] = precision(ill, called, sample_weight=weight)
        expected[f"npv{suffix}"] = precision(~ill, ~called, sample_weight=weight)
    for name, value in expected.items():
        assert details[name] == pytest.approx(value, abs=6e-5, nan_ok=True), name
    for name, value in rates.items():
        assert numbers[name] == pytest.approx(value, abs=6e-5), name
    assert {"calibration_slope", "calibration_intercept", "expected_calibration_error"} < set(details.index)
    assert (val.p_ischemia[val.label != "ischemia"] < cut).mean() >= 0.9


def test_audit_can_be_recomputed(finished):
    scores, summary = read(finished, "audit.csv"), pd.read_csv(finished / "metrics/audit.csv")
    aucs = {}
    for model, rows in scores[scores.model != "source_probe"].groupby("model"):
        p = rows[["p_normal", "p_ischemia", "p_other"]].astype(float)
        asked, ill = rows.label.isin(SICK_OR_NORMAL), rows.label == "ischemia"
        aucs[model, "roc_auc"] = roc_auc_score(ill[asked], (p.p_ischemia / (p.p_ischemia + p.p_normal))[asked])
        aucs[model, "roc_auc_vs_rest"] = roc_auc_score(ill, p.p_ischemia)
        sick = rows.label != "normal"
        aucs[model, "roc_auc_vs_other"] = roc_auc_score(ill[sick], p.p_ischemia[sick])
    names = {"model", "not_normal", *SIMPLE_MODELS, "source", "age_sex", "heart_rate", "quality"}
    assert {model for model, _ in aucs} == names | {"permuted-1", "permuted-2", "permuted-3"}
    for row in summary[summary.model.isin(names)].itertuples():
        assert row.roc_auc == pytest.approx(aucs[row.model, row.comparison], abs=6e-5), row
    numbers = summary[summary.comparison.isin(["roc_auc", "source"])].set_index("model").roc_auc
    evaluated = json.loads((finished / "metrics/evaluate.json").read_text())
    assert numbers["model"] == evaluated["roc_auc"]
    permuted = np.mean([aucs[f"permuted-{n}", "roc_auc"] for n in (1, 2, 3)])
    assert numbers["permuted"] == pytest.approx(permuted, abs=6e-5)
    assert len({aucs[f"permuted-{n}", "roc_auc_vs_rest"] for n in (1, 2, 3)}) > 1
    probe, split = scores[scores.model == "source_probe"], read(finished, "split.csv").set_index("record")
    source = split.source[probe.record].to_numpy()
    each = [roc_auc_score(source == name, probe[f"source_{name}"].astype(float)) for name in set(source)]
    assert numbers["source_probe"] == pytest.approx(np.mean(each), abs=6e-5)


def test_the_test_set_changes_neither_training_nor_the_threshold_fixed_before(finished, tmp_path, monkeypatch):
    copy = shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(copy)
    table = pd.read_csv(copy / "data/split.csv", dtype=str)
    test = table.split == "test"
    table.loc[test, "label"] = table.label[test].sample(frac=1, random_state=0).to_numpy()
    table.to_csv(copy / "data/split.csv", index=False)
    train.main()
    evaluate.main()
    assert (copy / "data/model.safetensors").read_bytes() == (finished / "data/model.safetensors").read_bytes()
    old, new = (json.loads((folder / "metrics/evaluate.json").read_text()) for folder in (finished, copy))
    assert new["threshold"] == old["threshold"]
    assert (copy / "data/train.json").read_bytes() == (finished / "data/train.json").read_bytes()
    assert new["roc_auc"] != old["roc_auc"]
