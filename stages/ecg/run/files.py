"""Atomic output files; the tables of data/; the median beats of a split."""

import glob
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ecg.run.paths import BEATS, SPLIT
from ecg.run.script import UsageError

INPUTS = re.compile(r".*\.(hea|dat|mat)|labels\.csv|ptbxl_database\.csv", re.IGNORECASE)
# Values of the column label, in the order of a model's classes.
CLASSES = ("normal", "ischemia", "other")
PART_BYTES = 128 * 2**20  # of a part of data/recordings, the work of one process


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and remove it at the end; also remove those of killed runs."""
    start = f".{path.stem}.partial-"
    for left in path.parent.glob(f"{glob.escape(start)}*{glob.escape(path.suffix)}"):
        remove(left)
    # Workers of a killed run may still write to its temporary path.
    temporary = path.with_name(f"{start}{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
    finally:
        remove(temporary)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; without an error, move it to `path`. Only a folder replaces a folder."""
    with scratch(path) as temporary:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            remove(path)
        # Atomic: readers find the old file or the new one.
        temporary.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with its content, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def output_file(text: str | Path, beside: Iterable[str] = (), suffix: str = "") -> Path:
    """Return an output file's path, as an argument's `type`; UsageError if it, or one of `beside`, is unusable."""
    for path in (Path(text), *(Path(text).with_suffix(suffix) for suffix in beside)):
        try:
            # A move would replace the link itself, or /dev/null.
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise UsageError(f"{path} is a folder, a link, a pipe or a device; allowed: a regular file")
            if path.exists() and INPUTS.fullmatch(path.name):
                raise UsageError(f"{path} exists and may be a recording or a table of labels; allowed: a new name")
            with scratch(path) as temporary:
                temporary.touch()
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}; allowed: a file in an existing folder") from None
    if not str(text).endswith(suffix):
        raise UsageError(f"{text} does not end in {suffix}")
    return Path(text)


def output_folder(text: str | Path, files: Iterable[str] = ()) -> Path:
    """Make an output folder and return its path, as an argument's `type`; UsageError if `files` in it are unusable."""
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {text}: {error.strerror}; allowed: a folder") from None
    for name in files or ["any file"]:
        output_file(Path(text) / name)
    return Path(text)


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, values: dict) -> None:
    """Write a flat dict as JSON, floats rounded to 9 decimals."""
    rounded = {key: round(value, 9) if isinstance(value, float) else value for key, value in values.items()}
    write(path, json.dumps(rounded, indent=2, allow_nan=False) + "\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of data/: text stays text, also if it looks like a number or NaN; an empty number is NaN."""
    floats = ("age", "fold", "row", "n_beats", "n_used", "heart_rate", "noise_uv", "correlation", "sampling_rate")
    counts = ("start", "samples")
    text = ("record", "source", "patient", "label", "dx", "sex", "device", "site", "part", "sha256", "flags", "reason")
    types = dict.fromkeys((*text, "split"), "str") | dict.fromkeys(counts, "Int64")
    return pd.read_csv(path, dtype=types, keep_default_na=False, na_values={name: [""] for name in (*floats, *counts)})


def load_split(*names: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the beats (records x 12 x samples, float32, mV) of splits, such as train, and their rows of split.csv."""
    table = read_table(SPLIT)
    table = table[table.split.isin(names)].reset_index(drop=True)
    return np.load(BEATS, mmap_mode="r")[table.row.to_numpy(dtype=int)], table
