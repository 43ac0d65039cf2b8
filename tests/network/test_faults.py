import numpy as np

from ecg.leads import INDEPENDENT
from ecg.network.faults import FAULTS, swap_arms, swap_right_arm_and_leg, with_faults
from ecg.recordings.hearts import healthy_heart, leads

TIMES = np.arange(-250, 400, 8.0)
RNG = np.random.default_rng(0)
BEATS = np.stack([leads(TIMES, healthy_heart(RNG)).T for _ in range(30)])


def test_electrodes_that_are_exchanged_give_the_leads_that_they_would():
    # The potentials of both arms and the left leg, of which the limb leads are differences.
    right, left, leg = RNG.normal(size=(3, 50))
    for fault, changed in ((swap_arms, (left, right, leg)), (swap_right_arm_and_leg, (leg, left, right))):
        beat = np.zeros((8, 50))
        beat[:2] = left - right, leg - right
        fault(beat, RNG)
        r, la, ll = changed
        np.testing.assert_allclose(beat[:2], [la - r, ll - r], atol=1e-12)


def test_each_beat_gets_as_many_different_faults_as_asked_for():
    beats = BEATS[:, INDEPENDENT]
    before = beats.copy()
    faulty = with_faults(beats, len(FAULTS), np.random.default_rng(1))
    np.testing.assert_array_equal(beats, before)
    assert faulty.shape == (30 * len(FAULTS), *beats.shape[1:])
    changed = (faulty != np.repeat(beats, len(FAULTS), axis=0)).any(axis=2).sum(axis=1)
    # Each changes one or two of the eight leads.
    assert set(changed) <= {1, 2}
    np.testing.assert_array_equal(faulty, with_faults(beats, len(FAULTS), np.random.default_rng(1)))
