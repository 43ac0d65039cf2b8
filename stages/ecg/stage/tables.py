"""The tables of data/, and the median beats of one split."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecg.stage.paths import BEATS, SPLIT

# What the column label holds; the order of a model's classes.
CLASSES = ("normal", "ischemia", "other")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of data/: text stays text, also where it looks like a number or like NaN; an empty number is NaN."""
    text = (
        "record",
        "source",
        "patient",
        "label",
        "dx",
        "sex",
        "device",
        "site",
        "part",
        "sha256",
        "flags",
        "reason",
        "split",
    )
    numbers = ("age", "fold", "row", "n_beats", "n_used", "heart_rate", "noise_uv", "correlation")
    return pd.read_csv(
        path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values={name: [""] for name in numbers}
    )


def load_split(name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the beats (records x 12 x samples, float32, mV) of train, val or test and their rows of split.csv."""
    table = read_table(SPLIT)
    table = table[table.split == name].reset_index(drop=True)
    return np.load(BEATS, mmap_mode="r")[table.row.to_numpy(dtype=int)], table
