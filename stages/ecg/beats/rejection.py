"""Which beats are alike: ectopic ones look different."""

import numpy as np

from ecg.beats.statistics import median_of, rms

MIN_KIND = 3  # beats that look alike, to be a kind of beat


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
