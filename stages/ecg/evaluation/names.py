"""What comparisons, models, groups and data are called, and how a number is written: one way wherever it is shown."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

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
    "source_probe": "source, told from normal beats",
}
# As the Challenge's and PTB-XL's tables of codes have them.
CODE_TITLES = {
    "164861001": "myocardial ischemia",
    "426434006": "anterior ischemia",
    "425419005": "inferior ischemia",
    "425623009": "lateral ischemia",
    "413844008": "chronic myocardial ischemia",
    "413444003": "acute myocardial ischemia",
    "426783006": "sinus rhythm",
    "ISC_": "non-specific ischemic",
    "ISCAL": "ischemic in anterolateral leads",
    "ISCAN": "ischemic in anterior leads",
    "ISCAS": "ischemic in anteroseptal leads",
    "ISCIL": "ischemic in inferolateral leads",
    "ISCIN": "ischemic in inferior leads",
    "ISCLA": "ischemic in lateral leads",
    "NORM": "normal ECG",
    "SR": "sinus rhythm",
}
# What needs no deep network: the strongest of them is what the network is held against.
SIMPLE_MODELS = ("logistic", "trees", "random_convolutions", "st_t")

# ROC AUC of the source alone against normal: above it the model may have learnt the recorder.
SOURCE_LIMIT = 0.6


def data_kind(sources: Iterable[str]) -> str:
    """Say what recordings are behind a number or a picture, so that no synthetic one passes for a clinical one."""
    names = sorted(set(sources))
    return SYNTHETIC if all(name.startswith("synthetic") for name in names) else f"recordings of {', '.join(names)}"


def names_of(codes: Iterable[str]) -> str:
    """Say which SNOMED CT and SCP codes these are, with the names of those that download has by default."""
    texts = {code: f"{code} ({CODE_TITLES[code]})" if code in CODE_TITLES else code for code in codes}
    codings = {
        "SNOMED CT": [text for code, text in texts.items() if code.isdigit()],
        "SCP": [text for code, text in texts.items() if not code.isdigit()],
    }
    return "; ".join(f"{coding} {', '.join(texts)}" for coding, texts in codings.items() if texts)


def group_name(grouping: str, group: str) -> str:
    """Return what a row of metrics/subgroups.csv is about."""
    return group if grouping == "source" else "all test recordings" if grouping == "all" else f"{grouping} {group}"


def is_missing(value: float | None) -> bool:
    """Say whether a number of a table is not there: None or NaN."""
    return value is None or value != value


def format_number(value: float | None) -> str:
    """Return three decimals; of what is smaller, such as the threshold of a network that is sure, one digit."""
    if value is None or is_missing(value):
        return "–"
    return f"{value:.0e}" if 0 < value < 0.0005 else f"{value:.3f}".replace("-", "−")


def format_difference(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def strongest_simple(audit: "pd.DataFrame") -> "pd.DataFrame":
    """Return of each comparison the row of metrics/audit.csv with the highest ROC AUC of a simple model."""
    simple = audit[audit.model.isin(SIMPLE_MODELS) & audit.roc_auc.notna()]
    return simple.loc[simple.groupby("comparison", sort=False).roc_auc.idxmax()]


def gains(audit: "pd.DataFrame") -> dict[str, float]:
    """Return the gain over the strongest simple model and its interval, by gain, gain_low … of a comparison."""
    numbers: dict[str, float] = {}
    for row in strongest_simple(audit).to_dict("records"):
        name = row["comparison"].replace("roc_auc", "gain")
        numbers |= {f"{name}{end}": row[f"gain{end}"] for end in ("", "_low", "_high")}
    return numbers


def format_gain(row: Mapping) -> str:
    """Return what the network is above the model of a row of metrics/audit.csv, with the interval; '' for itself."""
    keys = ("gain", "gain_low", "gain_high")
    value, low, high = (format_difference(row[key]) for key in keys)
    interval = "" if is_missing(row[keys[1]]) else f" ({low} – {high})"
    return "" if is_missing(row[keys[0]]) else f"{value}{interval}"


def say_gain(row: Mapping) -> str:
    """Say in words by how much the network is above the strongest simple model, a row of `strongest_simple`."""
    sign = "a gain" if row["gain_low"] > 0 else "a loss" if row["gain_high"] < 0 else "no gain shown"
    sign += f", {row['reason']}" if is_missing(row["gain_low"]) else ""
    return f"{COMPARISON_TITLES[row['comparison']]} {format_gain(row)} over {MODEL_TITLES[row['model']]}: {sign}"


def format_interval(row: Mapping, value: str = "value") -> str:
    """Return a number of a table's row with its 95% interval, or the reason why there is none."""
    if is_missing(row[value]):
        return f"none: {row['reason']}"
    low, high = format_number(row["low"]), format_number(row["high"])
    return format_number(row[value]) + ("" if is_missing(row["low"]) else f" ({low} – {high})")


def say_auc(row: Mapping) -> str:
    """Say a ROC AUC, a row of metrics/evaluate.csv, with interval and counts, or why there is no headline of it."""
    title = f"ROC AUC {COMPARISON_TITLES[row['measure']]}"
    if is_missing(row["low"]):
        return f"{title}: {row['reason']}"
    return f"{title}: {format_interval(row)}, {row['n_ischemia']} ischemic, {row['n_others']} others"
