"""Predictions of several test sets and seeds, taken together."""

import numpy as np
import pandas as pd

from ecg.evaluation.bootstrap import bootstrap_intervals
from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.evaluation.roc import roc_auc
from ecg.params import Evaluate


def counts_and_aucs(test: pd.DataFrame) -> dict:
    """Return counts and the ROC AUC of each question; none where it has no records."""
    row: dict = {f"n_{label}": int((test.label == label).sum()) for label in ("ischemia", "normal", "other")}
    for question in QUESTIONS:
        positive, score, _ = select_question(test, question)
        row[question] = float(roc_auc(positive, score)[0]) if 0 < positive.sum() < len(positive) else None
    return row


def mean_aucs(tables: list[pd.DataFrame], evaluate: Evaluate) -> dict:
    """Return the ROC AUC of each question, mean of the tables, with a 95% interval over patients.

    `tables` holds one table of test predictions a seed, the same records in the same order.
    """
    numbers: dict[str, float | None] = {}
    for question in QUESTIONS:
        selected = [select_question(table, question) for table in tables]
        positive, _, patient = selected[0]
        if positive.all():
            numbers |= {question: None, f"{question}_low": None, f"{question}_high": None}
            continue

        def mean(weights, positive=positive, scores=tuple(score for _, score, _ in selected)):
            return np.mean([roc_auc(positive, score, weights) for score in scores], axis=0)[:, None]

        numbers[question] = float(mean(np.ones((1, len(positive))))[0, 0])
        ((low, high),) = bootstrap_intervals(mean, positive, patient, evaluate)
        numbers |= {f"{question}_low": float(low), f"{question}_high": float(high)}
    return numbers


def mean_rates(tables: list[pd.DataFrame]) -> dict:
    """Return sensitivity and specificity at each run's own threshold (column `called`), means over the tables."""
    table = pd.concat(tables)
    called = table.called.groupby(table.label).mean()
    return {"sensitivity": float(called["ischemia"]), "specificity": float(1 - called["normal"])}
