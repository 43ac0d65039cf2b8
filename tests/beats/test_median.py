"""The median beat of drawn recordings is the drawn beat; a recording without one has a reason."""

import numpy as np
import pytest
from conftest import ecg_signal, leads
from drawn import EXTRACT, HEART, QRS_WAVES, T_WAVES, TIMES, changed, error_uv, every, fast_repolarisation, recording

from ecg.beats.median import clean_leads, filter_leads, find_beats, median_beat
from ecg.beats.windows import align
from ecg.leads import LEADS, MISSING, RAIL
from ecg.recordings.hearts import twelve_leads


@pytest.mark.parametrize("sampling_rate", [100, 250, 257, 500, 1000])
def test_clean_beat_is_recovered_at_every_sampling_rate(sampling_rate):
    found = median_beat(recording(every(811), sampling_rate=sampling_rate), sampling_rate, EXTRACT)
    assert found.n_used == found.n_beats
    assert found.heart_rate == pytest.approx(60_000 / 811, rel=0.01)
    # The 40 Hz filter's share of the QRS complex is the largest part of this.
    assert error_uv(found) < 8
    assert error_uv(found, TIMES > 80) < 5
    one, two, three = (found.beat[LEADS.index(lead)] for lead in ("I", "II", "III"))
    np.testing.assert_allclose(three, two - one, atol=0.004)


@pytest.mark.parametrize(
    ("noise", "most"), [({"emg": 20, "wander": 100}, 12), ({"emg": 60, "wander": 300, "hum": 30}, 20)]
)
def test_known_beat_is_recovered_under_noise(noise, most):
    found = median_beat(recording(every(811), **noise), 500, EXTRACT)
    assert found.n_used >= found.n_beats - 1
    assert error_uv(found) < most


def test_ectopic_beats_are_left_out_and_count_for_the_rate():
    rhythm = every(800)
    found = median_beat(recording(rhythm, emg=20, ectopic=(3, 7)), 500, EXTRACT)
    assert found.heart_rate == pytest.approx(75, rel=0.02)
    rhythm[[4, 8]] -= 250
    found = median_beat(recording(rhythm, emg=20, ectopic=(4, 8)), 500, EXTRACT)
    # A beat before an ectopic one may go with it: the window ends in the early QRS complex.
    assert 2 <= found.n_beats - found.n_used <= 4
    assert error_uv(found) < 18


@pytest.mark.parametrize("start", [2150, 2300])
def test_a_burst_over_one_beat_does_no_harm(start):
    # 0.4 s of 1.5 mV over a QRS complex at 4400 ms (sample 2200), then after it, where it may be taken for a beat.
    samples = recording(every(800), emg=20)
    samples[start : start + 200] += twelve_leads(np.random.default_rng(1).normal(0, 1500, (200, 8))).astype(np.int16)
    found = median_beat(samples, 500, EXTRACT)
    assert found.n_used >= 9
    assert found.heart_rate == pytest.approx(75, rel=0.02)
    assert error_uv(found) < 12


CHANGED = {"sampling_rate": 250, "high_pass": 1.0, "low_pass": 30.0, "window_start": -200, "window_end": 350}
CHANGED |= {"min_correlation": 0.9999, "min_beats": 11, "max_noise": 0.1}


@pytest.mark.parametrize("name", CHANGED)
def test_each_parameter_of_extract_has_an_effect(name):
    samples, other = recording(every(800), emg=40, ectopic=(3, 7)), EXTRACT.model_copy(update={name: CHANGED[name]})
    one, two = (median_beat(samples, 500, extract).beat for extract in (EXTRACT, other))
    assert two is None or one.shape != two.shape or not np.allclose(one, two, atol=1e-4)


def test_it_is_the_median_of_the_beats_that_are_used():
    samples = recording(every(800), emg=20, ectopic=(3, 7))
    found = find_beats(clean_leads(samples, 500, EXTRACT)[0], 500, EXTRACT)
    np.testing.assert_allclose(
        median_beat(samples, 500, EXTRACT).beat, np.median(found.beats[found.used], 0), atol=1e-6
    )


def test_r_peaks_are_aligned():
    smooth = filter_leads(recording(every(800), emg=20).T, 500, EXTRACT)[1]
    peaks = np.arange(150, 1100, 100)
    found = align(smooth, peaks + np.random.default_rng(0).integers(-3, 4, len(peaks)), np.arange(-10, 16), 4)
    assert np.ptp(found - peaks) <= 1


