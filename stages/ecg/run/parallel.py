"""The same work on many batches, by worker processes or a cluster."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ecg.run.script import UsageError


def in_parallel(function: Callable, batches: list[tuple]) -> Iterator:
    """Yield `function(*batch)` of each batch, in order, from as many processes as the machine has cores.

    No more than there are batches: one is done by this process. The environment variable WORKERS sets another number,
    DASK_SCHEDULER_ADDRESS a Dask cluster to run on; neither can change a result.
    Batches name files by absolute paths and return little: workers share the file system.
    """
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if address:
        yield from on_cluster(function, batches, address)
        return
    given = os.environ.get("WORKERS", "")
    if given and not (given.isdigit() and int(given) > 0):
        raise UsageError(f"environment variable WORKERS is {given!r}; allowed: a whole number from 1")
    workers = min(int(given) if given else joblib.cpu_count(), max(len(batches), 1))
    # A stage that fails says why; not also that joblib drops what is under way.
    warnings.filterwarnings("ignore", r"\d+ tasks ", UserWarning)
    try:
        with interrupted_later():
            parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
            results = parallel(joblib.delayed(function)(*batch) for batch in batches)
        yield from results
    except TerminatedWorkerError:
        raise UsageError(
            "a worker process was killed; where memory ran out, the environment variable WORKERS sets fewer of them"
        ) from None


@contextmanager
def interrupted_later() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done; processes that start in it stay deaf to it.

    A terminal sends it to them too, but this process ends them. One that is cut short while it starts speaks up itself.
    """
    # When Python's tracker of resources starts, the process hears again.
    resource_tracker.ensure_running()
    came: list[int] = []
    # What is masked here comes to another thread, as tqdm's, and Python then interrupts the main one.
    numbers = (signal.SIGINT, signal.SIGALRM) if threading.current_thread() is threading.main_thread() else ()
    handlers = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def on_cluster(function: Callable, batches: list[tuple], address: str) -> Iterator:
    """Yield `function(*batch)` of each batch, in order, from the workers of a Dask scheduler."""
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "DASK_SCHEDULER_ADDRESS is set, which needs the package distributed: pip install distributed"
        ) from None
    import cloudpickle

    # Workers run the code of this script, whatever code they find where they were started.
    cloudpickle.register_pickle_by_value(sys.modules["ecg"])
    try:
        client = Client(address, timeout=20)
    except ValueError as error:
        raise UsageError(f"DASK_SCHEDULER_ADDRESS is {address!r}: {error}; allowed: as tcp://HOST:PORT") from None
    # A function of the script travels whole by itself; one of a module does, wrapped.
    if function.__module__ != "__main__":
        function = joblib.wrap_non_picklable_objects(function)
    with client, joblib.parallel_config("dask"):
        yield from joblib.Parallel(return_as="generator")(joblib.delayed(function)(*batch) for batch in batches)
