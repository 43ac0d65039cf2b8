"""Batches by worker processes, and on a Dask cluster of this machine."""

import os
import shutil
import signal
import sys
from unittest.mock import Mock

import extract
import pytest
from projects import outputs

from ecg.run.parallel import in_parallel
from ecg.run.script import UsageError


def test_results_come_in_order(monkeypatch):
    batches = [(range(20_000_000 if i == 0 else i),) for i in range(20)]  # the first takes longest
    for workers in ("1", "2"):
        monkeypatch.setenv("WORKERS", workers)
        assert list(in_parallel(sum, batches)) == [sum(numbers) for (numbers,) in batches]
        assert (os.getpid() in in_parallel(os.getpid, [(), ()])) == (workers == "1")
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(UsageError, match="WORKERS is 'many'"):
        list(in_parallel(divmod, [(1, 1)]))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_worker_is_one_line(monkeypatch):
    monkeypatch.setenv("WORKERS", "2")
    with pytest.raises(UsageError, match="a worker process was killed"):
        list(in_parallel(signal.raise_signal, [(signal.SIGKILL,), (signal.SIGKILL,)]))


def test_ctrl_c_while_workers_start_stays_ctrl_c(monkeypatch):
    failed = RuntimeError("cannot join thread before it is started")  # joblib's, where Ctrl-C comes early
    failed.__context__ = KeyboardInterrupt()
    monkeypatch.setattr("joblib.Parallel", Mock(side_effect=failed))
    with pytest.raises(KeyboardInterrupt):
        list(in_parallel(abs, [(1,)]))


def test_a_cluster_gives_the_same_bytes(finished, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="missing: pip install -r requirements-dev.txt")
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "project"))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        # Its workers have other code than this process, and run in another folder.
        assert list(in_parallel(os.getpid, [()])) != [os.getpid()]
        (tmp_path / "project/data/beats.npy").unlink()
        extract.main()
    assert outputs(tmp_path / "project") == outputs(finished)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "nonsense")
    with pytest.raises(UsageError, match="'nonsense'"):
        list(in_parallel(divmod, [(1, 1)]))
