"""What the report says in numbers: tables of the other stages in, rows of text out."""

import numpy as np
import pandas as pd

from ecg.evaluation.names import SYNTHETIC, data_kind
from ecg.recordings.challenge import CHALLENGE_SOURCES
from ecg.reporting.charts import group_name
from ecg.reporting.figures import AUDIT_NAMES, TITLES

ST_FROM = 60  # ms from the R peak: the QRS complex is over
RATES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "specificity_other": "abnormal, not ischemic recordings below the threshold",
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

PTB_XL = (
    "PTB-XL, CC BY 4.0: Wagner P, Strodthoff N, Bousseljot RD, Kreiseler D, Lunze FI, Samek W, Schaeffter T (2020). "
    "PTB-XL, a large publicly available electrocardiography dataset. Scientific Data 7:154. "
    "doi:10.1038/s41597-020-0495-6"
)
CHALLENGE = (
    "PhysioNet/Computing in Cardiology Challenge 2020, CC BY 4.0: Perez Alday EA, Gu A, Shah AJ, et al. (2020). "
    "Classification of 12-lead ECGs: the PhysioNet/Computing in Cardiology Challenge 2020. Physiological Measurement "
    "41:124003. doi:10.1088/1361-6579/abc960",
    "PhysioNet/Computing in Cardiology Challenge 2021, CC BY 4.0: Reyna MA, Sadr N, Perez Alday EA, et al. (2021). "
    "Will two do? Varying dimensions in electrocardiography: the PhysioNet/Computing in Cardiology Challenge 2021. "
    "Computing in Cardiology 48. doi:10.23919/CinC53138.2021.9662687",
)


def cite_data(sources: list[str], kaggle: bool) -> list[str]:
    """Return licence and citation of the recordings of these sources; `kaggle`: they are copies of the Challenge's."""
    known = set(sources) & set(CHALLENGE_SOURCES)
    synthetic = [source for source in sources if data_kind([source]) == SYNTHETIC]
    cited = [PTB_XL] if "ptb-xl" in known else []
    cited += CHALLENGE if kaggle or known - {"ptb-xl"} else []
    cited += [f"Synthetic recordings, made here by a dipole model: {', '.join(synthetic)}"] if synthetic else []
    owned = [source for source in sources if source not in {*known, *synthetic}]
    return cited + [f"Licence and citation are not known here; ask the owner of {source}" for source in owned]


def number(value: float) -> str:
    """Return three decimals; of what is smaller, such as the threshold of a network that is sure, one digit."""
    if pd.isna(value):
        return "–"
    return f"{value:.0e}" if 0 < value < 0.0005 else f"{value:.3f}".replace("-", "−")


def interval(row: dict, value: str = "value") -> str:
    """Return a number of a table's row with its 95% interval, or the reason why there is none."""
    if pd.isna(row[value]):
        return f"none: {row['reason']}"
    return number(row[value]) + ("" if pd.isna(row["low"]) else f" ({number(row['low'])} – {number(row['high'])})")


def count_recordings(index: pd.DataFrame, quality: pd.DataFrame, split: pd.DataFrame) -> tuple:
    """Return what became of every recording found, by source and class; and how many each stage refused, by reason."""
    table = index[["record", "source", "label", "reason"]].rename(columns={"reason": "download"})
    table = table.merge(quality[["record", "reason"]].rename(columns={"reason": "extract"}), "left", on="record")
    table = table.merge(split[["record", "split"]], "left", on="record").fillna("")
    table[["source", "label"]] = table[["source", "label"]].replace("", "unknown")
    fate = table.split.where(table.split != "", "refused")
    counts = pd.crosstab([table.source, table.label], fate).reindex(columns=["train", "val", "test", "refused"])
    counts = counts.fillna(0).astype(int)
    counts.insert(0, "found", counts.sum(axis=1))
    refused = table.melt(["source", "label"], ["download", "extract"], "stage", "reason").query("reason != ''")
    refused = refused.assign(reason=refused.reason.str.split(":").str[0])
    reasons = refused.groupby(["stage", "reason", "source", "label"]).size().rename("recordings")
    return counts.reset_index(), reasons.reset_index()


