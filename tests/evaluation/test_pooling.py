"""Predictions of several test sets and seeds, taken together; rates and counts in few numbers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ecg.evaluation.bootstrap import pool, summarise_runs
from ecg.evaluation.names import SIMPLE_MODELS
from ecg.model.comparisons import counts_and_aucs, rates, reference_numbers
from ecg.params import Evaluate

EVALUATE = Evaluate(bootstrap=100, seed=1)
LABELS = np.repeat(["ischemia", "normal", "other"], [20, 30, 25])


def scored(seed, labels=LABELS, threshold=0.5):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(np.where(labels == "ischemia", 1, -1))))
    table = pd.DataFrame({"record": [f"r{i:03d}" for i in range(len(labels))], "label": labels, "p_ischemia": p})
    table = table.assign(patient=table.record, p_normal=(1 - p) * rng.random(len(p)), called=p >= threshold)
    return table.assign(p_other=1 - table.p_ischemia - table.p_normal)


def simple(labels=LABELS):
    return pd.concat([scored(10 + i, labels).assign(model=name) for i, name in enumerate(SIMPLE_MODELS)])


def test_runs_are_summarised_seed_by_seed_and_together():
    runs, models = [scored(1), scored(2), scored(3)], simple()
    numbers, compared, rows = summarise_runs(runs, models, EVALUATE)
    positive = LABELS == "ischemia"
    aucs = [roc_auc_score(positive, run.p_ischemia) for run in runs]
    assert numbers["roc_auc_vs_rest"] == pytest.approx(np.mean(aucs))
    assert numbers["roc_auc_vs_rest_low"] < np.mean(aucs) < numbers["roc_auc_vs_rest_high"]
    assert numbers["roc_auc_vs_rest_std"] == pytest.approx(np.std(aucs, ddof=1))
    # Each seed calls by its own threshold: rates and error are those of all decisions.
    assert numbers["sensitivity"] == pytest.approx(np.mean([run.called[positive].mean() for run in runs]))
    assert numbers["specificity_other"] == pytest.approx(1 - np.mean([run.called[50:].mean() for run in runs]))
    assert numbers["brier"] == pytest.approx(np.mean([(run.p_ischemia - positive) ** 2 for run in runs]))
    assert [numbers[f"n_{label}"] for label in ("ischemia", "normal", "other")] == [20, 30, 25]
    of_simple = {name: roc_auc_score(positive, part.p_ischemia) for name, part in models.groupby("model")}
    assert numbers["simple_roc_auc_vs_rest"] == pytest.approx(max(of_simple.values()))
    assert numbers["gain_vs_rest"] == pytest.approx(np.mean(aucs) - max(of_simple.values()))
    assert compared.model.tolist() == [name for name in SIMPLE_MODELS for _ in range(3)]
    table = rows.set_index("test").roc_auc_vs_rest
    assert table["pooled"].tolist() == pytest.approx(aucs)
    assert table["pooled, mean"] == pytest.approx(np.mean(aucs))
    assert {name: table[f"pooled, {name}"] for name in SIMPLE_MODELS} == pytest.approx(of_simple)


def test_runs_without_other_recordings_answer_two_questions():
    labels = LABELS[:50]
    numbers, compared, _ = summarise_runs([scored(1, labels), scored(2, labels)], simple(labels), EVALUATE)
    assert numbers["roc_auc_vs_other"] is None
    assert numbers["specificity_other"] is None
    assert "gain_vs_other" not in numbers
    assert set(compared.comparison) == {"roc_auc", "roc_auc_vs_rest"}


def test_pooled_test_sets_come_in_the_order_of_the_records():
    table = scored(1)
    assert pool([table[40:], table[:40]]).equals(table)


def test_rates_by_hand_and_none_without_records():
    labels = np.array(["ischemia", "ischemia", "normal", "normal", "normal", "normal", "other"])
    called = np.array([True, False, True, False, False, False, True])
    expected = {"sensitivity": 0.5, "specificity": 0.6, "specificity_normal": 0.75, "specificity_other": 0}
    assert rates(called, labels) == pytest.approx(expected)
    some = rates(called[2:6], labels[2:6])
    assert some == {"sensitivity": None, "specificity": 0.75, "specificity_normal": 0.75, "specificity_other": None}
    assert rates(called[:2], labels[:2]) == {
        **{"sensitivity": 0.5, "specificity": None, "specificity_normal": None, "specificity_other": None}
    }


def test_a_reference_leaves_out_what_it_has_no_records_for():
    table = scored(1)
    table = table[table.label != "normal"]
    assert counts_and_aucs(table)["roc_auc"] is None
    numbers = reference_numbers(table, 0.5)
    assert not {"roc_auc", "specificity_normal"} & set(numbers)
    assert numbers["n_normal"] == 0
    assert numbers["roc_auc_vs_rest"] == numbers["roc_auc_vs_other"]
    assert numbers["sensitivity"] == pytest.approx(table.called[table.label == "ischemia"].mean())
    assert None not in numbers.values()
