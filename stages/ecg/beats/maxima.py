"""Local maxima, as `scipy.signal.find_peaks` has them, without the second that it takes to import."""

import numpy as np


def local_maxima(signal: np.ndarray) -> np.ndarray:
    """Return the samples of the local maxima, of one that is flat its middle; the ends of the signal are none."""
    up, down = signal[1:] > signal[:-1], signal[1:] < signal[:-1]
    steps = np.flatnonzero(up | down)
    tops = np.flatnonzero(up[steps[:-1]] & down[steps[1:]])
    return (steps[tops] + 1 + steps[tops + 1]) // 2


def prominence(heights: list[float], valleys: list[float], k: int) -> float:
    """Return by how much maximum k stands out of the higher of the valleys beside it, each up to a higher maximum.

    valleys[i] is the lowest sample before maximum i, after the one before it; there is one more than maxima.
    """
    left, right = valleys[k], valleys[k + 1]
    i, j = k - 1, k + 1
    while i >= 0 and heights[i] <= heights[k]:
        left, i = min(left, valleys[i]), i - 1
    while j < len(heights) and heights[j] <= heights[k]:
        right, j = min(right, valleys[j + 1]), j + 1
    return heights[k] - max(left, right)


def most_prominent(signal: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> list[int]:
    """Return the most prominent maximum of each stretch (start to before end, none touches the next) that has any."""
    if not len(starts):
        return []
    steps = np.zeros(len(signal), np.int8)
    steps[starts], steps[ends] = 1, -1
    inside = np.cumsum(steps) > 0
    maxima = local_maxima(np.where(inside, signal, np.inf))
    points = np.sort(np.concatenate([starts, maxima[inside[maxima]], ends]))
    heights, valleys = signal[points].tolist(), np.minimum.reduceat(signal, points).tolist()
    found = []
    for first, last in np.searchsorted(points, np.column_stack([starts, ends])).tolist():
        tops = heights[first + 1 : last]
        if tops:
            chosen = max(range(len(tops)), key=lambda k: prominence(tops, valleys[first:last], k))
            found.append(int(points[first + 1 + chosen]))
    return found


def highest_apart(signal: np.ndarray, peaks: np.ndarray, distance: int) -> np.ndarray:
    """Return those of the peaks that are no nearer than `distance` to a higher one that is kept."""
    kept, taken = [], np.zeros(len(signal), bool)
    for peak in peaks[np.argsort(signal[peaks])[::-1]].tolist():
        if not taken[peak]:
            kept.append(peak)
            taken[max(peak - distance + 1, 0) : peak + distance] = True
    return np.array(sorted(kept), dtype=int)
