"""Projects for tests: clones with few recordings and a small network; their stages, commands and outputs."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
DEFAULTS = ROOT / "tests/params.yaml"  # independent of changes to params.yaml
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
SMALL = {
    "download": {"synthetic_patients": 90},
    "split": {"folds": 3, "val_fold": 2, "test_fold": 3},
    "train": {"filters": [8, 8], "kernels": [8, 3], "dropout": [0.1, 0.1], "trees": 20, "members": 2, "epochs": 1},
    "evaluate": {"bootstrap": 100},
    "audit": {"permutations": 3},
}


def shrink(params: Path) -> None:
    """Make a params.yaml of few recordings and a small network."""
    values = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    for section, changes in SMALL.items():
        values[section] |= changes
    params.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def clone(folder: Path, *, full: bool = False) -> Path:
    """Clone the last commit; `full`: with params.yaml as it is."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    if not full:
        shrink(folder / "params.yaml")
    return folder


def environment(**changes: str) -> dict[str, str]:
    """The environment of a shell that finds this Python first and runs in no stage of DVC."""
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


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of each file in data/ and metrics/ by path; the lock is none of them."""
    paths = [path for name in ("data", "metrics") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.name != ".lock"}
