"""extract, predict and validate reduce the same recordings to the same beats, with the same flags and reasons."""

import json
import shutil

import download
import extract
import numpy as np
import predict
import pytest
import validate
import yaml
from commands import run_command
from conftest import ROOT, ecg_signal, noisy_signal, write_challenge
from ecg_files import muse

from ecg.evaluation.answers import UNLIKE
from ecg.leads import LEADS
from ecg.run import paths
from ecg.run.files import read_table


def made(folder):
    """Write recordings that are kept, flagged or refused by a reader or by extract."""
    samples = noisy_signal(10)
    write_challenge(folder, "good", samples)
    write_challenge(folder, "reversed", samples[:, [0, 2, 1, 4, 3, *range(5, 12)]] * np.array([-1] + [1] * 11))
    write_challenge(folder, "short", samples[:1000])
    write_challenge(folder, "duplicate", samples[:, :2].repeat(6, axis=1), names=LEADS[:6] * 2)
    write_challenge(folder, "clean", ecg_signal(10))
    gap = samples.copy()
    gap[1200:2220, 3] = -32768
    write_challenge(folder, "gap", gap, checksums=False)
    # A cart's heart rate that is not the one of its samples.
    content = muse(samples, 500).replace(b"<VentricularRate>60", b"<VentricularRate>88")
    (folder / "rate.xml").write_bytes(content)
    (folder / "labels.csv").write_text("file,label\nrate.xml,normal\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("of", ["made", "challenge", "ludb"])
def test_extract_predict_and_validate_agree(of, finished, project, tmp_path, monkeypatch, capsys, request):
    folder = made(tmp_path / "made") if of == "made" else request.getfixturevalue("real_data") / of
    model = finished / "data/model.safetensors"
    monkeypatch.setenv("WORKERS", "1")
    shutil.copytree(ROOT / "stages/templates", project / "stages/templates")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["download"] |= {"source": "directory", "directory": str(folder)}
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for stage in (download, extract):
        assert run_command(stage.main, monkeypatch, capsys).returncode == 0
    index = read_table(paths.RECORDINGS_TABLE).set_index("record")
    beats = read_table(paths.BEATS_TABLE).set_index("record").reindex(index.index)
    done = run_command(predict.main, monkeypatch, capsys, folder, "--json", "--model", model)
    predicted = {row["record"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert run_command(validate.main, monkeypatch, capsys, folder, "--model", model).returncode == 0
    validated = read_table(paths.VALIDATION / "validate.csv").set_index("record")
    assert set(predicted) == set(validated.index) == set(index.index)
    for record, row in beats.iterrows():
        answer, scored = predicted[record], validated.loc[record]
        # A flag may hold "; " itself.
        of_beat = "" if row.isna().all() else row["flags"]
        assert scored["flags"] == "; ".join(filter(None, [index["flags"][record], of_beat]))
        own = "; ".join(flag for flag in answer["flags"] if flag != UNLIKE)
        assert own.endswith(of_beat) and own.removesuffix(of_beat).removesuffix("; ") in index["flags"][record]
        refusal = index.reason[record] or row.reason
        assert scored.reason == refusal
        assert (answer["reason"] or "") == refusal or index.reason[record].startswith("no Dx")
        if row.notna().all():
            assert answer["n_used"] == scored.n_used == row.n_used
            assert (answer["heart_rate"], scored.heart_rate) == pytest.approx((row.heart_rate,) * 2, abs=0.06)
    if of == "made":
        reasons = {record: (row["reason"] or "").split(":")[0] for record, row in predicted.items()}
        assert (reasons["short"], reasons["duplicate"], reasons["rate"]) == ("too short", "duplicate lead", "")
        assert "heart rate: 60/min, 88/min in the file" in beats["flags"]["rate"]
        assert sum(bool(flags) for flags in beats["flags"].fillna("")) > 1
