"""Parallel work on batches, by worker processes or a Dask cluster."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ecg.run.script import UsageError


def in_parallel(function: Callable, batches: list[tuple]) -> Iterator:
    """Yield `function(*batch)` of each batch, in order, from one process for each core of the machine.

    The environment variable WORKERS sets another number of processes, DASK_SCHEDULER_ADDRESS a Dask cluster.
    Workers share the file system: batches name files by absolute paths and return little.
    """
    if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
        yield from on_cluster(function, batches, address)
        return
    given = os.environ.get("WORKERS") or str(joblib.cpu_count())
    if not given.isdigit() or int(given) == 0:
        raise UsageError(f"environment variable WORKERS is {given!r}; allowed: a whole number from 1")
    workers = min(int(given), max(len(batches), 1))
    # After an error, joblib also warns of the batches that it drops.
    warnings.filterwarnings("ignore", r"\d+ tasks ", UserWarning)
    try:
        yield from joblib.Parallel(n_jobs=workers, return_as="generator")(
            joblib.delayed(function)(*batch) for batch in batches
        )
    except TerminatedWorkerError:
        raise UsageError("a worker process was killed; if memory ran out, set WORKERS to fewer processes") from None
    except RuntimeError as error:  # of joblib's clean-up, where Ctrl-C comes while workers start
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def on_cluster(function: Callable, batches: list[tuple], address: str) -> Iterator:
    """Yield `function(*batch)` of each batch, in order, from the workers of a Dask scheduler."""
    try:
        import cloudpickle
        from distributed import Client

        client = Client(address, timeout=20)
    except ImportError:
        raise UsageError("DASK_SCHEDULER_ADDRESS needs the package distributed: pip install distributed") from None
    except ValueError as error:
        raise UsageError(f"DASK_SCHEDULER_ADDRESS is {address!r}: {error}; allowed: tcp://HOST:PORT") from None
    # Workers run the code of this script, not the code in their own folder.
    cloudpickle.register_pickle_by_value(sys.modules["ecg"])
    # cloudpickle sends the code of a function of __main__; that of a module's function only if it is wrapped.
    if function.__module__ != "__main__":
        function = joblib.wrap_non_picklable_objects(function)
    with client, joblib.parallel_config("dask"):
        yield from joblib.Parallel(return_as="generator")(joblib.delayed(function)(*batch) for batch in batches)
