"""Tables of the page and the model card: the tables of other stages in, tables of text out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecg.evaluation import names
from ecg.reporting.ecg_paper import QRS_END

RATES = {
    "sensitivity": "sensitivity: ischemic recordings called ischemic",
    "specificity": "specificity against all others",
    "specificity_normal": "specificity against normal",
    "specificity_other": "specificity against other (abnormal, not ischemic)",
    "called": "all recordings called ischemic",
    "ppv": "positive predictive value, ischemia as frequent as here",
    "npv": "negative predictive value, ischemia as frequent as here",
    "ppv_at_10": "positive predictive value, where 10% are ischemic",
    "npv_at_10": "negative predictive value, where 10% are ischemic",
    "ppv_at_2": "positive predictive value, where 2% are ischemic",
    "npv_at_2": "negative predictive value, where 2% are ischemic",
}
CALIBRATION = {
    "brier": "Brier score",
    "calibration_slope": "calibration slope (ideal: 1)",
    "calibration_intercept": "calibration intercept (ideal: 0)",
    "expected_calibration_error": "expected calibration error",
}
LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)  # of specificity or recall


def titled(table: pd.DataFrame, titles: dict[str, str], value: str = "roc_auc") -> pd.DataFrame:
    """Return columns of a table under titles; the column "interval" is the text of `value` with its 95% interval."""
    table = table.assign(interval=[names.format_interval(row, value) for row in table.to_dict("records")])
    return table[list(titles)].rename(columns=titles)


def curve_table(curves: dict[str, pd.DataFrame], best: str, where: str, title: str) -> pd.DataFrame:
    """Return for each comparison the best value of one column of its curve where another is at least a level."""
    rows = {
        names.COMPARISON_TITLES[comparison]: {f"{x:.2f}": points[best][points[where] >= x].max() for x in LEVELS}
        for comparison, points in curves.items()
    }
    return pd.DataFrame(rows).T.rename_axis(title).reset_index()


def measure_table(scores: pd.DataFrame, titles: dict[str, str], reference: Mapping | None = None) -> pd.DataFrame:
    """Return rows of metrics/evaluate.csv under titles, with the values of the reference, if any."""
    rows = scores.set_index("measure").loc[list(titles)].assign(title=titles.values())
    table = titled(rows, {"title": "measure", "interval": "value (95% interval)"}, "value")
    if reference:
        table["reference"] = [names.format_number(reference[name]) if name in reference else "" for name in titles]
    return table


def before_and_after(numbers: Mapping[str, float]) -> pd.DataFrame:
    """Return the numbers whose names begin with before_ and after_ in two columns; empty if there are none."""
    titles = {key: f"ROC AUC {title}" for key, title in names.COMPARISON_TITLES.items()} | RATES | CALIBRATION
    pairs = {title: (numbers.get(f"before_{name}"), numbers.get(f"after_{name}")) for name, title in titles.items()}
    return pd.DataFrame(pairs, index=["before", "after"]).T.rename_axis("measure").dropna().reset_index()


def confusion_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Return metrics/confusion.csv with the share of each class that is called ischemic."""
    share = counts.called / (counts.called + counts.not_called)
    return counts.assign(share=share).set_axis(["class", "called ischemic", "not called", "share called"], axis=1)


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    table = audit.assign(
        model=audit.model.map(names.MODEL_TITLES),
        comparison=audit.comparison.map(names.COMPARISON_TITLES).fillna("each source"),
        gain=[names.format_gain(row) for row in audit.to_dict("records")],
    )
    titles = {"model": "model", "comparison": "ischemia", "interval": "ROC AUC (95% interval)"}
    return titled(table, titles | {"gain": "gain of the model"})


def subgroups_table(groups: pd.DataFrame) -> pd.DataFrame:
    groups = groups.assign(name=[names.group_name(*pair) for pair in groups[["grouping", "group"]].to_numpy()])
    titles = {"name": "group", "n_ischemia": "ischemic", "n_normal": "normal", "interval": "ROC AUC (95% interval)"}
    return titled(groups, titles)


def sums_by_part(maps: dict[str, np.ndarray], times: np.ndarray) -> pd.DataFrame:
    """Return the contribution of each part of the beat to the mean of each map over times (ms from the R peak)."""
    part = np.select([times < -QRS_END, times <= QRS_END], ["before QRS", "QRS"], "ST–T")
    return pd.DataFrame(maps, dtype=np.float64).groupby(part, sort=False).sum().T / len(times)


def confident_errors(test: pd.DataFrame, threshold: float, most: int) -> pd.DataFrame:
    """Return the false alarms and the misses, at most `most` of each, with p(ischemia) furthest from the threshold."""
    ordered = test.sort_values("p_ischemia", kind="stable")
    misses = ordered[(ordered.label == "ischemia") & (ordered.p_ischemia < threshold)].assign(kind="miss")
    alarms = ordered[(ordered.label != "ischemia") & (ordered.p_ischemia >= threshold)].assign(kind="false alarm")
    return pd.concat([alarms[::-1][:most], misses[:most]])


def count_recordings(table: pd.DataFrame, splits: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the outcome of all recordings by source and class with a last row of sums, and the refused by reason."""
    table = table[["source", "label", "split", "reason"]].rename(columns={"label": "class"})
    table[["source", "class"]] = table[["source", "class"]].replace("", "unknown")
    outcome = table.split.where(table.reason == "", "refused")
    counts = pd.crosstab([table.source, table["class"]], outcome, margins=True, margins_name="all")
    counts = counts.reindex(columns=["all", *splits, "refused"], fill_value=0).rename(columns={"all": "found"})
    refused = table[table.reason != ""].assign(reason=table.reason.str.split(":").str[0])
    reasons = refused.groupby(["reason", "source", "class"]).size().reset_index(name="recordings")
    return counts.reset_index(), reasons
