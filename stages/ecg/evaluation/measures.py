"""All numbers of scored test records: the questions, the rates, the calibration, and the headline of them."""

import pandas as pd

from ecg.evaluation.bootstrap import auc_row
from ecg.evaluation.calibration import calibration_rows
from ecg.evaluation.questions import QUESTIONS
from ecg.evaluation.rates import operating_rows, share_row
from ecg.params import Evaluate

RATES = ("sensitivity", "specificity", "specificity_normal", "specificity_other", "brier")


def measures(test: pd.DataFrame, threshold: float, evaluate: Evaluate) -> pd.DataFrame:
    """Return every AUC, rate and calibration number of the test records, a row each."""
    rows = [{"measure": question} | auc_row(test, question, evaluate) for question in QUESTIONS]
    rows += operating_rows(test, threshold, evaluate)
    rows += calibration_rows((test.label == "ischemia").to_numpy(), test.p_ischemia.to_numpy())
    rows.append(share_row("unlike_training", test, test.distance.to_numpy() > 1, evaluate))
    return pd.DataFrame(rows).reindex(columns=["measure", "value", "low", "high", "n_ischemia", "n_others", "reason"])


def headline(scores: pd.DataFrame, threshold: float) -> dict:
    """Return the numbers that runs are compared by from those of evaluate.csv; None where there is no answer."""
    measured = scores.set_index("measure").astype(object)
    measured = measured.where(measured.notna(), None)
    numbers = {"roc_auc": measured.value.roc_auc, "roc_auc_low": measured.low.roc_auc}
    numbers |= {"roc_auc_high": measured.high.roc_auc}
    return numbers | {name: measured.value[name] for name in (*QUESTIONS, *RATES)} | {"threshold": threshold}
