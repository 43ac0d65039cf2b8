"""Stages run by a command, in a folder of their own with other params."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from ecg.stage.files import replacing
from ecg.stage.script import UsageError

CODE = Path("stages")

# One process for all: each would load torch and scikit-learn anew, which takes longer than a small run itself.
ONE_AFTER_THE_OTHER = """
import runpy, sys
sys.path[0], scripts = "stages", sys.argv[1:]
for script in scripts:
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")
"""


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
        command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, *(f"stages/{stage}.py" for stage in stages)]
        done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
        lines = done.stderr.strip().splitlines()
        if done.returncode and lines and lines[-1].startswith("split: "):
            (partial / "reason").write_text(lines[-1], encoding="utf-8")
        elif done.returncode:
            what = lines[-1] if lines else f"{', '.join(stages)}: exit status {done.returncode}"
            raise UsageError(f"{folder.name}: {what}")
