"""Pictures of recordings that a model scored or refused."""

from pathlib import Path

import numpy as np

from ecg.beats.windows import beat_times
from ecg.evaluation.answers import in_words
from ecg.leads import LEADS, MISSING
from ecg.network.description import Description
from ecg.network.ensemble import Ensemble
from ecg.network.evidence import activation_maps, lead_contributions
from ecg.reporting.ecg_paper import Explanation, plot_ecg
from ecg.reporting.figures import save_figure

SHOWN = 2.5  # s of a refused recording


def file_of(folder: Path, record: str) -> Path:
    """Return the picture's file: a path is one name here, and different records have different ones."""
    return folder / f"{record.replace('%', '%25').replace('/', '%2F')}.png"


def draw_scored(path: Path, row: dict, beat: np.ndarray, model: Ensemble, description: Description) -> None:
    """Draw a median beat (12 x samples, mV), what speaks for the score, and the answer in words."""
    scored = model, description.classes, beat[None]
    explanation = Explanation(activation_maps(*scored)[0], lead_contributions(*scored)[0])
    times, notes = beat_times(description.extract), in_words(row, description.threshold)
    save_figure(plot_ecg(beat, times, row["record"], notes, explanation), path)


def draw_refused(path: Path, row: dict, samples: np.ndarray | None, sampling_rate: float) -> None:
    """Draw the first seconds of a recording (samples x 12, int16, uV, or None where none were read) and the reason."""
    shown = np.zeros((len(LEADS), 0)) if samples is None else samples[: int(SHOWN * sampling_rate)].T
    millivolts = np.where(shown == MISSING, np.nan, shown / 1000)
    if shown.size:
        millivolts = np.clip(millivolts - np.nanmedian(millivolts, axis=1, keepdims=True), -2, 3)
    times = np.arange(shown.shape[1]) * 1000 / max(sampling_rate, 1)
    save_figure(plot_ecg(millivolts, times, row["record"], in_words(row, 0), scale=1.2), path)
