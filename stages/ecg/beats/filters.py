"""Mains hum, zero-phase filters and the change of the sampling rate, all leads at once."""

from fractions import Fraction

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

from ecg.beats.windows import median_of
from ecg.leads import MISSING, RAIL, BadRecording

HUMS = (50, 60, 100, 120, 150, 180)  # Hz, of mains and their harmonics
LOWEST_HUM = 30  # Hz; hum aliased to a lower frequency cannot be distinguished from QRS complexes
HUM = 50  # uV, minimum amplitude in half of the seconds of a lead; at most 31 in 1,753 real recordings without hum
HUM_LEFT = 100  # uV, maximum remaining hum where its amplitude changes too fast to be followed
HUM_STRETCH, BESIDE = 0.2, 15  # s, stretch in which remaining hum is measured; Hz, distance from the hum


def amplitudes(leads: np.ndarray, rate: float, frequencies: list[float], n: int) -> np.ndarray:
    """Return the complex amplitudes (leads x stretches x frequencies) in each n samples, 0 where one is missing."""
    count = leads.shape[1] // n
    stretches = leads[:, : count * n].reshape(len(leads), count, n).astype(np.float32)
    turns = np.exp(-2j * np.pi / rate * np.outer(np.arange(n), frequencies)).astype(np.complex64)
    found = 2 / n * stretches @ turns
    found[stretches.min(axis=2) == MISSING] = 0
    return found


def usual_amplitude(found: np.ndarray) -> np.ndarray:
    """Return the median over stretches of leads x stretches x frequencies, in each frequency's largest lead."""
    return median_of(np.abs(found).swapaxes(0, 1)).max(axis=0)


def remove_hum(leads: np.ndarray, rate: float) -> tuple[np.ndarray, list[str]]:
    """Return leads (12 x samples, int16, uV, at `rate` Hz) without mains hum and its harmonics, and flags.

    Amplitude and phase are those of the second around each sample. BadRecording where hum changes faster.
    """
    # Keyed by alias frequency; of two hums with one alias the lower is kept.
    aliases = {abs(hum - rate * round(hum / rate)): hum for hum in reversed(HUMS)}
    hums = {frequency: hum for frequency, hum in aliases.items() if frequency >= LOWEST_HUM}
    second = round(rate)
    found = amplitudes(leads, rate, list(hums), second)
    if usual_amplitude(found).max(initial=0) < HUM:
        return leads, []
    present, removed = leads != MISSING, dict[float, str]()
    level = (present * leads).mean(axis=1, keepdims=True)
    signal = present * (leads - level)
    share = np.maximum(mean_nearby(present.astype(np.float64), rate), 1e-6)
    # The strongest first, because it leaks into the frequencies of the others.
    while hums and (heights := usual_amplitude(found)).max() >= HUM:
        i = int(heights.argmax())
        frequency = list(hums)[i]
        hum = f"hum of {hums.pop(frequency)} Hz: {heights[i] / 1000:.1f} mV"
        # The phase that the hum gains in a second; rounded, as the last bits of sums in single precision vary.
        ahead = (found[:, 1:, i] * found[:, :-1, i].conj()).sum() * np.exp(-2j * np.pi * frequency * second / rate)
        frequency += round(float(np.angle(ahead)) / (2 * np.pi), 2)
        turns = np.exp(2j * np.pi * frequency / rate * np.arange(leads.shape[1]))
        # At half the sampling rate a wave and its conjugate are one.
        parts = 1 if rate / 2 - frequency < 1 else 2
        # Lead by lead: a recording may last half an hour.
        for i, lead in enumerate(signal):
            lead -= parts * present[i] * (mean_nearby(lead * turns.conj(), rate) / share[i] * turns).real
        removed[frequency] = hum
        found = amplitudes(signal, rate, list(hums), second)
    for frequency, hum in removed.items():
        at = [frequency, frequency - BESIDE]
        left, beside = usual_amplitude(amplitudes(signal, rate, at, round(HUM_STRETCH * rate)))
        # Unlike hum, noise and QRS complexes are as strong at neighbouring frequencies.
        if left > max(HUM_LEFT, 2 * beside):
            raise BadRecording(f"{hum}; {left:.0f} uV cannot be removed, at most {HUM_LEFT} uV")
    cleaned = np.where(present, np.clip(np.rint(signal + level), -RAIL, RAIL), MISSING).astype(np.int16)
    return cleaned, [f"{hum}, removed" for hum in removed.values()]


def mean_nearby(signal: np.ndarray, rate: float) -> np.ndarray:
    """Return the moving mean of ... x samples under a triangle 1 s wide; beyond the ends the signal is 0."""
    half = round(rate / 2)
    return uniform_filter1d(uniform_filter1d(signal, half, mode="constant"), half, mode="constant")


def resample(signal: np.ndarray, rate: float, ratio: Fraction, filters: list[tuple], pad: int) -> list[np.ndarray]:
    """Filter leads x samples at `rate` Hz with zero phase and change the rate by `ratio`, in one pair of transforms.

    A filter is a pair of leads and band (Hz; from 0: no high-pass) and gives one output. The band must end below half
    the lower rate. Both ends are extended by `pad` samples, mirrored and faded out, so that no step is filtered.
    """
    n = signal.shape[1]
    up, down = ratio.numerator, ratio.denominator
    blocks = -(-pad // down)
    pad = blocks * down
    total = fft.next_fast_len(-(-(n + 2 * pad) // down), real=True)
    # Without offset and drift the two ends meet. Every fifth sample suffices to find them.
    first, last = median_of(signal[:, :pad:5].T), median_of(signal[:, -pad::5].T)
    slope = ((last - first) / (n - pad))[:, None]
    padded = np.zeros((len(signal), total * down), dtype=np.float32)
    centred = padded[:, pad : pad + n]
    np.multiply(slope, (pad - 1) / 2 - np.arange(n, dtype=np.float32), out=centred)
    centred += signal
    centred -= first[:, None]
    fade = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, pad + 1) / (pad + 1))).astype(np.float32)
    padded[:, :pad] = centred[:, pad:0:-1] * fade
    padded[:, pad + n : pad + n + pad] = centred[:, -2 : -pad - 2 : -1] * fade[::-1]
    spectrum = fft.rfft(padded, axis=1)[:, : total * up // 2 + 1]
    fourth = (np.arange(spectrum.shape[1]) * (rate / (total * down))) ** 4
    start, stop = blocks * up, blocks * up + n * up // down
    outputs = []
    for rows, (low, high) in filters:
        # Butterworth filters run forward and backward: a low-pass of order 4; a high-pass of order 6, so steep that it
        # keeps the lowest frequency of the beat and with it the ST level.
        gain = up / down / (1 + fourth**2 / high**8)
        if low:
            gain *= fourth**3 / (fourth**3 + low**12)
        # Complex, as the spectra are.
        filtered = spectrum[rows] * gain.astype(np.complex64)
        outputs.append(fft.irfft(filtered, total * up, axis=1)[:, start:stop])
    return outputs
