"""Stretches of signal round R peaks."""

import numpy as np

from ecg.params import Extract


def window_offsets(start: float, end: float, sampling_rate: float) -> np.ndarray:
    """Return the sample offsets from the R peak that lie within start … end (ms)."""
    first, last = np.ceil(start * sampling_rate / 1000), np.floor(end * sampling_rate / 1000)
    return np.arange(int(first), int(last) + 1)


def beat_offsets(extract: Extract) -> np.ndarray:
    """Return the offsets from the R peak of a median beat's samples."""
    return window_offsets(extract.window_start, extract.window_end, extract.sampling_rate)


def beat_times(extract: Extract) -> np.ndarray:
    """Return the times (ms from the R peak) of a median beat's samples."""
    return beat_offsets(extract) * (1000 / extract.sampling_rate)


def cut_windows(signal: np.ndarray, centres: np.ndarray, offsets: np.ndarray, *, clipped: bool = False) -> np.ndarray:
    """Return beats x leads x offsets from leads x samples; `clipped` repeats the ends of the recording."""
    if clipped:
        return signal[:, np.clip(centres[:, None] + offsets, 0, signal.shape[1] - 1)].swapaxes(0, 1)
    # Copied stretch by stretch: indexing each sample takes twice as long.
    beats = np.empty((len(centres), len(signal), len(offsets)), signal.dtype)
    for beat, start in zip(beats, (centres + offsets[0]).tolist(), strict=True):
        beat[:] = signal[:, start : start + len(offsets)]
    return beats
