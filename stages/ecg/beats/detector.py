"""A detector's R peaks in one signal: NeuroKit's own method, which costs no import here, or another one of NeuroKit."""

import warnings

import numpy as np
from scipy.ndimage import uniform_filter1d

from ecg.beats.maxima import most_prominent
from ecg.leads import BadRecording

# Of the method "neurokit", as the package has them.
SMOOTH, AVERAGE = 0.1, 0.75  # s, means of the slope: its hills, and what they stand out of
STEEP = 1.5  # of the average: above it is a QRS complex
MIN_LENGTH = 0.4  # of the mean length of these
APART = 0.3  # s between two R peaks, more than


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
