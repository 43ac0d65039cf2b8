"""Detection of QRS complexes, once for all leads; refusal of signals without any."""

import warnings

import numpy as np
from scipy.ndimage import convolve1d

from ecg.beats.windows import median_of, rms
from ecg.leads import BadRecording

SMOOTH = 100  # ms, width of the Hann window under which a QRS complex becomes one hill
STRETCH = 2  # s; the usual maximum is the median of the highest values of such stretches
REFRACTORY = 200  # ms, minimum distance of two QRS complexes
SHARP = 0.4  # share of the usual sharpness from which a hill is a QRS complex
HIGH = 0.4  # share of the usual height from which a hill is a wide ectopic complex, unless it is a T wave
NEAR = 60  # ms, maximum distance from NeuroKit's R peak to the top of the hill
ALONE = 340  # ms, minimum distance from sharp hills and both ends; a T wave, or half a complex, is nearer
# Limits of QRS complexes. The extremes in 1,287 real recordings are 926 mV/s², 0.054 and 192 ms.
MIN_SHARP = 50  # mV/s²
MAX_VALLEY = 0.2  # share of the usual sharpness, between two hills
MAX_WIDTH = 220  # ms, of a hill at half its height


def smooth_rms(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the smoothed RMS over leads of ... x leads x samples."""
    window = np.hanning(round(SMOOTH * sampling_rate / 1000) + 2)[1:-1]
    # NumPy adds leads one after the other in any memory layout: the sum is the same even in single precision.
    power = np.square(signal).sum(axis=-2) / signal.shape[-2]
    return np.sqrt(convolve1d(power, window / window.sum(), mode="constant"))


def sharpness(qrs_band: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the smoothed RMS over leads of the curvature (mV/s²) of the QRS band (... x leads x samples, mV)."""
    curvature = np.zeros_like(qrs_band)
    curvature[..., 1:-1] = np.diff(qrs_band, 2) * sampling_rate**2
    return smooth_rms(curvature, sampling_rate)


def usual_maximum(values: np.ndarray, sampling_rate: int) -> float:
    """Return the median of the highest values in each 2 s."""
    starts = range(0, len(values) - sampling_rate, STRETCH * sampling_rate)
    return float(median_of(np.maximum.reduceat(values, starts)))


def find_r_peaks(qrs_band: np.ndarray, sampling_rate: int, detector: str) -> np.ndarray:
    """Return the samples of the QRS complexes in the QRS band (leads x samples, mV), each where it is sharpest.

    `detector` is sharpness, or a method of NeuroKit for the RMS over leads. BadRecording where no complex is found.
    """
    sharp = sharpness(qrs_band, sampling_rate)
    usual = usual_maximum(sharp, sampling_rate)
    if usual < MIN_SHARP:
        raise BadRecording(f"no QRS complexes: sharpness {usual:.2g} mV/s², at least {MIN_SHARP} mV/s²")
    if detector == "sharpness":
        found = find_hills(sharp, smooth_rms(qrs_band, sampling_rate), sampling_rate)
    else:
        peaks = find_with_neurokit(rms(qrs_band, 0), sampling_rate, detector)
        reach = round(NEAR * sampling_rate / 1000)
        around = np.clip(peaks[:, None] + np.arange(-reach, reach + 1), 0, len(sharp) - 1)
        found = np.unique(np.take_along_axis(around, sharp[around].argmax(axis=1)[:, None], axis=1))
    check_qrs(sharp, found, sampling_rate)
    return found


def find_hills(sharp: np.ndarray, height: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return the tops of the sharpness that are QRS complexes: sharp ones, and high ones that stand alone.

    `height` is the smoothed RMS over leads. A T wave differs from a QRS complex as in Pan and Tompkins, IEEE Trans
    Biomed Eng 32, 230 (1985): it follows a sharper hill at once.
    """
    hills = maxima_apart(sharp, round(REFRACTORY * sampling_rate / 1000))
    is_sharp = sharp[hills] >= SHARP * usual_maximum(sharp, sampling_rate)
    is_high = height[hills] >= HIGH * usual_maximum(height, sampling_rate)
    others = np.concatenate([[0], hills[is_sharp], [len(sharp)]])
    is_alone = np.abs(hills[:, None] - others).min(axis=1) > ALONE * sampling_rate / 1000
    return hills[is_sharp | (is_high & is_alone)]


def maxima_apart(values: np.ndarray, distance: int) -> np.ndarray:
    """Return the samples of the local maxima that are at least `distance` from any higher one that is returned."""
    # scipy.signal.find_peaks does the same, but its import takes 0.3 - 0.5 s of each command.
    tops = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1
    kept, near = np.zeros(len(values), bool), np.zeros(len(values), bool)
    for top in tops[values[tops].argsort()[::-1]].tolist():
        if not near[top]:
            kept[top] = True
            near[max(top - distance + 1, 0) : top + distance] = True
    return np.flatnonzero(kept)


def find_with_neurokit(signal: np.ndarray, sampling_rate: int, method: str) -> np.ndarray:
    """Return the samples of the R peaks that a method of NeuroKit's ecg_findpeaks finds in a signal."""
    import neurokit2  # 2 - 3 s

    try:
        # NeuroKit divides by 0 where it finds nothing.
        with warnings.catch_warnings(action="ignore"):
            peaks = neurokit2.ecg_findpeaks(signal, sampling_rate=sampling_rate, method=method)["ECG_R_Peaks"]
    except Exception as error:  # a method may fail in any way
        raise BadRecording(f"detector {method}: {type(error).__name__}: {error}") from error
    if not len(peaks):
        raise BadRecording(f"no QRS complexes: detector {method} finds none")
    return np.asarray(peaks, dtype=int)


def check_qrs(sharp: np.ndarray, peaks: np.ndarray, sampling_rate: int) -> None:
    """Raise BadRecording unless the sharpness at the peaks is high and short, as that of QRS complexes."""
    usual = median_of(sharp[peaks])
    if len(peaks) > 1:
        valley = median_of(np.minimum.reduceat(sharp, peaks)[:-1]) / usual
        if valley > MAX_VALLEY:
            raise BadRecording(f"no QRS complexes: {valley:.0%} as sharp between peaks, at most {MAX_VALLEY:.0%}")
    low = np.append(np.flatnonzero(sharp < usual / 2), len(sharp))
    left = np.concatenate([[0], low])[np.searchsorted(low, peaks)]
    width = median_of(low[np.searchsorted(low, peaks)] - left) * 1000 / sampling_rate
    if width > MAX_WIDTH:
        raise BadRecording(f"no QRS complexes: {width:.0f} ms wide, at most {MAX_WIDTH} ms")
