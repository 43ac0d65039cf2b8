"""MiniRocket's features: by hand, beside those of aeon, and what is drawn."""

from itertools import combinations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from ecg.evaluation.random_convolutions import KERNELS, RandomConvolutions, convolution_features, dilations, draw

LEADS, SAMPLES = 3, 61
BEATS = np.random.default_rng(1).normal(size=(40, LEADS, SAMPLES)).astype(np.float32)


def drawn(features: int = 84 * 6, seed: int = 0, beats: np.ndarray = BEATS) -> RandomConvolutions:
    _, leads, samples = beats.shape
    model = RandomConvolutions(features=features, leads=leads, samples=samples)
    draw(model, beats, np.random.default_rng(seed))
    return model


def features_of(model: RandomConvolutions) -> np.ndarray:
    return model(torch.from_numpy(BEATS)).numpy()


def columns(model: RandomConvolutions) -> list[tuple[int, int, int]]:
    """Number of the dilation, of the threshold at it, and of the kernel, of each column of the features."""
    numbers = range(len(KERNELS))
    return [
        (i, j, kernel)
        for i, count in enumerate(model.counts)
        for parity in (i % 2, (i + 1) % 2)
        for j in range(count)
        for kernel in numbers[parity::2]
    ]


def test_there_are_84_kernels_of_three_twos_that_add_up_to_nothing():
    assert len({tuple(kernel) for kernel in KERNELS}) == len(KERNELS) == 84
    assert (KERNELS.sum(axis=1) == 0).all()
    assert (np.sort(KERNELS, axis=1) == [-1] * 6 + [2] * 3).all()
    # In the order of the paper.
    assert [tuple(np.flatnonzero(kernel == 2)) for kernel in KERNELS] == list(combinations(range(9), 3))


@pytest.mark.parametrize("features", [84, 84 * 7, 9996, 84 * 200])
@pytest.mark.parametrize("steps", [9, 10, 17, 81, 163])
def test_dilations_never_look_beyond_the_beat_and_share_the_features(steps, features):
    counts = dilations(steps, features)
    assert sum(counts.values()) == features // 84
    assert min(counts.values()) >= 1 and min(counts) == 1
    # A kernel of 9 reaches from the first step to the last at most.
    assert 8 * max(counts) <= steps - 1
    assert len(counts) <= 32


def test_dilations_as_published():
    # 17 steps: from 1 to 2 in as many equal ratios as there are thresholds a kernel, whole numbers of steps.
    assert dilations(17, 84) == {1: 1}
    assert dilations(17, 84 * 5) == {1: 4, 2: 1}
    # At most 32 ratios: of 119 thresholds a kernel each has 3, rounded down, and 7 narrow dilations one more.
    counts = dilations(163, 9996)
    assert list(counts) == sorted({int(20.25 ** (k / 31)) for k in range(32)})
    assert counts[1] == int(8 * 119 / 32) + 1


def test_a_feature_is_the_share_of_the_time_above_a_threshold():
    model = drawn()
    assert len(model.dilations) > 1
    steps, found = SAMPLES, features_of(model)
    both = set()
    for column, (i, j, kernel) in enumerate(columns(model)):
        dilation = model.dilations[i]
        reach = 4 * dilation
        seen = model.weight[i, kernel].abs().sum(dim=1).numpy() > 0
        signal = np.pad(BEATS[:, seen].astype(np.float64).sum(axis=1), ((0, 0), (reach, reach)))
        values = sum(KERNELS[kernel, k] * signal[:, k * dilation : k * dilation + steps] for k in range(9))
        padded = (i + kernel) % 2 == 0
        both.add(padded)
        values = values if padded else values[:, reach : steps - reach]
        threshold = float(model.thresholds[sum(model.counts[:i]) + j, kernel])
        # float32 may set a step that lies at the threshold on the other side.
        near = (np.abs(values - threshold) < 1e-5).sum(axis=1) / values.shape[1]
        assert (np.abs(found[:, column] - (values > threshold).mean(axis=1)) <= near + 1e-6).all()
    assert both == {True, False}
    assert found.shape == (40, model.thresholds.numel()) == (40, column + 1)
    assert found.std() > 0.1


