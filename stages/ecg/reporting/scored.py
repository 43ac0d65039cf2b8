"""Pictures of recordings that a model scored or refused."""

import hashlib
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.special import logit

from ecg.beats.windows import beat_times
from ecg.evaluation.answers import Reading, in_words
from ecg.leads import LEADS, MISSING
from ecg.model.description import Description
from ecg.model.model import Model, activation_maps, lead_contributions
from ecg.reporting.ecg_paper import Explanation, plot_ecg
from ecg.reporting.figures import save_figure
from ecg.run.files import output_file
from ecg.run.script import UsageError

LONGEST = 196  # bytes of a name; most file systems take 255, of which a temporary one needs more
TITLE = 45  # characters that the picture is wide enough for
SHOWN = 2.5  # s of a refused recording


def file_of(folder: Path, record: str) -> Path:
    """Return the picture's file: a path is one name here, and different records have different ones."""
    name = record.replace("%", "%25").replace("/", "%2F")
    if len(name.encode()) > LONGEST:
        # No other name has a % before a -.
        digest = f"%-{hashlib.sha256(record.encode()).hexdigest()[:16]}"
        name = name.encode()[: LONGEST - len(digest)].decode(errors="ignore") + digest
    return folder / f"{name}.png"


def draw(folder: Path, readings: list[Reading], rows: list[dict], model: Model, description: Description) -> list[str]:
    """Write a picture of each recording: what was seen and why it was scored so, or the reason against it.

    Returns why pictures could not be written.
    """
    lost = []
    for reading, row in zip(readings, rows, strict=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = output_file(str(file_of(folder, row["record"])))
            if len(row["record"]) > TITLE:
                row = row | {"record": f"…{row['record'][1 - TITLE :]}"}
            decision, *more = in_words(row, description)
            title, note = f"{row['record']}: {decision}", "; ".join(more)
            if reading.beat.beat is None:
                figure = plot_refused(reading, title, note)
            else:
                figure = plot_scored(reading.beat.beat, title, note, model, description)
            save_figure(figure, path)
        except (OSError, UsageError) as error:
            lost.append(str(error))
    return lost


def plot_scored(beat: np.ndarray, title: str, note: str, model: Model, description: Description) -> Figure:
    """Draw a median beat (12 x samples, mV), what speaks for ischemia, and the answer in words."""
    activation = activation_maps(model, beat[None])[0] - logit(description.threshold)
    explanation = Explanation(activation, lead_contributions(model, beat[None])[0])
    return plot_ecg(beat, beat_times(description.extract), title, [note], explanation)


def plot_refused(reading: Reading, title: str, note: str) -> Figure:
    """Draw the first seconds of a recording, where samples were read, and the reason."""
    samples, sampling_rate = reading.samples, reading.sampling_rate
    shown = np.zeros((len(LEADS), 0)) if samples is None else samples[: int(SHOWN * sampling_rate)].T
    millivolts = np.ma.masked_equal(shown, MISSING) / 1000
    if shown.size:
        millivolts -= np.ma.median(millivolts, axis=1, keepdims=True)
    times = np.arange(shown.shape[1]) * 1000 / max(sampling_rate, 1)
    drawn = f"The first {SHOWN:g} s, each lead less its median." if shown.size else "No samples were read."
    return plot_ecg(millivolts.filled(np.nan), times, title, [note, drawn], reach=2)
