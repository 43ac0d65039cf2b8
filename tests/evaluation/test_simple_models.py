"""The audit's simple models: what they see, how their strength is chosen, and the words of the model's gain."""

import numpy as np
import pandas as pd
import pytest
from conftest import DEFAULTS

from ecg.beats.windows import beat_times
from ecg.evaluation import simple_models as simple
from ecg.evaluation.names import SIMPLE_MODELS, gain_text, strongest_simple
from ecg.model.comparisons import roc_auc
from ecg.params import Audit, Evaluate, read_params

AUDIT, EVALUATE = Audit(components=5, permutations=2, seed=1), Evaluate(bootstrap=100, seed=1)
PARAMS = read_params(DEFAULTS).model_copy(update={"audit": AUDIT})


def records(n: int = 240) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Return rows of train and of test, two recordings a patient, and numbers that depend weakly on the label."""
    rng = np.random.default_rng(0)
    patients = np.arange(n) // 2
    table = pd.DataFrame({"record": np.arange(n).astype(str), "patient": patients.astype(str), "source": "s"})
    sick = rng.random(n // 2) < 0.4
    table["label"] = np.where(sick, "ischemia", "normal")[patients]
    table = table.assign(age=np.nan, sex="", device="", site="", noise_uv=5.0, n_used=9, n_beats=10, heart_rate=70.0)
    seen = rng.normal(0, 1, (n, 30)) + rng.normal(0, 1, (n // 2, 30))[patients] + 0.4 * sick[patients, None]
    return table[: 2 * n // 3], table[2 * n // 3 :].reset_index(drop=True), seen


def test_the_strength_is_chosen_on_train_with_patients_kept_apart():
    train, _, seen = records()
    x, y = seen[: len(train)], train.label.to_numpy()
    search = simple.logistic_of_best_strength(train, AUDIT)
    left, losses = [], []
    for fitted, left_out in search.cv:
        assert not set(train.patient[fitted]) & set(train.patient[left_out])
        left += left_out.tolist()
        # By hand: the likelihood of patients who were left out.
        models = [simple.standardised_logistic(strength).fit(x[fitted], y[fitted]) for strength in simple.STRENGTHS]
        found = [model.predict_proba(x[left_out])[:, 0] for model in models]
        losses.append([-np.log(np.where(y[left_out] == "ischemia", p, 1 - p)).mean() for p in found])
    assert sorted(left) == list(range(len(train)))
    search.fit(x, y)
    assert search.best_params_ == {"logisticregression__C": simple.STRENGTHS[int(np.argmin(np.mean(losses, axis=0)))]}
    again = simple.logistic_of_best_strength(train, AUDIT)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(search.cv, again.cv, strict=True))


def test_test_records_change_no_probability_and_of_many_train_records_some_do(monkeypatch):
    monkeypatch.setattr(simple, "CONVOLUTIONS", 840)
    train, test, seen = records(120)
    # Noise in place of beats, plus numbers that depend weakly on the label in every lead's ST segment.
    times = beat_times(PARAMS.extract)
    beats = np.random.default_rng(1).normal(0, 0.05, (len(seen), 12, len(times))).astype(np.float32)
    beats[:, :, (times > 80) & (times < 300)] += seen.mean(axis=1)[:, None, None].astype(np.float32)
    of_train, of_test = beats[: len(train)], beats[len(train) :]
    # Other labels and twice as many test records.
    more = pd.concat([test, test.assign(label="normal")], ignore_index=True)
    found = simple.score_simple_models(of_train, train, of_test, test, PARAMS)
    wide = simple.score_simple_models(of_train, train, np.concatenate([of_test] * 2), more, PARAMS)
    assert list(found) == list(wide) == list(SIMPLE_MODELS)
    for name, scored in found.items():
        np.testing.assert_allclose(wide[name].p_ischemia, np.tile(scored.p_ischemia, 2), atol=1e-4)
        # Each finds the signal.
        assert roc_auc((test.label == "ischemia").to_numpy(), scored.p_ischemia.to_numpy())[0] > 0.6
    components = [simple.principal_components(of_train, some, AUDIT)[0] for some in (of_test, 2 * of_test)]
    np.testing.assert_array_equal(*components)
    # A regression on all principal components of features is one on the features.
    monkeypatch.setattr(simple, "FEW", 0)
    direct = simple.score_simple_models(of_train, train, of_test, test, PARAMS)["random_convolutions"]
    np.testing.assert_allclose(direct.p_ischemia, found["random_convolutions"].p_ischemia, atol=2e-3)
    monkeypatch.setattr(simple, "MOST", 60)
    fewer = simple.score_simple_models(of_train, train, of_test, test, PARAMS)
    assert all((fewer[name].p_ischemia != scored.p_ischemia).any() for name, scored in found.items())


SEEN = {"age": "age_sex", "sex": "age_sex", "source": "source", "device": "recorder", "site": "recorder"}
SEEN |= {"heart_rate": "heart_rate", "noise_uv": "quality", "n_used": "quality"}


def test_each_model_that_sees_no_beat_sees_what_its_name_says():
    def varied(table):
        first = table.index // 2 % 2 == 0  # every second patient
        values = {name: ("a", "b") if name in ("sex", "source", "device", "site") else (5, 8) for name in SEEN}
        return table.assign(**{name: np.where(first, *pair) for name, pair in values.items()})

    train, test = map(varied, records()[:2])
    scored, lacks = simple.score_other_models(train, test, test)
    assert set(scored) == set(SEEN.values()) and not lacks
    for name, model in SEEN.items():
        found, _ = simple.score_other_models(train, test.assign(**{name: test[name].to_numpy()[::-1]}), test)
        assert {other for other in scored if not found[other].equals(scored[other])} == {model}


def test_the_reason_is_what_the_data_lack():
    train, test, seen = records()
    scored, lacks = simple.score_other_models(train, test, test)
    assert lacks == {
        "age_sex": "no recording has age or sex",
        "source": "train or test has one source only",
        "recorder": "no recording has device or site",
    }
    assert list(scored) == ["heart_rate", "quality"]
    assert "age_sex" in simple.score_other_models(train.assign(age=60.0), test.assign(age=60.0), test)[0]
    none, row = simple.probe_source([seen[: len(train)], seen[len(train) :]], train, test, EVALUATE)
    assert not len(none) and row["reason"].startswith("fewer than two sources")


def test_the_strongest_simple_model_of_each_comparison():
    rows = [
        *(("model", "roc_auc", 0.95), ("logistic", "roc_auc", 0.9), ("trees", "roc_auc", 0.93)),
        *(("model", "roc_auc_vs_other", 0.8), ("logistic", "roc_auc_vs_other", 0.75)),
        *(("trees", "roc_auc_vs_other", 0.7), ("age_sex", "roc_auc", 0.99), ("trees", "roc_auc_vs_rest", np.nan)),
    ]
    audit = pd.DataFrame(rows, columns=["model", "comparison", "roc_auc"])
    found = strongest_simple(audit)
    assert found.comparison.tolist() == ["roc_auc", "roc_auc_vs_other"]
    assert found.model.tolist() == ["trees", "logistic"]


@pytest.mark.parametrize(
    ("gain", "low", "high", "words"),
    [
        (0.05, 0.01, 0.09, "+0.050 (+0.010 – +0.090) over extra trees on the beat: a gain"),
        (0.05, -0.01, 0.09, "+0.050 (−0.010 – +0.090) over extra trees on the beat: no gain shown"),
        (-0.05, -0.09, -0.01, "−0.050 (−0.090 – −0.010) over extra trees on the beat: a loss"),
        (0.0, 0.0, 0.0, "+0.000 (+0.000 – +0.000) over extra trees on the beat: no gain shown"),
    ],
)
def test_a_gain_is_one_where_the_whole_interval_is_above_0(gain, low, high, words):
    row = {"comparison": "roc_auc_vs_other", "model": "trees", "gain": gain, "gain_low": low, "gain_high": high}
    assert gain_text(row) == f"against other {words}"
