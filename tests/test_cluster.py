"""The store and the beats made on a real Dask cluster of one scheduler and two worker processes on this machine."""

import os
import shutil
import subprocess
import sys
import time

import clones
import pytest
import yaml
from conftest import ROOT

distributed = pytest.importorskip("distributed", reason="the cluster tests need requirements-dev.txt")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler's address and two workers, started elsewhere than in the project."""
    with clones.cluster(tmp_path) as started:
        yield started


def project(folder, patients):
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["download"]["synthetic_patients"] = patients
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "data").mkdir()
    return folder


def start_stage(folder, stage, **environment):
    command = [sys.executable, f"stages/{stage}.py"]
    return subprocess.Popen(command, cwd=folder, env=os.environ | environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 0, error


def outputs(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "data").rglob("*")) if path.is_file()}


def test_same_bytes_on_a_cluster_also_when_a_worker_is_killed(cluster, tmp_path):
    address, workers = cluster
    alone, together = project(tmp_path / "alone", 150), project(tmp_path / "together", 150)
    for stage in ("download", "extract"):
        finish(start_stage(alone, stage, WORKERS="1"))
        finish(start_stage(together, stage, DASK_SCHEDULER_ADDRESS=address))
    assert outputs(together) == outputs(alone)

    running = start_stage(together, "extract", DASK_SCHEDULER_ADDRESS=address)
    with distributed.Client(address) as client:
        for _ in range(600):
            if any(client.processing().values()):
                break
            time.sleep(0.05)
        assert running.poll() is None
        workers[0].kill()
    finish(running)
    assert outputs(together) == outputs(alone)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_no_cluster_at_the_address_is_one_line(tmp_path, address):
    folder = project(tmp_path / "p", 20)
    finish(start_stage(folder, "download", WORKERS="1"))
    process = start_stage(folder, "extract", DASK_SCHEDULER_ADDRESS=address)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert error.splitlines()[-1].startswith("extract: ") and address in error
    assert "Traceback" not in error
