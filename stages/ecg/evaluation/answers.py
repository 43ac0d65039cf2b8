"""A recording from its file to its median beat, and the model's answer about it in numbers and in words."""

from typing import NamedTuple

import numpy as np

from ecg.beats.median import MedianBeat, median_beat
from ecg.beats.plausibility import compare_heart_rates
from ecg.evaluation.names import data_kind
from ecg.leads import BadRecording
from ecg.model.description import Description
from ecg.params import Extract
from ecg.recordings.ecg_file import Ecg
from ecg.recordings.read import standard_leads
from ecg.run.script import printable

UNLIKE = "unlike the beats it was trained on"


class Reading(NamedTuple):
    """A median beat, with the flags of its recording first, and the samples that it is of (samples x 12, int16, uV)."""

    beat: MedianBeat
    samples: np.ndarray | None = None
    sampling_rate: float = 0.0


def reduce_samples(samples: np.ndarray, sampling_rate: float, heart_rate: float | None, extract: Extract) -> MedianBeat:
    """Return the median beat of a recording (samples x 12, int16, uV), as extract does.

    The last flag compares its heart rate with that in the file (beats/min), if any.
    """
    beat = median_beat(samples, sampling_rate, extract)
    return beat._replace(flags=(*beat.flags, *compare_heart_rates(beat.heart_rate, heart_rate)))


def reduce_ecg(ecg: Ecg, extract: Extract) -> Reading:
    """Return the reading of a recording, or one with the reason why there is no median beat."""
    try:
        samples, flags = standard_leads(ecg)
    except BadRecording as error:
        return Reading(MedianBeat(None, reason=str(error)))
    beat = reduce_samples(samples, ecg.sampling_rate, ecg.heart_rate, extract)
    return Reading(beat._replace(flags=(*flags, *beat.flags)), samples, ecg.sampling_rate)


def answer_columns(classes: list[str]) -> list[str]:
    """Return the keys of an answer, in order; they are the columns of predict's --csv."""
    by_class = ["p_ischemia", *(f"p_{name}" for name in classes if name != "ischemia")]
    about = ["n_used", "heart_rate", "flags", "reason", "trained_on"]
    return ["record", "probability", "ischemia", "threshold", *by_class, *about]


def round_on_side(p: float, threshold: float) -> float:
    """Round a probability to 6 digits, or to the fewest more that leave it on its side of the threshold."""
    return next(near for digits in range(6, 99) if ((near := round(p, digits)) >= threshold) == (p >= threshold))


def answer(record: str, beat: MedianBeat, scored: tuple[np.ndarray, float] | None, description: Description) -> dict:
    """Return the answer about a recording, as in predict's --json.

    `scored` holds one probability a class and the distance from the beats of training; None if refused.
    """
    row: dict = dict.fromkeys(answer_columns(description.classes)) | {
        "record": record,
        "threshold": description.threshold,
        "n_used": beat.n_used,
        "heart_rate": None if beat.heart_rate is None else round(beat.heart_rate, 1),
        "flags": [printable(flag) for flag in beat.flags],
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
    """Return a probability with `digits` after the point below 10%, one fewer from 10% on; never 0% or 100%."""
    digits -= round(100 * p, digits) >= 10
    percent = round(100 * p, digits)
    if percent in (0, 100):
        return f"< {10**-digits:.{digits}f}%" if percent == 0 else f"> {100 - 10**-digits:.{digits}f}%"
    return f"{percent:.{digits}f}".removesuffix(".0") + "%"


def decision_in_words(row: dict, description: Description) -> str:
    """Return the decision, the probabilities and the threshold, with enough digits to show on which side p lies."""
    threshold, exact = description.threshold, {0.0: "0%", 1.0: "100%"}
    for digits in range(1, 18):
        shown, limit = in_percent(row["p_ischemia"], digits), exact.get(threshold) or in_percent(threshold, digits)
        if limit[0] not in "<>" and (row["ischemia"] or shown != limit):
            break
    others = {name: row[f"p_{name}"] for name in description.classes if name != "ischemia"}
    rest = ", ".join(f"{name} {in_percent(others[name])}" for name in sorted(others, key=others.__getitem__)[::-1])
    return f"{'ischemia' if row['ischemia'] else 'no ischemia'}: {shown} ({rest}); called from {limit} on"


def in_words(row: dict, description: Description) -> list[str]:
    """Return an answer in clauses: the decision, the beats that it rests on, flags, the model's training data."""
    trained_on = f"model trained on {row['trained_on']}"
    if row["reason"]:
        return [f"refused: {row['reason']}", *row["flags"], trained_on]
    beats = f"{row['n_used']} beats at {row['heart_rate']:.0f}/min"
    return [decision_in_words(row, description), beats, *row["flags"], trained_on]
