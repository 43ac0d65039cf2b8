"""Cross-validation run as a command on a handful of recordings."""

import json
import re
from collections import Counter

import pandas as pd
import pytest
from commands import watch_simple_models
from cross_validate import main
from cross_validate import test_sets as sets_of
from projects import outputs

from ecg.evaluation.names import SIMPLE_MODELS
from ecg.params import Split
from ecg.run.script import UsageError, locked


@pytest.fixture
def cross_validate(finished, tmp_path, monkeypatch):
    """Runs the command in the finished project; returns its numbers and its table."""
    monkeypatch.chdir(finished)
    watch_simple_models(monkeypatch)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["cross_validate.py", *arguments, "--out", str(tmp_path / "found.json")])
        main()
        return json.loads((tmp_path / "found.json").read_text(encoding="utf-8")), pd.read_csv(tmp_path / "found.csv")

    return run


@pytest.mark.parametrize(("folds", "val", "test"), [(10, 9, 10), (3, 2, 3), (5, 1, 4)])
def test_each_fold_is_the_test_set_once_and_val_once(folds, val, test):
    split = Split(folds=folds, val_fold=val, test_fold=test, holdout_source="north", seed=3)
    sets = sets_of("folds", split, ["north", "east"])
    assert list(sets) == [f"fold-{fold}" for fold in range(1, folds + 1)]
    assert [each.test_fold for each in sets.values()] == list(range(1, folds + 1))
    assert sorted(each.val_fold for each in sets.values()) == list(range(1, folds + 1))
    assert all(each.val_fold != each.test_fold and each.holdout_source == "" for each in sets.values())
    held_out = sets_of("sources", split, ["north", "east"])
    assert {name: each.holdout_source for name, each in held_out.items()} == {"north": "north", "east": "east"}
    assert list(sets_of("seeds", split, ["north", "east"]).values()) == [split]


def test_folds_are_pooled_and_summed_up(finished, cross_validate, capsys):
    before = outputs(finished)
    numbers, table = cross_validate()
    assert not re.search(r"<NA>|NaN|pooled, std|\d\.\d{4}", capsys.readouterr().out)
    after = outputs(finished)
    assert {name: after[name] for name in before} == before
    evaluated = json.loads((finished / "metrics/evaluate.json").read_text(encoding="utf-8"))
    assert set(evaluated) - {"roc_auc_vs_rest_val"} < set(numbers)
    split = pd.read_csv(finished / "data/split.csv", dtype=str)
    # Each record that has a beat is once in the test set.
    labels = Counter(split.label[split.split.notna()])
    assert {name: numbers[f"n_{name}"] for name in ("ischemia", "normal", "other")} == labels
    simple = [f"pooled, {model}" for model in sorted(SIMPLE_MODELS)]
    assert list(table.test) == ["fold-1", "fold-2", "fold-3", "pooled", "pooled, mean", "pooled, std", *simple]
    # The test fold of params.yaml gives the numbers of `dvc repro`.
    same = table[table.test == "fold-3"].iloc[0]
    for name in sorted(set(table) & set(evaluated)):
        assert same[name] == pytest.approx(evaluated[name], abs=6e-5), name
    assert numbers["roc_auc"] == pytest.approx(table.roc_auc[3], abs=1e-6)
    # Each fold has its own threshold.
    folds = table[:3]
    for name, n in (("sensitivity", folds.n_ischemia), ("specificity", folds.n_normal + folds.n_other)):
        assert numbers[name] == pytest.approx((folds[name] * n).sum() / n.sum(), abs=1e-5)


def test_sources_and_seeds(finished, cross_validate, monkeypatch):
    def check(dealt, without_test):
        if "synthetic-east" in set(dealt.source[dealt.split == "test"]):
            raise UsageError("too few")

    monkeypatch.setattr("cross_validate.check_classes", check)
    numbers, table = cross_validate("--over", "sources", "--seeds", "2")
    runs = table[: 2 * len(set(pd.read_csv(finished / "data/split.csv").source))]
    assert set(runs.test) == set(pd.read_csv(finished / "data/split.csv").source)
    assert runs.test[runs.reason == "too few"].tolist() == ["synthetic-east"] * 2
    assert (runs.n_ischemia.notna() ^ runs.reason.notna()).all()
    assert runs.threshold.dropna().nunique() == runs.threshold.notna().sum() > 1
    pooled = table.roc_auc[table.test == "pooled"]
    assert numbers["roc_auc"] == pytest.approx(pooled.mean(), abs=1e-6)
    assert numbers["roc_auc_std"] == pytest.approx(pooled.std(), abs=1e-6)


def test_usage_and_lock(cross_validate, capsys):
    with pytest.raises(SystemExit, match="2"):
        cross_validate("--seeds", "0")
    assert "--seeds is 0; allowed: a whole number from 1" in capsys.readouterr().err
    with locked(), pytest.raises(UsageError, match="another run is at work in"):
        cross_validate()
