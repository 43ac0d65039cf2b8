"""Score the test patients once, and say how far the numbers can be believed.

Reads   data/model.safetensors, data/beats.npy, data/beats.csv, data/split.csv, data/recordings.csv, data/history.csv
Writes  data/predictions.csv      one probability a class for every median beat, and what subgroups are made of
        data/activation.npy       test records x steps, float32: when each beat speaks for ischemia (see ecg.explain)
        metrics/evaluate.json     the headline numbers
        metrics/evaluate.csv      every AUC and rate with its interval, and the calibration
        metrics/subgroups.csv     the headline AUC by source, sex, age, heart rate and noise
        metrics/roc.csv, metrics/precision_recall.csv, metrics/confusion.csv, metrics/reliability.csv      the curves
        metrics/roc.png, precision_recall.png, confusion.png, reliability.png, subgroups.png, learning_curve.png
        metrics/beats.png         each class's mean median beat in 12 leads
        metrics/example.png       the ischemic test recording with the highest score, and what speaks for it
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from ecg.beats.median import window_times
from ecg.evaluation.names import QUESTION_TITLES, data_kind
from ecg.evaluation.scores import (
    QUESTIONS,
    ask,
    auc_interval,
    bootstrap_intervals,
    calibration_line,
    expected_calibration_error,
    ischemia_score,
    predictive_values,
    reliability,
    roc_auc,
)
from ecg.network.evidence import activation_maps, lead_contributions
from ecg.network.fcn import choose_device, load_model, probabilities
from ecg.params import read_params
from ecg.reporting.curves import (
    plot_confusion,
    plot_learning_curve,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
)
from ecg.reporting.ecg_paper import Explanation, plot_beats, plot_ecg
from ecg.reporting.figures import save_figure
from ecg.reporting.forest import plot_subgroups
from ecg.stage.files import replacing, write_json
from ecg.stage.paths import BEATS_TABLE as QUALITY
from ecg.stage.script import run_stage
from ecg.stage.tables import load_split, read_table

INDEX = Path("data/recordings.csv")
MODEL = Path("data/model.safetensors")
HISTORY = Path("data/history.csv")
PREDICTIONS = Path("data/predictions.csv")
ACTIVATION = Path("data/activation.npy")
METRICS = Path("metrics/evaluate.json")
SCORES = Path("metrics/evaluate.csv")
SUBGROUPS = Path("metrics/subgroups.csv")
ROC = Path("metrics/roc.csv")
PRECISION_RECALL = Path("metrics/precision_recall.csv")
CONFUSION = Path("metrics/confusion.csv")
RELIABILITY = Path("metrics/reliability.csv")
ROC_PNG = Path("metrics/roc.png")
PRECISION_RECALL_PNG = Path("metrics/precision_recall.png")
CONFUSION_PNG = Path("metrics/confusion.png")
RELIABILITY_PNG = Path("metrics/reliability.png")
SUBGROUPS_PNG = Path("metrics/subgroups.png")
LEARNING_CURVE_PNG = Path("metrics/learning_curve.png")
BEATS_PNG = Path("metrics/beats.png")
EXAMPLE_PNG = Path("metrics/example.png")

PREVALENCES = (0.02, 0.10)
# A subgroup with fewer ischemic or fewer normal patients has no AUC worth a number.
MIN_EACH = 5


def predict(model, classes: list[str], beats: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    """Return rows of split.csv with a probability column p_CLASS for each class."""
    columns = {f"p_{name}": column for name, column in zip(classes, probabilities(model, beats).T, strict=True)}
    return table[["record", "patient", "source", "split", "label"]].assign(**columns)


def question_rows(test: pd.DataFrame, **resampling) -> list[dict]:
    """Return the ROC AUC of each question, with interval and counts."""
    rows = []
    for question in QUESTIONS:
        positive, score, patient = ask(test, question)
        row = {"measure": question, "n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        low, high = auc_interval(positive, score, patient, **resampling)
        rows.append(row | {"value": float(roc_auc(positive, score)[0]), "low": low, "high": high})
    return rows


def operating_rows(test: pd.DataFrame, threshold: float, **resampling) -> list[dict]:
    """Return what happens at the threshold, and the Brier score, with intervals; ischemia against normal but for one.

    That one is the share of the abnormal, not ischemic recordings that lie below the threshold.
    """
    positive, score, patient = ask(test, "roc_auc")
    called = score >= threshold
    columns = np.array([positive & called, positive, ~positive & ~called, ~positive]).T.astype(np.float64)
    error = (score - positive) ** 2

    def measures(weights):
        hit, ischemic, cleared, normal = (weights @ columns).T
        sensitivity, specificity = hit / ischemic, cleared / normal
        found = [sensitivity, specificity]
        for prevalence in (ischemic / (ischemic + normal), *PREVALENCES):
            found += predictive_values(sensitivity, specificity, prevalence)
        return np.stack([*found, weights @ error / weights.sum(axis=1)], axis=1)

    names = ["sensitivity", "specificity", "ppv", "npv"]
    names += [f"{name}_at_{prevalence:.0%}".replace("%", "") for prevalence in PREVALENCES for name in ("ppv", "npv")]
    values = measures(np.ones((1, len(score))))[0]
    intervals = bootstrap_intervals(measures, positive, patient, **resampling)
    n = {"n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
    rows = [
        {"measure": name, "value": value, "low": low, "high": high} | n
        for name, value, (low, high) in zip([*names, "brier"], values, intervals, strict=True)
    ]
    for row in rows:
        if np.isnan(row["value"]):
            row["reason"] = "all recordings lie on one side of the threshold"
    other = test[test.label == "other"]
    row = {"measure": "specificity_other", "n_ischemia": 0, "n_others": len(other)}
    if not len(other):
        return [*rows, row | {"reason": "no such recording in the test split"}]
    by_class = {column[2:]: other[column].to_numpy() for column in other if column.startswith("p_")}
    below = (ischemia_score(by_class, "roc_auc") < threshold).astype(np.float64)

    def share(weights):
        return (weights @ below / weights.sum(axis=1))[:, None]

    ((low, high),) = bootstrap_intervals(share, np.zeros(len(other)), other.patient.to_numpy(), **resampling)
    return [*rows, row | {"value": below.mean(), "low": low, "high": high}]


def calibration_rows(positive: np.ndarray, score: np.ndarray) -> list[dict]:
    """Return calibration slope, intercept and expected calibration error of the score against normal."""
    slope, intercept = calibration_line(positive, score)
    n = {"n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
    rows = [
        {"measure": "calibration_slope", "value": slope},
        {"measure": "calibration_intercept", "value": intercept},
        {"measure": "expected_calibration_error", "value": expected_calibration_error(reliability(positive, score))},
    ]
    if np.isnan(slope):
        rows[0] = {"measure": "calibration_slope", "reason": "the scores of the two classes do not overlap"}
    return [row | n for row in rows]


def subgroups(table: pd.DataFrame, **resampling) -> pd.DataFrame:
    """Return the headline AUC, with interval and counts, of groups of the test split; a reason where there is none.

    Noise is cut at the tertiles of the train split. In each grouping the counts add up to the whole test split.
    """
    asked = table[table.label.isin(["ischemia", "normal"])]
    test = asked[asked.split == "test"]
    terciles = np.quantile(table.noise_uv[table.split == "train"], [1 / 3, 2 / 3])
    low, high = (f"{value:.1f}" for value in terciles)
    groupings = {
        "all": pd.Series("test", test.index),
        "source": test.source,
        "sex": test.sex.where(test.sex != "", "unknown"),
        "age": bands(test.age, [50, 65, 80], ["< 50", "50 – 64", "65 – 79", "≥ 80"]),
        "heart rate": bands(test.heart_rate, [60, 100], ["< 60 /min", "60 – 99 /min", "≥ 100 /min"]),
        "noise": bands(test.noise_uv, terciles, [f"< {low} uV", f"{low} – {high} uV", f"≥ {high} uV"]),
    }
    rows = []
    for grouping, membership in groupings.items():
        for group, members in test.groupby(membership, observed=True):
            positive, score, patient = ask(members, "roc_auc")
            row = {"grouping": grouping, "group": group}
            row |= {"n_ischemia": int(positive.sum()), "n_normal": int((~positive).sum())}
            patients = {"ischemia": patient[positive], "normal": patient[~positive]}
            few = [name for name, ids in patients.items() if len(set(ids)) < MIN_EACH]
            if few:
                rows.append(row | {"reason": f"fewer than {MIN_EACH} patients with {' and '.join(few)}"})
                continue
            auc_low, auc_high = auc_interval(positive, score, patient, **resampling)
            rows.append(row | {"roc_auc": float(roc_auc(positive, score)[0]), "low": auc_low, "high": auc_high})
    columns = ["grouping", "group", "n_ischemia", "n_normal", "roc_auc", "low", "high", "reason"]
    return pd.DataFrame(rows).reindex(columns=columns)


def bands(values: pd.Series, edges: list[float], names: list[str]) -> pd.Series:
    """Return the name of the band, lower edge included, that each value lies in; "unknown" where it is NaN."""
    named = pd.Categorical.from_codes(np.digitize(values, edges), names).add_categories("unknown")
    return pd.Series(named, values.index).where(values.notna(), "unknown")


def curves(test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of the ROC and the precision-recall curve of each question that the test split answers."""
    roc, precision_recall = [], []
    for question, title in QUESTION_TITLES.items():
        positive, score, _ = ask(test, question)
        if positive.all():
            continue
        false, true, threshold = roc_curve(positive, score)
        # The first point's threshold is infinite: no score is above it.
        points = {"fpr": false, "tpr": true, "threshold": np.where(np.isinf(threshold), 1, threshold)}
        roc.append(pd.DataFrame({"question": title} | points))
        precision, recall, threshold = precision_recall_curve(positive, score, drop_intermediate=True)
        points = {"recall": recall, "precision": precision, "threshold": np.append(threshold, 1)}
        precision_recall.append(pd.DataFrame({"question": title} | points))
    return pd.concat(roc).round(6), pd.concat(precision_recall).round(6)


