"""A detector's R peaks in one signal: NeuroKit's own method, which costs no import here, or another one of NeuroKit."""

import warnings

import numpy as np
from scipy.ndimage import uniform_filter1d

from ecg.leads import BadRecording

# Of the method "neurokit", as the package has them.
SMOOTH, AVERAGE = 0.1, 0.75  # s, means of the slope: its hills, and what they stand out of
STEEP = 1.5  # of the average: above it is a QRS complex
MIN_LENGTH = 0.4  # of the mean length of these
APART = 0.3  # s between two R peaks, more than


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


def steep_stretches(signal: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first samples of stretches that are steeper than those around them, and the samples after the last."""
    slope = uniform_filter1d(np.abs(np.gradient(signal)), round(SMOOTH * sampling_rate), mode="nearest")
    steep = slope > STEEP * uniform_filter1d(slope, round(AVERAGE * sampling_rate), mode="nearest")
    starts, ends = np.flatnonzero(~steep[:-1] & steep[1:]), np.flatnonzero(steep[:-1] & ~steep[1:])
    # One may be under way where the signal begins, one where it ends.
    ends = ends[ends > starts.min(initial=len(steep))]
    starts = starts[: len(ends)]
    lengths = ends - starts
    long = lengths >= MIN_LENGTH * (lengths.mean() if len(lengths) else 0)
    return starts[long], ends[long]


def steepest_peaks(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the R peaks that NeuroKit's method "neurokit" finds: the most prominent maximum of each steep stretch.

    The method of Makowski et al., NeuroKit2, Behav Res Methods 53, 1689 (2021), written anew: the package takes 2 - 3 s
    to load.
    """
    peaks = [0]
    for peak in most_prominent(signal, *steep_stretches(signal, sampling_rate)):
        if peak - peaks[-1] > round(APART * sampling_rate):
            peaks.append(peak)
    return np.array(peaks[1:], dtype=int)


def detect(signal: np.ndarray, sampling_rate: int, detector: str) -> np.ndarray:
    """Return the samples of the R peaks in a signal; BadRecording where the detector cannot cope with it."""
    if detector == "neurokit":
        return steepest_peaks(signal, sampling_rate)
    import neurokit2

    try:
        with warnings.catch_warnings():
            # What it divides by where there is nothing to find.
            warnings.simplefilter("ignore")
            peaks = neurokit2.ecg_findpeaks(signal, sampling_rate=sampling_rate, method=detector)
    except Exception as error:  # whatever a detector stumbles over is the reason
        raise BadRecording(f"detector {detector}: {type(error).__name__}: {error}") from error
    return np.asarray(peaks["ECG_R_Peaks"], dtype=int)
