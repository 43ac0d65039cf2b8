"""Beats moved to where they fit one another best."""

import numpy as np

from ecg.beats.statistics import median_of
from ecg.beats.windows import cut_windows


def align(signal: np.ndarray, centres: np.ndarray, offsets: np.ndarray, max_shift: int) -> np.ndarray:
    """Move each beat's centre by up to `max_shift` samples to where it correlates best with the median beat; twice."""
    if not max_shift:
        return centres
    wide = np.arange(offsets[0] - max_shift, offsets[-1] + max_shift + 1)
    # In double precision here and below: sums differ in their last bits with where arrays lie in memory, and must not
    # change what is chosen or written.
    beats = cut_windows(signal, centres, wide).astype(np.float64)
    shifted = np.lib.stride_tricks.sliding_window_view(beats, len(offsets), axis=2)
    norm = np.sqrt(np.einsum("blsw,blsw->bs", shifted, shifted) + 1e-12)
    best = np.full(len(centres), max_shift)
    for _ in range(2):
        template = median_of(shifted[np.arange(len(beats)), :, best])
        match = np.einsum("blsw,lw->bs", shifted, template) / norm
        best = match.argmax(axis=1)
    return centres + best - max_shift
