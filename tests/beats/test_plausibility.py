"""Leads held against one another, and the scale against what hearts can do."""

import numpy as np
import pytest
from test_median import EXTRACT, TIMES, every, recording, truth

from ecg.beats.median import median_beat
from ecg.beats.plausibility import ARMS_REVERSED, arm_flags
from ecg.leads import LEADS, MISSING
from ecg.recordings.hearts import healthy_heart
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import read_samples

RIGHT = recording(every(811), emg=20, wander=100)


def swapped(*names):
    samples, columns = RIGHT.copy(), [LEADS.index(name) for name in names]
    samples[:, columns] = RIGHT[:, np.roll(columns, 1)]
    return samples


def scaled(lead, factor):
    samples = RIGHT.copy()
    samples[:, LEADS.index(lead)] = factor * samples[:, LEADS.index(lead)]
    return samples


def shifted(names, ms):
    samples, columns = RIGHT.copy(), [LEADS.index(name) for name in names]
    samples[:, columns] = np.roll(samples[:, columns], round(ms / 2), axis=0)
    return samples


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (swapped("I", "II"), {"I", "II"}),
        (swapped("aVR", "aVL"), {"aVR", "aVL"}),
        (swapped("aVL", "aVF"), {"aVL", "aVF"}),
        (swapped("II", "III"), {"II", "III"}),
        (scaled("aVR", -1), {"aVR"}),
        (scaled("III", -1), {"III"}),
        (scaled("aVF", 0.5), {"aVF"}),
        (scaled("I", 2), {"I"}),
        (shifted(["aVL"], 60), {"aVL"}),
    ],
)
def test_limb_leads_that_disagree_are_refused_by_name(samples, named):
    reason = median_beat(samples, 500, EXTRACT).reason
    assert reason.startswith("limb leads disagree: ")
    assert named <= set(reason.split(": ")[1].split(" by ")[0].split(", "))


def drifting(names, stretches, uv=300):
    """Limb leads that run away in stretches (s), each by so many uV and more than the one before."""
    samples, times = RIGHT.astype(float), np.arange(len(RIGHT)) / 500
    for k, name in enumerate(names):
        for start, end in stretches:
            inside = (times >= start) & (times < end)
            samples[:, LEADS.index(name)] += inside * (times - start) / (end - start) * uv * (1 + 0.3 * k)
    return np.rint(samples).astype(np.int16)


@pytest.mark.parametrize("stretches", [[(9, 10)], [(0, 1.5)], [(2, 2.5), (6, 7)], [(6, 10)]])
@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["III", "aVR"], "I and II"),
        (["aVL", "aVF"], "I and II"),
        (["I"], "II and III"),
        (["II"], "I and III"),
        (["I", "III"], "II and aVR"),
        (["III", "aVR", "aVL", "aVF"], "I and II"),
    ],
)
def test_limb_leads_that_drift_are_derived_from_those_that_agree(names, pair, stretches):
    found, sound = (median_beat(samples, 500, EXTRACT) for samples in (drifting(names, stretches), RIGHT))
    np.testing.assert_allclose(found.beat, sound.beat, atol=0.002)
    (flag,) = found.flags
    assert flag.startswith(f"limb leads disagree: {', '.join(names)} from {np.floor(stretches[0][0]):.1f} to ")
    assert flag.endswith(f" s; derived from {pair}")
    assert flag.count(" to ") == len(stretches)


def test_limb_leads_that_disagree_most_of_the_time_are_refused():
    assert median_beat(drifting(["III", "aVR"], [(2, 10)]), 500, EXTRACT).reason.startswith(
        "limb leads disagree: III, aVR by "
    )


@pytest.mark.parametrize(
    ("stretches", "pair"),
    [
        ({"III": (1000, 2500)}, "I and II"),
        ({"III": (0, 5000), "aVR": (0, 5000), "aVL": (0, 5000), "aVF": (0, 5000)}, "I and II"),
        ({"I": (0, 2600)}, "II and III"),
        ({"I": (1000, 1100), "II": (3000, 3020), "III": (4000, 4400)}, "aVR and aVL"),
    ],
)
@pytest.mark.parametrize("value", [0, MISSING])
def test_limb_leads_that_are_missing_are_derived(stretches, pair, value):
    samples = RIGHT.copy()
    for name, (start, end) in stretches.items():
        # Shorter ones that are held are no gaps.
        samples[start:end, LEADS.index(name)] = value if end - start > 300 else MISSING
    found, sound = (median_beat(samples, 500, EXTRACT) for samples in (samples, RIGHT))
    assert found.n_used == sound.n_used
    np.testing.assert_allclose(found.beat, sound.beat, atol=0.002)
    (flag,) = found.flags
    assert flag.startswith(f"limb leads missing: {', '.join(stretches)} from ")
    assert flag.endswith(f"derived from {pair}")


