"""The three comparisons: their records and scores, ROC AUC, rates and reference."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ecg.evaluation.bootstrap import auc_row
from ecg.evaluation.measures import curves
from ecg.model.comparisons import COMPARISONS, counts_and_aucs, reference_numbers, roc_auc, select_comparison
from ecg.params import Evaluate

EVALUATE = Evaluate(bootstrap=100, seed=1)


def test_each_comparison_has_its_own_records_and_score():
    table = pd.DataFrame({"label": ["other", "ischemia", "other"], "patient": ["a", "b", "c"]})
    table = table.assign(p_ischemia=[0.1, 0.6, 0.3], p_normal=0.2, p_other=[0.7, 0.2, 0.5])
    positive, score, patient = select_comparison(table, "roc_auc")
    assert (positive.tolist(), patient.tolist()) == ([True], ["b"])  # no normal recording
    assert score == pytest.approx([0.75])
    for comparison in ("roc_auc_vs_rest", "roc_auc_vs_other"):
        positive, score, patient = select_comparison(table, comparison)
        assert (positive.tolist(), score.tolist()) == ([False, True, False], [0.1, 0.6, 0.3])


def test_of_two_classes_one_comparison_has_an_answer():
    table = pd.DataFrame({"label": ["normal", "ischemia", "normal"], "patient": ["a", "b", "c"]})
    two = table.assign(p_ischemia=[0.1, 0.6, 0.3], p_normal=[0.9, 0.4, 0.7])
    rows = {comparison: auc_row([two], comparison, EVALUATE) for comparison in COMPARISONS}
    assert "value" in rows.pop("roc_auc")
    assert all("value" not in row and row["reason"] == "no other recording" for row in rows.values())
    assert [counts_and_aucs(two)[comparison] is None for comparison in COMPARISONS] == [False, True, True]
    assert [len(points) > 0 for points in curves(two)[0].values()] == [True, False, False]
    # A model of three classes ranks by another score, and a model of two may be compared on a third class.
    for asked in (two.assign(p_other=0.1), two.assign(label=["other", "ischemia", "normal"])):
        assert len(select_comparison(asked, "roc_auc_vs_rest")[0]) == 3


def test_roc_auc_equals_scikit_learn_with_ties_and_weights():
    rng = np.random.default_rng(0)
    positive, score = rng.random(300) < 0.3, rng.integers(0, 40, 300) / 40
    weights = rng.integers(0, 4, (5, 300))
    expected = [roc_auc_score(positive, score, sample_weight=w) for w in weights]
    np.testing.assert_allclose(roc_auc(positive, score, weights), expected, rtol=1e-12)
    assert roc_auc(positive, score)[0] == pytest.approx(roc_auc_score(positive, score), rel=1e-12)
    with pytest.raises(ValueError, match="not finite"):
        roc_auc(positive, np.where(positive, np.nan, score))


def test_a_reference_leaves_out_what_it_has_no_records_for():
    table = pd.DataFrame({"label": ["ischemia"] * 4 + ["other"] * 5, "patient": range(9)})
    table = table.assign(p_ischemia=[0.9, 0.7, 0.6, 0.2, 0.8, 0.5, 0.4, 0.1, 0.1], p_normal=0.05, p_other=0.05)
    numbers = reference_numbers(table, 0.5)
    assert not {"roc_auc", "specificity_normal"} & set(numbers)
    assert numbers["n_normal"] == 0
    assert numbers["roc_auc_vs_rest"] == numbers["roc_auc_vs_other"]
    assert (numbers["sensitivity"], numbers["specificity"]) == pytest.approx((0.75, 0.6))
