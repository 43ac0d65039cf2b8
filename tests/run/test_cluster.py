"""The store and the beats made on a real Dask cluster of one scheduler and two worker processes on this machine."""

import os
import shutil
import subprocess
import sys
import time

import projects
import pytest
from projects import outputs

distributed = pytest.importorskip("distributed", reason="the cluster tests need requirements-dev.txt")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler's address and two workers, started elsewhere than in the project."""
    with projects.cluster(tmp_path) as started:
        yield started


@pytest.fixture
def project(finished, tmp_path):
    """The finished project, to be run again."""
    return shutil.copytree(finished, tmp_path / "project")


def start_stage(folder, stage, **environment):
    command = [sys.executable, f"stages/{stage}.py"]
    return subprocess.Popen(command, cwd=folder, env=os.environ | environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 0, error


def test_same_bytes_on_a_cluster_also_when_a_worker_is_killed(cluster, finished, project):
    address, workers = cluster
    for stage in ("download", "extract"):
        finish(start_stage(project, stage, DASK_SCHEDULER_ADDRESS=address))
    assert outputs(project) == outputs(finished)

    running = start_stage(project, "extract", DASK_SCHEDULER_ADDRESS=address)
    with distributed.Client(address) as client:
        for _ in range(1200):
            if any(client.processing().values()):
                break
            time.sleep(0.02)
        assert running.poll() is None
        workers[0].kill()
    finish(running)
    assert outputs(project) == outputs(finished)


# Where nobody answers, it is tried for 20 seconds.
@pytest.mark.parametrize("address", [pytest.param("tcp://127.0.0.1:9", marks=pytest.mark.slow), "nonsense"])
def test_no_cluster_at_the_address_is_one_line(project, address):
    process = start_stage(project, "extract", DASK_SCHEDULER_ADDRESS=address)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert error.splitlines()[-1].startswith("extract: ") and address in error
    assert "Traceback" not in error
