"""What happens at the threshold."""

import numpy as np
import pandas as pd

from ecg.evaluation.bootstrap import bootstrap_intervals
from ecg.params import Evaluate

PREVALENCES = (0.02, 0.10)


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


def share_row(measure: str, test: pd.DataFrame, chosen: np.ndarray, evaluate: Evaluate) -> dict:
    """Return the share of the records that is chosen, with its 95% interval over patients."""
    n_ischemia = int((test.label == "ischemia").sum())

    def share(weights):
        return (weights @ chosen.astype(np.float64) / weights.sum(axis=1))[:, None]

    ((low, high),) = bootstrap_intervals(share, np.zeros(len(test)), test.patient.to_numpy(), evaluate)
    row = {"measure": measure, "n_ischemia": n_ischemia, "n_others": len(test) - n_ischemia}
    return row | {"value": chosen.mean(), "low": low, "high": high}
