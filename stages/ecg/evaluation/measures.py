"""All numbers of scored test records: the questions, the rates, the calibration, and the headline of them."""

import pandas as pd

from ecg.evaluation.bootstrap import auc_row
from ecg.evaluation.calibration import calibration_rows
from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.evaluation.rates import operating_rows, share_row
from ecg.params import Evaluate


def measures(test: pd.DataFrame, threshold: float, evaluate: Evaluate) -> pd.DataFrame:
    """Return every AUC, rate and calibration number of the test records, a row each."""
    positive, score, _ = select_question(test, "roc_auc")
    rows = [{"measure": question} | auc_row(test, question, evaluate) for question in QUESTIONS]
    rows += operating_rows(test, threshold, evaluate) + calibration_rows(positive, score)
    rows.append(share_row("unlike_training", test, test.distance.to_numpy() > 1, evaluate))
    return pd.DataFrame(rows).reindex(columns=["measure", "value", "low", "high", "n_ischemia", "n_others", "reason"])


def headline(scores: pd.DataFrame, labels: pd.Series, threshold: float, auc_val: float) -> dict:
    """Return the numbers of metrics/evaluate.json from those of evaluate.csv and the labels of the test records."""
    measured = scores.set_index("measure").astype(object)
    measured = measured.where(measured.notna(), None)
    numbers = {}
    for question in QUESTIONS:
        numbers[question] = measured.value[question]
        numbers[f"{question}_low"], numbers[f"{question}_high"] = measured.low[question], measured.high[question]
    numbers |= {"roc_auc_val": auc_val, "threshold": threshold}
    numbers |= {name: measured.value[name] for name in ("sensitivity", "specificity")}
    return numbers | {f"n_{label}": int((labels == label).sum()) for label in ("ischemia", "normal", "other")}
