"""Zero-phase filters and the change of the sampling rate, all leads at once."""

from fractions import Fraction

import numpy as np
from scipy import fft

from ecg.beats.statistics import median_of


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
    first, last = median_of(signal[:, :pad:5].T), median_of(signal[:, -pad::5].T)
    slope = ((last - first) / (n - pad))[:, None]
    padded = np.zeros((len(signal), total * down), dtype=np.float32)
    centred = padded[:, pad : pad + n]
    np.multiply(slope, (pad - 1) / 2 - np.arange(n, dtype=np.float32), out=centred)
    centred += signal
    centred -= first[:, None]
    reach = min(pad, n - 1)
    fade = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, reach + 1) / (reach + 1))).astype(np.float32)
    padded[:, pad - reach : pad] = centred[:, reach:0:-1] * fade
    padded[:, pad + n : pad + n + reach] = centred[:, -2 : -reach - 2 : -1] * fade[::-1]
    spectrum = fft.rfft(padded, axis=1)[:, : total * up // 2 + 1]
    start, stop = blocks * up, blocks * up + n * up // down
    gains = [band_pass(low, high, spectrum.shape[1], rate / (total * down), up / down) for _, (low, high) in filters]
    return [
        fft.irfft(spectrum[rows] * gain, total * up, axis=1)[:, start:stop]
        for (rows, _), gain in zip(filters, gains, strict=True)
    ]


MOST_GAINS = 128
# By their arguments. Not functools.lru_cache: what it wraps does not travel to the workers of a cluster.
GAINS: dict[tuple, np.ndarray] = {}


def band_pass(low: float, high: float, size: int, step: float, scale: float) -> np.ndarray:
    """Return the gain at 0, step, 2 step … Hz of Butterworth filters run forward and backward, times `scale`.

    It is complex, as the spectra are that it is multiplied with. High-pass of order 6, low-pass of order 4. The
    high-pass is steep, so that the beat's own lowest frequency stays and ST with it; a `low` of 0 leaves it out.
    """
    key = (low, high, size, step, scale)
    if key not in GAINS:
        square = (step * np.arange(size)) ** 2
        fourth = square * square
        gain = scale / (1 + fourth * fourth / high**8)
        if low:
            twelfth = fourth * fourth * fourth
            gain *= twelfth / (twelfth + low**12)
        if len(GAINS) > MOST_GAINS:
            GAINS.clear()
        GAINS[key] = gain.astype(np.complex64)
    return GAINS[key]
