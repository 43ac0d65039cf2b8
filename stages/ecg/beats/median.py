"""A 12-lead recording to its median beat: filter, R peaks, alignment, rejection, median. Arrays in, arrays out."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy import fft

from ecg.leads import INDEPENDENT, LEADS, MAX_RATE, MISSING, RAIL, BadRecording

MIN_DURATION = 4.0  # s
FLAT = 0.01  # mV, peak to peak of a lead of the median beat
MAX_SATURATED = 0.01  # of a lead's samples
PADDING = 1.0  # s
DECISION_LOW_PASS = 20.0  # Hz
QRS_BAND = (5.0, 20.0)  # Hz
QRS = (-80, 120)  # ms from the R peak: what beats are compared on
ISOELECTRIC = (-100, -60)  # ms from the R peak: the PQ segment
TIE = "two kinds of beat are as frequent: the narrower QRS complex was taken"
MIN_R = 0.05  # mV, RMS over leads: what is lower is no QRS complex
FEW_OTHERS = 0.75  # of the beats alike: the others then hardly move the median
MIN_KIND = 3  # beats that look alike, to be a kind of beat
MIN_SPREAD = 0.3  # of the median residual: beats that differ by less are equally good


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


def window(start: float, end: float, sampling_rate: float) -> np.ndarray:
    """Return the sample offsets from the R peak that lie within start … end (ms)."""
    first, last = np.ceil(start * sampling_rate / 1000), np.floor(end * sampling_rate / 1000)
    return np.arange(int(first), int(last) + 1)


def window_times(start: float, end: float, sampling_rate: float) -> np.ndarray:
    """Return the times (ms from the R peak) of the samples of `window`."""
    return window(start, end, sampling_rate) * (1000 / sampling_rate)


def check_leads(leads: np.ndarray) -> None:
    """BadRecording where a lead (12 x samples, int16, uV) is missing or saturated."""
    low, high = leads.min(axis=1), leads.max(axis=1)
    missing, saturated = high == MISSING, np.zeros(len(leads), dtype=bool)
    for lead in np.flatnonzero((high == RAIL) | (low <= -RAIL)):
        saturated[lead] = np.isin(leads[lead], (-RAIL, RAIL)).mean() > MAX_SATURATED
    for what, bad in (("missing", missing), ("saturated", saturated)):
        if bad.any():
            raise BadRecording(f"{what} lead: {', '.join(np.array(LEADS)[bad])}")


def fill_gaps(leads: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return leads x samples in mV, float32, with missing samples interpolated, and where one was missing, or None."""
    signal = leads.astype(np.float32)
    signal /= 1000
    missing = leads == MISSING
    if not missing.any():
        return signal, None
    for lead in np.flatnonzero(missing.any(axis=1)):
        gaps = missing[lead]
        signal[lead, gaps] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), signal[lead, ~gaps])
    return signal, missing.any(axis=0)