def test_each_kernel_sums_over_leads_that_were_drawn():
    weight = drawn().weight.numpy()
    seen = np.abs(weight).sum(axis=3) > 0
    assert (seen.any(axis=2)).all()
    assert set(seen.sum(axis=2).ravel()) == {1, 2, 3}
    for _, kernel, lead in zip(*np.nonzero(seen), strict=True):
        assert (weight[:, kernel, lead][seen[:, kernel, lead]] == KERNELS[kernel]).all()
    many = np.abs(drawn(beats=np.repeat(BEATS, 4, axis=1)).weight.numpy()).sum(axis=3) > 0
    assert many.sum(axis=2).max() <= 9


def test_thresholds_lie_within_what_the_kernels_give():
    model = drawn()
    # Of one beat, so that it is known on which one they were drawn.
    alone = drawn(beats=BEATS[:1])
    for i, thresholds in enumerate(alone.thresholds.split(alone.counts)):
        values = alone.convolved(torch.from_numpy(BEATS[:1]), i)[0]
        assert (thresholds >= values.min(dim=1).values).all()
        assert (thresholds <= values.max(dim=1).values).all()
    assert len(model.thresholds.unique()) == model.thresholds.numel()
    # Neither all of the time above one, nor never.
    assert 0.3 < features_of(model).mean() < 0.7


def test_the_seed_decides_what_is_drawn_and_threads_do_not():
    model = drawn()
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            again = drawn()
        torch.set_num_threads(before)
        assert torch.equal(again.weight, model.weight)
        assert torch.equal(again.thresholds, model.thresholds)
        np.testing.assert_array_equal(features_of(again), features_of(model))
    other = drawn(seed=1)
    assert not torch.equal(other.weight, model.weight)
    assert not torch.equal(other.thresholds, model.thresholds)


@pytest.mark.parametrize("features", [84 * 6, 9996])
def test_the_features_are_those_of_aeon(features):
    """A development test: aeon wants other versions of numba and numpy than this project has."""
    aeon = pytest.importorskip(
        "aeon", reason="aeon is not installed: the features are held to its MiniRocket where it is"
    )
    from aeon.transformations.collection.convolution_based import MiniRocket

    assert aeon
    theirs = MiniRocket(n_kernels=features, random_state=1)
    expected = np.asarray(theirs.fit_transform(BEATS))
    # Everything that aeon has drawn; its columns go through dilations, kernels and then thresholds.
    channels_of_each, channels, widths, counts, thresholds = theirs.parameters
    model = RandomConvolutions(features=features, leads=LEADS, samples=SAMPLES)
    assert (model.dilations, model.counts) == (widths.tolist(), counts.tolist())
    chosen = np.split(channels, np.cumsum(channels_of_each)[:-1])
    for number, leads in enumerate(chosen):
        i, kernel = divmod(number, len(KERNELS))
        model.weight[i, kernel, torch.from_numpy(leads.astype(int))] = torch.from_numpy(KERNELS[kernel]).float()
    starts = len(KERNELS) * np.concatenate([[0], np.cumsum(counts)])
    order = []
    for i, j, kernel in columns(model):
        order.append(starts[i] + kernel * counts[i] + j)
        model.thresholds[sum(model.counts[:i]) + j, kernel] = float(thresholds[order[-1]])
    assert sorted(order) == list(range(expected.shape[1]))
    difference = np.abs(features_of(model) - expected[:, order])
    # A threshold is one of the values it was drawn from, so a step may lie at it; all else is the same.
    print(f"{features} features: {np.mean(difference > 1e-6):.2e} of them differ, by {difference.max():.3f} at most")
    assert np.mean(difference > 1e-6) < 1e-3
    assert difference.max() < 1.5 / (SAMPLES - 8 * max(model.dilations))


def test_features_of_many_beats_are_those_of_convolutions_drawn_with_train():
    train, beats = BEATS[:10], np.concatenate([BEATS, BEATS, BEATS])
    model = RandomConvolutions(features=84 * 6, leads=LEADS, samples=SAMPLES)
    draw(model, train, np.random.default_rng([5, 0]))
    found = convolution_features(84 * 6, train, beats, seed=5)
    assert (found.shape, found.dtype) == ((120, 84 * 6), np.float32)
    np.testing.assert_array_equal(found, np.tile(features_of(model), (3, 1)))
    assert not np.array_equal(convolution_features(84 * 6, train, beats, seed=6), found)
