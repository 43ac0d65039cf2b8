from itertools import combinations

import numpy as np

from ecg.leads import INDEPENDENT
from ecg.network.faults import ARMS, EXCHANGED, FAULTS, UNDONE, with_faults
from ecg.recordings.hearts import healthy_heart, leads

TIMES = np.arange(-250, 400, 8.0)
RNG = np.random.default_rng(0)
BEATS = np.stack([leads(TIMES, healthy_heart(RNG)).T for _ in range(30)])


def leads_of(potentials):
    """The 8 independent leads of potentials of right arm, left arm, left leg and the six chest electrodes."""
    right, left, leg, *chest = potentials
    return np.stack([left - right, leg - right, *(c - (right + left + leg) / 3 for c in chest)])


def test_electrodes_that_are_exchanged_give_the_leads_that_they_would():
    potentials = RNG.normal(size=(9, 50))
    beat = leads_of(potentials)
    assert len(EXCHANGED) == 36
    for matrix, (one, other) in zip(EXCHANGED.values(), combinations(range(9), 2), strict=True):
        exchanged = potentials.copy()
        exchanged[[one, other]] = potentials[[other, one]]
        np.testing.assert_allclose(matrix @ beat, leads_of(exchanged), atol=1e-12)
    # Both arms: I is upside down, II is III.
    np.testing.assert_allclose((EXCHANGED[ARMS] @ beat)[:2], [-beat[0], beat[1] - beat[0]], atol=1e-12)


def test_what_undoes_a_fault_undoes_itself():
    for matrix in UNDONE:
        np.testing.assert_allclose(matrix @ matrix, np.eye(8), atol=1e-12)
        assert not np.allclose(matrix, np.eye(8))


def test_each_beat_gets_as_many_different_faults_as_asked_for():
    beats = BEATS[:, INDEPENDENT]
    before = beats.copy()
    faulty = with_faults(beats, len(FAULTS), np.random.default_rng(1))
    np.testing.assert_array_equal(beats, before)
    assert faulty.shape == (30 * len(FAULTS), *beats.shape[1:])
    changed = (faulty != np.repeat(beats, len(FAULTS), axis=0)).any(axis=2).sum(axis=1)
    # One or two of the eight leads, or all: where they are turned, or a limb's electrode is exchanged, but for one lead
    # that may not need this limb.
    assert set(changed) == {1, 2, 7, 8}
    np.testing.assert_array_equal(faulty, with_faults(beats, len(FAULTS), np.random.default_rng(1)))
