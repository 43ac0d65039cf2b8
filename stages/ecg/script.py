"""How a script starts, ends, reads tables and writes its outputs."""

import fcntl  # Linux and macOS only
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

import joblib
import pandas as pd
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

DATA = Path("data")
PARENT = os.getppid()  # of a stage, dvc: its command in dvc.yaml begins with exec
# Apostrophes count, so that none comes before what has one already and makes two texts one.
FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")


class UsageError(Exception):
    """A mistake that the user can mend: what was wrong, what was given, what is allowed."""


def run(main: Callable[[], None]) -> None:
    """Run `main`; end with one line and status 1 on a user's mistake, with 130 on Ctrl-C."""
    # A terminal may know no "–".
    sys.stdout.reconfigure(errors="replace")
    try:
        main()
    except (UsageError, OSError) as error:
        # NumPy says no more than "61680 requested and 0 written".
        full = "no space left on device: " if str(error).endswith(" written") else ""
        print(f"{Path(sys.argv[0]).stem}: {full}{printable(str(error), cell=False)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` as `run` does, with data/ locked: of two stages in one folder, the second touches nothing."""

    def locked() -> None:
        # The kernel lets go of the lock when the process ends, however it ends; worker processes do not inherit it.
        with (DATA / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "another stage"
                raise UsageError(f"{holder} is at work in {DATA.absolute()}; wait for it or end it") from None
            file.truncate(0)
            file.write(f"{Path(sys.argv[0]).stem} (process {os.getpid()})")
            file.flush()
            try:
                main()
            except Exception:
                # Compiled code may turn a KeyboardInterrupt into an error of its own.
                if interrupted:
                    raise KeyboardInterrupt from None
                raise
            finally:
                file.truncate(0)

    interrupted = []

    def interrupt(number: int, frame: object) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    # A KeyboardInterrupt that is raised inside a callback is only printed: let it come again.
    for number in (signal.SIGINT, signal.SIGALRM):
        signal.signal(number, interrupt)
    sys.unraisablehook = lambda lost: (
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        if lost.exc_type is KeyboardInterrupt
        else sys.__unraisablehook__(lost)
    )
    run(locked)


def warn(message: str) -> None:
    """Print one line to stderr that names the script."""
    tqdm.write(f"{Path(sys.argv[0]).stem}: warning: {printable(message, cell=False)}", file=sys.stderr)


def printable(text: str, *, cell: bool = True) -> str:
    """Return text from a file as it can be shown: what is not printable, or turns text round, as a visible escape.

    For a table's cell a text that a spreadsheet takes for a formula gets an apostrophe, and a backslash is doubled:
    different texts stay different. For a terminal's line they stay as they are: the text may come from a table.
    """
    if cell:
        text = text.replace("\\", "\\\\")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{text}" if cell and FORMULA.match(text) else text


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Give a path beside `path` for a file or a folder that is gone afterwards; remove what killed runs left there."""
    start = f".{path.stem}.partial-"
    for left in path.parent.glob(f"{glob.escape(start)}*{glob.escape(path.suffix)}"):
        remove(left)
    # A name of its own: workers that outlive a killed run still write under the old one.
    temporary = path.with_name(f"{start}{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
    finally:
        remove(temporary)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there, file or folder, when all went well."""
    with scratch(path) as temporary:
        yield temporary
        if "DVC_STAGE" in os.environ and os.getppid() != PARENT:
            # The next `dvc repro` makes it anew, or restores it from the cache, perhaps with other params.
            raise UsageError(f"the dvc that started this stage is gone; {path} is not written")
        remove(path)
        temporary.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, values: dict) -> None:
    """Write flat values, floats rounded to 9 decimals."""
    rounded = {key: round(value, 9) if isinstance(value, float) else value for key, value in values.items()}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(rounded, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def cache_folder(what: str, inputs: dict, files: Iterable[Path]) -> Path:
    """Return the folder of $DVC_ROOT/.cache/ whose content is good for these inputs (JSON values), files and code."""
    code = Path(__file__).parent.parent
    named = [(str(path), path) for path in files]
    named += [(str(path.relative_to(code)), path) for path in sorted(code.rglob("*.py"))]
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    for name, path in named:
        with path.open("rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return Path(os.environ.get("DVC_ROOT", ".")).absolute() / ".cache" / what / digest.hexdigest()[:16]


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of data/: text stays text, also where it looks like a number or like NaN; an empty number is NaN."""
    text = ("record", "source", "patient", "label", "dx", "sex", "part", "sha256", "flags", "reason", "split")
    numbers = ("age", "fold", "row", "heart_rate", "noise_uv", "correlation")
    return pd.read_csv(
        path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values={name: [""] for name in numbers}
    )


def in_parallel(function: Callable, batches: list[tuple], at_least: int = 1) -> Iterator:
    """Yield `function(*batch)` of each batch, in order, from as many processes as the machine has cores.

    No more than there are batches, but `at_least` so many: with one, this process does the work. The environment
    variable WORKERS sets another number, DASK_SCHEDULER_ADDRESS a Dask cluster to run on; neither can change a result.
    Batches name files by absolute paths and return little: workers share the file system.
    """
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if address:
        yield from on_cluster(function, batches, address)
        return
    given = os.environ.get("WORKERS", "")
    if given and not (given.isdigit() and int(given) > 0):
        raise UsageError(f"environment variable WORKERS is {given!r}; allowed: a whole number from 1")
    workers = min(int(given) if given else joblib.cpu_count(), max(len(batches), at_least))
    # A stage that fails says why; not also that joblib drops what is under way.
    warnings.filterwarnings("ignore", r"\d+ tasks ", UserWarning)
    # Workers start deaf to Ctrl-C, which a terminal sends to them too: this process ends them. Python's tracker of
    # resources, when it starts, makes the process hear again.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        results = joblib.Parallel(n_jobs=workers, return_as="generator")(joblib.delayed(function)(*b) for b in batches)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield from results
    except TerminatedWorkerError:
        raise UsageError(
            "a worker process was killed; where memory ran out, the environment variable WORKERS sets fewer of them"
        ) from None


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
    with client, joblib.parallel_config("dask"):
        yield from joblib.Parallel(return_as="generator")(joblib.delayed(function)(*batch) for batch in batches)
