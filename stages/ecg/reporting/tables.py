"""Tables of the page and the model card: the tables of other stages in, tables of text out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecg.evaluation.names import (
    COMPARISON_TITLES,
    MODEL_TITLES,
    format_gain,
    format_interval,
    format_number,
    group_name,
)
from ecg.reporting.ecg_paper import QRS_END

RATES = {
    "sensitivity": "sensitivity: ischemic recordings called ischemic",
    "specificity": "specificity against all others",
    "specificity_normal": "specificity against normal",
    "specificity_other": "specificity against abnormal, not ischemic",
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
    table = table.assign(interval=[format_interval(row, value) for row in table.to_dict("records")])
    return table[list(titles)].rename(columns=titles)


def curve_table(curves: dict[str, pd.DataFrame], best: str, where: str, title: str) -> pd.DataFrame:
    """Return for each comparison the best value of one column of its curve where another is at least a level."""
    rows = {
        COMPARISON_TITLES[comparison]: {f"{x:.2f}": points[best][points[where] >= x - 1e-9].max() for x in LEVELS}
        for comparison, points in curves.items()
        if len(points)
    }
    return pd.DataFrame(rows).T.rename_axis(title).reset_index()


def roc_table(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    curves = {comparison: points.assign(specificity=1 - points.fpr) for comparison, points in curves.items()}
    return curve_table(curves, "tpr", "specificity", "sensitivity where specificity is at least")


def precision_recall_table(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return curve_table(curves, "precision", "recall", "precision where recall is at least")


def measure_table(
    scores: pd.DataFrame, titles: dict[str, str], reference: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return rows of metrics/evaluate.csv under titles, beside the values at the reference if there are any."""
    rows = scores.set_index("measure").loc[list(titles)].assign(title=titles.values())
    table = titled(rows, {"title": "measure", "interval": "value (95% interval)"}, "value")
    if reference is not None:
        table["reference"] = [format_number(reference[name]) if name in reference else "" for name in titles]
    return table


def before_and_after(numbers: Mapping[str, float]) -> pd.DataFrame:
    """Return the numbers called before_ and after_ in two columns, without the counts; empty if there are none."""
    titles = {key: f"ROC AUC {title}" for key, title in COMPARISON_TITLES.items()} | RATES | CALIBRATION
    rows = [
        (title, numbers[f"before_{name}"], numbers[f"after_{name}"])
        for name, title in titles.items()
        if f"after_{name}" in numbers
    ]
    return pd.DataFrame(rows, columns=["measure", "before", "after"])


def confusion_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Return metrics/confusion.csv with the share of each class that is called ischemic."""
    share = counts.called / (counts.called + counts.not_called)
    return counts.assign(share=share).set_axis(["class", "called ischemic", "not called", "share called"], axis=1)


def reliability_table(bins: pd.DataFrame) -> pd.DataFrame:
    titles = {"bin_low": "from", "bin_high": "to", "n": "recordings", "probability": "mean probability"}
    return titled(bins, titles | {"interval": "share ischemic (95% interval)"}, "observed")


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    audit = audit.sort_values("model", key=lambda models: models.map(list(MODEL_TITLES).index), kind="stable")
    table = audit.assign(
        model=audit.model.map(MODEL_TITLES),
        comparison=audit.comparison.map(COMPARISON_TITLES).fillna("each source"),
        gain=[format_gain(row) for row in audit.to_dict("records")],
    )
    titles = {"model": "model", "comparison": "ischemia", "interval": "ROC AUC (95% interval)"}
    return titled(table, titles | {"gain": "gain of the model"})


def subgroups_table(groups: pd.DataFrame) -> pd.DataFrame:
    names = [group_name(*pair) for pair in zip(groups.grouping, groups.group, strict=True)]
    titles = {"name": "group", "n_ischemia": "ischemic", "n_normal": "normal", "interval": "ROC AUC (95% interval)"}
    return titled(groups.assign(name=names), titles)


def net_benefit_table(benefit: pd.DataFrame) -> pd.DataFrame:
    """Return metrics/net_benefit.csv at some thresholds, a row for each way to decide."""
    chosen = benefit[benefit.threshold.isin([0.02, 0.05, 0.1, 0.2, 0.3, 0.5])].set_index("threshold")
    return chosen.T.rename(columns="{:.0%}".format).rename_axis("net benefit at a threshold of").reset_index()


def sums_by_part(values: np.ndarray, times: np.ndarray) -> dict[str, float]:
    """Return what each part of the beat adds to the mean of values over its times (ms from the R peak)."""
    parts = {"before QRS": times < -QRS_END, "QRS": np.abs(times) <= QRS_END, "ST–T": times > QRS_END}
    return {name: float(values[part].sum()) / len(times) for name, part in parts.items()}


def activation_table(maps: dict[str, np.ndarray], times: np.ndarray) -> pd.DataFrame:
    """Return what each part of the beat adds to the log odds in the mean map of each class."""
    rows = {name: sums_by_part(values, times) for name, values in maps.items()}
    return pd.DataFrame(rows).T.rename_axis("mean map, log odds").reset_index()


def evidence_shares(above: np.ndarray, times: np.ndarray) -> dict[str, tuple[float, float]] | None:
    """Return for each part of the beat its share of the evidence for ischemia, and its share of the time.

    The evidence is the positive part of `above`, the mean map of ischemic recordings less that of all others. None if
    there is no evidence.
    """
    evidence, time = sums_by_part(above.clip(min=0), times), sums_by_part(np.ones(len(times)), times)
    total = sum(evidence.values())
    return {name: (evidence[name] / total, time[name]) for name in time} if total else None


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