def evidence(maps: dict[str, np.ndarray], times: np.ndarray) -> dict:
    """Return when each class's mean activation map (log odds, over times in ms) speaks for ischemia.

    `share` is that of the positive part of ischemia's map that lies in ST–T, `window` how much of the beat ST–T is;
    `qrs_share` and `qrs_window` are the same of QRS. ST–T is what is seen where it holds the more for its length.
    """
    early, qrs, late = times < -ST_FROM, np.abs(times) <= ST_FROM, times > ST_FROM
    # The mean of a map over its steps is what it adds to the log odds.
    parts = [(early, "before QRS"), (qrs, "QRS"), (late, "ST–T")]
    rows = [[name, *(number(values[part].sum() / len(times)) for part, _ in parts)] for name, values in maps.items()]
    ischemic = maps["ischemia"].clip(min=0)
    share, qrs_share = (float(ischemic[part].sum() / max(ischemic.sum(), 1e-12)) for part in (late, qrs))
    return {
        "share": share if ischemic.any() else None,
        "window": float(late.mean()),
        "qrs_share": qrs_share,
        "qrs_window": float(qrs.mean()),
        "st_t": share * qrs.mean() > qrs_share * late.mean(),
        "peak": float(times[maps["ischemia"].argmax()]),
        "table": {"head": ["mean map, log odds", *(title for _, title in parts)], "rows": rows},
    }


def confident_errors(test: pd.DataFrame, threshold: float, most: int) -> dict[str, pd.DataFrame]:
    """Return the `most` false alarms and misses whose score against normal lies furthest from the threshold."""
    alarms = test[(test.label == "normal") & (test.score >= threshold)]
    misses = test[(test.label == "ischemia") & (test.score < threshold)]
    return {
        "false alarm": alarms.sort_values("score", ascending=False, kind="stable")[:most],
        "miss": misses.sort_values("score", kind="stable")[:most],
    }


def roc_table(roc: pd.DataFrame) -> dict:
    """Return each question's sensitivity at given specificities."""
    levels, rows = [0.99, 0.95, 0.9, 0.8, 0.7, 0.5], []
    for title, points in roc.groupby("question", sort=False):
        rows.append([title, *(number(points.tpr[points.fpr <= 1 - level + 1e-9].max()) for level in levels)])
    return {"head": ["sensitivity where specificity is", *(f"{level:.2f}" for level in levels)], "rows": rows}


def precision_recall_table(curves: pd.DataFrame) -> dict:
    """Return each question's best precision at given recalls or above."""
    levels, rows = [0.5, 0.7, 0.8, 0.9, 0.95, 1.0], []
    for title, points in curves.groupby("question", sort=False):
        rows.append([title, *(number(points.precision[points.recall >= level - 1e-9].max()) for level in levels)])
    return {"head": ["precision where recall is at least", *(f"{level:.2f}" for level in levels)], "rows": rows}


def measure_table(scores: dict, names: dict[str, str]) -> dict:
    """Return rows of metrics/evaluate.csv, by measure, under other names."""
    rows = [[title, interval(scores[key])] for key, title in names.items()]
    return {"head": ["measure", "value (95% interval)"], "rows": rows}


def confusion_table(pairs: pd.DataFrame, classes: list[str]) -> dict:
    counts = pd.crosstab(pairs.actual, pairs.predicted).reindex(index=classes, columns=classes, fill_value=0)
    head = ["label \\ most probable class", *classes]
    return {"head": head, "rows": [[name, *row] for name, row in zip(classes, counts.to_numpy().tolist(), strict=True)]}


def reliability_table(bins: pd.DataFrame) -> dict:
    """Return the rows of `wilson` as text."""
    rows = []
    for row in bins.to_dict("records"):
        low = row["bin"] / 10
        rows.append([f"{low:.1f} – {low + 0.1:.1f}", row["n"], number(row["probability"]), interval(row, "observed")])
    return {"head": ["probability", "recordings", "mean probability", "share ischemic (95% interval)"], "rows": rows}


def learning_table(kept: pd.DataFrame) -> dict:
    """Return the rows of `kept_epochs` as text."""
    rows = [
        [row.member, f"{row.epoch} of {row.epochs}", *map(number, (row.val_roc_auc, row.val_loss, row.train_loss))]
        for row in kept.itertuples()
    ]
    return {"head": ["network", "kept epoch", "ROC AUC on val", "loss on val", "loss on train"], "rows": rows}


def audit_table(summary: pd.DataFrame) -> dict:
    rows = [
        [AUDIT_NAMES[row["model"]], TITLES.get(row["question"], "each source"), interval(row, "roc_auc")]
        + ["–" if pd.isna(row[n]) else int(row[n]) for n in ("n_ischemia", "n_others")]
        + [number(row["fcn_minus_model"]), "< 0.001" if row["p_delong"] < 0.001 else number(row["p_delong"])]
        for row in summary.to_dict("records")
    ]
    head = ["who", "ischemia", "ROC AUC (95% interval)", "ischemic", "others", "FCN minus this", "p"]
    return {"head": head, "rows": rows}


def subgroups_table(groups: pd.DataFrame) -> dict:
    rows = [
        (group_name(row["grouping"], row["group"]), row["n_ischemia"], row["n_normal"], interval(row, "roc_auc"))
        for row in groups.to_dict("records")
    ]
    return {"head": ["group", "ischemic", "normal", "ROC AUC (95% interval)"], "rows": rows}
