"""Local maxima, held to those of SciPy."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from ecg.beats.detector import highest_apart, local_maxima, most_prominent

RNG = np.random.default_rng(1)
SIGNALS = [RNG.standard_normal(n).cumsum() for n in RNG.integers(3, 600, 200)]


@pytest.mark.parametrize("change", [np.asarray, np.abs, np.round, np.zeros_like], ids=lambda change: change.__name__)
def test_maxima_are_those_of_scipy(change):
    for signal in map(change, SIGNALS):
        np.testing.assert_array_equal(local_maxima(signal), find_peaks(signal)[0])


def test_those_apart_are_those_of_scipy():
    for signal in SIGNALS:
        maxima = local_maxima(signal)
        for distance in (1, 7, 50):
            expected = find_peaks(signal, distance=distance)[0]
            np.testing.assert_array_equal(highest_apart(signal, maxima, distance), expected)


@pytest.mark.parametrize("change", [np.asarray, np.abs, np.round], ids=lambda change: change.__name__)
def test_the_most_prominent_of_each_stretch_is_that_of_scipy(change):
    for signal in map(change, SIGNALS):
        edges = np.unique(RNG.integers(0, len(signal), 12))
        starts, ends = edges[0:-1:2], edges[1::2][: len(edges[0:-1:2])]
        expected = []
        for start, end in zip(starts, ends, strict=True):
            maxima, found = find_peaks(signal[start:end], prominence=0)
            if len(maxima):
                expected.append(start + maxima[found["prominences"].argmax()])
        assert most_prominent(signal, starts, ends) == expected
    assert most_prominent(SIGNALS[0], np.array([], int), np.array([], int)) == []
