"""All numbers of scored test records: AUCs, also of groups of patients, rates at the threshold, calibration."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ecg.evaluation.bootstrap import auc_row, auc_with_interval, bootstrap_intervals
from ecg.model.comparisons import COMPARISONS, select_comparison
from ecg.params import Evaluate

# Most recordings have a low probability. Bins of equal width would hold nearly all of them in one.
EDGES = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
PREVALENCES = (0.02, 0.10)
RATES = ("sensitivity", "specificity", "specificity_normal", "specificity_other", "brier")
# A subgroup with fewer ischemic or fewer normal patients has no AUC worth a number.
MIN_EACH = 5


def calibration_line(positive: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return calibration slope and intercept, ideally 1 and 0 (Cox 1958; Van Calster et al. 2019).

    The slope is that of a logistic regression on the log odds, the intercept that of one whose slope is held at 1. NaN
    where positives and negatives do not overlap: no line fits.
    """
    from scipy.optimize import brentq, minimize

    odds = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    intercept = brentq(lambda shift: (expit(odds + shift) - positive).sum(), -100, 100)
    if odds[positive].min() >= odds[~positive].max() or odds[positive].max() <= odds[~positive].min():
        return float("nan"), float(intercept)

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean cross-entropy of a slope and an intercept, and its gradient."""
        log_odds = line[0] * odds + line[1]
        error = expit(log_odds) - positive
        return (np.logaddexp(0, log_odds) - positive * log_odds).mean(), np.array([(error * odds).mean(), error.mean()])

    return float(minimize(loss, (1, intercept), jac=True, options={"gtol": 1e-9}).x[0]), float(intercept)


def reliability(positive: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Return bin_low, bin_high, n, mean probability and share of positives (observed) of each bin that holds a record.

    low and high are the 95% interval of the share (Wilson 1927).
    """
    from scipy.stats import binomtest

    number = np.digitize(probability, EDGES[1:-1])
    groups = pd.DataFrame({"bin": number, "positive": positive, "probability": probability}).groupby("bin")
    table = groups.agg(n=("positive", "size"), probability=("probability", "mean"), observed=("positive", "mean"))
    tests = [binomtest(k, n) for k, n in zip(groups.positive.sum(), table.n, strict=True)]
    table[["low", "high"]] = [test.proportion_ci(method="wilson") for test in tests]
    table.insert(0, "bin_low", EDGES[table.index])
    table.insert(1, "bin_high", EDGES[table.index + 1])
    return table.reset_index(drop=True)


