"""The three questions: which classes ischemia is told from, and the score that answers."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS = {"roc_auc": ("normal",), "roc_auc_vs_rest": ("normal", "other"), "roc_auc_vs_other": ("other",)}


def ischemia_score(probabilities: dict[str, np.ndarray], question: str) -> np.ndarray:
    """Return the score of ischemia that answers a question, from one probability a class.

    Against normal it is p(ischemia) / (p(ischemia) + p(normal)), so that the third class does not matter; against all
    others and against other it is p(ischemia).
    """
    ischemia = probabilities["ischemia"].astype(np.float64)
    return ischemia / (ischemia + probabilities["normal"]) if question == "roc_auc" else ischemia


def scored_table(rows: "pd.DataFrame", classes: list[str], probabilities: np.ndarray) -> "pd.DataFrame":
    """Return the rows with a probability column p_CLASS for each class, from records x classes."""
    return rows.assign(**{f"p_{name}": column for name, column in zip(classes, probabilities.T, strict=True)})


def select_question(table: "pd.DataFrame", question: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether ischemic, score and patient of the records of predictions.csv that a question is about.

    Of two classes all others are normal: "against all others" would be "against normal" again, so it is about none.
    """
    others = QUESTIONS[question]
    if not all(f"p_{name}" in table or (table.label == name).any() for name in others):
        others = ()
    chosen = table[table.label.isin(["ischemia", *others])]
    by_class = {column[2:]: chosen[column].to_numpy() for column in chosen if column.startswith("p_")}
    return (chosen.label == "ischemia").to_numpy(), ischemia_score(by_class, question), chosen.patient.to_numpy()
