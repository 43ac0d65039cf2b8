"""A 12-lead recording to its median beat, or to the reason why it has none. Arrays in, arrays out."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ecg.beats.alignment import align
from ecg.beats.filters import fill_gaps, resample
from ecg.beats.r_peaks import find_r_peaks
from ecg.beats.rejection import similar_beats
from ecg.beats.statistics import median_of, modified_z, rms
from ecg.beats.windows import beat_offsets, cut_windows, window_offsets
from ecg.leads import INDEPENDENT, LEADS, MAX_RATE, MISSING, RAIL, BadRecording
from ecg.params import Extract

MIN_DURATION = 4.0  # s
FLAT = 0.01  # mV, peak to peak of a lead of the median beat
MAX_SATURATED = 0.01  # of a lead's samples
PADDING = 1.0  # s
DECISION_LOW_PASS = 20.0  # Hz
QRS_BAND = (5.0, 20.0)  # Hz
QRS = (-80, 120)  # ms from the R peak: what beats are compared on
ISOELECTRIC = (-100, -60)  # ms from the R peak: the PQ segment
FEW_OTHERS = 0.75  # of the beats alike: the others then hardly move the median
TIE = "two kinds of beat are as frequent: the narrower QRS complex was taken"


class Beats(NamedTuple):
    """The beats of a recording whose window lies inside it.

    beats are n x 12 x samples (mV, isoelectric line at 0), r_peaks their times (s), used says which go into the median,
    correlation is that with the beat that most others resemble; heart_rate (beats/min) is of all R peaks; tie says that
    two kinds of beat were as frequent.
    """

    beats: np.ndarray
    r_peaks: np.ndarray
    used: np.ndarray
    correlation: np.ndarray
    heart_rate: float | None
    tie: bool


class MedianBeat(NamedTuple):
    """A median beat (12 x samples, float32, mV) and its quality, or None and the reason why there is none.

    n_beats were found with their window inside the recording, n_used of them went into the median; heart_rate is in
    beats/min, noise_uv the RMS of the used beats round their median in the median lead, correlation the mean of the
    used beats with the one that most others resemble; flags say what was odd.
    """

    beat: np.ndarray | None
    n_beats: int = 0
    n_used: int = 0
    heart_rate: float | None = None
    noise_uv: float | None = None
    correlation: float | None = None
    flags: str = ""
    reason: str = ""


def check_leads(leads: np.ndarray) -> None:
    """BadRecording where a lead (12 x samples, int16, uV) is missing or saturated."""
    low, high = leads.min(axis=1), leads.max(axis=1)
    missing, saturated = high == MISSING, np.zeros(len(leads), dtype=bool)
    for lead in np.flatnonzero((high == RAIL) | (low <= -RAIL)):
        saturated[lead] = np.isin(leads[lead], (-RAIL, RAIL)).mean() > MAX_SATURATED
    for state, bad in (("missing", missing), ("saturated", saturated)):
        if bad.any():
            raise BadRecording(f"{state} lead: {', '.join(np.array(LEADS)[bad])}")


def find_beats(samples: np.ndarray, recorded_rate: float, extract: Extract) -> Beats:
    """Find the beats of a recording (samples x 12, int16, uV, at `recorded_rate` Hz), and which of them are alike.

    BadRecording says what makes it impossible.
    """
    lowest = 2 * extract.low_pass
    if not lowest <= recorded_rate <= MAX_RATE:
        raise BadRecording(f"sampling rate: {recorded_rate:g} Hz; allowed: {lowest:g} to {MAX_RATE:g} Hz")
    if len(samples) / recorded_rate < MIN_DURATION:
        raise BadRecording(f"too short: {len(samples) / recorded_rate:.1f} s, at least {MIN_DURATION:g} s")
    leads = np.ascontiguousarray(samples.T)
    check_leads(leads)

    signal, missing = fill_gaps(leads)
    rate = extract.sampling_rate
    ratio = Fraction(rate / recorded_rate).limit_denominator(1000)
    filters = [
        (slice(None), (extract.high_pass, extract.low_pass)),
        (INDEPENDENT, (extract.high_pass, min(extract.low_pass, DECISION_LOW_PASS))),
        (INDEPENDENT, QRS_BAND),
    ]
    ecg, smooth, qrs_band = resample(signal, recorded_rate, ratio, filters, pad=round(PADDING * recorded_rate))
    peaks = find_r_peaks(qrs_band, smooth, rate, extract.detector)
    heart_rate = 60 * rate / float(np.median(np.diff(peaks))) if len(peaks) > 1 else None
    offsets = beat_offsets(extract)
    reach = int(extract.max_shift * rate / 1000)
    peaks = peaks[(peaks + offsets[0] - reach >= 0) & (peaks + offsets[-1] + reach < ecg.shape[1])]
    if missing is not None:
        gaps = np.interp(np.arange(ecg.shape[1]) / float(ratio), np.arange(len(missing)), missing) > 0
        peaks = peaks[~gaps[peaks[:, None] + offsets].any(axis=1)]
    if not len(peaks):
        raise BadRecording("too few beats: 0")

    peaks, used, correlation, tie = align_and_reject(smooth, peaks, reach, extract)
    beats = cut_windows(ecg, peaks, offsets)
    isoelectric = window_offsets(*ISOELECTRIC, rate) - offsets[0]
    beats -= median_of(np.moveaxis(beats[:, :, isoelectric], 2, 0))[:, :, None]
    return Beats(beats, peaks / rate, used, correlation, heart_rate, tie)


def align_and_reject(
    smooth: np.ndarray, peaks: np.ndarray, max_shift: int, extract: Extract
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Return aligned R peaks, which beats are alike, their correlation with the reference, and if two kinds were tied.

    Beats are compared on the QRS complex of `smooth` (leads x samples); a shift is at most `max_shift` samples.
    """
    qrs = window_offsets(*QRS, extract.sampling_rate)
    aligned = align(smooth, peaks, qrs, max_shift)
    used, correlation, tie = similar_beats(cut_windows(smooth, aligned, qrs), extract.min_correlation)
    if used.mean() < FEW_OTHERS:
        # The others had their say in the template.
        aligned[used] = align(smooth, peaks[used], qrs, max_shift)
    complexes = cut_windows(smooth, aligned[used], qrs)
    residuals = complexes - median_of(complexes)
    used[used] = modified_z(rms(residuals, (1, 2))) <= extract.max_residual_z
    return aligned, used, correlation, tie


