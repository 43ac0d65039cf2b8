"""Pictures of recordings that a model scored or refused."""

import hashlib
import re
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

LONGEST = 196  # bytes of a name; most file systems allow 255, and a temporary file needs more
TITLE = 45  # characters of a record's name, which its picture is wide enough for
SHOWN = 2.5  # s of a refused recording


def file_of(folder: Path, record: str) -> Path:
    """Return the file of the picture: characters that end a name, or that Windows refuses, are escaped."""
    name = re.sub(r'[%/\\:*?"<>|]', lambda found: f"%{ord(found[0]):02X}", record)
    if len(name.encode()) > LONGEST:
        # No other name has a % before a -.
        digest = f"%-{hashlib.sha256(record.encode()).hexdigest()[:16]}"
        name = name.encode()[: LONGEST - len(digest)].decode(errors="ignore") + digest
    return folder / f"{name}.png"


def draw(folder: Path, readings: list[Reading], rows: list[dict], model: Model, description: Description) -> list[str]:
    """Write a picture of each recording with the answer in words; return the reasons for pictures not written."""
    lost = []
    for reading, row in zip(readings, rows, strict=True):
        name = row["record"] if len(row["record"]) <= TITLE else f"…{row['record'][1 - TITLE :]}"
        decision, *more = in_words(row, description)
        title, note = f"{name}: {decision}", "; ".join(more)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = output_file(str(file_of(folder, row["record"])))
            if reading.beat.beat is None:
                figure = plot_refused(reading, title, note)
            else:
                figure = plot_scored(reading.beat.beat, title, note, model, description)
            save_figure(figure, path)
        except (OSError, UsageError) as error:
            lost.append(str(error))
    return lost


def plot_scored(beat: np.ndarray, title: str, note: str, model: Model, description: Description) -> Figure:
    """Draw a median beat (12 x samples, mV), the evidence for ischemia in it, and the answer in words."""
    activation = activation_maps(model, beat[None])[0] - logit(description.threshold)
    explanation = Explanation(activation, lead_contributions(model, beat[None])[0])
    return plot_ecg(beat, beat_times(description.extract), title, [note], explanation)


def plot_refused(reading: Reading, title: str, note: str) -> Figure:
    """Draw the first seconds of a recording if its samples were read, and the reason."""
    if reading.samples is None:
        return plot_ecg(np.full((len(LEADS), 1), np.nan), np.zeros(1), title, [note, "No samples were read."])
    shown = reading.samples[: int(SHOWN * reading.sampling_rate)].T
    millivolts = np.ma.masked_equal(shown, MISSING) / 1000
    millivolts -= np.ma.median(millivolts, axis=1, keepdims=True)
    times = np.arange(shown.shape[1]) * 1000 / reading.sampling_rate
    drawn = f"The first {SHOWN:g} s, each lead less its median."
    return plot_ecg(millivolts.filled(np.nan), times, title, [note, drawn], reach=2)
