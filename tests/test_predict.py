"""The command that scores recordings, on real files, with a model trained on a handful of them."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from commands import run_command
from conftest import noisy_signal, write_challenge
from ecg_files import SECRETS, WRITERS, muse
from predict import main, score_beats

from ecg.evaluation.answers import UNLIKE, in_percent
from ecg.leads import LEADS
from ecg.model.description import read_description
from ecg.recordings.hearts import twelve_leads

KEYS = ["record", "probability", "ischemia", "threshold", "p_ischemia", "p_normal", "p_other"]
KEYS += ["n_used", "heart_rate", "flags", "reason", "trained_on"]
SAMPLES = noisy_signal(10)


@pytest.fixture(scope="module")
def model(finished):
    return finished / "data/model.safetensors"


@pytest.fixture
def run(model, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder: it has the model file alone."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments, workers="1"):
        monkeypatch.setenv("WORKERS", workers)
        return run_command(main, monkeypatch, capsys, "--model", model, *arguments)

    return command


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_same_numbers_as_evaluate(finished, archive, run):
    done = run(archive, "--json")
    found = {row["record"]: row for row in rows(done)}
    table = pd.read_csv(finished / "data/predictions.csv")
    test = table[table.split == "test"]
    threshold = read_description(finished / "data/model.safetensors").threshold
    assert len(test) > 10
    for row in test.to_dict("records"):
        answer = found[row["record"]]
        assert answer["probability"] == answer["p_ischemia"]
        assert all(answer[name] == pytest.approx(row[name], abs=2e-6) for name in ("p_ischemia", "p_normal", "p_other"))
        assert answer["ischemia"] == (row["p_ischemia"] >= threshold) == (answer["probability"] >= answer["threshold"])
        assert (UNLIKE in answer["flags"]) == (row["distance"] > 1)
    quality = pd.read_csv(finished / "data/beats.csv", keep_default_na=False).set_index("record")
    assert set(found) == set(quality.index)
    assert all((row["probability"] is None) == bool(quality.reason[record]) for record, row in found.items())
    assert all(row["n_used"] == quality.n_used[record] for record, row in found.items())
    assert run(archive, "--json", workers="2").stdout == done.stdout


def test_each_is_scored_or_refused_with_the_reason(run, tmp_path):
    archive = tmp_path / "archive"
    write_challenge(archive, "good", SAMPLES)
    write_challenge(archive, "nodx", SAMPLES, dx=None)
    write_challenge(archive / "deeper", "good", SAMPLES[:, :2].repeat(6, axis=1), names=LEADS[:6] * 2)
    write_challenge(archive, "short", SAMPLES[:1000])
    write_challenge(archive, "slow", SAMPLES, sampling_rate=50)
    write_challenge(archive, "fast", SAMPLES, sampling_rate=200_000)
    write_challenge(archive, "flat", np.where(np.arange(12) == 6, 0, SAMPLES))
    write_challenge(archive, "noise", twelve_leads(np.random.default_rng(0).normal(0, 100, (5000, 8))).astype(np.int16))
    spiky = SAMPLES.copy()
    spiky[np.arange(220, 5000, 500)] += 900
    write_challenge(archive, "paced", spiky)
    write_challenge(archive, "truncated", SAMPLES)
    (archive / "truncated.mat").write_bytes((archive / "truncated.mat").read_bytes()[:-24])

    done = run(archive, "--json", "--plot", "pictures")
    assert done.returncode == 3
    assert len(list((tmp_path / "pictures").iterdir())) == 10
    found = {row["record"]: row for row in rows(done)}
    assert all(list(row) == KEYS for row in found.values())
    reasons = {record: (row["reason"] or "").split(":")[0] for record, row in found.items()}
    expected = {"good": "", "nodx": "", "deeper/good": "duplicate lead", "short": "too short", "slow": "sampling rate"}
    expected |= {"fast": "sampling rate", "flat": "flat lead", "noise": "no QRS complexes"}
    assert reasons == expected | {"paced": "paced", "truncated": "signal file"}
    for row in found.values():
        scored = row["reason"] is None
        assert (row["probability"] is not None) == (row["ischemia"] is not None) == scored
        assert row["trained_on"] == "synthetic recordings"
    assert found["nodx"]["heart_rate"] == 60
    assert "10 recordings: " in done.stderr and "8 refused" in done.stderr


def test_a_record_with_or_without_suffix_and_all_forms_of_output(run, tmp_path):
    write_challenge(tmp_path, "a.b", SAMPLES)
    plain = [run(f"a.b{suffix}", "--json") for suffix in ("", ".hea", ".mat")]
    assert all(done.returncode == 0 for done in plain)
    (row,) = rows(plain[0])
    assert row["record"] == "a.b"
    assert plain[0].stdout == plain[1].stdout == plain[2].stdout

    done = run("a.b", "--csv", "out.csv", "--plot", "pictures")
    assert done.returncode == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table) == KEYS
    assert table.probability[0] == row["probability"]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["a.b.png"]
    told = run("a.b")
    number, decision = r"[<>]? ?[\d.]+%", "ischemia" if row["ischemia"] else "no ischemia"
    others = rf"\((normal|other) {number}, (normal|other) {number}\)"
    beats = f"{row['n_used']} beats at 60/min"
    said = re.match(rf"a\.b: {decision}: ({number}) {others}; threshold ({number}); {beats}\n$", told.stdout)
    assert said[1] == in_percent(row["probability"]) and said[4] == in_percent(row["threshold"])
    assert said[2] != said[3]
    # Each output names the data that the model was trained on.
    synthetic = "predict: warning: this model was trained on synthetic recordings; do not use its scores"
    assert synthetic in told.stderr
    assert "predict: model trained on synthetic recordings; ischemia means any of these diagnoses in " in told.stderr
    assert table.trained_on[0] == "synthetic recordings"


def test_text_from_files_is_harmless(run, tmp_path):
    write_challenge(tmp_path / "in", "=1+1\x1b[2J$a^$", SAMPLES)
    write_challenge(tmp_path / "in", "bad", SAMPLES, gain="1000/\x1b[2J")
    done = run("in", "--csv", "out.csv", "--plot", "pictures")
    assert done.returncode == 3
    for text in (run("in").stdout, (tmp_path / "out.csv").read_text()):
        assert "\x1b" not in text
    assert pd.read_csv(tmp_path / "out.csv").record[0].startswith("'=1+1\\x1b")
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_all_formats_mixed_in_a_folder_give_one_score(run, tmp_path):
    write_challenge(tmp_path / "in", "wfdb", SAMPLES)
    for name, writer in WRITERS.items():
        (tmp_path / "in" / name).write_bytes(writer(SAMPLES, 500))
    (tmp_path / "in" / "a.scp").write_bytes(bytes(16) + b"SCPECG" + bytes(100))
    (tmp_path / "in" / "broken.xml").write_bytes(muse(SAMPLES, 500)[:3000])
    (tmp_path / "in" / "notes.txt").write_text("Miller, Joan")
    done = run("in", "--json")
    found = {row["record"]: row for row in rows(done)}
    assert {"table", "array", "a", "broken"} == {record for record, row in found.items() if row["reason"]}
    assert found["table"]["reason"].startswith("no sampling_rate and units: ")
    assert found["table"]["reason"].endswith(" --sampling-rate and --units to predict")
    told = run("in", "--json", "--sampling-rate", "500", "--units", "mV")
    scored = {row["record"]: row["probability"] for row in rows(told) if not row["reason"]}
    assert set(scored) == {name.split(".")[0] for name in WRITERS} | {"wfdb"}
    assert all(score == pytest.approx(scored["wfdb"], abs=0.02) for score in scored.values())
    (tmp_path / "in" / "labels.csv").write_text(
        "file,patient,sampling_rate,units\ntable.csv,Miller,500,mV\narray.npy,,500,mV\n"
    )
    labelled = run("in", "--json")
    assert {row["record"]: row["probability"] for row in rows(labelled) if not row["reason"]} == scored
    (alone,) = rows(run("in/table.csv", "--json"))
    assert (alone["record"], alone["probability"]) == ("table", scored["table"])
    for text in (*done, *told, *labelled):
        assert not any(secret in str(text) for secret in SECRETS)


def test_usage(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, said in [
        ([], "RECORD"),
        (["absent"], "RECORD is absent: no such record or folder"),
        (["empty"], "RECORD is empty: no recording in that folder"),
        (["x", "--json", "--csv", "y"], "not allowed with"),
        (["x", "--units", "foo"], "--units is foo; allowed: uV, mV, V"),
        (["x", "--sampling-rate", "500Hz"], "--sampling-rate is 500Hz; allowed: a number above 0, in Hz"),
    ]:
        done = run(*arguments)
        assert done.returncode == 2
        assert said in done.stderr.splitlines()[-1]
    write_challenge(tmp_path, "a", SAMPLES)
    done = run("a", "--model", "absent.safetensors")
    assert done.returncode == 1
    assert done.stderr == "predict: no model at absent.safetensors; run `dvc repro` to train data/model.safetensors\n"


@pytest.mark.filterwarnings("ignore:Glyph")
def test_pictures_of_long_and_foreign_names(run, tmp_path):
    names = ["short", "心电图" * 24 + "甲", "ö" * 110, "50%-2F"]
    names.append(os.fsdecode("größe".encode("latin-1")))
    (tmp_path / "in").mkdir()
    for name in names:
        np.save(tmp_path / "in" / f"{name}.npy", SAMPLES[:1000])
    told = ["--sampling-rate", "500", "--units", "uV"]
    done = run("in", *told, "--csv", "out.csv", "--plot", "pictures")
    assert done.returncode == 3
    pictures = [path.name for path in (tmp_path / "pictures").iterdir()]
    assert len(pictures) == len(pd.read_csv(tmp_path / "out.csv")) == len(names)
    assert {"short.png", "50%25-2F.png"} < set(pictures)


def test_a_picture_that_cannot_be_written_costs_nothing_else(run, tmp_path):
    for name in ("a", "b", "c"):
        write_challenge(tmp_path / "in", name, SAMPLES[:1000])
    (tmp_path / "pictures/a.png").mkdir(parents=True)
    done = run("in", "--csv", "out.csv", "--plot", "pictures")
    assert done.returncode == 1
    assert "predict: warning: pictures that cannot be written: 1; the first: " in done.stderr
    assert list(pd.read_csv(tmp_path / "out.csv").record) == ["a", "b", "c"]
    assert (tmp_path / "pictures/b.png").is_file() and (tmp_path / "pictures/c.png").is_file()


@pytest.mark.parametrize("end, status", [(KeyboardInterrupt, 130), (OSError("full"), 1)])
def test_what_was_scored_outlives_the_end_of_a_run(run, tmp_path, monkeypatch, end, status):
    for number in range(5):
        write_challenge(tmp_path / "in", f"r{number}", SAMPLES[:1000])
    (tmp_path / "out.csv").write_text("older")
    monkeypatch.setattr("predict.BATCH", 2)
    whole, calls = run("in", "--csv", "whole.csv"), []

    def score_some(*arguments):
        calls.append(arguments)
        if len(calls) == fails:
            raise end
        return score_beats(*arguments)

    monkeypatch.setattr("predict.score_beats", score_some)
    fails = 1
    assert run("in", "--csv", "out.csv").returncode == status
    assert (tmp_path / "out.csv").read_text() == "older"
    calls, fails = [], 3
    assert run("in", "--csv", "out.csv").returncode == status
    assert whole.returncode == 3
    rows = (tmp_path / "whole.csv").read_text().splitlines()
    assert len(rows) == 6 and (tmp_path / "out.csv").read_text().splitlines() == rows[:5]
