"""All numbers of scored test records: AUCs, also of subgroups; rates, calibration, points of curves."""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve, roc_curve

from ecg.evaluation.bootstrap import auc_row, auc_with_interval, bootstrap_intervals
from ecg.model.comparisons import COMPARISONS, FEW, scored_table, select_comparison
from ecg.model.model import Model, distances, probabilities
from ecg.params import Evaluate

# Narrower at low probabilities: of bins of equal width, one would contain nearly all recordings.
EDGES = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
PREVALENCES = (0.02, 0.10)
RATES = ("sensitivity", "specificity", "specificity_normal", "specificity_other", "brier")
# Minimum number of patients of each class in a subgroup; with fewer, its AUC is mostly chance.
MIN_EACH = 5
NONE = "no such recording"
POINTS = 1000  # maximum of a curve; more would look the same
THRESHOLDS = np.arange(1, 51) / 100  # of net benefit: above 50% a false alarm would weigh more than a miss
BINS = (np.arange(41) / 40) ** 2  # of p(ischemia), equally wide on a square root axis


def score_records(model: Model, classes: list[str], beats: np.ndarray, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of beats (n x 12 x samples, mV) with a probability p_CLASS for each class and the distance."""
    return scored_table(rows, classes, probabilities(model, beats)).assign(distance=distances(model, beats))


def calibration_line(positive: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return calibration slope and intercept, ideally 1 and 0 (Cox 1958; Van Calster et al. 2019).

    The slope is that of a logistic regression on the log odds, the intercept that of one with slope 1. The slope is NaN
    where positives and negatives do not overlap.
    """
    odds = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    intercept = float(brentq(lambda shift: (expit(odds + shift) - positive).sum(), -100, 100))
    if odds[positive].min() >= odds[~positive].max() or odds[positive].max() <= odds[~positive].min():
        return float("nan"), intercept
    line = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9).fit(odds[:, None], positive)
    return float(line.coef_[0, 0]), intercept


