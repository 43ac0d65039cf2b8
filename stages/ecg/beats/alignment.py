"""Beats moved to where they fit one another best; which are alike, as ectopic ones differ, and have room enough."""

import numpy as np

from ecg.beats.windows import cut_windows, median_of, rms
from ecg.leads import BadRecording
from ecg.params import Extract

MIN_KIND = 3  # beats that look alike, to be a kind of beat


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


def similar_beats(beats: np.ndarray, min_correlation: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return which beats (beats x leads x samples) resemble the one with most partners, how well, and if it was a tie.

    Where two kinds of beat are as frequent, give or take one, as in bigeminy, the kind with the narrower QRS complex
    wins: an ectopic beat is wide.
    """
    flat = beats.reshape(len(beats), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-12
    correlation = flat @ flat.T
    partners = correlation > min_correlation
    # Of equals, the one that correlates best over all.
    order = np.lexsort((correlation.sum(axis=1), partners.sum(axis=1)))[::-1]
    first = order[0]
    others = order[~partners[first][order]]
    if len(others):
        second = others[0]
        sizes = partners[first].sum(), (partners[second] & ~partners[first]).sum()
        if sizes[1] >= max(sizes[0] - 1, MIN_KIND):
            first, second = sorted((first, second), key=lambda i: qrs_width(beats[partners[i]]))
            return partners[first] & ~partners[second], correlation[first], True
    return partners[first], correlation[first], False


def qrs_width(beats: np.ndarray) -> int:
    """Return for how many samples the RMS over leads of the median QRS complex is above a third of its maximum."""
    energy = rms(median_of(beats), 0)
    return int((energy > energy.max() / 3).sum())


def check_room(alone: np.ndarray, heart_rate: float | None, most: float, extract: Extract) -> None:
    """BadRecording where too few of the beats that are alike have a window without another QRS complex.

    `most` is the heart rate (beats/min) from which on a regular rhythm has none.
    """
    n = np.count_nonzero(alone)
    if n >= min(extract.min_beats, len(alone)) or heart_rate is None:
        return
    if heart_rate > most:
        raise BadRecording(f"too fast: {heart_rate:.0f}/min, at most {most:.0f}/min")
    raise BadRecording(f"too few beats: another QRS complex lies in the window of {len(alone) - n} of {len(alone)}")
