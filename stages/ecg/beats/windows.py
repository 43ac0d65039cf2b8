"""Beats as windows of a signal: cut at R peaks, aligned, compared with one another."""

import numpy as np

from ecg.params import Extract

QRS = (-80, 120)  # ms from the R peak, where beats are compared
MAX_SHIFT = 30  # ms, maximum shift of a beat to fit the others
MAX_RESIDUAL_Z = 4.0  # maximum modified z score of a beat's residual
FEW_OTHERS = 0.75  # share of beats alike from which the others hardly move the median
MIN_SPREAD = 0.3  # minimum spread of the residuals, as a share of their median
MIN_KIND = 3  # minimum number of beats of the second kind in a tie


def rms(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    return np.sqrt(np.mean(np.square(values), axis=axis, dtype=np.float64))


def median_of(beats: np.ndarray) -> np.ndarray:
    """Return the median over the first axis, for few beats in a third of np.median's time."""
    ordered = np.sort(beats, axis=0)
    return (ordered[(len(beats) - 1) // 2] + ordered[len(beats) // 2]) / 2


def window_offsets(start: float, end: float, sampling_rate: float) -> np.ndarray:
    """Return the sample offsets from the R peak that lie within start … end (ms)."""
    first, last = np.ceil(start * sampling_rate / 1000), np.floor(end * sampling_rate / 1000)
    return np.arange(int(first), int(last) + 1)


def beat_offsets(extract: Extract) -> np.ndarray:
    """Return the offsets from the R peak of a median beat's samples."""
    return window_offsets(extract.window_start, extract.window_end, extract.sampling_rate)


def beat_times(extract: Extract) -> np.ndarray:
    """Return the times (ms from the R peak) of a median beat's samples."""
    return beat_offsets(extract) * (1000 / extract.sampling_rate)


def cut_windows(signal: np.ndarray, centres: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return beats x leads x offsets of leads x samples; beyond the ends the first and the last sample are repeated."""
    samples = np.clip(centres[:, None] + offsets, 0, signal.shape[1] - 1)
    return np.ascontiguousarray(signal[:, samples].swapaxes(0, 1))


def align(signal: np.ndarray, centres: np.ndarray, offsets: np.ndarray, max_shift: int) -> np.ndarray:
    """Move each beat's centre by up to `max_shift` samples to where it correlates best with the median beat; twice."""
    wide = np.arange(offsets[0] - max_shift, offsets[-1] + max_shift + 1)
    # Double precision here and below: the last bits of sums depend on where arrays lie in memory.
    beats = cut_windows(signal, centres, wide).astype(np.float64)
    shifted = np.lib.stride_tricks.sliding_window_view(beats, len(offsets), axis=2)
    norm = np.sqrt(np.einsum("blsw,blsw->bs", shifted, shifted) + 1e-12)
    best = np.full(len(centres), max_shift)
    for _ in range(2):
        template = median_of(shifted[np.arange(len(beats)), :, best])
        match = np.einsum("blsw,lw->bs", shifted, template) / norm
        best = match.argmax(axis=1)
    return centres + best - max_shift


def similar_beats(beats: np.ndarray, min_correlation: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return which beats (beats x leads x samples) resemble the one with most partners, how well, and if two kinds tie.

    In a tie, as in bigeminy, the narrower QRS complex wins, since ectopic complexes are wide.
    """
    flat = beats.reshape(len(beats), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-12
    correlation = flat @ flat.T
    partners = correlation > min_correlation
    # Among beats with equally many partners, the one that correlates best with all.
    order = np.lexsort((correlation.sum(axis=1), partners.sum(axis=1)))[::-1]
    first = order[0]
    others = order[~partners[first][order]]
    if not len(others) or (partners[others[0]] & ~partners[first]).sum() < max(partners[first].sum() - 1, MIN_KIND):
        return partners[first], correlation[first], False
    energies = {kind: rms(median_of(beats[partners[kind]]), 0) for kind in (first, others[0])}
    # The width is the number of samples above a third of the maximum.
    first, second = sorted(energies, key=lambda kind: (energies[kind] > energies[kind].max() / 3).sum())
    return partners[first] & ~partners[second], correlation[first], True


def align_and_reject(
    smooth: np.ndarray, peaks: np.ndarray, extract: Extract
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Align R peaks on `smooth` (leads x samples); return them, and `similar_beats` of their QRS complexes."""
    qrs = window_offsets(*QRS, extract.sampling_rate)
    max_shift = MAX_SHIFT * extract.sampling_rate // 1000
    aligned = align(smooth, peaks, qrs, max_shift)
    used, correlation, tie = similar_beats(cut_windows(smooth, aligned, qrs), extract.min_correlation)
    if used.mean() < FEW_OTHERS:
        # Once more without the other beats, which moved the template.
        aligned[used] = align(smooth, peaks[used], qrs, max_shift)
    complexes = cut_windows(smooth, aligned[used], qrs)
    residuals = rms(complexes - median_of(complexes), (1, 2))
    # Modified z scores (Iglewicz and Hoaglin 1993), whose spread has a floor.
    middle = median_of(residuals)
    spread = np.maximum(median_of(np.abs(residuals - middle)), MIN_SPREAD * middle) + 1e-12
    used[used] = 0.6745 * (residuals - middle) / spread <= MAX_RESIDUAL_Z
    return aligned, used, correlation, tie
