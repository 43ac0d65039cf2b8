import numpy as np

from ecg.leads import INDEPENDENT
from ecg.network.faults import ARMS, EXCHANGES, FAULTS, LEFT_ARM_AND_LEG, RIGHT_ARM_AND_LEG, with_faults
from ecg.recordings.hearts import healthy_heart, leads

TIMES = np.arange(-250, 400, 8.0)
RNG = np.random.default_rng(0)
BEATS = np.stack([leads(TIMES, healthy_heart(RNG)).T for _ in range(30)])


def test_electrodes_that_are_exchanged_give_the_leads_that_they_would():
    # The potentials of both arms and the left leg, of which the limb leads are differences.
    right, left, leg = RNG.normal(size=(3, 50))
    beat = np.zeros((8, 50))
    beat[:2] = left - right, leg - right
    for matrix, r, la, ll in (
        (ARMS, left, right, leg),
        (RIGHT_ARM_AND_LEG, leg, left, right),
        (LEFT_ARM_AND_LEG, right, leg, left),
    ):
        np.testing.assert_allclose((matrix @ beat)[:2], [la - r, ll - r], atol=1e-12)


def test_an_exchange_undoes_itself():
    for matrix in EXCHANGES:
        np.testing.assert_array_equal(matrix @ matrix, np.eye(8))
        assert not np.array_equal(matrix, np.eye(8))


def test_each_beat_gets_as_many_different_faults_as_asked_for():
    beats = BEATS[:, INDEPENDENT]
    before = beats.copy()
    faulty = with_faults(beats, len(FAULTS), np.random.default_rng(1))
    np.testing.assert_array_equal(beats, before)
    assert faulty.shape == (30 * len(FAULTS), *beats.shape[1:])
    changed = (faulty != np.repeat(beats, len(FAULTS), axis=0)).any(axis=2).sum(axis=1)
    # Each changes one or two of the eight leads, or turns all.
    assert set(changed) == {1, 2, 8}
    np.testing.assert_array_equal(faulty, with_faults(beats, len(FAULTS), np.random.default_rng(1)))
