"""Stages run by a command, in a folder of their own with other params."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from ecg.stage.files import replacing
from ecg.stage.script import UsageError

CODE = Path("stages")


def run_stages(folder: Path, params: dict, stages: list[str], inputs: Iterable[Path] = (), root: Path = Path()) -> None:
    """Run stages on inputs in `folder`, which appears when all went well; a split that cannot be made leaves a reason.

    The inputs, below `root`, and the code are links.
    """
    with replacing(folder) as partial:
        for name in ("data", "metrics"):
            (partial / name).mkdir(parents=True)
        (partial / CODE).symlink_to(CODE.absolute())
        for path in inputs:
            (partial / path).symlink_to((root / path).absolute())
        (partial / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        for stage in stages:
            command = [sys.executable, f"stages/{stage}.py"]
            done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
            if done.returncode and stage == "split":
                (partial / "reason").write_text(done.stderr.strip(), encoding="utf-8")
                return
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"{stage}: exit status {done.returncode}"]
                raise UsageError(f"{folder.name}: {lines[-1]}")
