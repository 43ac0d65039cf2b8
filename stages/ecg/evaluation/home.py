"""How good a model is on given recordings, in few numbers and without intervals: what a model file says of itself."""

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


def home_numbers(scored: pd.DataFrame, threshold: float) -> dict[str, float]:
    """Return counts, ROC AUCs, rates at the threshold and Brier score against normal of scored records."""
    positive, score, _ = select_question(scored, "roc_auc")
    called = score >= threshold
    numbers = counts_and_aucs(scored)
    numbers |= {"sensitivity": float(called[positive].mean()), "specificity": float(1 - called[~positive].mean())}
    numbers |= {"brier": float(((score - positive) ** 2).mean())}
    return {name: value for name, value in numbers.items() if value is not None}
