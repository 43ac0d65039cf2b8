"""A model for others, and its card, from a handful of recordings."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import release
import torch
from commands import watch_simple_models
from conftest import DEFAULTS, ROOT
from projects import shrink

from ecg.model.decision import calibrated
from ecg.model.model import first_bytes, load_model
from ecg.params import read_params
from ecg.recordings.synthetic import write_recordings
from ecg.run.script import UsageError, locked


def git(*arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_card_names_the_code_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("stages", "models"):
        Path(name).mkdir()
    for name in ("params.yaml", "stages/old.py"):
        Path(name).touch()
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "Code")
    commit = git("rev-parse", "--short=12", "HEAD")
    # Its own result is not the code.
    Path("models/mine.md").write_text("card", encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message", "Model")
    assert release.version_of_code() == commit
    Path("stages/new.py").touch()
    assert release.version_of_code() == f"{commit}-dirty"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a model of a number of synthetic patients of one hospital: of several, each would be left out once."""
    shrink(tmp_path / "params.yaml")
    shutil.copytree(ROOT / "stages/templates", tmp_path / "stages/templates")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(release, "FOLDS", 3)
    watch_simple_models(monkeypatch)

    def make(patients):
        write_recordings(tmp_path / "archive", patients=patients, seed=2)
        monkeypatch.setattr("sys.argv", ["release.py", "mine", "archive/synthetic-north", "--seeds", "1"])
        release.main()
        return Path("models/mine.safetensors").read_bytes(), Path("models/mine.md").read_text(encoding="utf-8")

    return make


def test_too_few_recordings_or_another_run_are_one_line_and_leave_no_file(make):
    with pytest.raises(UsageError, match=r"no .* recording in the .* split; .*more recordings"):
        make(8)
    shutil.rmtree("archive")
    with locked(), pytest.raises(UsageError, match="another run is at work in"):
        make(8)
    assert not any(Path("models").iterdir())


CLASSES, PARAMS = ["normal", "ischemia", "other"], read_params(DEFAULTS)


def made_rows(n=300, seed=0):
    """Rows of n recordings of fewer patients, in five folds, and their numbers as beats."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n // 2, n)
    label = rng.choice(CLASSES, n, p=(0.6, 0.2, 0.2))
    rows = pd.DataFrame({"record": [f"{i:03d}" for i in range(n)], "patient": patient, "label": label})
    return rows.assign(fold=1 + patient % 5), np.arange(n)


def made_logits(rows, seeds=2):
    """Logits (seeds x n x classes) that depend on the labels of rows."""
    rng = np.random.default_rng(1)
    target = rows.label.map(CLASSES.index).to_numpy()
    return rng.normal(size=(seeds, len(rows), 3)) + 1.5 * np.eye(3)[target]


def test_each_record_is_scored_once_a_seed_by_a_model_that_has_not_seen_its_patient(monkeypatch):
    rows, beats = made_rows()
    scored = []

    def fit_some(beats, some, classes, extract, train):
        assert len(some) == len(beats)
        return (set(some.patient), train.seed), None

    def score_some(model, beats):
        patients, seed = model
        assert patients and not patients & set(rows.patient[beats])
        scored.extend((seed, i) for i in beats)
        return np.column_stack([beats, np.full(len(beats), seed), beats])

    monkeypatch.setattr(release, "fit_model", fit_some)
    monkeypatch.setattr(release, "uncalibrated_logits", score_some)
    found = release.out_of_fold(beats, rows, CLASSES, PARAMS, 2)
    assert sorted(scored) == [(seed, i) for seed in (1, 2) for i in beats]
    assert (found[:, :, 0] == beats).all() and (found[0, :, 1] == 1).all() and (found[1, :, 1] == 2).all()


def test_an_archive_that_is_left_out_is_in_no_training(monkeypatch):
    rows, beats = made_rows()
    rows = rows.assign(fold=np.nan, source=np.where(rows.patient % 4, "north", "south"))

    def score_some(beats, dealt, params, seed):
        test = dealt[dealt.split == "test"]
        assert test.source.nunique() == 1 and not set(test.source) & set(dealt.source[dealt.split != "test"])
        return test.assign(p_ischemia=test.label == "ischemia", p_normal=0.1, p_other=0.1), 0.5

    monkeypatch.setattr(release, "score_test", score_some)
    assert list(release.left_out_archives(beats, rows, PARAMS, 2)["left out"]) == ["north", "south"]


@pytest.mark.parametrize("specificity", [0.5, 0.97])
def test_the_threshold_has_its_specificity(specificity):
    rows, _ = made_rows()
    logits, target = made_logits(rows), rows.label.map(CLASSES.index).to_numpy()
    calibration, threshold = release.calibrate_on(logits, rows, CLASSES, specificity)
    p = calibrated(torch.from_numpy(logits.reshape(-1, 3)), calibration, 1)[:, 1].exp().numpy()
    assert (p[np.tile(target != 1, 2)] < threshold).mean() == pytest.approx(specificity, abs=0.005)
    # Of all predictions together, as many are ischemic as are expected.
    assert p.mean() == pytest.approx((target == 1).mean(), abs=1e-4)


def test_for_the_card_each_fold_is_calibrated_by_the_others():
    rows, _ = made_rows()
    logits, left_out = made_logits(rows), (rows.fold == 2).to_numpy()
    tables = release.cross_fit(logits, rows, CLASSES, 0.9)
    other_labels = rows.copy()
    other_labels.loc[left_out, "label"] = np.roll(rows.label[left_out], 7)
    for table, changed in zip(tables, release.cross_fit(logits, other_labels, CLASSES, 0.9), strict=True):
        assert list(table.record) == list(rows.record)
        same = (table.p_ischemia == changed.p_ischemia).to_numpy()
        assert same[left_out].all() and not same[~left_out].any()
        assert (table.called == changed.called)[left_out].all()


def test_a_model_and_its_card(make, monkeypatch):
    given, function = [], release.calibrate_on
    monkeypatch.setattr(release, "calibrate_on", lambda *arguments: given.append(arguments) or function(*arguments))
    model, card = make(90)
    assert f"sha256 `{hashlib.sha256(model).hexdigest()}`" in card
    # It was trained on every recording, and its calibration and threshold are those of the out-of-fold predictions.
    fitted, description = load_model(Path("models/mine.safetensors"))
    _, rows, _, _ = given[-1]
    calibration, threshold = function(*given[-1])
    assert description.members == 2 and description.recordings == len(rows) and description.threshold == threshold
    np.testing.assert_array_equal(np.sort(fitted.hashes.numpy()), np.sort(first_bytes(rows.sha256)))
    for name, value in calibration._asdict().items():
        np.testing.assert_allclose(getattr(fitted, name), value, rtol=1e-6)
    # Each record is once in a fold that is left out, and once counted in the card.
    n = rows.label.value_counts()
    assert {name: description.reference[f"n_{name}"] for name in n.index} == dict(n)
    counts = f"{n.ischemia} | {n.normal} | {n.other} | {rows.patient.nunique()}"
    assert f"| synthetic-north | {counts} |" in card
