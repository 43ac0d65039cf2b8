"""MiniRocket's features: by hand, and what is drawn."""

from itertools import combinations

import numpy as np
from threadpoolctl import threadpool_limits

from ecg.evaluation.random_convolutions import KERNELS, convolution_features, dilations, draw_convolutions, shares_above

LEADS, SAMPLES = 3, 61
BEATS = np.random.default_rng(1).normal(size=(40, LEADS, SAMPLES)).astype(np.float32)


def drawn(features: int = 84 * 6, seed: int = 0, beats: np.ndarray = BEATS):
    return draw_convolutions(features, beats, np.random.default_rng(seed))


def test_kernels_are_those_of_the_paper_in_its_order():
    assert (KERNELS.sum(axis=1) == 0).all()
    assert [tuple(np.flatnonzero(kernel == 2)) for kernel in KERNELS] == list(combinations(range(9), 3))


def test_dilations_as_published():
    # 17 steps: from 1 to 2 in as many equal ratios as thresholds per kernel, rounded down to whole steps.
    assert dilations(17, 84) == {1: 1}
    assert dilations(17, 84 * 5) == {1: 4, 2: 1}
    # At most 32 ratios: of 119 thresholds per kernel each has 3, rounded down, and 7 narrow dilations one more.
    counts = dilations(163, 9996)
    assert list(counts) == sorted({int(20.25 ** (k / 31)) for k in range(32)})
    assert counts[1] == int(8 * 119 / 32) + 1


def test_a_feature_is_the_share_of_the_time_above_a_threshold():
    model = drawn()
    assert len(model) > 1
    # Each kernel sums over some of the leads.
    assert {n for _, weights, _ in model for n in (weights != 0).any(axis=2).sum(axis=1)} == {1, 2, 3}
    columns = iter(shares_above(model, BEATS).T)
    for i, (dilation, weights, thresholds) in enumerate(model):
        reach = 4 * dilation
        for parity in (i % 2, (i + 1) % 2):
            for kernel, threshold in [(k, row[k]) for row in thresholds for k in range(parity, 84, 2)]:
                seen = np.abs(weights[kernel]).sum(axis=1) > 0
                signal = np.pad(BEATS[:, seen].astype(np.float64).sum(axis=1), ((0, 0), (reach, reach)))
                values = sum(KERNELS[kernel, k] * signal[:, k * dilation : k * dilation + SAMPLES] for k in range(9))
                # Kernels of the other parity count only steps at which they do not reach beyond the beat.
                values = values if parity == i % 2 else values[:, reach : SAMPLES - reach]
                # float32 may set a step that lies at the threshold on the other side.
                near = (np.abs(values - threshold) < 1e-5).sum(axis=1) / values.shape[1]
                assert (np.abs(next(columns) - (values > threshold).mean(axis=1)) <= near + 1e-6).all()
    assert next(columns, None) is None
    # No threshold is above or below a convolution all of the time.
    assert 0.3 < shares_above(model, BEATS).mean() < 0.7


def test_the_seed_decides_what_is_drawn_and_threads_do_not():
    def found(seed: int, threads: int) -> np.ndarray:
        with threadpool_limits(threads):
            many, few = convolution_features(84 * 6, BEATS[:10], seed, np.concatenate([BEATS] * 4), BEATS[:3])
        np.testing.assert_array_equal(many[:3], few)
        return many

    first = found(5, 1)
    assert (first.shape, first.dtype) == ((160, 84 * 6), np.float32)
    np.testing.assert_array_equal(first, found(5, 2))
    assert not np.array_equal(first, found(6, 1))
