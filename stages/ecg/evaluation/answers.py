"""What a model says of one recording, in numbers and in words."""

from typing import NamedTuple

import numpy as np

from ecg.beats.median import MedianBeat
from ecg.evaluation.names import data_kind
from ecg.evaluation.questions import ischemia_score
from ecg.network.description import Description
from ecg.stage.text import printable

UNLIKE = "unlike the beats it was trained on"


class Reading(NamedTuple):
    """A recording before it is scored: median beat, flags, and samples (samples x 12, int16, uV) where asked for."""

    beat: MedianBeat
    flags: list[str]
    samples: np.ndarray | None = None
    sampling_rate: float = 0.0


def answer(
    record: str, beat: MedianBeat, flags: list[str], scored: tuple[np.ndarray, float] | None, description: Description
) -> dict:
    """Return what is said of a recording, as in predict's --json.

    `scored` are one probability a class and the distance from the beats of training; None if refused.
    """
    row: dict = {
        "record": record,
        "probability": None,
        "ischemia": None,
        "n_used": beat.n_used,
        "heart_rate": None if beat.heart_rate is None else round(beat.heart_rate, 1),
        "flags": [printable(flag) for flag in flags],
        "reason": printable(beat.reason) or None,
        "trained_on": data_kind(description.sources),
    }
    if scored is None:
        return row
    probabilities, distance = scored
    by_class = dict(zip(description.classes, probabilities, strict=True))
    probability = float(ischemia_score(by_class, "roc_auc"))
    if max(by_class, key=by_class.__getitem__) == "other":
        row["flags"].append("most probable class: other")
    if distance > 1:
        row["flags"].append(UNLIKE)
    return row | {"probability": round(probability, 6), "ischemia": probability >= description.threshold}


def in_words(row: dict, threshold: float) -> list[str]:
    """Say an answer in a few clauses: the decision, how well the beat was seen, and what the model knows."""
    trained_on = f"model trained on {row['trained_on']}"
    if row["reason"]:
        return [f"refused: {row['reason']}", *row["flags"], trained_on]
    decision = "ischemia" if row["ischemia"] else "no ischemia"
    score = f"{decision}: probability {row['probability']:.3f}, threshold {threshold:.3f}"
    return [score, f"{row['n_used']} beats at {row['heart_rate']:.0f}/min", *row["flags"], trained_on]
