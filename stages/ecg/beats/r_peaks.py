"""QRS complexes, once for all leads: where they are, and whether there are any."""

import warnings

import numpy as np
from scipy.signal import find_peaks

from ecg.beats.statistics import rms
from ecg.leads import BadRecording

SMOOTH = 100  # ms, width of the Hann window under which a QRS complex becomes one hill
NEAR = 60  # ms between a detector's R peak and the top of its hill, at most
REFRACTORY = 200  # ms between two QRS complexes, at least
MISSED = 0.5  # of the usual height: a hill so high is a QRS complex, also where the detector has none
LOW = 0.35  # of the usual height: a lower hill is none, but a T wave or the end of the recording
MIN_ENERGY = 0.02  # mV, usual height of the hills
# What QRS complexes look like. Of 1,287 real recordings the extremes are 0.12 and 216 ms.
MAX_VALLEY = 0.3  # of the usual height, between two hills
MAX_WIDTH = 240  # ms, of a hill at half its height


def qrs_energy(qrs_band: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the smoothed RMS over leads (leads x samples, mV) of the band in which QRS complexes are."""
    weights = np.hanning(round(SMOOTH * sampling_rate / 1000) + 2)[1:-1]
    power = np.mean(np.square(qrs_band), axis=0, dtype=np.float64)
    return np.sqrt(np.maximum(np.convolve(power, weights / weights.sum(), "same"), 0))


def find_r_peaks(qrs_band: np.ndarray, sampling_rate: int, detector: str) -> np.ndarray:
    """Return the samples of the QRS complexes (leads x samples, mV), each at the top of its energy.

    A method of NeuroKit finds them in the RMS over leads. It keeps 0.3 s between two, and leaves out many a first or
    last one: hills of energy that are as high as those found are QRS complexes too.
    """
    import neurokit2  # slow to import, and not needed by those who want a window only

    try:
        with warnings.catch_warnings():
            # What it divides by where there is nothing to find.
            warnings.simplefilter("ignore")
            found = neurokit2.ecg_findpeaks(rms(qrs_band, 0), sampling_rate=sampling_rate, method=detector)
    except Exception as error:  # whatever a detector stumbles over is the reason
        raise BadRecording(f"detector {detector}: {type(error).__name__}: {error}") from error
    energy = qrs_energy(qrs_band, sampling_rate)
    reach = round(NEAR * sampling_rate / 1000)
    around = np.asarray(found["ECG_R_Peaks"], dtype=int)[:, None] + np.arange(-reach, reach + 1)
    around = np.clip(around, 0, len(energy) - 1)
    detected = np.unique(np.take_along_axis(around, energy[around].argmax(axis=1)[:, None], axis=1))
    if not len(detected):
        raise BadRecording("no QRS complexes")
    # Not the median: a detector may find every T wave too.
    usual = np.percentile(energy[detected], 80)
    if usual < MIN_ENERGY:
        raise BadRecording(f"no QRS complexes: {1000 * usual:.0f} uV, at least {1000 * MIN_ENERGY:g} uV")
    detected = detected[energy[detected] >= LOW * usual]
    apart = round(REFRACTORY * sampling_rate / 1000)
    # The ends count as valleys: a hill may stand at the very edge.
    hills = find_peaks(np.pad(energy, 1), height=MISSED * usual, distance=apart)[0] - 1
    missed = hills[np.abs(hills[:, None] - detected).min(axis=1) >= apart]
    peaks = np.union1d(detected, missed)
    check_qrs(energy, peaks, sampling_rate)
    return peaks


def check_qrs(energy: np.ndarray, peaks: np.ndarray, sampling_rate: int) -> None:
    """BadRecording unless the energy at the peaks stands out as that of QRS complexes does: high and short."""
    usual = np.median(energy[peaks])
    if len(peaks) > 1:
        valleys = np.minimum.reduceat(energy, peaks)[:-1]
        valley = np.median(valleys) / usual
        if valley > MAX_VALLEY:
            raise BadRecording(f"no QRS complexes: {valley:.0%} of their energy between them, at most {MAX_VALLEY:.0%}")
    low = np.append(np.flatnonzero(energy < usual / 2), len(energy))
    left = np.concatenate([[0], low])[np.searchsorted(low, peaks)]
    width = np.median(low[np.searchsorted(low, peaks)] - left) * 1000 / sampling_rate
    if width > MAX_WIDTH:
        raise BadRecording(f"no QRS complexes: {width:.0f} ms wide, at most {MAX_WIDTH} ms")
