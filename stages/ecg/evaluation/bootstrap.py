"""Intervals by a bootstrap over patients; gains over simple models; several test sets and seeds together."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from ecg.evaluation.names import SIMPLE_MODELS, strongest_simple
from ecg.model.comparisons import COMPARISONS, FEW, counts_and_aucs, rates, roc_auc, select_comparison
from ecg.params import Evaluate


def stratify_patients(strata: np.ndarray, patient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest stratum among each patient's records, and each record's patient as a number."""
    patients = pd.Series(strata).astype(int).groupby(patient)
    return patients.max().to_numpy(), patients.ngroup().to_numpy()


def resample_patients(strata: np.ndarray, patient: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n x records multiplicities: the patients of each stratum drawn with replacement."""
    stratum, code = stratify_patients(strata, patient)
    drawn = np.zeros((n, len(stratum)), dtype=np.float32)
    for number in np.unique(stratum):
        members = np.flatnonzero(stratum == number)
        drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n)
    return drawn[:, code]


def bootstrap_intervals(
    statistic: Callable[[np.ndarray], np.ndarray], strata: np.ndarray, patient: np.ndarray, evaluate: Evaluate
) -> np.ndarray:
    """Return the 95% intervals (k x 2) of k numbers: percentiles over resamples of patients (Efron & Tibshirani 1993).

    `statistic` takes multiplicities (resamples x records) and returns resamples x k, NaN where undefined.
    """
    rng = np.random.default_rng(evaluate.seed)
    block = max(1, 4_000_000 // len(strata))
    sizes = [min(block, evaluate.bootstrap - start) for start in range(0, evaluate.bootstrap, block)]
    values = np.concatenate([statistic(resample_patients(strata, patient, rng, size)) for size in sizes])
    with warnings.catch_warnings():
        # A number that is undefined in all resamples has the interval NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanpercentile(values, [2.5, 97.5], axis=0).T


def auc_with_interval(
    positive: np.ndarray, scores: list[np.ndarray], patient: np.ndarray, evaluate: Evaluate
) -> tuple[float, float, float]:
    """Return the ROC AUC, mean over `scores` of the same records, and its 95% interval over patients."""

    def mean(weights):
        return np.mean([roc_auc(positive, score, weights) for score in scores], axis=0)[:, None]

    ((low, high),) = bootstrap_intervals(mean, positive, patient, evaluate)
    return float(mean(np.ones((1, len(positive))))[0, 0]), float(low), float(high)


def too_few(positive: np.ndarray, comparison: str) -> str:
    """Return a reason with the counts where recordings are too few for an interval, else an empty text."""
    counts = int(positive.sum()), int((~positive).sum())
    few = f"too few: {counts[0]} ischemic, {counts[1]} {' or '.join(COMPARISONS[comparison])}; at least {FEW}"
    return few if min(counts) < FEW else ""


def compare_aucs(
    tables: list[pd.DataFrame], models: dict[str, pd.DataFrame], comparison: str, evaluate: Evaluate
) -> pd.DataFrame:
    """Return for each simple model the ROC AUC of a comparison, and the gain of the model over it; 95% intervals.

    `tables` are the model's predictions, one table per seed. All tables are of the same records in the same order.
    """
    selected = [select_comparison(table, comparison) for table in tables]
    positive, _, patient = selected[0]
    scores = [select_comparison(table, comparison)[1] for table in models.values()]

    def aucs_and_gains(weights):
        own = np.mean([roc_auc(positive, score, weights) for _, score, _ in selected], axis=0)[:, None]
        aucs = np.stack([roc_auc(positive, score, weights) for score in scores], axis=1)
        return np.concatenate([aucs, own - aucs], axis=1)

    values, intervals = aucs_and_gains(np.ones((1, len(positive)))).T, np.full((2 * len(models), 2), np.nan)
    reason = too_few(positive, comparison)
    if not reason:
        intervals = bootstrap_intervals(aucs_and_gains, positive, patient, evaluate)
    numbers = np.hstack(np.split(np.column_stack([values, intervals]), 2))
    table = pd.DataFrame(numbers, columns=["roc_auc", "low", "high", "gain", "gain_low", "gain_high"])
    counts = {"n_ischemia": positive.sum(), "n_others": (~positive).sum(), "reason": reason}
    return table.assign(model=list(models), comparison=comparison, **counts)


def compare_models(tables: list[pd.DataFrame], models: dict[str, pd.DataFrame], evaluate: Evaluate) -> pd.DataFrame:
    """Return the rows of `compare_aucs` of all comparisons, model by model, as in metrics/audit.csv."""
    compared = [compare_aucs(tables, models, comparison, evaluate) for comparison in COMPARISONS]
    return pd.concat(compared).sort_index(kind="stable").reset_index(drop=True)


def auc_row(tables: list[pd.DataFrame], comparison: str, evaluate: Evaluate) -> dict:
    """Return the ROC AUC of a comparison, mean over the tables of the same records, with interval, counts or reason."""
    selected = [select_comparison(table, comparison) for table in tables]
    positive, _, patient = selected[0]
    row = {"n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
    if positive.all() or not positive.any():
        absent = [name for name in COMPARISONS[comparison] if not (tables[0].label == name).any()]
        return row | {"reason": f"no {' or '.join(absent) if positive.any() else 'ischemic'} recording"}
    value, low, high = auc_with_interval(positive, [score for _, score, _ in selected], patient, evaluate)
    reason = too_few(positive, comparison)
    return row | {"value": value} | ({"reason": reason} if reason else {"low": low, "high": high})


def pool(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of several test sets as one table, in the order of the records."""
    return pd.concat(tables).sort_values("record", ignore_index=True)


def summarise_runs(
    pooled: list[pd.DataFrame], simple: pd.DataFrame, evaluate: Evaluate
) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Summarise pooled predictions (a table per seed, with a column `called`) and those of the simple models.

    Return numbers, comparison as in metrics/audit.csv, and table rows: each seed, mean and SD, the simple models.
    """
    totals = pd.DataFrame({"test": "pooled", "seed": n} | counts_and_aucs(test) for n, test in enumerate(pooled, 1))
    spread = totals[list(COMPARISONS)].astype(float).agg(["mean", "std"])
    models = {name: pool([simple[simple.model == name]]) for name in SIMPLE_MODELS}
    compared = compare_models(pooled, models, evaluate).dropna(subset="roc_auc")
    everything = pd.concat(pooled)
    error = (everything.p_ischemia - (everything.label == "ischemia")) ** 2
    numbers: dict[str, float | None] = {}
    for name in COMPARISONS:
        row = auc_row(pooled, name, evaluate)
        numbers |= {name: row.get("value"), f"{name}_low": row.get("low"), f"{name}_high": row.get("high")}
        numbers[f"{name}_std"] = spread[name]["std"]
    numbers |= rates(everything.called.to_numpy(), everything.label.to_numpy()) | {"brier": float(error.mean())}
    numbers |= {key: int(totals[key][0]) for key in ("n_ischemia", "n_normal", "n_other")}
    for row in strongest_simple(compared).to_dict("records"):
        name, gain = f"simple_{row['comparison']}", row["comparison"].replace("roc_auc", "gain")
        numbers |= {name: row["roc_auc"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        numbers |= {gain: row["gain"], f"{gain}_low": row["gain_low"], f"{gain}_high": row["gain_high"]}
    rows = compared.pivot(index="model", columns="comparison", values="roc_auc")
    named = pd.concat([spread, rows]).rename("pooled, {}".format).rename_axis("test").reset_index()
    return numbers, compared, pd.concat([totals, named])