def calibration_rows(positive: np.ndarray, score: np.ndarray) -> list[dict]:
    """Return calibration slope, intercept and expected calibration error of the probability of being positive.

    The error is the mean distance of probability and share over the bins (Guo et al. 2017).
    """
    both = 0 < positive.sum() < len(positive)
    slope, intercept = calibration_line(positive, score) if both else (np.nan, np.nan)
    bins = reliability(positive, score)
    error = float(((bins.probability - bins.observed).abs() * bins.n).sum() / bins.n.sum())
    values = {"calibration_slope": slope, "calibration_intercept": intercept, "expected_calibration_error": error}
    n = {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
    rows: list[dict] = [{"measure": measure, "value": value} | n for measure, value in values.items()]
    reason = "the scores of the two classes do not overlap" if both else "no such recording"
    return [row | {"reason": reason} if np.isnan(row["value"]) else row for row in rows]


def predictive_values(
    sensitivity: np.ndarray, specificity: np.ndarray, prevalence: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positive and negative predictive values at a prevalence (Bayes); NaN where nobody is called so."""
    with np.errstate(invalid="ignore"):
        true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
        clear, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
        return true / (true + false), clear / (clear + missed)


def operating_rows(test: pd.DataFrame, threshold: float, evaluate: Evaluate) -> list[dict]:
    """Return the rates at the threshold of p(ischemia), of ischemia against all other records, and the Brier score.

    Beside them the specificity against normal and against other alone. All with 95% intervals over patients.
    """
    positive, p = (test.label == "ischemia").to_numpy(), test.p_ischemia.to_numpy()
    called = p >= threshold
    groups = [positive, ~positive, *((test.label == name).to_numpy() for name in ("normal", "other"))]
    columns = np.array([*groups, *(group & called for group in groups)]).T.astype(np.float64)
    error = (p - positive) ** 2

    def measures(weights):
        n, hit = np.split((weights @ columns).T, 2)
        with np.errstate(invalid="ignore"):
            shares = hit / n
        values = [shares[0], *(1 - shares[1:]), (hit[0] + hit[1]) / weights.sum(axis=1)]
        for prevalence in (n[0] / (n[0] + n[1]), *PREVALENCES):
            values += predictive_values(shares[0], 1 - shares[1], prevalence)
        return np.stack([*values, weights @ error / weights.sum(axis=1)], axis=1)

    names = ["sensitivity", "specificity", "specificity_normal", "specificity_other", "called", "ppv", "npv"]
    names += [f"{name}_at_{100 * prevalence:.0f}" for prevalence in PREVALENCES for name in ("ppv", "npv")]
    values = measures(np.ones((1, len(p))))[0]
    intervals = bootstrap_intervals(measures, positive, test.patient.to_numpy(), evaluate)
    others = dict.fromkeys(names, ~positive) | {"specificity_normal": groups[2], "specificity_other": groups[3]}
    rows = [
        {"measure": name, "value": value, "low": low, "high": high, "n_ischemia": positive.sum()}
        | {"n_others": others.get(name, ~positive).sum()}
        for name, value, (low, high) in zip([*names, "brier"], values, intervals, strict=True)
    ]
    for row in rows:
        if np.isnan(row["value"]):
            nobody = not row["n_others"] or not row["n_ischemia"]
            reason = "no such recording" if nobody else "all recordings lie on one side of the threshold"
            row |= {"low": np.nan, "high": np.nan, "reason": reason}
    return rows


def subgroups(test: pd.DataFrame, terciles: np.ndarray, evaluate: Evaluate) -> pd.DataFrame:
    """Return the ROC AUC against normal, with interval and counts, of groups of the test records, or a reason for none.

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
            patients = {"ischemia": patient[positive], "normal": patient[~positive]}
            few = [f"{name} (none)" for name, ids in patients.items() if not len(ids)]
            few = few or [name for name, ids in patients.items() if len(set(ids)) < MIN_EACH]
            if few:
                row["reason"] = f"fewer than {MIN_EACH} patients with {' and '.join(few)}"
            else:
                row["roc_auc"], row["low"], row["high"] = auc_with_interval(positive, [score], patient, evaluate)
            rows.append(row)
    columns = ["grouping", "group", "n_ischemia", "n_normal", "roc_auc", "low", "high", "reason"]
    return pd.DataFrame(rows).reindex(columns=columns)


def bands(values: pd.Series, edges: np.ndarray | list[float], names: list[str]) -> pd.Series:
    """Return the name of the band, lower edge included, that each value lies in; "unknown" where it is NaN."""
    named = pd.Categorical.from_codes(np.digitize(values, edges), names).add_categories("unknown")
    return pd.Series(named, values.index).where(values.notna(), "unknown")


def measures(test: pd.DataFrame, threshold: float, evaluate: Evaluate) -> pd.DataFrame:
    """Return every AUC, rate and calibration number of the test records, a row each."""
    positive, unlike = (test.label == "ischemia").to_numpy(), (test.distance > 1).to_numpy(np.float64)

    def share_unlike(weights):
        return (weights @ unlike / weights.sum(axis=1))[:, None]

    rows = [{"measure": comparison} | auc_row(test, comparison, evaluate) for comparison in COMPARISONS]
    rows += operating_rows(test, threshold, evaluate)
    rows += calibration_rows(positive, test.p_ischemia.to_numpy())
    ((low, high),) = bootstrap_intervals(share_unlike, np.zeros(len(test)), test.patient.to_numpy(), evaluate)
    n = {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
    rows.append({"measure": "unlike_training", "value": unlike.mean(), "low": low, "high": high} | n)
    return pd.DataFrame(rows).reindex(columns=["measure", "value", "low", "high", "n_ischemia", "n_others", "reason"])


def headline(scores: pd.DataFrame, threshold: float) -> dict:
    """Return the numbers that runs are compared by from those of evaluate.csv; None where there is no answer."""
    measured = scores.set_index("measure").astype(object)
    measured = measured.where(measured.notna(), None)
    numbers = {"roc_auc": measured.value.roc_auc, "roc_auc_low": measured.low.roc_auc}
    numbers |= {"roc_auc_high": measured.high.roc_auc}
    return numbers | {name: measured.value[name] for name in (*COMPARISONS, *RATES)} | {"threshold": threshold}
