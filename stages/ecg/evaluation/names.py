"""What questions, models, groups and data are called, and how a number is written: one way wherever it is shown."""

from collections.abc import Iterable, Mapping

import pandas as pd

SYNTHETIC = "synthetic recordings"
QUESTION_TITLES = {
    "roc_auc": "against normal",
    "roc_auc_vs_rest": "against all others",
    "roc_auc_vs_other": "against other",
}
MODEL_TITLES = {
    "fcn": "FCN on the median beat",
    "not_normal": "FCN: anything not normal",
    "linear": "linear model on the beat",
    "st_t": "ST, T and QRS measurements",
    "age_sex": "age and sex alone",
    "source": "source alone",
    "heart_rate": "heart rate alone",
    "quality": "beat quality alone",
    "permuted": "labels permuted in train",
    "source_probe": "source, told from normal beats",
}


def data_kind(sources: Iterable[str]) -> str:
    """Say what recordings are behind a number or a picture, so that no synthetic one passes for a clinical one."""
    names = sorted(set(sources))
    return SYNTHETIC if all(name.startswith("synthetic") for name in names) else f"recordings of {', '.join(names)}"


def group_name(grouping: str, group: str) -> str:
    """Return what a row of metrics/subgroups.csv is about."""
    return group if grouping == "source" else "all test recordings" if grouping == "all" else f"{grouping} {group}"


def format_number(value: float) -> str:
    """Return three decimals; of what is smaller, such as the threshold of a network that is sure, one digit."""
    if pd.isna(value):
        return "–"
    return f"{value:.0e}" if 0 < value < 0.0005 else f"{value:.3f}".replace("-", "−")


def format_interval(row: Mapping, value: str = "value") -> str:
    """Return a number of a table's row with its 95% interval, or the reason why there is none."""
    if pd.isna(row[value]):
        return f"none: {row['reason']}"
    low, high = format_number(row["low"]), format_number(row["high"])
    return format_number(row[value]) + ("" if pd.isna(row["low"]) else f" ({low} – {high})")
