"""Predictions of several test sets and seeds, taken together."""

import pandas as pd

from ecg.evaluation.bootstrap import auc_with_interval, compare_aucs
from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.params import Evaluate


def mean_aucs(tables: list[pd.DataFrame], evaluate: Evaluate) -> dict:
    """Return the ROC AUC of each question, mean of the tables, with a 95% interval over patients.

    `tables` holds one table of test predictions a seed, the same records in the same order.
    """
    numbers: dict[str, float | None] = {}
    for question in QUESTIONS:
        selected = [select_question(table, question) for table in tables]
        positive, _, patient = selected[0]
        keys = (question, f"{question}_low", f"{question}_high")
        if positive.all():
            numbers |= dict.fromkeys(keys)
        else:
            scores = [score for _, score, _ in selected]
            numbers |= zip(keys, auc_with_interval(positive, scores, patient, evaluate), strict=True)
    return numbers


def compare_simple(tables: list[pd.DataFrame], simple: pd.DataFrame, evaluate: Evaluate) -> pd.DataFrame:
    """Return, as in metrics/audit.csv, how each simple model answers each question, and how the network compares.

    `tables` as in `mean_aucs`; `simple` holds the same records for each `model`.
    """
    groups = simple.groupby("model", sort=False)
    models = {model: scored.sort_values("record", ignore_index=True) for model, scored in groups}
    compared = [compare_aucs(tables, models, question, evaluate) for question in QUESTIONS]
    answered = [rows for rows in compared if "reason" not in rows[0]]
    # Model by model, as in metrics/audit.csv.
    return pd.DataFrame([row for rows in zip(*answered, strict=True) for row in rows])


def mean_rates(tables: list[pd.DataFrame]) -> dict:
    """Return sensitivity and specificity at each run's own threshold (column `called`), and the Brier score.

    All are of ischemia against normal, and means over the tables.
    """
    table = pd.concat(tables)
    called = table.called.groupby(table.label).mean()
    positive, score, _ = select_question(table, "roc_auc")
    rates = {"sensitivity": float(called["ischemia"]), "specificity": float(1 - called["normal"])}
    return rates | {"brier": float(((score - positive) ** 2).mean())}
