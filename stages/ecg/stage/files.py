"""Outputs that appear whole or not at all, and folders for what must outlive a killed run."""

import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ecg.stage.script import UsageError

PARENT = os.getppid()  # of a stage, dvc: its command in dvc.yaml begins with exec
CODE = Path(__file__).parents[2]


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
        if path.is_dir():
            remove(path)
        # A file is there all the time, for who reads it meanwhile.
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
    named = [(str(path), path) for path in files]
    named += [(str(path.relative_to(CODE)), path) for path in sorted(CODE.rglob("*.py"))]
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    for name, path in named:
        with path.open("rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return Path(os.environ.get("DVC_ROOT", ".")).absolute() / ".cache" / what / digest.hexdigest()[:16]