def median_beat(samples: np.ndarray, recorded_rate: float, extract: Extract) -> MedianBeat:
    """Reduce a recording (samples x 12, int16, uV, at `recorded_rate` Hz) to its median beat."""
    try:
        beats = find_beats(samples, recorded_rate, extract)
    except BadRecording as error:
        return MedianBeat(None, reason=str(error))
    return combine(beats, extract)


def combine(beats: Beats, extract: Extract) -> MedianBeat:
    """Take the median of the beats that are alike; refuse where they are few or where their noise remains."""
    n_beats, n_used = len(beats.beats), int(beats.used.sum())
    flags = TIE if beats.tie else ""
    refused = MedianBeat(None, n_beats, n_used, beats.heart_rate, flags=flags)
    if n_beats < extract.min_beats:
        return refused._replace(reason=f"too few beats: {n_beats}, at least {extract.min_beats}")
    # Of two kinds of beat that are as frequent, the other half cannot be used.
    if n_used < extract.min_beats or n_used < extract.min_share * (n_beats / 2 if beats.tie else n_beats):
        return refused._replace(reason=f"too few good beats: {n_used} of {n_beats}")
    used = beats.beats[beats.used]
    median = median_of(used)
    flat = np.ptp(median, axis=1) < FLAT
    if flat.any():
        return refused._replace(reason=f"flat lead: {', '.join(np.array(LEADS)[flat])}")
    noise = 1000 * float(np.median(rms(used - median, (0, 2))))
    # The standard error of a median of normal values is 1.25 times that of their mean.
    remaining = 1.25 * noise / np.sqrt(n_used)
    if remaining > extract.max_noise:
        reason = f"too noisy: {remaining:.0f} uV, at most {extract.max_noise:g} uV"
        return refused._replace(noise_uv=noise, reason=reason)
    correlation = float(beats.correlation[beats.used].mean())
    return MedianBeat(median, n_beats, n_used, beats.heart_rate, noise, correlation, flags)
