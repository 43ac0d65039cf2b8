import signal
import threading

import pytest

from ecg.run.parallel import in_parallel, interrupted_later
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


def test_ctrl_c_waits_until_the_workers_have_started():
    # Where the tests run in the background, it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # As tqdm's thread: it was there before, and takes the signal.
    go, done = threading.Event(), False
    other = threading.Thread(target=lambda: (go.wait(), signal.pthread_kill(threading.get_ident(), signal.SIGINT)))
    other.start()
    with pytest.raises(KeyboardInterrupt), interrupted_later():
        go.set()
        other.join()
        done = True
    assert done
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
