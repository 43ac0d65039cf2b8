"""The answer about a recording: its numbers and words agree with the decision, however near the threshold it is."""

from types import SimpleNamespace

import numpy as np
import pytest

from ecg.beats.median import MedianBeat
from ecg.evaluation.answers import UNLIKE, answer, in_words

CLASSES = ["normal", "ischemia", "other"]
BEAT = MedianBeat(np.zeros((12, 82), np.float32), n_beats=10, n_used=9, heart_rate=60.04)


def model(threshold=0.04, classes=CLASSES):
    return SimpleNamespace(classes=classes, threshold=threshold, sources=["north"])


def answer_of(p, threshold, distance=0.5, normal=0.25):
    """The answer where p(ischemia) is p, and p(normal) a share of the rest."""
    probabilities = np.array([normal * (1 - p), p, (1 - normal) * (1 - p)])
    return answer("a", BEAT._replace(flags=("derived lead: III",)), (probabilities, distance), model(threshold))


def test_keys_are_in_order_and_the_other_classes_do_not_change_the_decision():
    row = answer_of(0.31, 0.04)
    expected = {"record": "a", "probability": 0.31, "ischemia": True, "threshold": 0.04}
    expected |= {"p_ischemia": 0.31, "p_normal": 0.1725, "p_other": 0.5175, "n_used": 9, "heart_rate": 60.0}
    expected |= {"flags": ["derived lead: III"], "reason": None, "trained_on": "recordings of north"}
    assert list(row.items()) == list(expected.items())
    assert all(answer_of(0.31, 0.04, normal=share)["ischemia"] is True for share in (0, 0.5, 1))
    assert answer_of(0.031, 0.04, normal=0)["ischemia"] is False
    two = answer("a", BEAT, (np.array([0.7, 0.3]), 0.5), model(classes=CLASSES[:2]))
    assert [key for key in row if key != "p_other"] == list(two)


def test_a_refused_recording_has_no_probability():
    refused = MedianBeat(None, reason="too short: 1 s")
    row = answer("a", refused._replace(flags=("a flag",)), None, model())
    assert list(row) == list(answer_of(0.31, 0.04))
    assert [row[key] for key in ("p_ischemia", "p_normal", "p_other", "ischemia")] == [None] * 4
    assert row["threshold"] == 0.04
    assert in_words(row, model()) == ["refused: too short: 1 s", "a flag"]


def test_a_beat_far_from_training_has_a_flag():
    assert UNLIKE not in answer_of(0.3, 0.04, distance=1)["flags"]
    assert answer_of(0.3, 0.04, distance=1.01)["flags"] == ["derived lead: III", UNLIKE]


@pytest.mark.parametrize(
    ("p", "threshold", "words"),
    [
        (0.31, 0.04, "ischemia: 31% (other 52%, normal 17%); threshold 4%"),
        (0.021, 0.04, "no ischemia: 2.1% (other 73%, normal 24%); threshold 4%"),
        (0.04, 0.04, "ischemia: 4% (other 72%, normal 24%); threshold 4%"),
        (0.0398, 0.04, "no ischemia: 4%, just below the threshold (other 72%, normal 24%); threshold 4%"),
        (0.000021, 0.04, "no ischemia: < 0.1% (other 75%, normal 25%); threshold 4%"),
        (0.9999, 0.04, "ischemia: > 99% (other < 0.1%, normal < 0.1%); threshold 4%"),
    ],
)
def test_the_decision_in_words(p, threshold, words):
    row = answer_of(p, threshold)
    assert in_words(row, model(threshold)) == [words, "9 beats at 60/min", "derived lead: III"]


@pytest.mark.parametrize("threshold", [1e-9, 0.0000421, 0.04, 0.099999999, 0.1, 0.162809925, 0.5, 0.999999999])
def test_no_rounding_contradicts_the_decision(threshold):
    for p in threshold * (1 + np.array([-1e-12, -1e-8, -1e-5, -0.003, 0, 1e-12, 1e-9])):
        row = answer_of(min(p, 1), threshold)
        assert row["ischemia"] == (p >= threshold) == (row["probability"] >= threshold)
        assert row["probability"] == row["p_ischemia"] == pytest.approx(p, abs=1e-6)
