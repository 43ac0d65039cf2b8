"""The sample store, as .npy files that can be memory-mapped; the tables of data/; the median beats of one split."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ecg.run.paths import BEATS, SPLIT

# Values of the column label, in the order of a model's classes.
CLASSES = ("normal", "ischemia", "other")
# A part is the work of one process.
PART_BYTES = 128 * 2**20


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of data/: text stays text, also where it looks like a number or like NaN; an empty number is NaN."""
    floats = ("age", "fold", "row", "n_beats", "n_used", "heart_rate", "noise_uv", "correlation", "sampling_rate")
    counts = ("start", "samples")
    text = ("record", "source", "patient", "label", "dx", "sex", "device", "site", "part", "sha256", "flags", "reason")
    types = dict.fromkeys((*text, "split"), "str") | dict.fromkeys(counts, "Int64")
    return pd.read_csv(path, dtype=types, keep_default_na=False, na_values={name: [""] for name in (*floats, *counts)})


def load_split(name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the beats (records x 12 x samples, float32, mV) of train, val or test and their rows of split.csv."""
    table = read_table(SPLIT)
    table = table[table.split == name].reset_index(drop=True)
    return np.load(BEATS, mmap_mode="r")[table.row.to_numpy(dtype=int)], table


def write_rows(path: Path, blocks: Iterable[np.ndarray], *, dtype: str, row_shape: tuple[int, ...]) -> None:
    """Write blocks (each rows x `row_shape`) as one .npy file."""
    np.save(path, np.concatenate([np.empty((0, *row_shape), dtype), *blocks]))


def open_part(path: Path) -> np.ndarray:
    """Memory-map one part read-only: samples x 12, int16, uV, -32768 is missing."""
    return np.load(path, mmap_mode="r")
