"""A 12-lead recording to its median beat, or to the reason why it has none. Arrays in, arrays out."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ecg.beats.alignment import align, check_room, similar_beats
from ecg.beats.filters import remove_hum, resample
from ecg.beats.gaps import check_gaps, check_leads, fill_gaps, mark_held
from ecg.beats.measurements import find_fiducials, qrs_flags
from ecg.beats.pacing import has_pacing_spikes
from ecg.beats.plausibility import arm_flags, check_copies, check_shape, implausible_height, mend_limb_leads
from ecg.beats.r_peaks import find_r_peaks
from ecg.beats.windows import beat_offsets, beat_times, cut_windows, median_of, modified_z, rms, window_offsets
from ecg.leads import INDEPENDENT, LEADS, MAX_RATE, BadRecording
from ecg.params import Extract

FLAT = 0.01  # mV, peak to peak of a lead of the median beat
PADDING = 1.0  # s
DECISION_LOW_PASS = 20.0  # Hz
QRS_BAND = (5.0, 20.0)  # Hz
QRS = (-80, 120)  # ms from the R peak: what beats are compared on
SHAPE = (-250, 200)  # ms from the R peak: where the QRS complex and the stretch before it are looked for
COMPARED = (-350, 300)  # ms from the R peak: lies inside the recording with all beats that are compared
HILLS = 450  # ms from the R peak: where each lead's QRS complex is looked for
MAX_SHIFT = 30  # ms by which a beat is moved to fit the others
MAX_RESIDUAL_Z = 4.0  # modified z score of a beat's residual
MIN_SHARE = 0.5  # of the beats found must be alike
FEW_OTHERS = 0.75  # of the beats alike: the others then hardly move the median
TIE = "two kinds of beat are as frequent: the narrower QRS complex was taken"
PACED = "paced: a pacemaker's spike before most beats"


class Signals(NamedTuple):
    """A recording at the working rate, mV: all leads, the 8 independent ones low-passed at 20 Hz and at 5 - 20 Hz.

    gap says where a sample was missing in any lead; None where none was.
    """

    ecg: np.ndarray
    smooth: np.ndarray
    qrs_band: np.ndarray
    gap: np.ndarray | None


class Beats(NamedTuple):
    """The beats of a recording whose window lies inside it.

    beats are n x 12 x samples (mV, isoelectric line at 0), r_peaks their times (s), alike says which are of the kind
    that most are of, used which of these go into the median, since no other QRS complex lies in their window;
    correlation is that with the beat that most others resemble; heart_rate (beats/min) is of all QRS complexes; tie
    says that two kinds of beat were as frequent; flags say what was odd.
    """

    beats: np.ndarray
    r_peaks: np.ndarray
    alike: np.ndarray
    used: np.ndarray
    correlation: np.ndarray
    heart_rate: float | None
    tie: bool
    flags: list[str]


class MedianBeat(NamedTuple):
    """A median beat (12 x samples, float32, mV) and its quality, or None and the reason why there is none.

    n_beats were found with their window inside the recording, n_used of them went into the median; heart_rate
    is in beats/min, noise_uv the RMS of the used beats round their median in the median lead, correlation the mean of
    the used beats with the one that most others resemble; flags say what was odd.
    """

    beat: np.ndarray | None
    n_beats: int = 0
    n_used: int = 0
    heart_rate: float | None = None
    noise_uv: float | None = None
    correlation: float | None = None
    flags: tuple[str, ...] = ()
    reason: str = ""


def clean_leads(samples: np.ndarray, recorded_rate: float, extract: Extract) -> tuple[np.ndarray, list[str]]:
    """Return the leads (12 x samples, int16, uV) of a recording (samples x 12), and flags for what was mended.

    What is no signal is missing, mains hum is removed, and limb leads are derived where they are wrong. BadRecording
    says what is wrong with the others.
    """
    lowest = 2 * extract.low_pass
    if not lowest <= recorded_rate <= MAX_RATE:
        raise BadRecording(f"sampling rate: {recorded_rate:g} Hz; allowed: {lowest:g} to {MAX_RATE:g} Hz")
    recorded = np.ascontiguousarray(samples.T)
    leads = mark_held(recorded, recorded_rate)
    check_leads(leads, recorded_rate)
    check_copies(leads)
    leads, hum_flags = remove_hum(leads, recorded_rate)
    leads, limb_flags = mend_limb_leads(leads, recorded_rate)
    check_gaps(recorded, leads, recorded_rate)
    return leads, hum_flags + limb_flags


def filter_leads(leads: np.ndarray, recorded_rate: float, extract: Extract) -> Signals:
    """Filter leads (12 x samples, int16, uV, at `recorded_rate` Hz) in three ways, at the working rate."""
    signal, missing = fill_gaps(leads)
    ratio = Fraction(extract.sampling_rate / recorded_rate).limit_denominator(1000)
    filters = [
        (slice(None), (extract.high_pass, extract.low_pass)),
        (INDEPENDENT, (extract.high_pass, min(extract.low_pass, DECISION_LOW_PASS))),
        (INDEPENDENT, QRS_BAND),
    ]
    ecg, smooth, qrs_band = resample(signal, recorded_rate, ratio, filters, pad=round(PADDING * recorded_rate))
    if missing is None:
        return Signals(ecg, smooth, qrs_band, None)
    at = np.arange(ecg.shape[1]) / float(ratio)
    return Signals(ecg, smooth, qrs_band, np.interp(at, np.arange(len(missing)), missing) > 0)


def are_whole(centres: np.ndarray, offsets: np.ndarray, signals: Signals) -> np.ndarray:
    """Say which windows lie inside the recording and hold no gap."""
    n = signals.ecg.shape[1]
    whole = (centres + offsets[0] >= 0) & (centres + offsets[-1] < n)
    if signals.gap is not None:
        whole &= ~signals.gap[np.clip(centres[:, None] + offsets, 0, n - 1)].any(axis=1)
    return whole


def heart_rate_of(peaks: np.ndarray, signals: Signals, sampling_rate: int) -> float | None:
    """Return the heart rate (beats/min) of all QRS complexes; an interval that holds a gap does not count.

    That is the median over pairs of neighbouring intervals, so that it counts all beats of a bigeminy, and few false or
    missed ones do not move it.
    """
    intervals = np.diff(peaks)
    if signals.gap is not None:
        before = np.cumsum(signals.gap)
        intervals = intervals[before[peaks[1:]] == before[peaks[:-1]]]
    if not len(intervals):
        return None
    pairs = (intervals[1:] + intervals[:-1]) / 2 if len(intervals) > 1 else intervals
    return 60 * sampling_rate / float(median_of(pairs))


def align_and_reject(
    smooth: np.ndarray, peaks: np.ndarray, extract: Extract
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Return aligned R peaks, which beats are alike, their correlation with the reference, and if two kinds were tied.

    Beats are compared on the QRS complex of `smooth` (leads x samples).
    """
    qrs = window_offsets(*QRS, extract.sampling_rate)
    max_shift = MAX_SHIFT * extract.sampling_rate // 1000
    aligned = align(smooth, peaks, qrs, max_shift)
    used, correlation, tie = similar_beats(cut_windows(smooth, aligned, qrs), extract.min_correlation)
    if used.mean() < FEW_OTHERS:
        # The others had their say in the template.
        aligned[used] = align(smooth, peaks[used], qrs, max_shift)
    complexes = cut_windows(smooth, aligned[used], qrs)
    residuals = complexes - median_of(complexes)
    used[used] = modified_z(rms(residuals, (1, 2))) <= MAX_RESIDUAL_Z
    return aligned, used, correlation, tie


