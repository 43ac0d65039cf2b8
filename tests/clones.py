"""Fresh clones of this repository give the same bytes, however they are run.

    python tests/clones.py [VARIANT ...] [--full] [--json]

Clones what is committed into a temporary folder, runs `dvc repro` there, and compares the hashes in dvc.lock and the
files in metrics/ with those of a first clone. Few recordings and a small network, or with --full params.yaml as it is.
Exit status 1 where a variant differs; another number of threads may, and is only told.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
SMALL = {
    "download": {"synthetic_patients": 60},
    "split": {"folds": 3, "val_fold": 2, "test_fold": 3},
    "train": {"filters": [8, 8], "kernels": [8, 3], "dropout": [0.1, 0.1], "members": 2, "epochs": 1},
    "evaluate": {"bootstrap": 100},
    "audit": {"permutations": 3},
}
VARIANTS = {
    "again": {},
    "one worker": {"WORKERS": "1"},
    "four workers": {"WORKERS": "4"},
    "hash seed": {"PYTHONHASHSEED": "7"},
    "locale C": {"LC_ALL": "C"},
    "another locale": {},
    "time zone": {"TZ": "Asia/Tokyo"},
    "folder name": {},
    "cluster": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
TOLD_ONLY = ("one thread",)


def shrink(params: Path) -> None:
    """Change params.yaml to few recordings and a small network."""
    values = yaml.safe_load(params.read_text())
    for section, changes in SMALL.items():
        values[section] |= changes
    params.write_text(yaml.safe_dump(values, sort_keys=False))


def clone(folder: Path, *, full: bool = False) -> Path:
    """Clone what is committed; `full`: with params.yaml as it is."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    if not full:
        shrink(folder / "params.yaml")
    return folder


def environment(**changes: str) -> dict[str, str]:
    """The environment of a shell in which this Python is the one that is found, and DVC starts afresh."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | changes


def run_stage(folder: Path, stage: str, **changes: str) -> subprocess.CompletedProcess:
    """Run a stage's script in `folder`, without DVC."""
    command = [sys.executable, f"stages/{stage}.py"]
    return subprocess.run(command, cwd=folder, env=environment(**changes), capture_output=True, text=True)


def run_dvc(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess:
    """Run a command of DVC in `folder`; the output holds both streams."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def repro(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess:
    return run_dvc(folder, "repro", *arguments, **changes)


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of each file in data/ and metrics/, by path."""
    paths = [path for name in ("data", "metrics") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def outcome(folder: Path) -> dict[str, str]:
    """The hash of every output in dvc.lock, and of every file in metrics/, by path."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    found = {f"dvc.lock: {out['path']}": out["md5"] for stage in lock.values() for out in stage["outs"]}
    for path in sorted((folder / "metrics").glob("*.*")):
        found[path.relative_to(folder).as_posix()] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def differences(one: dict, other: dict) -> list[str]:
    """The keys whose values are not the same in both, or that one of them lacks."""
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


@contextmanager
def cluster(folder: Path, workers: int = 2):
    """Start a Dask scheduler and workers on this machine, in `folder`; give its address and the workers' processes."""
    from distributed import Client

    processes = []

    def start(*command):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        return processes[-1]

    try:
        file = folder / "scheduler.json"
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        started = [
            start("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
            for _ in range(workers)
        ]
        with Client(scheduler_file=str(file), timeout=30) as client:
            client.wait_for_workers(workers, timeout=60)
            address = client.scheduler.address
        yield address, started
    finally:
        # SIGKILL: asked politely, a worker whose scheduler went first waits for it longer than a test may.
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def another_locale() -> str | None:
    """A locale of this machine whose language is not English, if there is one; else one that is not C."""
    found = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()
    named = [name for name in found if name.split(".")[0] not in ("C", "POSIX")]
    return min(named, key=lambda name: (name.startswith("en"), name), default=None)


def run_variant(name: str, folder: Path, *, full: bool) -> tuple[dict[str, str] | None, str]:
    """Run a variant in a clone below `folder`; return its outcome, or None and why it was not run."""
    changes, place = dict(VARIANTS.get(name, {})), folder / name.replace(" ", "-")
    if name == "another locale":
        locale = another_locale()
        if locale is None:
            return None, "this machine has no other locale"
        changes["LC_ALL"] = locale
    if name == "folder name":
        place = folder / "mit Umlaut ä/and a space"
    if name == "cluster" and not find_spec("distributed"):
        return None, "needs requirements-dev.txt"
    clone(place, full=full)
    if name == "cluster":
        with cluster(folder) as (address, _):
            done = repro(place, DASK_SCHEDULER_ADDRESS=address)
    else:
        done = repro(place, **changes)
    if done.returncode:
        raise SystemExit(f"clones: {name}: dvc repro failed:\n{done.stdout}")
    found = outcome(place)
    shutil.rmtree(place)
    return found, " ".join(f"{key}={value}" for key, value in changes.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"default: all of {', '.join(VARIANTS)}")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    rows, first = [], None
    with tempfile.TemporaryDirectory() as folder:
        for name in ["first", *(options.variants or VARIANTS)]:
            start = time.monotonic()
            found, note = run_variant(name, Path(folder), full=options.full)
            first = first or found
            differ = None if found is None else differences(first, found)
            what = "not run" if differ is None else f"{len(differ)} of {len(first)} differ" if differ else "same"
            rows.append({"variant": name, "outcome": what, "differ": differ, "note": note})
            rows[-1]["seconds"] = round(time.monotonic() - start)
            if not options.json:
                print(f"{name:16}{what:20}{rows[-1]['seconds']:4} s  {note} {', '.join(differ or [])}", flush=True)
    if options.json:
        print(json.dumps(rows, indent=2))
    raise SystemExit(any(row["differ"] for row in rows if row["variant"] not in TOLD_ONLY))


if __name__ == "__main__":
    main()
