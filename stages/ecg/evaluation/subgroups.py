"""The ROC AUC against normal of groups of patients."""

import numpy as np
import pandas as pd

from ecg.evaluation.bootstrap import auc_with_interval
from ecg.evaluation.questions import select_question
from ecg.params import Evaluate

# A subgroup with fewer ischemic or fewer normal patients has no AUC worth a number.
MIN_EACH = 5


def subgroups(test: pd.DataFrame, terciles: np.ndarray, evaluate: Evaluate) -> pd.DataFrame:
    """Return the ROC AUC against normal, with interval and counts, of groups of the test records, or a reason for none.

    Noise is cut at `terciles` (uV). In each grouping the counts add up to all ischemic and normal test records.
    """
    test = test[test.label.isin(["ischemia", "normal"])]
    low, high = (f"{value:.1f}" for value in terciles)
    groupings = {
        "all": pd.Series("test", test.index),
        "source": test.source,
        "sex": test.sex.where(test.sex != "", "unknown"),
        "age": bands(test.age, [50, 65, 80], ["< 50", "50 – 64", "65 – 79", "≥ 80"]),
        "heart rate": bands(test.heart_rate, [60, 100], ["< 60 /min", "60 – 99 /min", "≥ 100 /min"]),
        "noise": bands(test.noise_uv, terciles, [f"< {low} uV", f"{low} – {high} uV", f"≥ {high} uV"]),
    }
    rows = []
    for grouping, membership in groupings.items():
        for group, members in test.groupby(membership, observed=True):
            positive, score, patient = select_question(members, "roc_auc")
            row = {"grouping": grouping, "group": group, "n_ischemia": positive.sum(), "n_normal": (~positive).sum()}
            patients = {"ischemia": patient[positive], "normal": patient[~positive]}
            few = [f"{name} (none)" for name, ids in patients.items() if not len(ids)]
            few = few or [name for name, ids in patients.items() if len(set(ids)) < MIN_EACH]
            if few:
                row["reason"] = f"fewer than {MIN_EACH} patients with {' and '.join(few)}"
            else:
                row["roc_auc"], row["low"], row["high"] = auc_with_interval(positive, [score], patient, evaluate)
            rows.append(row)
    columns = ["grouping", "group", "n_ischemia", "n_normal", "roc_auc", "low", "high", "reason"]
    return pd.DataFrame(rows).reindex(columns=columns)


def bands(values: pd.Series, edges: np.ndarray | list[float], names: list[str]) -> pd.Series:
    """Return the name of the band, lower edge included, that each value lies in; "unknown" where it is NaN."""
    named = pd.Categorical.from_codes(np.digitize(values, edges), names).add_categories("unknown")
    return pd.Series(named, values.index).where(values.notna(), "unknown")
