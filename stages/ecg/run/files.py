"""Outputs that appear whole or not at all."""

import glob
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecg.run.script import UsageError

PARENT = os.getppid()  # of a stage, dvc: its command in dvc.yaml begins with exec
SOURCES = re.compile(r".*\.(hea|dat|mat)|labels\.csv|ptbxl_database\.csv", re.IGNORECASE)  # no script writes over them


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
    """Give a temporary path beside `path`; move it there when all went well. Only a folder replaces a folder."""
    with scratch(path) as temporary:
        yield temporary
        if "DVC_STAGE" in os.environ and os.getppid() != PARENT:
            # The next `dvc repro` makes it anew, or restores it from the cache, perhaps with other params.
            raise UsageError(f"the dvc that started this stage is gone; {path} is not written")
        if temporary.is_dir() and path.is_dir():
            remove(path)
        # A file is there all the time, for who reads it meanwhile.
        temporary.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def output_file(text: str, *beside: str) -> Path:
    """Return the path of a file to write, as the `type` of an argument; UsageError where none can be written there.

    What is there already may be a regular file. `beside` are suffixes of more files of that name.
    """
    path = Path(text)
    try:
        if path.is_dir() or text.rpartition("/")[2] in ("", ".", ".."):
            raise UsageError(f"{text or repr(text)} is a folder; allowed: a file")
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UsageError(f"{text} is a symbolic link, a pipe or a device; allowed: a regular file")
        if path.exists() and SOURCES.fullmatch(path.name):
            raise UsageError(f"{text} is there and may be of a recording, or a table of labels; allowed: another file")
        if not path.parent.is_dir():
            raise UsageError(f"{text}: there is no folder {path.parent}")
        with suppress(FileNotFoundError):
            path.open("r+b").close()
        # Permissions alone say little: root has all, and a file system may be read-only.
        with scratch(path) as temporary:
            temporary.touch()
    except OSError as error:
        raise UsageError(f"{text} cannot be written: {error.strerror}") from None
    for suffix in beside:
        output_file(f"{path.with_suffix(suffix)}")
    return path


def output_folder(text: str | Path, *files: str) -> Path:
    """Return the path of a folder to write, there or not, as the `type` of an argument; UsageError where none can be.

    `files` are names of what it is to hold.
    """
    path = Path(text)
    absent = list[Path]()
    try:
        absent += [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        with scratch(path / "any") as temporary:
            temporary.touch()
        for name in files:
            output_file(f"{text}/{name}")
    except OSError as error:
        raise UsageError(f"{text} cannot be written: {error.strerror}; allowed: a folder") from None
    finally:
        for folder in absent:
            with suppress(OSError):
                folder.rmdir()
    return path


def write_json(path: Path, values: dict) -> None:
    """Write flat values, floats rounded to 9 decimals."""
    rounded = {key: round(value, 9) if isinstance(value, float) else value for key, value in values.items()}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(rounded, indent=2, allow_nan=False) + "\n", encoding="utf-8")
