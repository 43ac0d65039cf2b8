"""Whether 12 leads can be those of one heart, on the scale that is said: lead against lead, amplitude, shape."""

import numpy as np

from ecg.beats.r_peaks import sharpness
from ecg.beats.statistics import median_of, rms
from ecg.leads import INDEPENDENT, LEADS, MISSING, BadRecording
from ecg.params import Extract

# What Einthoven's and Goldberger's laws leave of I, II, III, aVR, aVL and aVF: I - II + III = 0, aVR = -(I + II) / 2,
# aVL = I - II / 2, aVF = II - I / 2, each but for a constant.
LAWS = np.array(
    [(-1, 1, -1, 0, 0, 0), (0.5, 0.5, 0, 1, 0, 0), (-1, 0.5, 0, 0, 1, 0), (0.5, -1, 0, 0, 0, 1)], dtype=np.float32
)
# Of 1,287 real recordings the extremes are 2.5 uV, 0.49, 0.12, 24 ms and -0.85.
DISAGREE = 0.95  # quantile over time of what Einthoven's and Goldberger's laws leave
AT_R = 60  # ms from R
MIN_AT_R = 0.4  # of a lead's highest hill lies there
MIN_RANK = 0.05  # second over first singular value of the beat: below, all leads show the same wave
MAX_BLUNT = 30  # ms, standard deviation of the Gaussian that is as sharp as the sharpest part of the beat
MAX_RATE_DIFFERENCE = 0.1  # of the heart rate that a file says
INVERTED = -0.75  # correlation with both neighbours


def check_limb_leads(leads: np.ndarray, extract: Extract) -> None:
    """BadRecording where limb leads (12 x samples, int16, uV) break Einthoven's or Goldberger's law by too many uV."""
    # Every tenth of the samples that all six have tells enough.
    known = np.flatnonzero((leads[:6] != MISSING).all(axis=0))[::10]
    left = LAWS @ leads[:6, known].astype(np.float32)
    n = left.shape[1]
    left -= np.sort(left, axis=1)[:, n // 2, None]
    amounts = np.sort(np.abs(left), axis=1)[:, int(DISAGREE * n)]
    wrong = [i for i, amount in enumerate(amounts) if amount > extract.max_disagreement]
    if wrong:
        # A wrong I or II breaks several laws, another lead its own.
        names = ["I", "II"] if len(wrong) > 2 else []
        names += [LEADS[2 + i] for i in wrong]
        most = f"{amounts.max():.0f} uV, at most {extract.max_disagreement:g} uV"
        raise BadRecording(f"limb leads disagree: {', '.join(names)} by {most}")


def check_copies(leads: np.ndarray) -> None:
    """BadRecording where two leads (12 x samples, int16, uV) hold the same samples."""
    first: dict[bytes, int] = {}
    for i, lead in enumerate(leads):
        # Every 50th sample tells whether it is worth a look.
        other = first.setdefault(lead[::50].tobytes(), i)
        if other != i and np.array_equal(leads[other], lead):
            raise BadRecording(f"copied lead: {LEADS[i]} is {LEADS[other]}")


def compare_heart_rates(found: float | None, told: float | None) -> list[str]:
    """Return a flag where the heart rate that was found (beats/min) is not near the one that the file tells."""
    if found and told and abs(found - told) > MAX_RATE_DIFFERENCE * told:
        return [f"heart rate: {found:.0f}/min, {told:.0f}/min in the file"]
    return []


def implausible_height(beat: np.ndarray, extract: Extract) -> str:
    """Say why the height of a median beat (12 x samples, mV) is that of no heart; empty where it may be."""
    heights = np.ptp(beat, axis=1)
    largest, usual = float(heights.max()), float(median_of(heights[INDEPENDENT]))
    if largest < extract.min_amplitude:
        return f"amplitude: {largest:.2g} mV in the largest lead, at least {extract.min_amplitude:g} mV; wrong unit?"
    if usual > extract.max_amplitude:
        return f"amplitude: {usual:.2g} mV in half of the leads, at most {extract.max_amplitude:g} mV; wrong unit?"
    return ""


def check_shape(beat: np.ndarray, qrs_band: np.ndarray, r: int, sampling_rate: int) -> list[str]:
    """BadRecording where leads show one wave only, a blunt one, or a QRS complex that is not at R; return flags.

    `beat` are its 8 independent leads x samples (mV) with R at the sample `r`; `qrs_band` are they in the band of the
    QRS complex, with R in the middle.
    """
    independent = beat - median_of(beat.T)[:, None]
    # The singular values are the roots of these, and take four times as long.
    *_, second, first = np.linalg.eigvalsh(independent @ independent.T)
    if second < MIN_RANK**2 * first:
        raise BadRecording("copied lead: all leads show the same wave")
    # Of a Gaussian, the height over the curvature at its top is its variance.
    curvature = rms(np.diff(independent, 2, axis=1), 0).max() * sampling_rate**2
    width = 1000 * np.sqrt(rms(independent, 0).max() / curvature)
    if width > MAX_BLUNT:
        raise BadRecording(f"no QRS complexes: the sharpest wave is {width:.0f} ms wide, at most {MAX_BLUNT} ms")
    hills = sharpness(qrs_band[:, None], sampling_rate)
    middle, near = hills.shape[1] // 2, round(AT_R * sampling_rate / 1000)
    share = hills[:, middle - near : middle + near + 1].max(axis=1) / (hills.max(axis=1) + 1e-12)
    shifted = [LEADS[INDEPENDENT[i]] for i in np.flatnonzero(share < MIN_AT_R)]
    if shifted:
        raise BadRecording(f"leads shifted in time: no QRS complex at R in {', '.join(shifted)}")
    chest = independent[2:] / (np.linalg.norm(independent[2:], axis=1, keepdims=True) + 1e-12)
    with_next = [-1.0, *(chest[:-1] * chest[1:]).sum(axis=1), -1.0]
    odd = [LEADS[6 + i] for i in range(6) if max(with_next[i : i + 2]) < INVERTED]
    return [f"like its neighbours upside down: {', '.join(odd)}"] if odd else []