def confusion(test: pd.DataFrame) -> pd.DataFrame:
    """Return the actual and the most probable class of each test record."""
    columns = [column for column in test if column.startswith("p_")]
    predicted = np.array([column[2:] for column in columns])[test[columns].to_numpy().argmax(axis=1)]
    return pd.DataFrame({"actual": test.label.to_numpy(), "predicted": predicted})


def main() -> None:
    evaluate = read_params().evaluate
    resampling = {"n": evaluate.bootstrap, "seed": evaluate.seed}
    model, description = load_model(MODEL)
    model.to(choose_device())
    classes, threshold = description["classes"], description["threshold"]
    splits = [load_split(split) for split in ("train", "val", "test")]
    table = pd.concat([predict(model, classes, beats, rows) for beats, rows in splits])
    table = table.merge(read_table(INDEX)[["record", "age", "sex"]], on="record")
    table = table.merge(read_table(QUALITY)[["record", "heart_rate", "noise_uv"]], on="record")
    test = table[table.split == "test"]

    rows = question_rows(test, **resampling) + operating_rows(test, threshold, **resampling)
    positive, score, _ = ask(test, "roc_auc")
    rows += calibration_rows(positive, score)
    columns = ["measure", "value", "low", "high", "n_ischemia", "n_others", "reason"]
    scores = pd.DataFrame(rows).reindex(columns=columns)
    measured = scores.set_index("measure").astype(object)
    measured = measured.where(measured.notna(), None)
    numbers = {}
    for question in QUESTIONS:
        numbers[question] = measured.value[question]
        numbers[f"{question}_low"], numbers[f"{question}_high"] = measured.low[question], measured.high[question]
    val_positive, val_score, _ = ask(table[table.split == "val"], "roc_auc")
    numbers["roc_auc_val"] = float(roc_auc(val_positive, val_score)[0])
    numbers["threshold"] = threshold
    numbers |= {name: measured.value[name] for name in ("sensitivity", "specificity")}
    numbers |= {f"n_{label}": int((test.label == label).sum()) for label in ("ischemia", "normal", "other")}

    roc, precision_recall = curves(test)
    pairs, bins, groups = confusion(test), reliability(positive, score), subgroups(table, **resampling)
    kind = data_kind(table.source)
    what = f"{len(test)} test {kind}"

    with replacing(PREDICTIONS) as temporary:
        table.to_csv(temporary, index=False)
    activation = activation_maps(model, classes, splits[-1][0])[0]
    with replacing(ACTIVATION) as temporary:
        np.save(temporary, activation.astype(np.float32))
    write_json(METRICS, numbers)
    for path, values in (
        (ROC, roc),
        (PRECISION_RECALL, precision_recall),
        (CONFUSION, pairs),
        (RELIABILITY, bins),
        (SCORES, scores),
        (SUBGROUPS, groups),
    ):
        with replacing(path) as temporary:
            values.round(9).to_csv(temporary, index=False)
    save_figure(plot_roc(roc, numbers, what), ROC_PNG)
    save_figure(plot_precision_recall(precision_recall, what), PRECISION_RECALL_PNG)
    save_figure(plot_confusion(pairs, classes, what), CONFUSION_PNG)
    save_figure(plot_reliability(bins, scores, what), RELIABILITY_PNG)
    save_figure(plot_subgroups(groups, what), SUBGROUPS_PNG)
    save_figure(plot_learning_curve(pd.read_csv(HISTORY), kind), LEARNING_CURVE_PNG)
    extract, beats = description["extract"], np.concatenate([beats for beats, _ in splits])
    times = window_times(extract["window_start"], extract["window_end"], extract["sampling_rate"])
    save_figure(plot_beats(beats, table.label.to_numpy(), times, kind), BEATS_PNG)
    surest = np.flatnonzero(test.label == "ischemia")[score[positive].argmax()]
    beat = splits[-1][0][surest]
    explanation = Explanation(activation[surest], lead_contributions(model, classes, beat[None])[0])
    notes = [f"labelled ischemia, probability {score[positive].max():.3f}, threshold {threshold:.3f}"]
    notes.append(f"one of the {what}; model trained on {data_kind(description['sources'])}")
    save_figure(plot_ecg(beat, times, test.record.iloc[surest], notes, explanation), EXAMPLE_PNG)
    interval = f"{numbers['roc_auc_low']:.3f} – {numbers['roc_auc_high']:.3f}"
    print(f"ROC AUC against normal {numbers['roc_auc']:.3f} ({interval}) on {what}")


if __name__ == "__main__":
    run_stage(main)
