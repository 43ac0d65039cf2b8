"""What a model says of one recording, in numbers and in words."""

from typing import NamedTuple

import numpy as np

from ecg.beats.median import MedianBeat
from ecg.evaluation.names import data_kind
from ecg.model.description import Description
from ecg.run.script import printable

UNLIKE = "unlike the beats it was trained on"


class Reading(NamedTuple):
    """A recording before it is scored: median beat, flags, and samples (samples x 12, int16, uV) where asked for."""

    beat: MedianBeat
    flags: list[str]
    samples: np.ndarray | None = None
    sampling_rate: float = 0.0


def answer_columns(classes: list[str]) -> list[str]:
    """Return the keys of an answer, in order; they are the columns of predict's --csv."""
    by_class = ["p_ischemia", *(f"p_{name}" for name in classes if name != "ischemia")]
    about = ["n_used", "heart_rate", "flags", "reason", "trained_on"]
    return ["record", "probability", "ischemia", "threshold", *by_class, *about]


def round_on_side(p: float, threshold: float) -> float:
    """Round a probability to 6 digits, or to the fewest more that leave it on its side of the threshold."""
    return next(near for digits in range(6, 99) if ((near := round(p, digits)) >= threshold) == (p >= threshold))


def answer(
    record: str, beat: MedianBeat, flags: list[str], scored: tuple[np.ndarray, float] | None, description: Description
) -> dict:
    """Return what is said of a recording, as in predict's --json.

    `scored` are one probability a class and the distance from the beats of training; None if refused.
    """
    row: dict = dict.fromkeys(answer_columns(description.classes)) | {
        "record": record,
        "threshold": description.threshold,
        "n_used": beat.n_used,
        "heart_rate": None if beat.heart_rate is None else round(beat.heart_rate, 1),
        "flags": [printable(flag) for flag in flags],
        "reason": printable(beat.reason) or None,
        "trained_on": data_kind(description.sources),
    }
    if scored is None:
        return row
    probabilities, distance = scored
    row |= {f"p_{name}": round(float(p), 6) for name, p in zip(description.classes, probabilities, strict=True)}
    p = float(probabilities[description.classes.index("ischemia")])
    if distance > 1:
        row["flags"].append(UNLIKE)
    rounded = round_on_side(p, description.threshold)
    return row | {"probability": rounded, "p_ischemia": rounded, "ischemia": p >= description.threshold}


def in_percent(p: float, digits: int = 1) -> str:
    """Return a probability with so many digits after the point below 10%, one less from there on; never 0% or 100%."""
    digits -= round(100 * p, digits) >= 10
    percent = round(100 * p, digits)
    if percent in (0, 100):
        return f"< {10**-digits:.{digits}f}%" if percent == 0 else f"> {100 - 10**-digits:.{digits}f}%"
    return f"{percent:.{digits}f}".removesuffix(".0") + "%"


def decision_in_words(row: dict, description: Description) -> str:
    """Return the decision with the probabilities, and the threshold: digits as many as show on which side p lies."""
    threshold, exact = description.threshold, {0.0: "0%", 1.0: "100%"}
    for digits in range(1, 18):
        shown, limit = in_percent(row["p_ischemia"], digits), exact.get(threshold) or in_percent(threshold, digits)
        if limit[0] not in "<>" and (row["ischemia"] or shown != limit):
            break
    others = {name: row[f"p_{name}"] for name in description.classes if name != "ischemia"}
    rest = ", ".join(f"{name} {in_percent(others[name])}" for name in sorted(others, key=others.__getitem__)[::-1])
    return f"{'ischemia' if row['ischemia'] else 'no ischemia'}: {shown} ({rest}); called from {limit} on"


def in_words(row: dict, description: Description) -> list[str]:
    """Say an answer in a few clauses: the decision, how well the beat was seen, and what the model knows."""
    trained_on = f"model trained on {row['trained_on']}"
    if row["reason"]:
        return [f"refused: {row['reason']}", *row["flags"], trained_on]
    beats = f"{row['n_used']} beats at {row['heart_rate']:.0f}/min"
    return [decision_in_words(row, description), beats, *row["flags"], trained_on]
