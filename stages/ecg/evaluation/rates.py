"""What happens at the threshold."""

import numpy as np
import pandas as pd

from ecg.evaluation.bootstrap import bootstrap_intervals
from ecg.evaluation.questions import ischemia_score, select_question
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
    """Return what happens at the threshold, and the Brier score, with intervals; ischemia against normal but for one.

    That one is the share of the abnormal, not ischemic recordings that lie below the threshold.
    """
    positive, score, patient = select_question(test, "roc_auc")
    called = score >= threshold
    columns = np.array([positive & called, positive, ~positive & ~called, ~positive]).T.astype(np.float64)
    error = (score - positive) ** 2

    def measures(weights):
        hit, ischemic, cleared, normal = (weights @ columns).T
        sensitivity, specificity = hit / ischemic, cleared / normal
        values = [sensitivity, specificity]
        for prevalence in (ischemic / (ischemic + normal), *PREVALENCES):
            values += predictive_values(sensitivity, specificity, prevalence)
        return np.stack([*values, weights @ error / weights.sum(axis=1)], axis=1)

    names = ["sensitivity", "specificity", "ppv", "npv"]
    names += [f"{name}_at_{100 * prevalence:.0f}" for prevalence in PREVALENCES for name in ("ppv", "npv")]
    values = measures(np.ones((1, len(score))))[0]
    intervals = bootstrap_intervals(measures, positive, patient, evaluate)
    n = {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
    rows = [
        {"measure": name, "value": value, "low": low, "high": high} | n
        for name, value, (low, high) in zip([*names, "brier"], values, intervals, strict=True)
    ]
    for row in rows:
        if np.isnan(row["value"]):
            row["reason"] = "all recordings lie on one side of the threshold"
    other = test[test.label == "other"]
    by_class = {column[2:]: other[column].to_numpy() for column in other if column.startswith("p_")}
    below = ischemia_score(by_class, "roc_auc") < threshold
    return [*rows, share_row("specificity_other", other, below, evaluate)]


def share_row(measure: str, test: pd.DataFrame, chosen: np.ndarray, evaluate: Evaluate) -> dict:
    """Return the share of the records that is chosen, with its interval over patients; a reason where none are."""
    n_ischemia = int((test.label == "ischemia").sum())
    row = {"measure": measure, "n_ischemia": n_ischemia, "n_others": len(test) - n_ischemia}
    if not len(test):
        return row | {"reason": "no such recording in the test split"}

    def share(weights):
        return (weights @ chosen.astype(np.float64) / weights.sum(axis=1))[:, None]

    ((low, high),) = bootstrap_intervals(share, np.zeros(len(test)), test.patient.to_numpy(), evaluate)
    return row | {"value": chosen.mean(), "low": low, "high": high}
