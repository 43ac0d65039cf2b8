"""The command that says how good a model is on labelled recordings, on synthetic archives."""

import json
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from commands import run_command
from conftest import ROOT, ecg_signal, write_challenge
from validate import is_far, main

from ecg.model.description import read_description
from ecg.model.model import load_model, save_model
from ecg.recordings.synthetic import write_recordings

PARTS = {"validate.json", "validate.csv", "validate.png", "validate.html"}


@pytest.fixture
def run(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "stages/templates", tmp_path / "stages/templates")
    # Beats and labels are those of the model, whatever params.yaml holds by now.
    params = (finished / "params.yaml").read_text().replace("  - 164861001\n", "").replace("end: 400", "end: 300")
    (tmp_path / "params.yaml").write_text(params)
    monkeypatch.setenv("WORKERS", "1")

    def command(*arguments, model=finished / "data/model.safetensors"):
        return run_command(main, monkeypatch, capsys, *arguments, "--model", model)

    return command


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An archive in which most recordings are ischemic, unlike at the reference, and a few cannot be used."""
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
    evaluated.pop("roc_auc_vs_rest_val")
    assert list(numbers)[: len(evaluated)] == list(evaluated)
    n = f"{numbers['n_ischemia']} ischemic"
    value, interval = numbers["roc_auc_vs_rest"], (numbers["roc_auc_vs_rest_low"], numbers["roc_auc_vs_rest_high"])
    assert f"ROC AUC against all others: {value:.3f} ({interval[0]:.3f} – {interval[1]:.3f}), {n}" in done.stdout
    # Every recording found is a row: scored, or with a reason.
    assert len(table) == numbers["found"] == len(list(site.rglob("*.hea")))
    assert ((table.reason == "") == table.p_normal.notna()).all()
    refused = Counter(table.reason[table.reason != ""].str.split(":").str[0])
    assert refused == {"too short": 1, "no Dx": 1} and numbers["refused"] == 2
    assert " synthetic recordings; refused: 2 (" in done.stdout.splitlines()[0]
    scored = table[table.reason == ""]
    assert {f"n_{label}": n for label, n in Counter(scored.label).items()}.items() <= numbers.items()
    positive, others = (scored.p_ischemia[(scored.label == "ischemia") == truth] for truth in (True, False))
    above = np.subtract.outer(positive.to_numpy(), others.to_numpy())
    assert value == pytest.approx(((above > 0) + (above == 0) / 2).mean(), abs=1e-6)
    assert numbers["sensitivity"] == pytest.approx((positive >= numbers["threshold"]).mean())
    assert numbers["specificity"] == pytest.approx((others < numbers["threshold"]).mean())
    called = (scored.p_ischemia >= numbers["threshold"]).mean()
    reference = read_description(finished / "data/model.safetensors").reference
    false = (1 - reference["specificity"]) * len(others)
    expected = (reference["sensitivity"] * len(positive) + false) / len(scored)
    assert (numbers["called"], numbers["called_expected"]) == pytest.approx((called, expected))
    assert f"called ischemic: {called:.1%}, expected {expected:.1%}" in done.stdout
    assert ("the threshold does not fit" in done.stderr) == numbers["called_far"]
    abnormal = scored.p_ischemia[scored.label == "other"] >= numbers["threshold"]
    assert f"specificity_other {1 - abnormal.mean():.3f} (reference " in done.stdout
    assert numbers["unlike_training"] == pytest.approx((scored.distance > 1).mean(), abs=1e-6)
    ill, people = set(scored.patient[scored.label == "ischemia"]), set(scored.patient)
    assert (numbers["patients_ischemia"], numbers["patients_others"]) == (len(ill), len(people - ill))
    assert numbers["reference_brier"] == pytest.approx(reference["brier"])
    page = (tmp_path / "out/validate.html").read_text()
    assert "<script" not in page and "<strong>Synthetic recordings: no number here applies to patients." in page
    assert "too short" in page and f"{value:.3f}" in page and f"{called:.1%} of the recordings are called" in page


@pytest.fixture(scope="module")
def only(site, tmp_path_factory):
    """Return a folder with the recordings of an archive whose code of diagnosis is one of these."""

    def folder(*codes):
        new = tmp_path_factory.mktemp("only") / "Elsewhere"
        new.mkdir()
        for code in codes:
            found = [path for path in sorted(site.rglob("*.hea")) if f"Dx: {code}\n" in path.read_text()]
            for path in found:
                for file in path.parent.glob(f"{path.stem}.*"):
                    shutil.copy(file, new)
        return new

    return folder


def test_a_comparison_without_recordings_is_null_with_its_reason(run, only, tmp_path):
    normal, ischemia, other = "426783006", "426783006,164861001", "55827005"
    for codes, name, reason, measured in [
        ((ischemia, other), "roc_auc", "no normal recording", ("roc_auc_vs_rest", "specificity")),
        ((normal, ischemia), "roc_auc_vs_other", "no other recording", ("roc_auc", "specificity_normal")),
        ((normal,), "sensitivity", "no such recording", ("specificity", "called", "brier")),
    ]:
        done = run(only(*codes), "--out", "out")
        assert done.returncode == 0, done.stderr
        numbers = json.loads((tmp_path / "out/validate.json").read_text())
        page = (tmp_path / "out/validate.html").read_text()
        assert numbers[name] is None and numbers[f"{name}_reason"] == reason
        assert reason in page and "No value" in page
        assert all(numbers[name] is not None for name in measured)
        assert {path.name for path in (tmp_path / "out").iterdir()} == PARTS


def test_a_share_called_is_far_where_neither_chance_nor_a_small_difference_explains_it():
    # Too many, too few, none; what chance does; what many recordings tell but is near.
    assert is_far(200, 1000, 0.1) and is_far(50, 1000, 0.1) and is_far(0, 1000, 0.1)
    assert not is_far(3, 15, 0.1) and not is_far(0, 10, 0.1)
    assert not is_far(1300, 10000, 0.1)
    # Of many that are expected, those that are not called count.
    assert is_far(1000, 1000, 0.9) and is_far(970, 1000, 0.9)


def test_recordings_of_training_are_named(run, archive, tmp_path):
    done = run(archive, "--out", "out")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out/validate.json").read_text())
    assert 0 < numbers["in_training"] < numbers["found"]
    assert (
        f"{numbers['in_training']} of {numbers['found'] - numbers['refused']} recordings were in the model's training"
        in done.stderr
    )
    assert "were in the model’s training data" in (tmp_path / "out/validate.html").read_text()


def test_recalibration_mends_probabilities_and_leaves_the_order(run, site, finished, tmp_path):
    model, description = load_model(finished / "data/model.safetensors")
    model.intercept.sub_(4)
    save_model(tmp_path / "low.safetensors", model, description)
    done = run(site, "--out", "out", "--recalibrate", "new.safetensors", model=tmp_path / "low.safetensors")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out/validate.json").read_text())
    assert numbers["after_roc_auc_vs_rest"] == pytest.approx(numbers["before_roc_auc_vs_rest"], abs=0.01)
    assert numbers["after_brier"] < 0.7 * numbers["before_brier"]
    assert numbers["before_sensitivity"] < numbers["after_sensitivity"]
    assert numbers["called_far"] and "are expected: the threshold does not fit these recordings" in done.stderr
    assert pd.read_csv(tmp_path / "out/validate.csv").groupby("patient").half.nunique().max() == 1
    about = read_description(tmp_path / "new.safetensors")
    assert set(about.recalibrated) == {"fitted", "checked"}
    assert sum(part.recordings for part in about.recalibrated.values()) == numbers["found"] - numbers["refused"]
    assert about.reference["brier"] == pytest.approx(numbers["after_brier"])
    # The new model is one like any other, and knows what it was fitted to.
    again = run(site, "--out", "again", model=tmp_path / "new.safetensors")
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "again/validate.json").read_text())["in_training"] == (
        about.recalibrated["fitted"].recordings
    )


def test_usage(run, tmp_path):
    (tmp_path / "empty").mkdir()
    write_challenge(tmp_path / "unlabelled", "a", ecg_signal(10), dx=None)
    write_recordings(tmp_path / "few", patients=20, seed=3)
    for arguments, said in [
        (["absent"], "no such folder"),
        (["empty"], "no recordings found"),
        (["unlabelled"], "no recording in ARCHIVE has a label and a median beat"),
        (["few", "--recalibrate", "new.safetensors"], "recalibration needs 10 patients with ischemia, found "),
        (["few", "--recalibrate", "new.txt"], "argument --recalibrate: new.txt does not end in .safetensors"),
    ]:
        done = run(*arguments)
        assert done.returncode == (2 if "new.txt" in arguments else 1)
        line = [line for line in done.stderr.splitlines() if "warning" not in line][-1]
        assert line.startswith("validate: ") and said in line
    assert not (tmp_path / "new.safetensors").exists()
    write_challenge(tmp_path / "unlabelled/more", "b", ecg_signal(10))
    write_challenge(tmp_path / "unlabelled/more", "c", ecg_signal(10), dx=None)
    assert run("unlabelled", "--out", "out").returncode == 0
    page = (tmp_path / "out/validate.html").read_text()
    assert "2 of 3 recordings are refused.<" in page and page.index("against normal") < page.index("against all others")