def reliability(positive: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Return bin_low, bin_high, n, mean probability and share of positives (observed) of each bin with a record.

    low and high are the 95% interval of the share (Wilson 1927).
    """
    table = pd.DataFrame({"positive": positive, "probability": probability})
    groups = table.groupby(np.digitize(probability, EDGES[1:-1]))
    table = groups.agg(n=("positive", "size"), probability=("probability", "mean"), observed=("positive", "mean"))
    counts = zip(groups.positive.sum(), table.n, strict=True)
    table[["low", "high"]] = [binomtest(k, n).proportion_ci(method="wilson") for k, n in counts]
    table.insert(0, "bin_low", EDGES[table.index])
    table.insert(1, "bin_high", EDGES[table.index + 1])
    return table.reset_index(drop=True)


def calibration_rows(positive: np.ndarray, score: np.ndarray) -> list[dict]:
    """Return calibration slope, intercept and expected calibration error (over bins: Guo et al. 2017)."""
    both = 0 < positive.sum() < len(positive)
    slope, intercept = calibration_line(positive, score) if both else (np.nan, np.nan)
    bins = reliability(positive, score)
    error = np.average((bins.probability - bins.observed).abs(), weights=bins.n)
    values = {"calibration_slope": slope, "calibration_intercept": intercept, "expected_calibration_error": error}
    reason = "the scores of the two classes do not overlap" if both else NONE
    return [{"measure": name, "value": x, "reason": reason if np.isnan(x) else None} for name, x in values.items()]


def operating_rows(test: pd.DataFrame, threshold: float, evaluate: Evaluate) -> list[dict]:
    """Return rates at the threshold of p(ischemia) and the Brier score, with 95% intervals over patients.

    Predictive values are those at the prevalence of the records and at each of `PREVALENCES` (Bayes).
    """
    labels, p = test.label.to_numpy(), test.p_ischemia.to_numpy()
    positive = labels == "ischemia"
    groups = np.array([positive, ~positive, labels == "normal", labels == "other"])
    columns = np.concatenate([groups, groups & (p >= threshold)]).T.astype(np.float64)
    error = (p - positive) ** 2
    names = ["sensitivity", "specificity", "specificity_normal", "specificity_other", "called", "ppv", "npv"]
    names += [f"{name}_at_{100 * prevalence:.0f}" for prevalence in PREVALENCES for name in ("ppv", "npv")]

    @np.errstate(invalid="ignore")  # NaN without such records
    def rates(weights: np.ndarray) -> np.ndarray:
        n, hit = np.split((weights @ columns).T, 2)
        shares = hit / n
        values = [shares[0], *(1 - shares[1:]), (hit[0] + hit[1]) / weights.sum(axis=1)]
        for prevalence in (n[0] / (n[0] + n[1]), *PREVALENCES):
            true, false = shares[0] * prevalence, shares[1] * (1 - prevalence)
            clear, missed = (1 - shares[1]) * (1 - prevalence), (1 - shares[0]) * prevalence
            values += [true / (true + false), clear / (clear + missed)]
        return np.stack([*values, weights @ error / weights.sum(axis=1)], axis=1)

    n = groups.sum(axis=1)
    # A predictive value depends on both classes.
    few = np.array([*n, len(p), *[n[:2].min()] * (len(names) - 5), len(p)]) < FEW
    intervals = bootstrap_intervals(rates, positive, test.patient.to_numpy(), evaluate)
    table = pd.DataFrame({"measure": [*names, "brier"], "value": rates(np.ones((1, len(p))))[0]})
    table[["low", "high"]] = np.where(few[:, None], np.nan, intervals)
    n_others = {"specificity_normal": n[2], "specificity_other": n[3]}
    table["n_others"] = table.measure.map(n_others).fillna(n[1]).astype(int)
    table["reason"] = np.where(few, f"fewer than {FEW} recordings", "")
    table["reason"] = table.reason.mask(table.value.isna(), NONE).replace("", None)
    return table.to_dict("records")


def bands(values: pd.Series, edges: np.ndarray | list[float], names: list[str]) -> pd.Series:
    """Return the name of the band, lower edge included, in which each value lies; "unknown" where it is NaN."""
    # Unlike pd.cut it takes equal terciles.
    named = pd.Categorical.from_codes(np.digitize(values, edges), names).add_categories("unknown")
    return pd.Series(named, values.index).where(values.notna(), "unknown")


def subgroups(test: pd.DataFrame, terciles: np.ndarray, evaluate: Evaluate) -> pd.DataFrame:
    """Return the ROC AUC against normal of groups of the test records, with interval and counts, or a reason.

    Noise is cut at `terciles` (uV). In each grouping the counts add up to all ischemic and normal test records.
    """
    test = test[test.label.isin(["ischemia", "normal"])]
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
            positive, score, patient = select_comparison(members, "roc_auc")
            row = {"grouping": grouping, "group": group, "n_ischemia": positive.sum(), "n_normal": (~positive).sum()}
            patients = {"ischemia": set(patient[positive]), "normal": set(patient[~positive])}
            if few := [name for name, ids in patients.items() if len(ids) < MIN_EACH]:
                row["reason"] = f"fewer than {MIN_EACH} patients with {' and '.join(few)}"
            else:
                row["roc_auc"], row["low"], row["high"] = auc_with_interval(positive, [score], patient, evaluate)
            rows.append(row)
    columns = ["grouping", "group", "n_ischemia", "n_normal", "roc_auc", "low", "high", "reason"]
    return pd.DataFrame(rows).reindex(columns=columns)


def measures(test: pd.DataFrame, threshold: float, evaluate: Evaluate) -> pd.DataFrame:
    """Return every AUC, rate and calibration number of the test records, one per row."""
    positive, unlike = (test.label == "ischemia").to_numpy(), (test.distance > 1).to_numpy(np.float64)

    def share_unlike(weights: np.ndarray) -> np.ndarray:
        return (weights @ unlike / weights.sum(axis=1))[:, None]

    rows = [{"measure": comparison} | auc_row([test], comparison, evaluate) for comparison in COMPARISONS]
    rows += operating_rows(test, threshold, evaluate)
    rows += calibration_rows(positive, test.p_ischemia.to_numpy())
    ((low, high),) = bootstrap_intervals(share_unlike, np.zeros(len(test)), test.patient.to_numpy(), evaluate)
    rows.append({"measure": "unlike_training", "value": unlike.mean(), "low": low, "high": high})
    counts = {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
    columns = ["measure", "value", "low", "high", *counts, "reason"]
    return pd.DataFrame([counts | row for row in rows]).reindex(columns=columns)


def headline(scores: pd.DataFrame, threshold: float) -> dict:
    """Return from the rows of evaluate.csv the numbers by which runs are compared; None where one has no value."""
    table = scores.set_index("measure").astype(object)
    table = table.where(table.notna(), None)
    numbers = {"roc_auc": table.value.roc_auc, "roc_auc_low": table.low.roc_auc, "roc_auc_high": table.high.roc_auc}
    return numbers | {name: table.value[name] for name in (*COMPARISONS, *RATES)} | {"threshold": threshold}


def curves(test: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return by comparison the points of the ROC and of the precision-recall curve, from nobody called to all called.

    A comparison that lacks a class has no points. Points on a straight line between others are left out, and those
    where only precision falls; of more than `POINTS`, evenly spaced ones remain, with both ends.
    """
    roc, precision_recall = {}, {}
    for comparison in COMPARISONS:
        positive, score, _ = select_comparison(test, comparison)
        fpr = tpr = above = recall = precision = threshold = np.array([])
        if 0 < positive.sum() < len(positive):
            fpr, tpr, above = roc_curve(positive, score)
            precision, recall, threshold = precision_recall_curve(positive, score, drop_intermediate=True)
            threshold = np.append(threshold, 1)
        # The first threshold is infinite: nobody is called.
        roc[comparison] = pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": above.clip(max=1)})
        points = pd.DataFrame({"recall": recall, "precision": precision, "threshold": threshold})
        precision_recall[comparison] = points[::-1]
        for lines in (roc, precision_recall):
            n = len(lines[comparison])
            lines[comparison] = lines[comparison].iloc[np.linspace(0, n - 1, min(n, POINTS)).astype(int)]
    return roc, precision_recall


def confusion(test: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return for each label how many test records are called ischemic, and how many are not."""
    called = (test.p_ischemia >= threshold).groupby(test.label).agg(["sum", "size"])
    return pd.DataFrame({"called": called["sum"], "not_called": called["size"] - called["sum"]}).reset_index()


def net_benefit(positive: np.ndarray, p: np.ndarray) -> pd.DataFrame:
    """Return the net benefit of the model, of calling all and of calling none, at each of `THRESHOLDS`.

    True positives per record, less false positives weighted by the odds of the threshold (Vickers & Elkin 2006).
    """

    def benefit(called: np.ndarray) -> np.ndarray:
        return (called & positive).mean(axis=1) - (called & ~positive).mean(axis=1) * THRESHOLDS / (1 - THRESHOLDS)

    called = p >= THRESHOLDS[:, None]
    everyone = benefit(np.ones_like(called))
    return pd.DataFrame({"threshold": THRESHOLDS, "model": benefit(called), "all": everyone, "none": 0.0})


def distribution(test: pd.DataFrame) -> pd.DataFrame:
    """Return how many test records of each label have p(ischemia) in each of `BINS`."""
    bins = {"bin_low": BINS[:-1], "bin_high": BINS[1:]}
    groups = test.groupby("label").p_ischemia
    return pd.concat([pd.DataFrame({"label": name} | bins | {"n": np.histogram(p, BINS)[0]}) for name, p in groups])
