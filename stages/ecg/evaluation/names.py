"""Titles of comparisons, models, groups and data, and the format of numbers, the same wherever they are shown."""

from collections.abc import Iterable, Mapping

import pandas as pd

from ecg.model.description import Description

SYNTHETIC = "synthetic recordings"
COMPARISON_TITLES = {
    "roc_auc": "against normal",
    "roc_auc_vs_rest": "against all others",
    "roc_auc_vs_other": "against other",
}
# DVC's legends show a file's name.
CURVE_FILES = {comparison: f"{title.replace(' ', '_')}.csv" for comparison, title in COMPARISON_TITLES.items()}
MODEL_TITLES = {
    "model": "the model",
    "not_normal": "the model: anything not normal",
    "logistic": "logistic regression on the beat",
    "trees": "extra trees on the beat",
    "random_convolutions": "random convolutions of the beat",
    "st_t": "ST, T and QRS measurements",
    "age_sex": "age and sex alone",
    "source": "source alone",
    "recorder": "recorder alone: device and site",
    "heart_rate": "heart rate alone",
    "quality": "beat quality alone",
    "permuted": "labels permuted in train",
    "source_probe": "source, by a probe of normal beats",
}
# Names of the default codes of ischemia in the code tables of the Challenge and of PTB-XL.
CODE_TITLES = {
    "164861001": "myocardial ischemia",
    "426434006": "anterior ischemia",
    "425419005": "inferior ischemia",
    "425623009": "lateral ischemia",
    "413844008": "chronic myocardial ischemia",
    "413444003": "acute myocardial ischemia",
    "ISC_": "non-specific ischemic",
    "ISCAL": "ischemic in anterolateral leads",
    "ISCAN": "ischemic in anterior leads",
    "ISCAS": "ischemic in anteroseptal leads",
    "ISCIL": "ischemic in inferolateral leads",
    "ISCIN": "ischemic in inferior leads",
    "ISCLA": "ischemic in lateral leads",
}
# Without a deep network; the gain of the model is over the strongest of them.
SIMPLE_MODELS = ("logistic", "trees", "random_convolutions", "st_t")

# ROC AUC of the source alone against normal: above it the model may have learnt the recorder.
SOURCE_LIMIT = 0.6


def data_kind(sources: Iterable[str], *, test: bool = False) -> str:
    """Return the kind of recordings behind a number or a picture: a synthetic one must not pass for a clinical one."""
    names, what = sorted(set(sources)), "test recordings" if test else "recordings"
    synthetic = all(name.startswith("synthetic") for name in names)
    return f"synthetic {what}" if synthetic else f"{what} of {', '.join(names)}"


def define_ischemia(description: Description) -> str:
    """Return what ischemia means in the training data: codes, with names of the default ones, or a label."""
    texts: dict[str, list[str]] = {"SNOMED CT": [], "SCP": []}
    for code in description.labels.ischemia:
        title = f" ({CODE_TITLES[code]})" if code in CODE_TITLES else ""
        texts["SNOMED CT" if code.isdigit() else "SCP"].append(code + title)
    codes = "; ".join(f"{coding} {', '.join(named)}" for coding, named in texts.items() if named)
    coded = f"any of these diagnoses in the training data: {codes}"
    label = f"the label ischemia in labels.csv or a header ({description.labelled:.1%} of the training recordings)"
    return " or ".join([label] * (description.labelled > 0) + [coded] * (description.labelled < 1))


def group_name(grouping: str, group: str) -> str:
    """Return the name of a group of metrics/subgroups.csv."""
    return group if grouping == "source" else "all recordings" if grouping == "all" else f"{grouping} {group}"


def format_number(value: float | None) -> str:
    """Return a number with three decimals; one digit of a very small number, such as a low threshold."""
    if value is None or pd.isna(value):
        return "–"
    return f"{value:.0e}" if 0 < value < 0.0005 else f"{value:.3f}".replace("-", "−")


def in_percent(p: float) -> str:
    """Return a probability with one digit after the point below 10%; never 0% or 100%."""
    percent = round(100 * p, 1)
    if percent >= 10:
        percent = round(100 * p)
    return "< 0.1%" if percent == 0 else "> 99%" if percent == 100 else f"{percent:g}%"


def format_difference(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def strongest_simple(audit: pd.DataFrame) -> pd.DataFrame:
    """Return for each comparison the row of metrics/audit.csv with the highest ROC AUC of a simple model."""
    simple = audit[audit.model.isin(SIMPLE_MODELS) & audit.roc_auc.notna()]
    return simple.loc[simple.groupby("comparison", sort=False).roc_auc.idxmax()]


def format_gain(row: Mapping) -> str:
    """Return the gain in a row of metrics/audit.csv with its interval; empty text where there is none."""
    if pd.isna(row["gain"]):
        return ""
    value, low, high = (format_difference(row[key]) for key in ("gain", "gain_low", "gain_high"))
    return value if pd.isna(row["gain_low"]) else f"{value} ({low} – {high})"


def gain_text(row: Mapping) -> str:
    """Return a sentence on the gain over the strongest simple model, a row of `strongest_simple`."""
    sign = "a gain" if row["gain_low"] > 0 else "a loss" if row["gain_high"] < 0 else "no gain shown"
    sign += f", {row['reason']}" if pd.isna(row["gain_low"]) else ""
    return f"{COMPARISON_TITLES[row['comparison']]} {format_gain(row)} over {MODEL_TITLES[row['model']]}: {sign}"


def format_interval(row: Mapping, value: str = "value") -> str:
    """Return a number of a table's row with its 95% interval, or the reason why there is none."""
    if pd.isna(row[value]):
        return f"none: {row['reason']}"
    interval = "" if pd.isna(row["low"]) else f" ({format_number(row['low'])} – {format_number(row['high'])})"
    return format_number(row[value]) + interval


def auc_text(row: Mapping) -> str:
    """Return a ROC AUC in words, a row of metrics/evaluate.csv, with interval and counts, or the reason for none."""
    counts = f"{format_interval(row)}, {row['n_ischemia']} ischemic, {row['n_others']} not ischemic"
    return f"ROC AUC {COMPARISON_TITLES[row['measure']]}: {row['reason'] if pd.isna(row['low']) else counts}"
