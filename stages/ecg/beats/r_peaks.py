"""QRS complexes, once for all leads: where they are, and whether there are any."""

import numpy as np
from scipy.ndimage import convolve1d

from ecg.beats.detector import detect, highest_apart, local_maxima
from ecg.beats.windows import median_of, rms
from ecg.leads import BadRecording

SMOOTH = 100  # ms, width of the Hann window under which a QRS complex becomes one hill
NEAR = 60  # ms between a detector's R peak and the top of its hill, at most
REFRACTORY = 200  # ms between two QRS complexes, at least
MISSED = 0.4  # of the usual sharpness: such a hill is a QRS complex, also where the detector has none
BLUNT, LOW = 0.2, 0.4  # of the usual sharpness and height: what is below both is a T wave or the end of the recording
# What QRS complexes look like. Of 1,287 real recordings the extremes are 926 mV/s², 0.054 and 192 ms.
MIN_SHARP = 50  # mV/s²
MAX_VALLEY = 0.2  # of the usual sharpness, between two hills
MAX_WIDTH = 220  # ms, of a hill at half its height


def smoothing_window(sampling_rate: int) -> np.ndarray:
    """Return a Hann window whose sum is 1."""
    weights = np.hanning(round(SMOOTH * sampling_rate / 1000) + 2)[1:-1]
    return weights / weights.sum()


def smooth_rms(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the smoothed RMS over leads of ... x leads x samples."""
    # A sum over leads adds them one after the other, wherever they lie in memory: it may be of single precision.
    power = np.square(signal).sum(axis=-2) / signal.shape[-2]
    return np.sqrt(convolve1d(power, smoothing_window(sampling_rate), mode="constant"))


def sharpness(qrs_band: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the smoothed RMS over leads of the curvature (mV/s²) of the QRS band (... x leads x samples, mV).

    A T wave may be as high as a QRS complex, but is never so sharp.
    """
    curvature = np.zeros_like(qrs_band)
    curvature[..., 1:-1] = np.diff(qrs_band, 2) * sampling_rate**2
    return smooth_rms(curvature, sampling_rate)


def upper(values: np.ndarray) -> float:
    """Return a value that a fifth reach: what is usual, where a detector may have found every T wave too."""
    return float(np.sort(values)[int(0.8 * (len(values) - 1))])


def find_r_peaks(qrs_band: np.ndarray, sampling_rate: int, detector: str) -> np.ndarray:
    """Return the samples of the QRS complexes (leads x samples, mV), each where it is sharpest.

    A detector finds them in the RMS over leads. NeuroKit's own keeps 0.3 s between two, leaves out many a first or last
    one, and takes some T waves for one. So what is neither sharp nor high is dropped, and what is sharp is added.
    """
    peaks = detect(rms(qrs_band, 0), sampling_rate, detector)
    sharp = sharpness(qrs_band, sampling_rate)
    reach = round(NEAR * sampling_rate / 1000)
    around = np.clip(peaks[:, None] + np.arange(-reach, reach + 1), 0, len(sharp) - 1)
    detected = np.unique(np.take_along_axis(around, sharp[around].argmax(axis=1)[:, None], axis=1))
    if not len(detected):
        raise BadRecording("no QRS complexes")
    usual = upper(sharp[detected])
    if usual < MIN_SHARP:
        raise BadRecording(f"no QRS complexes: nothing sharper than {usual:.2g} mV/s², at least {MIN_SHARP}")
    if (sharp[detected] < BLUNT * usual).any():
        height = smooth_rms(qrs_band, sampling_rate)[detected]
        detected = detected[(sharp[detected] >= BLUNT * usual) | (height >= LOW * upper(height))]
    apart = round(REFRACTORY * sampling_rate / 1000)
    # The ends count as valleys: a hill may stand at the very edge.
    hills = local_maxima(np.concatenate([[0], sharp, [0]])) - 1
    hills = highest_apart(sharp, hills[sharp[hills] >= MISSED * usual], apart)
    missed = hills[np.abs(hills[:, None] - detected).min(axis=1) >= apart]
    found = np.sort(np.concatenate([detected, missed]))
    check_qrs(sharp, found, sampling_rate)
    return found


def check_qrs(sharp: np.ndarray, peaks: np.ndarray, sampling_rate: int) -> None:
    """BadRecording unless the sharpness at the peaks stands out as that of QRS complexes does: high and short."""
    usual = median_of(sharp[peaks])
    if len(peaks) > 1:
        valley = median_of(np.minimum.reduceat(sharp, peaks)[:-1]) / usual
        if valley > MAX_VALLEY:
            raise BadRecording(f"no QRS complexes: as sharp between them by {valley:.0%}, at most {MAX_VALLEY:.0%}")
    low = np.append(np.flatnonzero(sharp < usual / 2), len(sharp))
    left = np.concatenate([[0], low])[np.searchsorted(low, peaks)]
    width = median_of(low[np.searchsorted(low, peaks)] - left) * 1000 / sampling_rate
    if width > MAX_WIDTH:
        raise BadRecording(f"no QRS complexes: {width:.0f} ms wide, at most {MAX_WIDTH} ms")
