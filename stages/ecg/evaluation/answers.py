"""A recording from its file to its median beat, and the model's answer about it in numbers and in words."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ecg.beats.median import MedianBeat, median_beat
from ecg.evaluation.names import data_kind, in_percent
from ecg.leads import BadRecording
from ecg.model.description import Description
from ecg.params import Extract
from ecg.recordings.ecg_file import Ecg
from ecg.recordings.read import standard_leads
from ecg.run.script import printable

UNLIKE = "unlike the training data"


class Reading(NamedTuple):
    """A median beat, with the flags of its recording first, and the recording (samples x 12, int16, uV; Hz)."""

    beat: MedianBeat
    samples: np.ndarray | None = None
    sampling_rate: float = 0.0


def reduce_ecg(read: Callable[[], Ecg], extract: Extract) -> Reading:
    """Read and reduce a recording; return its reading, or one with the reason why there is no median beat."""
    try:
        ecg = read()
        samples, flags = standard_leads(ecg)
    except BadRecording as error:
        return Reading(MedianBeat(None, reason=str(error)))
    beat = median_beat(samples, ecg.sampling_rate, extract, ecg.heart_rate)
    return Reading(beat._replace(flags=(*flags, *beat.flags)), samples, ecg.sampling_rate)


def answer(record: str, beat: MedianBeat, scored: tuple[np.ndarray, float] | None, description: Description) -> dict:
    """Return the answer about a recording, as in predict's --json.

    `scored` is one probability per class and the distance from the beats of training; None if refused.
    """
    classes, threshold = description.classes, description.threshold
    row: dict = {"record": record, "probability": None, "ischemia": None, "threshold": threshold}
    row |= {f"p_{name}": None for name in ("ischemia", *classes)}
    row |= {
        "n_used": beat.n_used,
        "heart_rate": None if beat.heart_rate is None else round(beat.heart_rate, 1),
        "flags": [printable(flag) for flag in beat.flags],
        "reason": printable(beat.reason) or None,
        "trained_on": data_kind(description.sources),
    }
    if scored is None:
        return row
    probabilities, distance = scored
    row |= {f"p_{name}": round(float(p), 6) for name, p in zip(classes, probabilities, strict=True)}
    p = float(probabilities[classes.index("ischemia")])
    row["ischemia"] = p >= threshold
    if (row["p_ischemia"] >= threshold) != row["ischemia"]:
        row["p_ischemia"] = p  # rounded, it would contradict the decision
    if distance > 1:
        row["flags"].append(UNLIKE)
    return row | {"probability": row["p_ischemia"]}


def in_words(row: dict, description: Description) -> list[str]:
    """Return an answer in clauses: the reason of a refusal, or probabilities, threshold and beats; then flags."""
    if row["reason"]:
        return [f"refused: {row['reason']}", *row["flags"]]
    shown, limit = in_percent(row["p_ischemia"]), in_percent(row["threshold"])
    near = ", just below the threshold" if shown == limit and not row["ischemia"] else ""
    others = sorted((name for name in description.classes if name != "ischemia"), key=lambda name: -row[f"p_{name}"])
    rest = ", ".join(f"{name} {in_percent(row[f'p_{name}'])}" for name in others)
    called = f"{'ischemia' if row['ischemia'] else 'no ischemia'}: {shown}{near} ({rest}); threshold {limit}"
    return [called, f"{row['n_used']} beats at {row['heart_rate']:.0f}/min", *row["flags"]]
