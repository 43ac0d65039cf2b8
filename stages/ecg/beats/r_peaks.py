"""R peaks, once for all leads."""

import numpy as np

from ecg.beats.statistics import rms
from ecg.beats.windows import window_offsets
from ecg.leads import BadRecording

MIN_R = 0.05  # mV, RMS over leads: what is lower is no QRS complex


def find_r_peaks(qrs_band: np.ndarray, smooth: np.ndarray, sampling_rate: int, detector: str) -> np.ndarray:
    """Return the samples of the R peaks, found once for all leads (leads x samples, mV).

    The detector sees the RMS over leads of the band in which QRS complexes are and T waves are not; each peak is then
    moved to the largest RMS within 50 ms.
    """
    import neurokit2  # slow to import, and not needed by those who want a window only

    try:
        peaks = neurokit2.ecg_findpeaks(rms(qrs_band, 0), sampling_rate=sampling_rate, method=detector)
    except Exception as error:  # whatever a detector stumbles over is the reason
        raise BadRecording(f"detector {detector}: {type(error).__name__}: {error}") from error
    near, energy = window_offsets(-50, 50, sampling_rate), rms(smooth, 0)
    around = np.clip(np.asarray(peaks["ECG_R_Peaks"], dtype=int)[:, None] + near, 0, len(energy) - 1)
    peaks = np.unique(np.take_along_axis(around, energy[around].argmax(axis=1)[:, None], axis=1))
    return peaks[energy[peaks] >= MIN_R]