def find_beats(leads: np.ndarray, recorded_rate: float, extract: Extract) -> Beats:
    """Find the beats of leads (12 x samples, int16, uV, at `recorded_rate` Hz), and which of them are alike.

    BadRecording says what makes it impossible.
    """
    signals, rate = filter_leads(leads, recorded_rate, extract), extract.sampling_rate
    peaks = find_r_peaks(signals.qrs_band, rate, extract.detector)
    heart_rate = heart_rate_of(peaks, signals, rate)
    shape = window_offsets(*SHAPE, rate)
    comparable = are_whole(peaks, window_offsets(*COMPARED, rate), signals)
    if not comparable.any():
        raise BadRecording("too few beats: 0")
    r, alike, correlation, tie = align_and_reject(signals.smooth, peaks[comparable], extract)
    template = median_of(cut_windows(signals.ecg[INDEPENDENT], r[alike], shape).astype(np.float64))
    fiducials = find_fiducials(template, -int(shape[0]), rate)
    r += fiducials.r + shape[0]

    offsets = beat_offsets(extract)
    whole = are_whole(r, offsets, signals)
    if not whole.any():
        raise BadRecording("too few beats: 0")
    following = np.append(peaks[1:], signals.ecg.shape[1] + len(offsets))[comparable] - peaks[comparable]
    room = int(offsets[-1]) + fiducials.r - fiducials.onset
    alone = following > room
    check_room(alone[whole & alike], heart_rate, 60 * rate / room, extract)
    around = window_offsets(-HILLS, HILLS, rate)
    hills = cut_windows(signals.qrs_band, r[alike][:5], around, clipped=True)
    flags = fiducials.flags + check_shape(template, hills.mean(axis=0), fiducials.r, rate)
    beats = cut_windows(signals.ecg, r[whole], offsets)
    isoelectric = cut_windows(signals.ecg, r[whole], fiducials.pq - fiducials.r, clipped=True)
    beats -= median_of(np.moveaxis(isoelectric, 2, 0))[:, :, None]
    used = alike & alone
    return Beats(beats, r[whole] / rate, alike[whole], used[whole], correlation[whole], heart_rate, tie, flags)