def resample(signal: np.ndarray, rate: float, ratio: Fraction, filters: list[tuple], pad: int) -> list[np.ndarray]:
    """Filter leads x samples at `rate` Hz with zero phase and change the rate by `ratio`, in one pair of transforms.

    A filter is the leads that it is for and its band (Hz), which must end below half the lower rate; each gives one
    output. Both ends are extended by `pad` samples, mirrored and faded out, so that no step is filtered.
    """
    n = signal.shape[1]
    up, down = ratio.numerator, ratio.denominator
    blocks = -(-pad // down)
    pad = blocks * down
    total = fft.next_fast_len(-(-(n + 2 * pad) // down), real=True)
    # Without offset and drift the two ends meet. Every fifth sample tells where they are.
    first, last = np.median(signal[:, :pad:5], axis=1), np.median(signal[:, -pad::5], axis=1)
    slope = ((last - first) / (n - pad))[:, None]
    centred = slope * ((pad - 1) / 2 - np.arange(n, dtype=np.float32))
    centred += signal
    centred -= first[:, None]
    reach = min(pad, n - 1)
    fade = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, reach + 1) / (reach + 1))).astype(np.float32)
    padded = np.zeros((len(signal), total * down), dtype=np.float32)
    padded[:, pad : pad + n] = centred
    padded[:, pad - reach : pad] = centred[:, reach:0:-1] * fade
    padded[:, pad + n : pad + n + reach] = centred[:, -2 : -reach - 2 : -1] * fade[::-1]
    spectrum = fft.rfft(padded, axis=1)[:, : total * up // 2 + 1]
    start, stop = blocks * up, blocks * up + n * up // down
    gains = [band_pass(*band, spectrum.shape[1], rate / (total * down), up / down) for _, band in filters]
    return [
        fft.irfft(spectrum[rows] * gain, total * up, axis=1)[:, start:stop]
        for (rows, _), gain in zip(filters, gains, strict=True)
    ]


def band_pass(low: float, high: float, size: int, step: float, scale: float) -> np.ndarray:
    """Return the gain at 0, step, 2 step … Hz of Butterworth filters run forward and backward, times `scale`.

    High-pass of order 6, low-pass of order 4. The high-pass is steep, so that the beat's own lowest frequency stays and
    ST with it; a `low` of 0 leaves it out.
    """
    square = (step * np.arange(size)) ** 2
    fourth = square * square
    gain = scale / (1 + fourth * fourth / high**8)
    if low:
        twelfth = fourth * fourth * fourth
        gain *= twelfth / (twelfth + low**12)
    return gain.astype(np.float32)


def find_r_peaks(qrs_band: np.ndarray, smooth: np.ndarray, sampling_rate: int, detector: str) -> np.ndarray:
    """Return the samples of the R peaks, found once for all leads (leads x samples, mV).

    The detector sees the RMS over leads of the band in which QRS complexes are and T waves are not; each peak is then
    moved to the largest RMS within 50 ms.
    """
    import neurokit2  # slow to import, and not needed by those who want a window only

    try:
        found = neurokit2.ecg_findpeaks(rms(qrs_band, 0), sampling_rate=sampling_rate, method=detector)
    except Exception as error:  # whatever a detector stumbles over is the reason
        raise BadRecording(f"detector {detector}: {type(error).__name__}: {error}") from error
    near, energy = window(-50, 50, sampling_rate), rms(smooth, 0)
    around = np.clip(np.asarray(found["ECG_R_Peaks"], dtype=int)[:, None] + near, 0, len(energy) - 1)
    peaks = np.unique(np.take_along_axis(around, energy[around].argmax(axis=1)[:, None], axis=1))
    return peaks[energy[peaks] >= MIN_R]


def rms(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    return np.sqrt(np.mean(np.square(values), axis=axis, dtype=np.float64))


def cut(signal: np.ndarray, centres: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return beats x leads x offsets from leads x samples."""
    return signal[:, centres[:, None] + offsets].swapaxes(0, 1)


def align(signal: np.ndarray, centres: np.ndarray, offsets: np.ndarray, max_shift: int) -> np.ndarray:
    """Move each beat's centre by up to `max_shift` samples to where it correlates best with the median beat; twice."""
    if not max_shift:
        return centres
    wide = np.arange(offsets[0] - max_shift, offsets[-1] + max_shift + 1)
    # In double precision here and below: sums differ in their last bits with where arrays lie in memory, and must not
    # change what is chosen or written.
    beats = cut(signal, centres, wide).astype(np.float64)
    shifted = np.lib.stride_tricks.sliding_window_view(beats, len(offsets), axis=2)
    power = np.cumsum(np.pad(np.einsum("blw,blw->bw", beats, beats), ((0, 0), (1, 0))), axis=1)
    energy = power[:, len(offsets) :] - power[:, : -len(offsets)]
    best = np.full(len(centres), max_shift)
    for _ in range(2):
        template = median_of(shifted[np.arange(len(beats)), :, best])
        match = np.einsum("blsw,lw->bs", shifted, template) / np.sqrt(energy + 1e-12)
        best = match.argmax(axis=1)
    return centres + best - max_shift


def similar_beats(beats: np.ndarray, min_correlation: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return which beats (beats x leads x samples) resemble the one with most partners, how well, and if it was a tie.

    Where two kinds of beat are as frequent, give or take one, as in bigeminy, the kind with the narrower QRS complex
    wins: an ectopic beat is wide.
    """
    flat = beats.reshape(len(beats), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-12
    correlation = flat @ flat.T
    partners = correlation > min_correlation
    # Of equals, the one that correlates best over all.
    order = np.lexsort((correlation.sum(axis=1), partners.sum(axis=1)))[::-1]
    first = order[0]
    others = order[~partners[first][order]]
    if len(others):
        second = others[0]
        sizes = partners[first].sum(), (partners[second] & ~partners[first]).sum()
        if sizes[1] >= max(sizes[0] - 1, MIN_KIND):
            first, second = sorted((first, second), key=lambda i: qrs_width(beats[partners[i]]))
            return partners[first] & ~partners[second], correlation[first], True
    return partners[first], correlation[first], False


def qrs_width(beats: np.ndarray) -> int:
    """Return for how many samples the RMS over leads of the median QRS complex is above a third of its maximum."""
    energy = rms(median_of(beats), 0)
    return int((energy > energy.max() / 3).sum())


def median_of(beats: np.ndarray) -> np.ndarray:
    """Return the median over the first axis; of a few beats a sort finds it in a third of np.median's time."""
    ordered = np.sort(beats, axis=0)
    return (ordered[(len(beats) - 1) // 2] + ordered[len(beats) // 2]) / 2


def modified_z(values: np.ndarray) -> np.ndarray:
    """Return Iglewicz and Hoaglin's (1993) modified z scores of positive values; a spread of few values has a floor."""
    deviation = values - np.median(values)
    return 0.6745 * deviation / (np.maximum(np.median(np.abs(deviation)), MIN_SPREAD * np.median(values)) + 1e-12)


def find_beats(
    samples: np.ndarray,
    recorded_rate: float,
    *,
    sampling_rate: int,
    high_pass: float,
    low_pass: float,
    detector: str,
    window_start: float,
    window_end: float,
    max_shift: float,
    min_correlation: float,
    max_residual_z: float,
) -> Beats:
    """Find the beats of a recording (samples x 12, int16, uV, at `recorded_rate` Hz), and which of them are alike.

    Knobs as in params.yaml's section extract: filters in Hz, times in ms. BadRecording says what makes it impossible.
    """
    if not 2 * low_pass <= recorded_rate <= MAX_RATE:
        raise BadRecording(f"sampling rate: {recorded_rate:g} Hz; allowed: {2 * low_pass:g} to {MAX_RATE:g} Hz")
    if len(samples) / recorded_rate < MIN_DURATION:
        raise BadRecording(f"too short: {len(samples) / recorded_rate:.1f} s, at least {MIN_DURATION:g} s")
    leads = np.ascontiguousarray(samples.T)
    check_leads(leads)

    signal, missing = fill_gaps(leads)
    ratio = Fraction(sampling_rate / recorded_rate).limit_denominator(1000)
    filters = [
        (slice(None), (high_pass, low_pass)),
        (INDEPENDENT, (high_pass, min(low_pass, DECISION_LOW_PASS))),
        (INDEPENDENT, QRS_BAND),
    ]
    ecg, smooth, qrs_band = resample(signal, recorded_rate, ratio, filters, pad=round(PADDING * recorded_rate))
    peaks = find_r_peaks(qrs_band, smooth, sampling_rate, detector)
    heart_rate = 60 * sampling_rate / float(np.median(np.diff(peaks))) if len(peaks) > 1 else None
    offsets = window(window_start, window_end, sampling_rate)
    reach = int(max_shift * sampling_rate / 1000)
    peaks = peaks[(peaks + offsets[0] - reach >= 0) & (peaks + offsets[-1] + reach < ecg.shape[1])]
    if missing is not None:
        gone = np.interp(np.arange(ecg.shape[1]) / float(ratio), np.arange(len(missing)), missing) > 0
        peaks = peaks[~gone[peaks[:, None] + offsets].any(axis=1)]
    if not len(peaks):
        raise BadRecording("too few beats: 0")

    qrs = window(*QRS, sampling_rate)
    found, peaks = peaks, align(smooth, peaks, qrs, reach)
    used, correlation, tie = similar_beats(cut(smooth, peaks, qrs), min_correlation)
    if used.mean() < FEW_OTHERS:
        # The others had their say in the template.
        peaks[used] = align(smooth, found[used], qrs, reach)
    complexes = cut(smooth, peaks[used], qrs)
    residuals = complexes - median_of(complexes)
    used[used] = modified_z(rms(residuals, (1, 2))) <= max_residual_z
    beats = cut(ecg, peaks, offsets)
    isoelectric = window(*ISOELECTRIC, sampling_rate) - offsets[0]
    beats -= median_of(np.moveaxis(beats[:, :, isoelectric], 2, 0))[:, :, None]
    return Beats(beats, peaks / sampling_rate, used, correlation, heart_rate, tie)


def median_beat(
    samples: np.ndarray,
    recorded_rate: float,
    *,
    min_beats: int,
    min_share: float,
    max_noise: float,
    **knobs: float | str,
) -> MedianBeat:
    """Reduce a recording (samples x 12, int16, uV, at `recorded_rate` Hz) to its median beat; knobs of `find_beats`."""
    try:
        found = find_beats(samples, recorded_rate, **knobs)
    except BadRecording as error:
        return MedianBeat(None, reason=str(error))
    return combine(found, min_beats=min_beats, min_share=min_share, max_noise=max_noise)


def combine(found: Beats, *, min_beats: int, min_share: float, max_noise: float) -> MedianBeat:
    """Take the median of the beats that are alike; refuse where they are few or where their noise (uV) remains."""
    n_beats, n_used = len(found.beats), int(found.used.sum())
    flags = TIE if found.tie else ""
    refused = MedianBeat(None, n_beats, n_used, found.heart_rate, flags=flags)
    if n_beats < min_beats:
        return refused._replace(reason=f"too few beats: {n_beats}, at least {min_beats}")
    # Of two kinds of beat that are as frequent, the other half cannot be used.
    if n_used < min_beats or n_used < min_share * (n_beats / 2 if found.tie else n_beats):
        return refused._replace(reason=f"too few good beats: {n_used} of {n_beats}")
    beats = found.beats[found.used]
    median = median_of(beats)
    flat = np.ptp(median, axis=1) < FLAT
    if flat.any():
        return refused._replace(reason=f"flat lead: {', '.join(np.array(LEADS)[flat])}")
    noise = 1000 * float(np.median(rms(beats - median, (0, 2))))
    # The standard error of a median of normal values is 1.25 times that of their mean.
    left = 1.25 * noise / np.sqrt(n_used)
    if left > max_noise:
        return refused._replace(noise_uv=noise, reason=f"too noisy: {left:.0f} uV, at most {max_noise:g} uV")
    correlation = float(found.correlation[found.used].mean())
    return MedianBeat(median, n_beats, n_used, found.heart_rate, noise, correlation, flags)
