"""A model for others, and its card, from a handful of recordings."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import release
from conftest import ROOT
from projects import shrink

from ecg.network.description import read_description
from ecg.recordings.synthetic import write_recordings
from ecg.stage.script import UsageError


def git(*arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A repository that holds code and params, the working directory."""
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shrink(tmp_path / "params.yaml")
    (tmp_path / ".gitignore").write_text("__pycache__\n")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "Code")
    return tmp_path


def test_the_card_names_the_code_and_nothing_else(committed):
    commit = git("rev-parse", "--short=12", "HEAD")
    assert release.version_of_code() == commit
    # Its own result, committed or not, is not the code.
    (committed / "models").mkdir()
    (committed / "models/mine.md").write_text("card")
    assert release.version_of_code() == commit
    git("add", ".")
    git("commit", "--quiet", "--message", "Model")
    assert release.version_of_code() == commit
    (committed / "stages/new.py").touch()
    assert release.version_of_code() == f"{commit}-dirty"


@pytest.fixture
def make(committed, monkeypatch):
    """Makes a model of so many made-up patients, those of one hospital: with several, each would be left out once."""

    def make(patients):
        if not (committed / f"archive-{patients}").exists():
            write_recordings(committed / f"archive-{patients}", patients=patients, seed=2)
        monkeypatch.delenv("DVC_ROOT", raising=False)
        monkeypatch.setattr(release, "FOLDS", release.FOLDS | {"folds": 3, "val_fold": 2, "test_fold": 3})
        monkeypatch.setattr("sys.argv", ["release.py", "mine", f"archive-{patients}/synthetic-north", "--seeds", "1"])
        release.main()
        return Path("models/mine.safetensors").read_bytes(), Path("models/mine.md").read_text()

    return make


def test_too_few_recordings_are_said_before_anything_is_trained(make):
    with pytest.raises(UsageError, match=r"no .* recording in the val split; .*more recordings"):
        make(8)
    assert not Path("models").exists()


@pytest.mark.slow
def test_a_model_and_its_card_are_the_same_the_second_time(make, committed):
    model, card = make(120)
    assert f"sha256 `{hashlib.sha256(model).hexdigest()}`" in card
    assert f"Code at `{release.version_of_code()}`" in card
    assert read_description(Path("models/mine.safetensors")).members == 2
    # Each record is once in the test set of the cross-validation, and once counted in the card.
    root = committed / ".cache/release/mine"
    folds, split = json.loads((root / "metrics/folds.json").read_text()), pd.read_csv(root / "final/data/split.csv")
    labels = split.label.value_counts()
    assert {name: folds[f"n_{name}"] for name in labels.index} == dict(labels)
    counts = f"{labels.ischemia} | {labels.normal} | {labels.other} | {split.patient.nunique()}"
    assert f"| synthetic-north | {counts} |" in card
    assert make(120) == (model, card)
