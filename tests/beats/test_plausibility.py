"""Leads checked against one another, and the scale against plausible amplitudes."""

import numpy as np
import pytest
from conftest import ecg_signal
from drawn import EXTRACT, HEART, QRS_WAVES, TIMES, changed, every, recording, truth, with_arms_exchanged

from ecg.beats.median import median_beat
from ecg.beats.plausibility import ARMS_REVERSED, arm_flags
from ecg.leads import LEADS, MISSING
from ecg.recordings.hearts import twelve_leads

RIGHT = recording(every(811), emg=20, wander=100)
SOUND = median_beat(RIGHT, 500, EXTRACT)


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


def drifting(names, stretches, uv=300):
    """Limb leads that drift in stretches (s), each by `uv` or more, and more than the one before."""
    samples, times = RIGHT.astype(float), np.arange(len(RIGHT)) / 500
    for k, name in enumerate(names):
        for start, end in stretches:
            inside = (times >= start) & (times < end)
            samples[:, LEADS.index(name)] += inside * (times - start) / (end - start) * uv * (1 + 0.3 * k)
    return np.rint(samples).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (swapped("I", "II"), {"I", "II"}),
        (swapped("aVR", "aVL"), {"aVR", "aVL"}),
        (scaled("III", -1), {"III"}),
        (scaled("aVF", 0.5), {"aVF"}),
        (shifted(["aVL"], 60), {"aVL"}),
        (drifting(["III", "aVR"], [(2, 10)]), {"III", "aVR"}),
    ],
)
def test_limb_leads_that_disagree_are_refused_by_name(samples, named):
    reason = median_beat(samples, 500, EXTRACT).reason
    assert reason.startswith("limb leads disagree: ")
    assert named <= set(reason.split(": ")[1].split(" by ")[0].split(", "))


@pytest.mark.parametrize(
    ("names", "stretches", "pair"),
    [
        (["III", "aVR"], [(9, 10)], "I and II"),
        (["I"], [(0, 1.5)], "II and III"),
        (["I", "III"], [(2, 2.5), (6, 7)], "II and aVR"),
        (["III", "aVR", "aVL", "aVF"], [(6, 10)], "I and II"),
    ],
)
def test_limb_leads_that_drift_are_derived_from_those_that_agree(names, stretches, pair):
    found = median_beat(drifting(names, stretches), 500, EXTRACT)
    np.testing.assert_allclose(found.beat, SOUND.beat, atol=0.002)
    (flag,) = found.flags
    assert flag.startswith(f"limb leads disagree: {', '.join(names)} from {np.floor(stretches[0][0]):.1f} to ")
    assert flag.endswith(f" s; derived from {pair}")
    assert flag.count(" to ") == len(stretches)


@pytest.mark.parametrize(
    ("stretches", "pair"),
    [
        ({"III": (0, 5000), "aVR": (0, 5000), "aVL": (0, 5000), "aVF": (0, 5000)}, "I and II"),
        ({"I": (0, 2600)}, "II and III"),
        ({"I": (1000, 1100), "II": (3000, 3020), "III": (4000, 4400)}, "aVR and aVL"),
    ],
)
@pytest.mark.parametrize("value", [0, MISSING])
def test_limb_leads_that_are_missing_are_derived(stretches, pair, value):
    samples = RIGHT.copy()
    for name, (start, end) in stretches.items():
        # Shorter stretches that are held are no gaps.
        samples[start:end, LEADS.index(name)] = value if end - start > 300 else MISSING
    found = median_beat(samples, 500, EXTRACT)
    assert found.n_used == SOUND.n_used
    np.testing.assert_allclose(found.beat, SOUND.beat, atol=0.002)
    (flag,) = found.flags
    assert flag.startswith(f"limb leads missing: {', '.join(stretches)} from ")
    assert flag.endswith(f"derived from {pair}")


def test_limb_leads_agree_but_for_constants_and_rounding():
    samples = RIGHT + np.array([300, -200, 70, 10, 0, 5] + [0] * 6, np.int16)
    samples += np.random.default_rng(0).integers(-3, 4, samples.shape).astype(np.int16)
    found = median_beat(samples, 500, EXTRACT)
    assert found.beat is not None and found.flags == SOUND.flags == ()


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.repeat(RIGHT[:, [1]], 12, axis=1), "copied lead: II is I"),
        (np.where(np.arange(12) == 9, RIGHT[:, [8]], RIGHT), "copied lead: V4 is V3"),
        (RIGHT[:, [1]] * [1, 1, 0, -1, 0.5, 0.5, 0.2, 0.7, 0.9, 1.1, 1.2, 0.8] + np.arange(12), "copied lead: all"),
        (shifted(LEADS[6:], 200), "leads shifted in time"),
        (shifted(["V3"], 160), "leads shifted in time: no QRS complex at R in V3"),
        (0.1 * RIGHT, "amplitude: "),
        (4.88 * RIGHT, "amplitude: "),
    ],
)
def test_copied_and_shifted_leads_and_implausible_scales_are_refused(samples, reason):
    found = median_beat(np.rint(samples).astype(np.int16), 500, EXTRACT)
    assert found.beat is None
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("lead", ["V1", "V5", "V6"])
def test_a_precordial_lead_upside_down_is_flagged(lead):
    assert any(lead in flag for flag in median_beat(scaled(lead, -1), 500, EXTRACT).flags)


def test_the_flag_of_the_arms_needs_both_the_p_wave_and_the_qrs_complex_upside_down():
    beat = with_arms_exchanged(truth().T).T
    assert arm_flags(beat, TIMES) == [ARMS_REVERSED]
    # Right axis deviation, as in lung disease: P is upright. Atrial rhythm: P alone is upside down.
    p_wave = TIMES < -60
    for upright in (p_wave, ~p_wave):
        other = beat.copy()
        other[0, upright] *= -1
        assert arm_flags(other, TIMES) == []


SPIKES = np.rint((np.arange(0.5, 10, 1) - 0.06) * 500).astype(int)  # before the R peaks of ecg_signal


@pytest.mark.parametrize(
    ("height", "leads", "at", "paced"),
    [(800, 12, SPIKES, True), (200, 12, SPIKES, False), (800, 1, SPIKES, False), (800, 12, SPIKES[:1], False)],
)
def test_a_pacemakers_spike_is_seen_before_most_complexes(height, leads, at, paced):
    samples = recording(np.arange(500, 10500, 1000), emg=20, waves=changed(HEART, QRS_WAVES, widen=2))
    spike = twelve_leads(np.full((1, 8), height)) if leads == 12 else height * (np.arange(12) == 9)
    samples[at] += np.int16(spike)
    found = median_beat(samples, 500, EXTRACT)
    assert found.reason.startswith("paced: ") is paced
    assert found.heart_rate == pytest.approx(60, rel=0.02)


@pytest.mark.parametrize("hertz", [50, 60, 150])
def test_hum_is_no_pacemaker_and_hides_none(hertz):
    samples, times = ecg_signal(10), np.arange(5000)[:, None] / 500
    hum = np.rint(1000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)
    # In the leads that Einthoven's law does not bind.
    hum = hum * np.int16(1) * (np.arange(12) > 5)
    spikes = np.zeros_like(samples)
    spikes[SPIKES, 6:] = 800
    assert median_beat(samples + hum + spikes, 500, EXTRACT).reason.startswith("paced")
    assert median_beat(samples + hum, 500, EXTRACT).beat is not None
