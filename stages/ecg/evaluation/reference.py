"""How good a model is on given recordings, in few numbers and without intervals: the reference in a model file."""

import numpy as np
import pandas as pd

from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.evaluation.roc import roc_auc


def counts_and_aucs(test: pd.DataFrame) -> dict:
    """Return counts and the ROC AUC of each question; none where it has no records."""
    row: dict = {f"n_{label}": int((test.label == label).sum()) for label in ("ischemia", "normal", "other")}
    for question in QUESTIONS:
        positive, score, _ = select_question(test, question)
        row[question] = float(roc_auc(positive, score)[0]) if 0 < positive.sum() < len(positive) else None
    return row


def rates(called: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Return sensitivity, specificity against everything else, against normal and against other; None without records.

    `called` says which records are called ischemic.
    """
    groups = {
        "sensitivity": labels == "ischemia",
        "specificity": labels != "ischemia",
        "specificity_normal": labels == "normal",
        "specificity_other": labels == "other",
    }
    share = {name: float(called[group].mean()) if group.any() else None for name, group in groups.items()}
    return {name: value if name == "sensitivity" or value is None else 1 - value for name, value in share.items()}


def reference_numbers(scored: pd.DataFrame, threshold: float) -> dict[str, float]:
    """Return counts, ROC AUCs, rates at the threshold and Brier score of p(ischemia) of scored records."""
    p, positive = scored.p_ischemia.to_numpy(), (scored.label == "ischemia").to_numpy()
    numbers = counts_and_aucs(scored) | rates(p >= threshold, scored.label.to_numpy())
    numbers |= {"brier": float(((p - positive) ** 2).mean())}
    return {name: value for name, value in numbers.items() if value is not None}
