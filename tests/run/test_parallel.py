import signal

import pytest

from ecg.run.parallel import in_parallel
from ecg.run.script import UsageError


def test_results_come_in_order(monkeypatch):
    for workers in ("1", "2"):
        monkeypatch.setenv("WORKERS", workers)
        assert list(in_parallel(divmod, [(i, 3) for i in range(20)])) == [divmod(i, 3) for i in range(20)]
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(UsageError, match="WORKERS is 'many'"):
        list(in_parallel(divmod, [(1, 1)]))


def test_a_killed_worker_is_one_line(monkeypatch):
    monkeypatch.setenv("WORKERS", "2")
    with pytest.raises(UsageError, match="a worker process was killed"):
        list(in_parallel(signal.raise_signal, [(signal.SIGKILL,), (signal.SIGKILL,)]))