def test_beats_at_the_edges_are_dropped_not_padded():
    # R at 100 ms and at 9800 ms have no whole window.
    found = median_beat(recording(np.array([100, *range(1000, 9500, 800), 9800])), 500, EXTRACT)
    assert found.n_beats == 11


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x[:1500], "too short: 3.0 s"),
        (lambda x: x[::10], "sampling rate: 50 Hz"),
        (lambda x: np.where(np.arange(12) == 6, 0, x), "flat lead: V1"),
        # With a gap.
        (lambda x: np.where(np.arange(12) == 6, np.where(np.arange(len(x)) == 9, MISSING, 0)[:, None], x), "flat lead"),
        (lambda x: np.where(np.arange(12) == 7, MISSING, x), "missing lead: V2"),
        (lambda x: np.where((np.arange(12) == 8) & (np.arange(len(x)) % 50 < 5)[:, None], RAIL, x), "saturated lead"),
        (lambda x: np.where((np.arange(len(x)) > 900)[:, None], 0, x), "flat lead: I, II, III"),
        (lambda x: twelve_leads(np.random.default_rng(0).normal(0, 100, (len(x), 8))), "no QRS complexes"),
        # Above 20 Hz: it does not disturb comparison and alignment, but the median beat.
        (lambda x: x + twelve_leads(450 * np.sin(0.45 * np.arange(len(x)))[:, None] * np.ones(8)), "too noisy: "),
    ],
)
def test_what_cannot_be_used_has_a_reason(change, reason):
    samples = change(ecg_signal()).astype(np.int16)
    found = median_beat(samples, 50 if len(samples) < 1000 else 500, EXTRACT)
    assert found.beat is None
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("name", "waves"),
    [
        ("inverted QRS, as with swapped leads", changed(HEART, HEART, -1)),
        ("low voltage", changed(HEART, HEART, 0.45)),
        ("wide QRS", changed(HEART, QRS_WAVES, widen=2.2)),
        ("T taller than QRS", changed(changed(HEART, QRS_WAVES, 0.5), T_WAVES, 2.5)),
    ],
)
def test_odd_shapes(name, waves):
    found = median_beat(recording(every(811), emg=20, wander=100, waves=waves), 500, EXTRACT)
    assert found.heart_rate == pytest.approx(60_000 / 811, rel=0.02)
    assert found.n_used >= found.n_beats - 1
    assert error_uv(found, waves=waves, within=40) < 12


@pytest.mark.parametrize("heart_rate", [35, 60, 100, 125])
@pytest.mark.parametrize(("sampling_rate", "seconds"), [(257, 60), (1000, 10)])
def test_slowest_and_fastest_hearts_short_and_long(heart_rate, sampling_rate, seconds):
    waves, rr = fast_repolarisation(heart_rate), 60_000 / heart_rate
    made = recording(every(rr, seconds=seconds), seconds=seconds, sampling_rate=sampling_rate, emg=20, waves=waves)
    found = median_beat(made, sampling_rate, EXTRACT)
    assert found.heart_rate == pytest.approx(heart_rate, rel=0.02)
    assert found.n_used >= 0.93 * found.n_beats
    # Before the next beat's P wave.
    before, pq = min(500, rr - 220) > TIMES, (TIMES >= -100) & (TIMES <= -60)
    whole = [sum(leads(TIMES + s + k * rr, waves) for k in (-1, 0, 1)).T for s in np.arange(-12, 12, 0.5)]
    errors = [found.beat - (beat - np.median(beat[:, pq], axis=1, keepdims=True)) for beat in whole]
    assert min(np.sqrt(np.mean(error[:, before] ** 2)) for error in errors) < 0.014


def test_atrial_fibrillation():
    rng = np.random.default_rng(0)
    waves = {name: wave for name, wave in HEART.items() if name != "P"}
    samples = recording(300 + np.cumsum(rng.uniform(450, 1100, 14)), emg=20, waves=waves)
    times = np.arange(5000) / 500
    flutter = 0.05 * np.sin(2 * np.pi * (6 * times + 0.3 * np.sin(2 * np.pi * times)))
    found = median_beat(samples + np.int16(1000 * twelve_leads(flutter[:, None] * np.ones(8))), 500, EXTRACT)
    assert found.n_used >= found.n_beats - 1 >= 7
    assert error_uv(found, (TIMES > -60) & (TIMES < 350)) < 35


@pytest.mark.parametrize("first_ectopic", [0, 1])
@pytest.mark.parametrize("first", [250, 800])
def test_bigeminy_takes_the_narrower_qrs_and_flags_it(first_ectopic, first):
    peaks = every(800, first=first)
    ectopic = tuple(range(first_ectopic, len(peaks), 2))
    peaks = peaks - np.where(np.isin(np.arange(len(peaks)), ectopic), 200, 0)
    samples = recording(peaks, seconds=10, emg=20, ectopic=ectopic)
    found = median_beat(samples, 500, EXTRACT)
    assert found.flags[0].startswith("two kinds of beat are equally frequent")
    assert found.heart_rate == pytest.approx(75, rel=0.02)  # all beats count
    assert abs(found.n_used - found.n_beats / 2) <= 1.5
    assert error_uv(found, TIMES < 300) < 15
