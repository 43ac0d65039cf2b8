from fractions import Fraction

import numpy as np
import pytest

from ecg.beats.filters import resample


@pytest.mark.parametrize("rate", [257, 360, 500, 1000])
def test_filter_moves_nothing_and_passes_what_it_should(rate):
    times = np.arange(10 * rate) / rate
    ratio = Fraction(250, rate)
    tones = np.stack([np.sin(2 * np.pi * f * times + 1) for f in (0.1, 5.0, 15.0, 80.0)])
    (out,) = resample(tones.astype(np.float32), rate, ratio, [(slice(None), (0.5, 40))], pad=rate)
    assert out.shape == (4, 2500)
    middle = slice(500, 2000)
    expected = np.sin(2 * np.pi * np.array([[5.0], [15.0]]) * np.arange(2500) / 250 + 1)
    np.testing.assert_allclose(out[1:3, middle], expected[:, middle], atol=0.01)
    assert np.abs(out[[0, 3], middle]).max() < 0.01
