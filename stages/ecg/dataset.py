"""The median beats and labels of one split; what kind of recordings they are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ecg.script import read_table

BEATS = Path("data/beats.npy")
QUALITY = Path("data/beats.csv")
SPLIT = Path("data/split.csv")

SYNTHETIC = "synthetic recordings"


def data_kind(sources: Iterable[str]) -> str:
    """Say what recordings are behind a number or a picture, so that no synthetic one passes for a clinical one."""
    names = sorted(set(sources))
    return SYNTHETIC if all(name.startswith("synthetic") for name in names) else f"recordings of {', '.join(names)}"


def load_split(name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the beats (records x 12 x samples, float32, mV) of train, val or test and their rows of split.csv."""
    split, rows = read_table(SPLIT), read_table(QUALITY).set_index("record").row
    table = split[split.split == name].reset_index(drop=True)
    return np.load(BEATS, mmap_mode="r")[rows[table.record].to_numpy(dtype=int)], table
