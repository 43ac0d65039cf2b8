"""The stages run as scripts, one after the other, on a handful of recordings."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from safetensors import safe_open
from sklearn.metrics import roc_auc_score

STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
CHANGES = {
    "download": {"synthetic_patients": 60},
    "split": {"folds": 3, "val_fold": 2, "test_fold": 3},
    "train": {"filters": [8, 8], "kernels": [8, 3], "dropout": [0.1, 0.1], "epochs": 1},
    "evaluate": {"bootstrap": 100},
}


def run_stage(folder, stage, **environment):
    return subprocess.run(
        [sys.executable, f"stages/{stage}.py"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project in which every stage has run."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in CHANGES.items():
        params[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "data").mkdir()
    (folder / "metrics").mkdir()
    for stage in STAGES:
        done = run_stage(folder, stage)
        assert done.returncode == 0, done.stderr
        # No bar, no warning: quiet when not a terminal.
        assert done.stderr == ""
    return folder


def read(folder, name):
    return pd.read_csv(folder / "data" / name, keep_default_na=False, dtype={"record": str, "patient": str})


def test_counts_add_up(finished):
    index, beats, split = (read(finished, name) for name in ("recordings.csv", "beats.csv", "split.csv"))
    kept = index[index.reason == ""]
    assert list(beats.record) == list(kept.record)
    found = beats[beats.reason == ""]
    assert list(found.row.astype(float)) == list(range(len(found)))
    assert (beats.reason[beats.row == ""] != "").all()
    assert list(split.record) == list(found.record)
    array = np.load(finished / "data/beats.npy")
    assert array.shape == (len(found), 12, 188)
    assert array.dtype == np.float32
    assert np.isfinite(array).all()


def test_no_patient_is_in_two_splits(finished):
    split = read(finished, "split.csv")
    assert (split.groupby("patient").split.nunique() == 1).all()
    assert set(split.split) == {"train", "val", "test"}


def test_numbers_can_be_recomputed_from_the_predictions(finished):
    table = read(finished, "predictions.csv")
    numbers = json.loads((finished / "metrics/evaluate.json").read_text())
    trained = json.loads((finished / "metrics/train.json").read_text())
    np.testing.assert_allclose(table[["p_normal", "p_ischemia", "p_other"]].sum(axis=1), 1)

    def auc(rows, negatives, score):
        rows = rows[rows.label.isin(["ischemia", *negatives])]
        return round(roc_auc_score(rows.label == "ischemia", score(rows)), 9)

    def against_normal(rows):
        return rows.p_ischemia / (rows.p_ischemia + rows.p_normal)

    test, val, train = (table[table.split == split] for split in ("test", "val", "train"))
    assert numbers["roc_auc"] == auc(test, ["normal"], against_normal)
    assert numbers["roc_auc_vs_rest"] == auc(test, ["normal", "other"], lambda rows: rows.p_ischemia)
    assert numbers["roc_auc_vs_other"] == auc(test, ["other"], lambda rows: rows.p_ischemia)
    assert numbers["roc_auc_val"] == auc(val, ["normal"], against_normal) == trained["roc_auc_val"]
    assert trained["roc_auc_train"] == auc(train, ["normal"], against_normal)
    assert numbers["roc_auc_low"] <= numbers["roc_auc"] <= numbers["roc_auc_high"]
    ischemia, normal = test[test.label == "ischemia"], test[test.label == "normal"]
    assert numbers["sensitivity"] == round((against_normal(ischemia) >= numbers["threshold"]).mean(), 9)
    assert numbers["specificity"] == round((against_normal(normal) < numbers["threshold"]).mean(), 9)
    val_normal = val[val.label == "normal"]
    assert (against_normal(val_normal) < numbers["threshold"]).mean() >= 0.9
    assert len(numbers) <= 16


def test_model_describes_itself(finished):
    with safe_open(finished / "data/model.safetensors", framework="numpy") as file:
        description = json.loads(file.metadata()["description"])
    params = yaml.safe_load((finished / "params.yaml").read_text())
    assert description["extract"] == params["extract"]
    assert description["architecture"] == {key: params["train"][key] for key in ("filters", "kernels", "dropout")}
    assert description["classes"] == ["normal", "ischemia", "other"]
    assert description["samples"] == 188
    assert all(source.startswith("synthetic-") for source in description["sources"])


def test_the_same_bytes_with_another_number_of_workers(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    for stage in STAGES:
        done = run_stage(copy, stage, WORKERS="1", PYTHONHASHSEED="7", TZ="Asia/Tokyo")
        assert done.returncode == 0, done.stderr
    for path in sorted((finished / "data").rglob("*")) + sorted((finished / "metrics").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (copy / path.relative_to(finished)).read_bytes(), path.name


def test_test_labels_change_neither_training_nor_threshold(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    table = pd.read_csv(copy / "data/split.csv", dtype=str)
    test = table.split == "test"
    table.loc[test, "label"] = table.label[test].sample(frac=1, random_state=0).to_numpy()
    table.to_csv(copy / "data/split.csv", index=False)
    for stage in ("train", "evaluate"):
        assert run_stage(copy, stage).returncode == 0
    assert (copy / "data/model.safetensors").read_bytes() == (finished / "data/model.safetensors").read_bytes()
    old, new = (json.loads((folder / "metrics/evaluate.json").read_text()) for folder in (finished, copy))
    assert new["threshold"] == old["threshold"]
    assert new["roc_auc"] != old["roc_auc"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_wrong_param_ends_in_one_line(finished, tmp_path, stage):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("recordings"))
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("epochs: 1\n", "epochs: oops\n"))
    done = run_stage(copy, stage)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "train.epochs is 'oops'" in done.stderr
