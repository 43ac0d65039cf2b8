"""Predictions of several test sets and seeds, taken together."""

import pandas as pd

from ecg.evaluation.bootstrap import auc_with_interval, compare_aucs, too_few
from ecg.evaluation.names import SIMPLE_MODELS, gains, strongest_simple
from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.evaluation.reference import counts_and_aucs, rates
from ecg.params import Evaluate


def pool(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of several test sets as one table, in the order of the records."""
    return pd.concat(tables).sort_values("record", ignore_index=True)


def mean_aucs(tables: list[pd.DataFrame], evaluate: Evaluate) -> dict:
    """Return the ROC AUC of each question, mean of the tables, and its 95% interval over patients if they are not few.

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
            values = auc_with_interval(positive, scores, patient, evaluate)
            numbers |= zip(keys, (*values[:1], None, None) if too_few(positive, question) else values, strict=True)
    return numbers


def compare_simple(tables: list[pd.DataFrame], simple: pd.DataFrame, evaluate: Evaluate) -> pd.DataFrame:
    """Return, as in metrics/audit.csv, how each simple model answers each question, and how the model compares.

    `tables` as in `mean_aucs`; `simple` holds the same records for each `model`.
    """
    models = {name: pool([simple[simple.model == name]]) for name in SIMPLE_MODELS}
    compared = [compare_aucs(tables, models, question, evaluate) for question in QUESTIONS]
    answered = [rows for rows in compared if "roc_auc" in rows[0]]
    # Model by model, as in metrics/audit.csv.
    return pd.DataFrame([row for rows in zip(*answered, strict=True) for row in rows])


def summarise_runs(
    pooled: list[pd.DataFrame], simple: pd.DataFrame, evaluate: Evaluate
) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Return the numbers of pooled predictions (a table a seed, column `called`), the comparison with the simple models
    as `compare_simple`, and rows for a table: each seed, mean and standard deviation, and the simple models.
    """
    totals = pd.DataFrame({"test": "pooled", "seed": n} | counts_and_aucs(test) for n, test in enumerate(pooled, 1))
    questions = totals[list(QUESTIONS)].astype(float)
    spread = [{"test": f"pooled, {name}"} | questions.agg(name).to_dict() for name in ("mean", "std")]
    everything = pd.concat(pooled)
    error = (everything.p_ischemia - (everything.label == "ischemia")) ** 2
    numbers = mean_aucs(pooled, evaluate) | rates(everything.called.to_numpy(), everything.label.to_numpy())
    numbers |= {"brier": float(error.mean())}
    numbers |= {key: int(totals[key][0]) for key in ("n_ischemia", "n_normal", "n_other")}
    compared = compare_simple(pooled, simple, evaluate)
    for row in strongest_simple(compared).to_dict("records"):
        keys = {"": "roc_auc", "_low": "low", "_high": "high"}
        numbers |= {f"simple_{row['question']}{end}": row[key] for end, key in keys.items()}
    numbers |= gains(compared) | {f"{question}_std": value for question, value in questions.std().items()}
    rows = compared.pivot(index="model", columns="question", values="roc_auc").rename("pooled, {}".format)
    return numbers, compared, pd.concat([totals, pd.DataFrame(spread), rows.rename_axis("test").reset_index()])
