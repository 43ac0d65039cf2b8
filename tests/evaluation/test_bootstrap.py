"""Intervals over patients, paired gains, and several test sets and seeds together."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ecg.evaluation.bootstrap import auc_row, auc_with_interval, compare_aucs, pool, resample_patients, summarise_runs
from ecg.evaluation.names import SIMPLE_MODELS, auc_text, gain_text
from ecg.params import Evaluate


def test_resamples_draw_whole_patients_and_keep_the_strata():
    patient = np.array(["a", "a", "b", "c", "c", "d"])
    positive = np.array([True, False, True, False, False, False])
    drawn = resample_patients(positive, patient, np.random.default_rng(0), 200)
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 3] == drawn[:, 4]).all()
    assert (drawn[:, 0] + drawn[:, 2] == 2).all() and (drawn[:, 3] + drawn[:, 5] == 2).all()
    assert set(drawn[:, 0]) == {0, 1, 2}


def test_interval_covers_the_truth_as_often_as_it_says():
    # Two normal scores one standard deviation apart: AUC = Phi(1 / sqrt 2) = 0.7602.
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(100):
        positive = np.arange(120) < 40
        score = rng.normal(positive.astype(float), 1)
        _, low, high = auc_with_interval(positive, [score], np.arange(120), Evaluate(bootstrap=200, seed=trial))
        hits += low <= 0.76025 <= high
    assert 0.88 <= hits / 100 <= 0.99


def test_the_gain_is_paired_and_over_patients():
    # 30 ischemic and 50 other patients of two recordings each; the second score is the first one with noise.
    rng = np.random.default_rng(3)
    positive, patient = np.repeat(np.arange(80) < 30, 2), np.repeat(np.arange(80), 2)
    score = np.repeat(rng.normal(np.arange(80) < 30, 1), 2)
    other = score + rng.normal(0, 0.7, 160)

    def scored(p):
        # Of p(ischemia) / (p(ischemia) + p(normal)), the logistic function keeps the order.
        p = 1 / (1 + np.exp(-p))
        labels = np.where(positive, "ischemia", "normal")
        return pd.DataFrame({"label": labels, "patient": patient, "p_ischemia": p, "p_normal": 1 - p})

    def gain(model, bootstrap):
        evaluate = Evaluate(bootstrap=bootstrap, seed=0)
        (row,) = compare_aucs([scored(score)], {"model": scored(model)}, "roc_auc", evaluate).to_dict("records")
        return row["gain"], row["gain_low"], row["gain_high"]

    found = gain(other, 1000)
    assert found[0] == pytest.approx(roc_auc_score(positive, score) - roc_auc_score(positive, other), abs=1e-9)
    gains = []
    for _ in range(400):
        people = np.concatenate([rng.choice(30, 30), 30 + rng.choice(50, 50)])
        rows = np.concatenate([2 * people, 2 * people + 1])
        aucs = [roc_auc_score(positive[rows], values[rows]) for values in (score, other)]
        gains.append(aucs[0] - aucs[1])
    np.testing.assert_allclose(found[1:], np.percentile(gains, [2.5, 97.5]), atol=0.012)
    # Apart, the two scores have wider intervals than their difference.
    _, low, high = auc_with_interval(positive, [score], patient, Evaluate(bootstrap=1000, seed=0))
    assert high - low > 1.3 * (found[2] - found[1])
    assert gain(score, 100) == (0, 0, 0)


@pytest.mark.parametrize(("n_ischemia", "n_normal", "few"), [(9, 40, True), (40, 9, True), (10, 10, False)])
def test_below_ten_of_either_class_counts_stand_where_a_headline_would(n_ischemia, n_normal, few):
    label = np.repeat(["ischemia", "normal"], [n_ischemia, n_normal])
    p = np.random.default_rng(0).uniform(size=len(label))
    table = pd.DataFrame({"label": label, "patient": np.arange(len(p)), "p_ischemia": p, "p_normal": 1 - p})
    evaluate, counts = Evaluate(bootstrap=100, seed=1), f"{n_ischemia} ischemic, {n_normal}"
    reason = f"too few: {counts} normal; at least 10"
    row = {"measure": "roc_auc", "reason": np.nan} | auc_row([table], "roc_auc", evaluate)
    trees = {"trees": table.assign(p_ischemia=p**2)}
    (compared,) = compare_aucs([table], trees, "roc_auc", evaluate).to_dict("records")
    assert ("low" in row, np.isnan(compared["gain_low"])) == (not few, few)
    said = auc_text({"low": np.nan} | row)
    assert said == f"ROC AUC against normal: {reason}" if few else said.endswith(f"), {counts} not ischemic")
    assert gain_text(compared).endswith(f"no gain shown, {reason}") == few


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
    runs, models = [pool([run[40:], run[:40]]) for run in map(scored, (1, 2, 3))], simple()
    assert runs[0].equals(scored(1))
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
