"""Where in a beat the QRS complex is, and the quiet stretch before it."""

from typing import NamedTuple

import numpy as np

from ecg.beats.r_peaks import smooth_rms
from ecg.beats.statistics import rms

SEARCH = 120  # ms from the first guess of R
QUIET = 0.05  # share of the QRS complex's steepest slope; a slope below it is no part of the complex
QUIET_FOR = 16  # ms
ONSET_FROM = -160  # ms from R: the QRS complex does not begin earlier
PQ = 24  # ms of the PQ segment give the isoelectric line
PQ_FROM = 60  # ms before the QRS complex: the segment is looked for from there on
USUAL_ONSET = -80  # ms from R
NO_PQ = "no quiet stretch before the QRS complex: the isoelectric line is a guess"


class Fiducials(NamedTuple):
    """Samples of a beat: R, the onset of the QRS complex, those of the PQ segment; flags say what is a guess."""

    r: int
    onset: int
    pq: np.ndarray
    flags: list[str]


def find_fiducials(beat: np.ndarray, origin: int, sampling_rate: int) -> Fiducials:
    """Return the fiducial points of a beat (8 independent leads x samples, mV) with its R peak near `origin`."""
    r = qrs_centre(beat, origin, sampling_rate)
    slope = rms(np.gradient(beat, axis=1), 0)
    onset, flags = qrs_onset(slope, r, sampling_rate), []
    if onset is None:
        onset, flags = max(r + USUAL_ONSET * sampling_rate // 1000, 0), [NO_PQ]
    return Fiducials(r, onset, pq_segment(slope, onset, sampling_rate), flags)


def qrs_centre(beat: np.ndarray, origin: int, sampling_rate: int) -> int:
    """Return the sample of a beat (independent leads x samples, mV) where its sharpest part is, near `origin`.

    That is the top of the smoothed RMS over leads of the acceleration: of two waves of a QRS complex it is not now the
    one, now the other, and an ST segment that is higher than R does not count.
    """
    sharp = smooth_rms(np.diff(beat, 2, axis=1), sampling_rate)
    reach = round(SEARCH * sampling_rate / 1000)
    first = max(origin - 1 - reach, 0)
    return first + int(sharp[first : origin + reach].argmax()) + 1


def qrs_onset(
    slope: np.ndarray, origin: int, sampling_rate: float, share: float = QUIET, quiet_for: float = QUIET_FOR
) -> int | None:
    """Return the sample where the QRS complex of a beat begins whose R is at `origin`; None if it does not.

    That is the end of the last stretch before R whose `slope`, an RMS over leads, stays under a `share` of its steepest
    near R for `quiet_for` ms.
    """
    near = round(SEARCH * sampling_rate / 1000)
    quiet = slope < share * slope[max(origin - near, 0) : origin + near].max()
    length = max(2, round(quiet_for * sampling_rate / 1000))
    first = max(origin + round(ONSET_FROM * sampling_rate / 1000), 0)
    runs = np.flatnonzero(np.convolve(quiet[first:origin], np.ones(length), "valid") == length)
    return first + int(runs[-1]) + length if len(runs) else None


def pq_segment(slope: np.ndarray, onset: int, sampling_rate: float) -> np.ndarray:
    """Return the quietest 24 ms (samples) in the 60 ms before the QRS complex begins."""
    length = round(PQ * sampling_rate / 1000)
    first = max(onset - round(PQ_FROM * sampling_rate / 1000), 0)
    # The beat may begin just before the QRS complex.
    restless = np.convolve(slope[first : max(onset, length)], np.ones(length), "valid")
    start = first + int(restless.argmin())
    return np.arange(start, start + length)
