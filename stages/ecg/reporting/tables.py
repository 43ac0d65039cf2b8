"""What the page and the model card say in tables: tables of the other stages in, tables of text out."""

from collections.abc import Mapping
from itertools import pairwise

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


def intervals(table: pd.DataFrame, value: str) -> list[str]:
    return [format_interval(row, value) for row in table.to_dict("records")]


def roc_table(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each comparison's sensitivity at given specificities."""
    levels = (0.99, 0.95, 0.9, 0.8, 0.7, 0.5)
    best = {
        COMPARISON_TITLES[comparison]: {f"{x:.2f}": points.tpr[points.fpr <= 1 - x + 1e-9].max() for x in levels}
        for comparison, points in curves.items()
        if len(points)
    }
    return pd.DataFrame(best).T.rename_axis("sensitivity where specificity is").reset_index()


def precision_recall_table(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each comparison's best precision at given recalls or above."""
    levels = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
    best = {
        COMPARISON_TITLES[comparison]: {f"{x:.2f}": points.precision[points.recall >= x - 1e-9].max() for x in levels}
        for comparison, points in curves.items()
        if len(points)
    }
    return pd.DataFrame(best).T.rename_axis("precision where recall is at least").reset_index()


def measure_table(
    scores: pd.DataFrame, titles: dict[str, str], reference: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return rows of metrics/evaluate.csv, by measure, under other names, beside the reference where there is one."""
    rows = scores.set_index("measure").loc[list(titles)]
    table = pd.DataFrame({"measure": titles.values(), "value (95% interval)": intervals(rows, "value")})
    if reference is not None:
        table["reference"] = [format_number(reference[name]) if name in reference else "" for name in titles]
    return table


def before_and_after(numbers: Mapping[str, float]) -> pd.DataFrame:
    """Return the numbers called before_ and after_ in two columns, not the counts; empty where there are none."""
    titles = {key: f"ROC AUC {title}" for key, title in COMPARISON_TITLES.items()} | RATES | CALIBRATION
    names = [name for name in titles if f"after_{name}" in numbers]
    columns = {when: [numbers[f"{when}_{name}"] for name in names] for when in ("before", "after")}
    return pd.DataFrame({"measure": [titles[name] for name in names]} | columns)


def confusion_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Return metrics/confusion.csv with the share of each class that is called ischemic."""
    share = counts.called / (counts.called + counts.not_called)
    return counts.assign(share=share).set_axis(["class", "called ischemic", "not called", "share called"], axis=1)


def reliability_table(bins: pd.DataFrame) -> pd.DataFrame:
    ranges = [f"{low:g} – {high:g}" for low, high in zip(bins.bin_low, bins.bin_high, strict=True)]
    table = bins.assign(range=ranges, share=intervals(bins, "observed"))[["range", "n", "probability", "share"]]
    return table.set_axis(["probability", "recordings", "mean probability", "share ischemic (95% interval)"], axis=1)


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    audit = audit.sort_values("model", key=lambda models: models.map(list(MODEL_TITLES).index), kind="stable")
    table = audit.assign(
        model=audit.model.map(MODEL_TITLES),
        comparison=audit.comparison.map(COMPARISON_TITLES).fillna("each source"),
        auc=intervals(audit, "roc_auc"),
        gain=[format_gain(row) for row in audit.to_dict("records")],
    )[["model", "comparison", "auc", "gain"]]
    return table.set_axis(["model", "ischemia", "ROC AUC (95% interval)", "the model minus this"], axis=1)


def subgroups_table(groups: pd.DataFrame) -> pd.DataFrame:
    names = [group_name(*pair) for pair in zip(groups.grouping, groups.group, strict=True)]
    table = groups.assign(name=names, auc=intervals(groups, "roc_auc"))[["name", "n_ischemia", "n_normal", "auc"]]
    return table.set_axis(["group", "ischemic", "normal", "ROC AUC (95% interval)"], axis=1)


def learning_table(history: pd.DataFrame) -> pd.DataFrame:
    names = {"epoch": "epochs", "val_loss": "loss on val", "train_loss": "loss on train"}
    return history.tail(1)[list(names)].rename(columns=names)


def net_benefit_table(benefit: pd.DataFrame) -> pd.DataFrame:
    """Return metrics/net_benefit.csv at some thresholds, a row each way to decide."""
    chosen = benefit[benefit.threshold.isin([0.02, 0.05, 0.1, 0.2, 0.3, 0.5])].set_index("threshold")
    return chosen.T.rename(columns="{:.0%}".format).rename_axis("net benefit at a threshold of").reset_index()


def distribution_table(spread: pd.DataFrame) -> pd.DataFrame:
    """Return metrics/distribution.csv in fewer bins: recordings by class and p(ischemia)."""
    edges = np.array([0, 0.01, 0.0225, 0.0625, 0.1225, 0.25, 0.49, 1.0001])
    number = np.searchsorted(edges, spread.bin_low + 1e-9, side="right") - 1
    names = [f"{100 * low:g}% – {100 * min(high, 1):g}%" for low, high in pairwise(edges)]
    table = spread.assign(p=pd.Categorical.from_codes(number, names)).pivot_table(
        "n", "label", "p", aggfunc="sum", observed=False
    )
    return table.rename_axis("p(ischemia)", axis=0).rename_axis(None, axis=1).reset_index()


def beat_segments(times: np.ndarray) -> dict[str, np.ndarray]:
    """Return which times (ms from the R peak) lie in each part of the beat."""
    return {"before QRS": times < -QRS_END, "QRS": np.abs(times) <= QRS_END, "ST–T": times > QRS_END}


def activation_table(maps: dict[str, np.ndarray], times: np.ndarray) -> pd.DataFrame:
    """Return what each part of the beat adds to the log odds: a map's mean over its steps, of each class's mean map."""
    parts = beat_segments(times).items()
    rows = [{part: values[steps].sum() / len(values) for part, steps in parts} for values in maps.values()]
    return pd.DataFrame(rows, pd.Index(maps, name="mean map, log odds")).reset_index()


def evidence_shares(above: np.ndarray, times: np.ndarray) -> dict[str, tuple[float, float]] | None:
    """Return of each part of the beat its share of the evidence for ischemia, and of the time.

    The evidence is the positive part of what the map of ischemic recordings has `above` that of normal ones. None where
    nothing speaks for ischemia.
    """
    evidence = above.clip(min=0)
    if not evidence.any():
        return None
    parts = beat_segments(times).items()
    return {name: (float(evidence[part].sum() / evidence.sum()), float(part.mean())) for name, part in parts}


def confident_errors(test: pd.DataFrame, threshold: float, most: int) -> pd.DataFrame:
    """Return the `most` false alarms and misses whose p(ischemia) lies furthest from the threshold."""
    ordered = test.sort_values("p_ischemia", kind="stable")
    misses = ordered[(ordered.label == "ischemia") & (ordered.p_ischemia < threshold)].assign(kind="miss")
    alarms = ordered[(ordered.label != "ischemia") & (ordered.p_ischemia >= threshold)].assign(kind="false alarm")
    return pd.concat([alarms[::-1][:most], misses[:most]])


def count_recordings(table: pd.DataFrame, splits: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what became of every recording, by source and class with a last row of sums; and the refused by reason."""
    table = table[["source", "label", "split", "reason"]].rename(columns={"label": "class"})
    table[["source", "class"]] = table[["source", "class"]].replace("", "unknown")
    outcome = table.split.where(table.reason == "", "refused")
    counts = pd.crosstab([table.source, table["class"]], outcome)
    counts = counts.reindex(columns=[*splits, "refused"], fill_value=0)
    counts.insert(0, "found", counts.sum(axis=1))
    counts.loc[("all", ""), :] = counts.sum()
    refused = table[table.reason != ""].assign(reason=table.reason.str.split(":").str[0])
    reasons = refused.groupby(["reason", "source", "class"]).size().reset_index(name="recordings")
    return counts.astype(int).reset_index(), reasons


def values_table(name: str, values: Mapping[str, object]) -> pd.DataFrame:
    """Return names and values, of a list its items."""
    texts = [
        ", ".join(map(str, v)) if isinstance(v, list) else "none" if v is None else str(v) for v in values.values()
    ]
    return pd.DataFrame({name: list(values), "value": texts})
