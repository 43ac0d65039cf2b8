"""Cross-validation run as a command on a handful of recordings."""

import json
import subprocess
import sys
from collections import Counter

import pandas as pd
import pytest
from conftest import ROOT
from cross_validate import test_sets as sets_of
from projects import environment, outputs

from ecg.evaluation.names import SIMPLE_MODELS
from ecg.params import Split


@pytest.fixture(scope="module")
def results(finished, tmp_path_factory):
    """A folder for what is written."""
    return tmp_path_factory.mktemp("cv")


def cross_validate(folder, *arguments):
    command = [sys.executable, "stages/cross_validate.py", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


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


@pytest.mark.slow
def test_folds_are_pooled_and_summed_up(finished, results):
    before = outputs(finished)
    done = cross_validate(finished, "--out", results / "folds.json")
    assert done.returncode == 0, done.stderr
    assert outputs(finished) == before and not (finished / ".cache").exists()
    numbers = json.loads((results / "folds.json").read_text())
    evaluated = json.loads((finished / "metrics/evaluate.json").read_text())
    assert set(evaluated) - {"roc_auc_vs_rest_val"} < set(numbers)
    split = pd.read_csv(finished / "data/split.csv", dtype=str)
    # Each record that has a beat is once in the test set.
    labels = Counter(split.label[split.split.notna()])
    assert {name: numbers[f"n_{name}"] for name in ("ischemia", "normal", "other")} == labels
    table = pd.read_csv(results / "folds.csv")
    simple = [f"pooled, {model}" for model in sorted(SIMPLE_MODELS)]
    assert list(table.test) == ["fold-1", "fold-2", "fold-3", "pooled", "pooled, mean", "pooled, std", *simple]
    # The fold that params.yaml tests on gives what dvc repro gave.
    same = table[table.test == "fold-3"].iloc[0]
    for name in sorted(set(table) & set(evaluated)):
        assert same[name] == pytest.approx(evaluated[name], abs=6e-5), name
    assert numbers["roc_auc"] == pytest.approx(table.roc_auc[3], abs=1e-6)
    # Each fold is decided at its own threshold.
    folds = table[:3]
    for name, n in (("sensitivity", folds.n_ischemia), ("specificity", folds.n_normal + folds.n_other)):
        assert numbers[name] == pytest.approx((folds[name] * n).sum() / n.sum(), abs=1e-5)


@pytest.mark.slow
def test_sources(finished, results):
    done = cross_validate(finished, "--over", "sources", "--out", results / "sources.json")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(results / "sources.csv")
    sources = set(pd.read_csv(finished / "data/split.csv").source)
    assert set(table.test[: len(sources)]) == sources
    runs = table[: len(sources)].reindex(columns=["n_ischemia", "reason"])
    assert (runs.n_ischemia.notna() ^ runs.reason.notna()).all()


@pytest.mark.slow
def test_seeds(finished, results):
    def seeds(n):
        done = cross_validate(finished, "--over", "seeds", "--seeds", n, "--out", results / "seeds.json")
        assert done.returncode == 0, done.stderr
        return pd.read_csv(results / "seeds.csv")

    one, table = seeds(1), seeds(2)
    assert table.iloc[0].equals(one.iloc[0])
    assert table.threshold[0] != table.threshold[1]
    numbers = json.loads((results / "seeds.json").read_text())
    assert numbers["roc_auc"] == pytest.approx(table.roc_auc[table.test == "pooled"].mean(), abs=1e-6)
    assert numbers["roc_auc_std"] == pytest.approx(table.roc_auc[table.test == "pooled"].std(), abs=1e-6)


def test_usage():
    done = cross_validate(ROOT, "--seeds", "0")
    assert done.returncode == 2
    assert "--seeds takes a whole number from 1" in done.stderr