def test_limb_leads_agree_but_for_constants_and_rounding():
    samples = RIGHT + np.array([300, -200, 70, 10, 0, 5] + [0] * 6, np.int16)
    samples += np.random.default_rng(0).integers(-3, 4, samples.shape).astype(np.int16)
    assert median_beat(samples, 500, EXTRACT).beat is not None


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.repeat(RIGHT[:, [1]], 12, axis=1), "copied lead: II is I"),
        (np.where(np.arange(12) == 9, RIGHT[:, [8]], RIGHT), "copied lead: V4 is V3"),
        (np.rint(RIGHT[:, [1]] * [1, 1, 0, -1, 0.5, 0.5, 0.2, 0.7, 0.9, 1.1, 1.2, 0.8] + np.arange(12)), "copied lead"),
        (shifted(LEADS[6:], 200), "leads shifted in time"),
        (shifted(LEADS[6:], 400), "leads shifted in time"),
        (shifted(["V3"], 160), "leads shifted in time: no QRS complex at R in V3"),
    ],
)
def test_copied_and_shifted_leads_are_refused(samples, reason):
    found = median_beat(samples.astype(np.int16), 500, EXTRACT)
    assert found.beat is None
    assert found.reason.startswith((reason, "too fast", "flat lead: III"))


@pytest.mark.parametrize("lead", ["V1", "V5", "V6"])
def test_a_precordial_lead_upside_down_is_flagged(lead):
    assert any(lead in flag for flag in median_beat(scaled(lead, -1), 500, EXTRACT).flags)
    assert median_beat(RIGHT, 500, EXTRACT).flags == ()


@pytest.mark.parametrize(("factor", "beat"), [(0.001, False), (0.1, False), (0.2, False), (1, True), (4.88, False)])
def test_an_implausible_scale_is_refused(factor, beat):
    found = median_beat(np.rint(factor * RIGHT.astype(float)).astype(np.int16), 500, EXTRACT)
    assert (found.beat is not None) == beat
    if factor in (0.1, 4.88):
        assert found.reason.startswith("amplitude: ") and "mV" in found.reason


def with_arms_exchanged(samples):
    """What is recorded where each arm has the other's electrode: samples x 12 (Einthoven; Goldberger)."""
    exchanged = samples[:, [LEADS.index(lead) for lead in ("I", "III", "II", "aVL", "aVR", "aVF", *LEADS[6:])]]
    exchanged[:, 0] *= -1
    return exchanged


def test_exchanged_arm_electrodes_are_flagged():
    hearts = [healthy_heart(np.random.default_rng(seed)) for seed in range(20)]
    recordings = [recording(every(811), emg=20, wander=100, waves=waves) for waves in hearts]
    assert not any(ARMS_REVERSED in median_beat(samples, 500, EXTRACT).flags for samples in recordings)
    exchanged = [median_beat(with_arms_exchanged(samples), 500, EXTRACT) for samples in recordings]
    # Not where P is too small in lead I.
    assert sum(ARMS_REVERSED in found.flags for found in exchanged) >= 17


def test_the_flag_of_the_arms_needs_both_the_p_wave_and_the_qrs_complex_upside_down():
    beat = with_arms_exchanged(truth().T).T
    assert arm_flags(beat, TIMES) == [ARMS_REVERSED]
    # An axis far to the right, as of the lungs: P is upright. An atrial rhythm: P alone is upside down.
    p_wave = TIMES < -60
    for upright in (p_wave, ~p_wave):
        other = beat.copy()
        other[0, upright] *= -1
        assert arm_flags(other, TIMES) == []


def test_exchanged_arm_electrodes_of_real_recordings(real_data):
    flagged = []
    for path in sorted((real_data / "ptb-xl").rglob("*.hea")):
        header = read_header(path)
        samples = read_samples(header)[0]
        found = [median_beat(each, header.sampling_rate, EXTRACT) for each in (samples, with_arms_exchanged(samples))]
        if all(each.beat is not None for each in found):
            flagged.append([ARMS_REVERSED in each.flags for each in found])
    as_recorded, exchanged = np.mean(flagged, axis=0)
    assert len(flagged) > 480
    assert as_recorded <= 0.005
    assert exchanged >= 0.85
