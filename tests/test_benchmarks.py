"""Each benchmark, once, at its smallest size: it runs, counts right, and names missing inputs."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from bench_beats import bench_ludb
from conftest import ROOT
from projects import STAGES


def bench(name, *arguments, folder=ROOT):
    command = [sys.executable, ROOT / f"benchmarks/{name}.py", *map(str, arguments)]
    # Real recordings take longer.
    small = {key: value for key, value in os.environ.items() if key != "ECG_REAL_DATA"}
    return subprocess.run(command, cwd=folder, env=small, capture_output=True, text=True)


def result_of(name, *arguments, prints="", **knobs):
    done = bench(name, *arguments, **knobs)
    assert done.returncode == 0 and prints in done.stderr, done.stderr
    return json.loads(done.stdout)


def test_known_beats_are_found_by_two_methods():
    rows = result_of("bench_beats", "--recordings", 1, "--json")
    assert len(rows) == 6 * len({row["method"] for row in rows}) == 12
    assert max(row["rmse_over_notebook"] for row in rows if row["method"] == "ours") < 0.7


def test_qrs_complexes_and_their_durations_are_those_that_cardiologists_annotated(real_data):
    if not (real_data / "ludb").is_dir():
        pytest.skip("no ludb/ in ECG_REAL_DATA")
    result = bench_ludb(real_data / "ludb")
    assert result["sensitivity"] > 0.998 > result["neurokit_sensitivity"]
    assert result["predictive_value"] > 0.996
    assert result["qrs_recordings"] > 185
    assert abs(result["qrs_error_ms"]) < 10
    assert result["qrs_error_sd_ms"] < 15


def test_extraction_is_set_beside_the_notebooks_route():
    result = result_of("bench_extract", "--recordings", 2)
    assert result["ratio"] == pytest.approx(result["notebook_ms"] / result["files_ms"], rel=0.01)
    assert min(result.values()) > 0


def test_onnx_is_set_beside_torch(finished):
    pytest.importorskip("onnxruntime", reason="the ONNX tests need requirements-onnx.txt")
    result = result_of("bench_export", "--repeats", 1, folder=finished)
    assert result["largest_difference"] < 1e-6


def test_a_training_step_is_set_beside_a_matrix_multiplication():
    result = result_of("bench_train", "--repeats", 3)
    assert result["fraction"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="it measures by os.wait4")
def test_scale_measures_every_stage(tmp_path):
    arguments = "--recordings", 210, "--folder", tmp_path, "--json"
    rows = result_of("bench_scale", *arguments, prints="predict: 210 recordings: ")
    rows = {row["stage"]: row for row in rows}
    assert list(rows) == [*STAGES, "all stages", "dvc repro, nothing to do", "predict"]
    assert all(row["wall_s"] > 0 and row["cpu_s"] > 0 for row in rows.values())
    assert all(rows[stage]["peak_mb"] > 20 for stage in STAGES)
    # 12 leads of 10 s in 2 bytes; a few are at 257 or 1000 Hz.
    assert 210 * 0.1 < rows["download"]["written_mb"] < 210 * 0.2
    index = pd.read_csv(tmp_path / "project/data/recordings.csv")
    assert index.label.value_counts().to_dict() == {"normal": 180, "ischemia": 30}
    assert len(pd.read_csv(tmp_path / "scored.csv")) == 210


def write_ucr(path, n, seed):
    """Two shapes, a bump and a dip, in noise."""
    labels, series = np.where(np.arange(n) % 2, -1, 3.5), np.random.default_rng(seed).normal(0, 0.3, (n, 61))
    series[:, 20:30] += np.sign(labels)[:, None] * np.hanning(10) * 3
    path.parent.mkdir(exist_ok=True)
    np.savetxt(path, np.column_stack([labels, series]), delimiter="\t")


def test_data_sets_of_the_ucr_archive_can_be_learnt(tmp_path):
    for split, n, seed in (("TRAIN", 43, 0), ("TEST", 60, 1)):
        write_ucr(tmp_path / f"ECG200/ECG200_{split}.tsv", n, seed)
    (row,) = result_of("bench_ucr", "--ucr", tmp_path, "--epochs", 12)
    assert (row["dataset"], row["published"]) == ("ECG200", 0.9) and row["accuracy"] > 0.9
