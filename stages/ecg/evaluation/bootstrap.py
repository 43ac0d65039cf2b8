"""Intervals by drawing patients anew, all recordings of a patient at once."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.evaluation.roc import roc_auc
from ecg.params import Evaluate


def resample_patients(strata: np.ndarray, patient: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n x records multiplicities: the patients of each stratum drawn with replacement.

    A patient is of the highest stratum (number or truth value) among the records: ischemic when one of them is.
    """
    names, code = np.unique(patient, return_inverse=True)
    stratum = np.zeros(len(names), dtype=int)
    np.maximum.at(stratum, code, strata.astype(int))
    drawn = np.zeros((n, len(names)), dtype=np.float32)
    for number in np.unique(stratum):
        members = np.flatnonzero(stratum == number)
        drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n)
    return drawn[:, code]


def bootstrap_intervals(
    statistic: Callable[[np.ndarray], np.ndarray], strata: np.ndarray, patient: np.ndarray, evaluate: Evaluate
) -> np.ndarray:
    """Return the 95% intervals (k x 2) of k numbers: percentiles over resamples of patients (Efron & Tibshirani 1993).

    `statistic` takes multiplicities (resamples x records) and returns resamples x k; NaN where one has no answer.
    """
    rng = np.random.default_rng(evaluate.seed)
    block = max(1, 4_000_000 // len(strata))
    sizes = [min(block, evaluate.bootstrap - start) for start in range(0, evaluate.bootstrap, block)]
    values = np.concatenate([statistic(resample_patients(strata, patient, rng, size)) for size in sizes])
    with warnings.catch_warnings():
        # That no resample has an answer: the interval is NaN then.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanpercentile(values, [2.5, 97.5], axis=0).T


def auc_interval(
    positive: np.ndarray, score: np.ndarray, patient: np.ndarray, evaluate: Evaluate
) -> tuple[float, float]:
    """Return the 95% interval of the ROC AUC over patients."""

    def statistic(weights):
        return roc_auc(positive, score, weights)[:, None]

    low, high = bootstrap_intervals(statistic, positive, patient, evaluate)[0]
    return float(low), float(high)


def question_rows(test: pd.DataFrame, evaluate: Evaluate) -> list[dict]:
    """Return the ROC AUC of each question, with interval and counts."""
    rows = []
    for question in QUESTIONS:
        positive, score, patient = select_question(test, question)
        row = {"measure": question, "n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        low, high = auc_interval(positive, score, patient, evaluate)
        rows.append(row | {"value": float(roc_auc(positive, score)[0]), "low": low, "high": high})
    return rows
