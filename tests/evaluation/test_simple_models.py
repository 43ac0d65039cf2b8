"""The audit's models: what they are given, how their strength is chosen, and what is said of the network's gain."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from ecg.beats.windows import beat_times
from ecg.evaluation.bootstrap import compare_models
from ecg.evaluation.names import SIMPLE_MODELS, gains, say_gain, strongest_simple
from ecg.evaluation.simple_models import (
    STRENGTHS,
    classify,
    logistic_of_best_strength,
    other_models,
    probe_source,
    simple_models,
    standardised_logistic,
)
from ecg.model.comparisons import roc_auc
from ecg.params import Audit, Evaluate, read_params

EXTRACT = read_params(ROOT / "params.yaml").extract
AUDIT, EVALUATE = Audit(components=5, permutations=2, seed=1), Evaluate(bootstrap=100, seed=1)
ROW = {"comparison": "roc_auc_vs_other", "model": "trees"}


def records(n: int = 240) -> tuple[pd.DataFrame, np.ndarray]:
    """Two recordings a patient, the last third of the patients in test; numbers that tell the label a little."""
    rng = np.random.default_rng(0)
    patients = np.arange(n) // 2
    table = pd.DataFrame({"record": np.arange(n).astype(str), "patient": patients.astype(str), "source": "s"})
    sick = rng.random(n // 2) < 0.4
    table["label"] = np.where(sick, "ischemia", "normal")[patients]
    table["split"] = np.where(patients < n // 3, "train", "test")
    table = table.assign(age=np.nan, sex="", device="", site="", noise_uv=5.0, n_used=9, n_beats=10, heart_rate=70.0)
    return table, rng.normal(0, 1, (n, 30)) + rng.normal(0, 1, (n // 2, 30))[patients] + 0.4 * sick[patients, None]


def test_the_strength_is_chosen_on_train_with_patients_kept_apart():
    table, seen = records()
    train = table[table.split == "train"].reset_index(drop=True)
    search = logistic_of_best_strength(train, AUDIT)
    left = []
    for fitted, left_out in search.cv:
        assert not set(train.patient[fitted]) & set(train.patient[left_out])
        left += left_out.tolist()
        assert train.label[left_out].nunique() == 2
    assert sorted(left) == list(range(len(train)))
    x, y = seen[(table.split == "train").to_numpy()], train.label.to_numpy()
    search.fit(x, y)
    # The same by hand: the likelihood of patients who were left out, the mean over the folds.
    losses = []
    for strength in STRENGTHS:
        each = []
        for fitted, left_out in search.cv:
            model = standardised_logistic(strength).fit(x[fitted], y[fitted])
            p = model.predict_proba(x[left_out])
            each.append(-np.log(p[np.arange(len(p)), np.searchsorted(model.classes_, y[left_out])]).mean())
        losses.append(np.mean(each))
    assert search.best_params_ == {"logisticregression__C": STRENGTHS[int(np.argmin(losses))]}
    again = logistic_of_best_strength(train, AUDIT)
    assert all(
        np.array_equal(a, b)
        for one, two in zip(search.cv, again.cv, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_test_records_change_no_probability():
    table, seen = records(120)
    n = int((table.split == "train").sum())
    train, test = slice(n), slice(n, None)
    # Noise in place of beats, with what tells the label a little in every lead's ST segment.
    times = beat_times(EXTRACT)
    beats = np.random.default_rng(1).normal(0, 0.05, (len(table), 12, len(times))).astype(np.float32)
    beats[:, :, (times > 80) & (times < 300)] += seen.mean(axis=1)[:, None, None].astype(np.float32)
    # Other labels and twice as many test records.
    more = pd.concat([table, table[test].assign(label="normal")], ignore_index=True)
    models = simple_models(beats, table, train, EXTRACT, AUDIT)
    others = simple_models(np.concatenate([beats, beats[test]]), more, train, EXTRACT, AUDIT)
    assert list(models) == list(others) == list(SIMPLE_MODELS)
    labels = table.label[train].to_numpy()
    for name, (features, model) in models.items():
        found = classify(model, features, labels, train, test)["p_ischemia"]
        features, other = others[name]
        wide = classify(other, features, labels, train, test)["p_ischemia"]
        np.testing.assert_array_equal(wide[: len(found)], found)
        np.testing.assert_array_equal(wide[len(found) :], found)
        # Each finds what there is.
        assert roc_auc((table.label[test] == "ischemia").to_numpy(), found)[0] > 0.6
    assert models["logistic"][1].best_params_ == others["logistic"][1].best_params_


@pytest.mark.parametrize(
    ("device", "site", "lack"), [("", "", "no recording has device or site"), ("AT-6", "", ""), ("", "3", "")]
)
def test_the_recorder_is_asked_where_the_data_tell_it(device, site, lack):
    table, _ = records()
    first = table.index // 2 % 2 == 0  # every second patient
    table = table.assign(device=np.where(first, device, ""), site=np.where(first, site, ""))
    features, model, said = other_models(table)["recorder"]
    assert said == lack
    if lack:
        assert features is None
    else:
        n = int((table.split == "train").sum())
        p = classify(model, features, table.label[:n].to_numpy(), slice(n), slice(n, None))["p_ischemia"]
        assert len(np.unique(p)) == 2


def test_what_the_data_lack_is_the_reason():
    table, _ = records()
    lacks = {name: lack for name, (_, _, lack) in other_models(table).items()}
    assert lacks["age_sex"] == "no recording has age or sex"
    assert lacks["source"] == "train or test holds one source only"
    assert lacks["heart_rate"] == lacks["quality"] == ""
    features, _, lack = other_models(table.assign(age=60.0))["age_sex"]
    assert lack == "no recording has sex"
    assert features is not None
    assert not len(probe_source(np.zeros((len(table), 3)), table))


def audit() -> pd.DataFrame:
    """Two simple models and a stronger one that is not simple, two comparisons."""
    rows = [
        *(("model", "roc_auc", 0.95), ("logistic", "roc_auc", 0.9), ("trees", "roc_auc", 0.93)),
        *(("model", "roc_auc_vs_other", 0.8), ("logistic", "roc_auc_vs_other", 0.75)),
        *(("trees", "roc_auc_vs_other", 0.7), ("age_sex", "roc_auc", 0.99), ("trees", "roc_auc_vs_rest", np.nan)),
    ]
    table = pd.DataFrame(rows, columns=["model", "comparison", "roc_auc"])
    table["gain"] = np.where(table.comparison == "roc_auc", 0.95, 0.8) - table.roc_auc
    return table.assign(gain_low=table.gain - 0.03, gain_high=1.0)


def test_the_strongest_simple_model_of_each_question():
    found = strongest_simple(audit())
    assert list(zip(found.comparison, found.model, strict=True)) == [
        ("roc_auc", "trees"),
        ("roc_auc_vs_other", "logistic"),
    ]
    numbers = gains(audit())
    assert numbers["gain"] == pytest.approx(0.02)
    assert numbers["gain_low"] == pytest.approx(-0.01)
    assert numbers["gain_vs_other"] == pytest.approx(0.05)
    assert "gain_vs_rest" not in numbers


@pytest.mark.parametrize(
    ("difference", "low", "high", "said"),
    [
        (0.05, 0.01, 0.09, "+0.050 (+0.010 – +0.090) over extra trees on the beat: a gain"),
        (0.05, -0.01, 0.09, "+0.050 (−0.010 – +0.090) over extra trees on the beat: no gain shown"),
        (-0.02, -0.05, 0.01, "−0.020 (−0.050 – +0.010) over extra trees on the beat: no gain shown"),
        (-0.05, -0.09, -0.01, "−0.050 (−0.090 – −0.010) over extra trees on the beat: a loss"),
        (0.0, 0.0, 0.0, "+0.000 (+0.000 – +0.000) over extra trees on the beat: no gain shown"),
    ],
)
def test_a_gain_is_said_where_the_whole_interval_is_above_nothing(difference, low, high, said):
    row = ROW | {"gain": difference, "gain_low": low, "gain_high": high}
    assert say_gain(row) == f"against other {said}"


def test_the_network_is_set_beside_a_model_on_the_same_records():
    table, seen = records()
    sick = (table.label == "ischemia").to_numpy()
    score = 1 / (1 + np.exp(-seen.mean(axis=1)))
    network = table.assign(p_ischemia=np.where(sick, 0.9, 0.1), p_normal=np.where(sick, 0.1, 0.9))
    model = table.assign(p_ischemia=score, p_normal=1 - score)
    rows = compare_models([network], {"trees": model}, EVALUATE)
    (row,) = [row for row in rows if (row["model"], row["comparison"]) == ("trees", "roc_auc")]
    assert row["gain"] == pytest.approx(1 - row["roc_auc"])
    assert (row["gain_low"], row["gain_high"]) == pytest.approx((1 - row["high"], 1 - row["low"]))
