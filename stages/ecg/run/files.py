"""Outputs that appear whole or not at all."""

import glob
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecg.run.script import UsageError

INPUTS = re.compile(r".*\.(hea|dat|mat)|labels\.csv|ptbxl_database\.csv", re.IGNORECASE)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Give a path beside `path` for a temporary file or folder; remove those of killed runs."""
    start = f".{path.stem}.partial-"
    for left in path.parent.glob(f"{glob.escape(start)}*{glob.escape(path.suffix)}"):
        remove(left)
    # Workers of a killed run may still write under its name.
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
        if temporary.is_dir() and path.is_dir():
            remove(path)
        # Never without a file, for those who read it meanwhile.
        temporary.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def output_file(text: str | Path, *beside: str) -> Path:
    """Return the path of a file to write, as the `type` of an argument; UsageError where none can be written.

    `beside` are suffixes of more files of that name.
    """
    for path in (Path(text), *(Path(text).with_suffix(suffix) for suffix in beside)):
        try:
            # A move would replace the link itself, or /dev/null.
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise UsageError(f"{path} is a folder, a link, a pipe or a device; allowed: a regular file")
            if path.exists() and INPUTS.fullmatch(path.name):
                raise UsageError(f"{path} exists and may be a recording or a table of labels; allowed: another file")
            with scratch(path) as temporary:
                temporary.touch()
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}; allowed: a file in a folder") from None
    return Path(text)


def output_folder(text: str | Path, *files: str) -> Path:
    """Return the path of a folder to write, as the `type` of an argument, and make it; UsageError where none can be.

    `files` are names of files in it.
    """
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
        with scratch(Path(text) / "any") as temporary:
            temporary.touch()
    except OSError as error:
        raise UsageError(f"{text} cannot be written: {error.strerror}; allowed: a folder") from None
    for name in files:
        output_file(Path(text) / name)
    return Path(text)


def write_json(path: Path, values: dict) -> None:
    """Write flat values, floats rounded to 9 decimals."""
    rounded = {key: round(value, 9) if isinstance(value, float) else value for key, value in values.items()}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(rounded, indent=2, allow_nan=False) + "\n", encoding="utf-8")
