"""Features of MiniRocket (Dempster, Schmidt & Webb 2021): how often fixed convolutions exceed thresholds.

The 84 kernels have 9 weights, three of them 2 and the others -1. Each kernel has several dilations, and at each of them
sums over a few leads drawn at random. A feature is the share of the time for which a convolution exceeds a threshold.
"""

from itertools import combinations

import numpy as np

LENGTH = 9
BATCH = 128  # beats whose features are computed at once
KERNELS = np.array(
    [[2 if i in places else -1 for i in range(LENGTH)] for places in combinations(range(LENGTH), 3)], np.float32
)
MAX_DILATIONS = 32
MAX_LEADS = 9  # of one kernel


def dilations(steps: int, features: int) -> dict[int, int]:
    """Return the dilations for beats of `steps` samples, and the number of thresholds of a kernel at each of them."""
    each = features // len(KERNELS)
    n = min(each, MAX_DILATIONS)
    values, shares = np.unique(np.geomspace(1, (steps - 1) / (LENGTH - 1), n).astype(int), return_counts=True)
    counts = (shares * each / n).astype(int)
    # The narrow dilations get the thresholds that rounding down loses.
    counts += np.arange(len(counts)) < each - counts.sum()
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def convolve(beats: np.ndarray, weights: np.ndarray, dilation: int) -> np.ndarray:
    """Return steps x kernels x n of beats (n x leads x steps), padded with zeros."""
    n, leads, steps = beats.shape
    reach = dilation * (LENGTH // 2)
    padded = np.pad(beats.transpose(2, 1, 0), ((reach, reach), (0, 0), (0, 0)))
    taps = np.stack([padded[i * dilation : i * dilation + steps] for i in range(LENGTH)], axis=2)
    return weights.reshape(len(weights), -1) @ taps.reshape(steps, leads * LENGTH, n)


def draw_convolutions(
    features: int, beats: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return by dilation the weights (84 x leads x 9) and thresholds (thresholds x 84) of kernels on leads drawn here.

    Thresholds are quantiles of a kernel's convolution with one of the beats (n x leads x samples, mV), by a
    low-discrepancy sequence, as in the paper.
    """
    n, leads, steps = beats.shape
    numbers, drawn, counts = np.arange(len(KERNELS)), [], dilations(steps, features)
    quantiles = np.arange(1, sum(counts.values()) * len(KERNELS) + 1) * (np.sqrt(5) + 1) / 2 % 1
    for dilation, count in counts.items():
        weights = np.zeros((len(KERNELS), leads, LENGTH), np.float32)
        for kernel, values in enumerate(KERNELS):
            size = int(2 ** rng.uniform(0, np.log2(min(leads, MAX_LEADS) + 1)))
            weights[kernel, rng.choice(leads, size, replace=False)] = values
        examples = beats[rng.integers(n, size=len(KERNELS))]
        of_kernels = convolve(examples, weights, dilation)[:, numbers, numbers].T
        own, quantiles = np.split(quantiles, [count * len(KERNELS)])
        pairs = zip(of_kernels, own.reshape(len(KERNELS), count), strict=True)
        thresholds = np.stack([np.quantile(values, shares) for values, shares in pairs], axis=1)
        drawn.append((dilation, weights, thresholds.astype(np.float32)))
    return drawn


def shares_above(convolutions: list[tuple[int, np.ndarray, np.ndarray]], beats: np.ndarray) -> np.ndarray:
    """Return the share of the steps at which each convolution exceeds each threshold: n x features, float32.

    Kernels whose number and dilation's number differ in parity skip the steps at which they look beyond the beat.
    """
    shares = []
    for i, (dilation, weights, thresholds) in enumerate(convolutions):
        convolved = convolve(beats, weights, dilation)
        for first, reach in ((i % 2, 0), ((i + 1) % 2, dilation * (LENGTH // 2))):
            values = convolved[reach : len(convolved) - reach, first::2].copy()
            for threshold in thresholds[:, first::2]:
                shares.append((values > threshold[:, None]).sum(axis=0, dtype=np.uint16) / np.float32(len(values)))
    return np.concatenate(shares).T


def convolution_features(features: int, train: np.ndarray, seed: int, *groups: np.ndarray) -> list[np.ndarray]:
    """Return n x features (float32) of each group of beats (n x leads x samples, mV), by convolutions of train."""
    convolutions = draw_convolutions(features, train, np.random.default_rng([seed, 0]))
    batches = [[beats[i : i + BATCH] for i in range(0, len(beats), BATCH)] for beats in groups]
    return [np.concatenate([shares_above(convolutions, batch) for batch in parts]) for parts in batches]
