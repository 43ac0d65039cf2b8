"""The command that says how good a model is on labelled recordings, on synthetic archives."""

import json
import sys
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, ecg_signal, write_challenge
from validate import main

from ecg.network.description import read_description
from ecg.recordings.synthetic import write_recordings
from ecg.stage.script import run as run_script

PARTS = {"validate.json", "validate.csv", "validate.png", "validate.html"}


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    (tmp_path / "params.yaml").write_text((finished / "params.yaml").read_text())
    monkeypatch.setenv("WORKERS", "1")

    def command(*arguments, model=finished / "data/model.safetensors"):
        monkeypatch.setattr(sys, "argv", ["validate", *map(str, arguments), "--model", str(model)])
        status = 0
        try:
            run_script(main)
        except SystemExit as end:
            status = end.code
        return Done(status or 0, *capsys.readouterr())

    return command


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An archive in which most recordings are ischemic, unlike at home, and a few cannot be used."""
    folder = tmp_path_factory.mktemp("site") / "Elsewhere"
    write_recordings(folder, patients=110, seed=7)
    normal = [path for path in sorted(folder.rglob("*.hea")) if "Dx: 426783006\n" in path.read_text()]
    for path in normal[22:]:
        for file in path.parent.glob(f"{path.stem}.*"):
            file.unlink()
    write_challenge(folder, "short", ecg_signal(2))
    write_challenge(folder, "nodx", ecg_signal(10), dx=None)
    return folder


def test_numbers_table_picture_and_page(run, site, finished, tmp_path):
    done = run(site, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == PARTS
    numbers = json.loads((tmp_path / "out/validate.json").read_text())
    table = pd.read_csv(tmp_path / "out/validate.csv").fillna({"reason": ""})
    evaluated = json.loads((finished / "metrics/evaluate.json").read_text())
    assert list(numbers)[: len(evaluated)] == list(evaluated)
    assert f"ROC AUC against normal {numbers['roc_auc']:.3f}" in done.stdout
    # Every recording found is a row: scored, or with a reason.
    assert len(table) == numbers["found"] == len(list(site.rglob("*.hea")))
    assert ((table.reason == "") == table.p_normal.notna()).all()
    refused = Counter(table.reason[table.reason != ""].str.split(":").str[0])
    assert refused == {"too short": 1, "no Dx": 1} and numbers["refused"] == 2
    scored = table[table.reason == ""]
    assert {f"n_{label}": n for label, n in Counter(scored.label).items()}.items() <= numbers.items()
    # By hand, from the table.
    positive, others = scored[scored.label == "ischemia"], scored[scored.label == "normal"]
    score = {
        name: rows.p_ischemia / (rows.p_ischemia + rows.p_normal) for name, rows in (("i", positive), ("n", others))
    }
    above = np.subtract.outer(score["i"].to_numpy(), score["n"].to_numpy())
    assert numbers["roc_auc"] == pytest.approx(((above > 0) + (above == 0) / 2).mean(), abs=1e-6)
    assert numbers["sensitivity"] == pytest.approx((score["i"] >= numbers["threshold"]).mean())
    assert numbers["unlike_training"] == pytest.approx((scored.distance > 1).mean(), abs=1e-6)
    home = read_description(finished / "data/model.safetensors").home
    assert numbers["home_roc_auc"] == pytest.approx(home["roc_auc"])
    page = (tmp_path / "out/validate.html").read_text()
    assert "<script" not in page and "http-equiv" not in page
    assert "too short" in page and f"{numbers['roc_auc']:.3f}" in page


def test_recordings_of_training_are_told(run, tmp_path):
    # The recordings that the finished project was made of, written anew.
    write_recordings(tmp_path / "archive", patients=60, seed=1)
    done = run("archive", "--out", "out")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out/validate.json").read_text())
    assert 0 < numbers["in_training"] < numbers["found"]
    assert (
        f"{numbers['in_training']} of {numbers['found'] - numbers['refused']} recordings were in the model's training"
        in done.stderr
    )
    assert "were in the model’s training data" in (tmp_path / "out/validate.html").read_text()


def test_recalibration_mends_probabilities_and_leaves_the_order(run, site, tmp_path):
    done = run(site, "--out", "out", "--recalibrate", "new.safetensors")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out/validate.json").read_text())
    assert numbers["after_roc_auc"] == numbers["before_roc_auc"]
    assert numbers["after_brier"] < numbers["before_brier"]
    about = read_description(tmp_path / "new.safetensors")
    assert set(about.recalibrated) == {"fitted", "checked"}
    assert sum(part.recordings for part in about.recalibrated.values()) == numbers["found"] - numbers["refused"]
    assert about.home["brier"] == pytest.approx(numbers["after_brier"])
    # The new model is one like any other, and knows what it was fitted to.
    again = run(site, "--out", "again", model=tmp_path / "new.safetensors")
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "again/validate.json").read_text())["in_training"] == (
        about.recalibrated["fitted"].recordings
    )


def test_usage(run, tmp_path):
    (tmp_path / "empty").mkdir()
    write_challenge(tmp_path / "normal", "a", ecg_signal(10))
    write_recordings(tmp_path / "few", patients=20, seed=3)
    for arguments, said in [
        (["absent"], "no such folder"),
        (["empty"], "no recordings found"),
        (["normal"], "no ischemia recording with a median beat in ARCHIVE"),
        (["few", "--recalibrate", "new.safetensors"], "too few patients with ischemia to recalibrate: "),
    ]:
        done = run(*arguments)
        assert done.returncode == 1
        (line,) = [line for line in done.stderr.splitlines() if "warning" not in line]
        assert line.startswith("validate: ") and said in line
    assert not (tmp_path / "new.safetensors").exists()
