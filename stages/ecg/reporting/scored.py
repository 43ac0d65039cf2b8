"""Pictures of recordings that a model scored or refused."""

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
from ecg.reporting.ecg_paper import plot_ecg
from ecg.reporting.figures import save_figure

SHOWN = 2.5  # s of a refused recording


def draw(folder: Path, readings: list[Reading], rows: list[dict], model: Model, description: Description) -> list[str]:
    """Write a picture of each recording with the answer in words; return the reasons for pictures not written."""
    lost = []
    for reading, row in zip(readings, rows, strict=True):
        decision, *more = in_words(row, description)
        title, notes = f"{row['record']}: {decision}", ["; ".join([*more, f"model trained on {row['trained_on']}"])]
        beat = reading.beat.beat
        if beat is None:
            figure = plot_refused(reading, title, notes)
        else:
            activation = activation_maps(model, beat[None])[0] - logit(description.threshold)
            contributions = lead_contributions(model, beat[None])[0]
            figure = plot_ecg(beat, beat_times(description.extract), title, notes, activation, contributions)
        # Escape characters that separate folders, or that Windows refuses.
        name = re.sub(r'[%/\\:*?"<>|]', lambda found: f"%{ord(found[0]):02X}", row["record"])
        try:
            save_figure(figure, folder / f"{name}.png")
        except OSError as error:
            lost.append(str(error))
    return lost


def plot_refused(reading: Reading, title: str, notes: list[str]) -> Figure:
    """Draw the first seconds of a recording if its samples were read."""
    if reading.samples is None:
        return plot_ecg(np.full((len(LEADS), 1), np.nan), np.zeros(1), title, [*notes, "No samples were read."])
    shown = reading.samples[: int(SHOWN * reading.sampling_rate)].T
    millivolts = np.ma.masked_equal(shown, MISSING) / 1000
    millivolts -= np.ma.median(millivolts, axis=1, keepdims=True)
    times = np.arange(shown.shape[1]) * 1000 / reading.sampling_rate
    notes = [*notes, f"The first {SHOWN:g} s, each lead less its median."]
    return plot_ecg(millivolts.filled(np.nan), times, title, notes, reach=2)