def median_beat(samples: np.ndarray, recorded_rate: float, extract: Extract) -> MedianBeat:
    """Reduce a recording (samples x 12, int16, uV, at `recorded_rate` Hz) to its median beat, or to a reason."""
    flags: list[str] = []
    try:
        leads, flags = clean_leads(samples, recorded_rate, extract)
        beats = find_beats(leads, recorded_rate, extract)
    except BadRecording as error:
        return MedianBeat(None, flags=tuple(flags), reason=str(error))
    median = combine(beats, recorded_rate, extract)
    median = median._replace(flags=(*flags, *median.flags))
    if median.beat is not None and has_pacing_spikes(leads.T, recorded_rate, beats.r_peaks):
        return median._replace(beat=None, reason=PACED)
    return median


def combine(beats: Beats, recorded_rate: float, extract: Extract) -> MedianBeat:
    """Take the median of the beats that are alike, of a recording at `recorded_rate` Hz.

    Refuse where they are few, noisy or of an implausible height; flag an odd QRS complex.
    """
    n_beats, n_used = len(beats.beats), int(beats.used.sum())
    flags = (*[TIE] * beats.tie, *beats.flags)
    refused = MedianBeat(None, n_beats, n_used, beats.heart_rate, flags=flags)
    if n_beats < extract.min_beats:
        return refused._replace(reason=f"too few beats: {n_beats}, at least {extract.min_beats}")
    n_alike = int(beats.alike.sum())
    # Of two kinds of beat that are as frequent, the other half cannot be used.
    if n_used < extract.min_beats or n_alike < MIN_SHARE * (n_beats / 2 if beats.tie else n_beats):
        return refused._replace(reason=f"too few good beats: {n_alike} of {n_beats} alike, {n_used} used")
    used = beats.beats[beats.used]
    median = median_of(used)
    flat = np.ptp(median, axis=1) < FLAT
    if flat.any():
        return refused._replace(reason=f"flat lead: {', '.join(np.array(LEADS)[flat])}")
    implausible = implausible_height(median)
    if implausible:
        return refused._replace(reason=implausible)
    noise = 1000 * float(median_of(rms(used - median, (0, 2))))
    # The standard error of a median of normal values is 1.25 times that of their mean.
    remaining = 1.25 * noise / np.sqrt(n_used)
    if remaining > extract.max_noise:
        reason = f"too noisy: {remaining:.0f} uV, at most {extract.max_noise:g} uV"
        return refused._replace(noise_uv=noise, reason=reason)
    correlation = float(beats.correlation[beats.used].mean())
    flags += (
        *qrs_flags(median, beat_times(extract), beats.heart_rate, recorded_rate),
        *arm_flags(median, beat_times(extract)),
    )
    return MedianBeat(median, n_beats, n_used, beats.heart_rate, noise, correlation, flags)
