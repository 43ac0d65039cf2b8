"""Projects to try things in: clones with few recordings and a small network, how they are run, what they write."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
DEFAULTS = ROOT / "tests/params.yaml"  # whatever params.yaml is changed to
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
SMALL = {
    "download": {"synthetic_patients": 90},
    "split": {"folds": 3, "val_fold": 2, "test_fold": 3},
    "train": {
        **{"filters": [8, 8], "kernels": [8, 3], "dropout": [0.1, 0.1], "trees": 20},
        **{"members": 2, "epochs": 1},
    },
    "evaluate": {"bootstrap": 100},
    "audit": {"permutations": 3},
}


def shrink(params: Path) -> None:
    """Make a params.yaml of few recordings and a small network."""
    values = yaml.safe_load(DEFAULTS.read_text())
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
