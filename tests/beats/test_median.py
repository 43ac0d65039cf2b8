import numpy as np
import pytest
from conftest import DEFAULTS, ecg_signal

from ecg.beats.median import median_beat
from ecg.beats.windows import beat_times
from ecg.leads import LEADS, MISSING
from ecg.params import read_params
from ecg.recordings.hearts import healthy_heart, leads, twelve_leads
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import read_samples

EXTRACT = read_params(DEFAULTS).extract
TIMES = beat_times(EXTRACT)
HEART = healthy_heart(np.random.default_rng(10))  # with an ordinary T: 0.47 of QRS
PREMATURE = {"R": (0, 30, -0.9, 0.8, -0.7), "T1": (270, 60, 0.4, -0.3, 0.2)}


def truth(times=TIMES, waves=HEART):
    """The known beat, 12 x samples, mV, isoelectric in −100 … −60 ms."""
    beat = leads(times, waves)
    return (beat - np.median(beat[(times >= -100) & (times <= -60)], axis=0)).T


def recording(peaks, *, seconds=10, sampling_rate=500, emg=0.0, wander=0.0, hum=0.0, ectopic=(), waves=HEART, seed=0):
    """Beats at known R peaks (ms), with noise of so many uV; samples x 12, int16, uV."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * sampling_rate)) * 1000 / sampling_rate
    signal = sum(leads(times - peak, PREMATURE if i in ectopic else waves) for i, peak in enumerate(peaks))
    noise = rng.normal(0, emg / 1000, (len(times), 8))
    noise += wander / 1000 * np.sin(2 * np.pi * (0.25 * times[:, None] / 1000 + rng.random(8)))
    noise += hum / 1000 * np.sin(2 * np.pi * 50 * times[:, None] / 1000)
    signal += twelve_leads(noise)
    return np.rint(1000 * signal).astype(np.int16)


def rms_uv(difference):
    return 1000 * np.sqrt(np.mean(difference**2))


def error_uv(found, keep=slice(None)):
    """RMS difference from the known beat; the R peak's place within some ms is a matter of definition."""
    return min(rms_uv((found.beat - truth(TIMES + shift))[:, keep]) for shift in np.arange(-12, 12, 0.5))


def every(rr, seconds=10, first=400):
    return np.arange(first, 1000 * seconds + rr, rr)


@pytest.mark.parametrize("sampling_rate", [100, 250, 257, 500, 1000])
def test_clean_beat_is_recovered_at_every_sampling_rate(sampling_rate):
    found = median_beat(recording(every(811), sampling_rate=sampling_rate), sampling_rate, EXTRACT)
    assert found.n_used == found.n_beats
    assert found.heart_rate == pytest.approx(60_000 / 811, rel=0.01)
    # What the 40 Hz filter takes from the QRS complex is the largest part of this.
    assert error_uv(found) < 8
    assert error_uv(found, TIMES > 80) < 5


@pytest.mark.parametrize(
    ("noise", "most"), [({"emg": 20, "wander": 100}, 12), ({"emg": 60, "wander": 300, "hum": 30}, 20)]
)
def test_known_beat_is_recovered_under_noise(noise, most):
    found = median_beat(recording(every(811), **noise), 500, EXTRACT)
    assert found.n_used >= found.n_beats - 1
    assert error_uv(found) < most


def test_ectopic_beats_are_left_out():
    rhythm = every(800)
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


@pytest.mark.parametrize("rr", [60_000 / 45, 60_000 / 130])
def test_slow_and_fast_hearts_share_the_window(rr):
    found = median_beat(recording(every(rr), emg=20), 500, EXTRACT)
    assert found.beat.shape == (12, len(TIMES))
    assert found.heart_rate == pytest.approx(60_000 / rr, rel=0.01)


def test_beats_at_the_edges_are_dropped_not_padded():
    # R at 100 ms and at 9800 ms have no whole window.
    found = median_beat(recording(np.array([100, *range(1000, 9500, 800), 9800])), 500, EXTRACT)
    assert found.n_beats == 11


def test_alignment_undoes_jitter():
    jitter = np.random.default_rng(0).uniform(-25, 25, 20)
    assert error_uv(median_beat(recording(every(811) + jitter[: len(every(811))]), 500, EXTRACT)) < 8


def test_isoelectric_line_is_zero_in_every_lead():
    beat = median_beat(recording(every(811), wander=300), 500, EXTRACT).beat
    level = np.median(beat[:, (TIMES >= -100) & (TIMES <= -60)], axis=1)
    np.testing.assert_allclose(level, 0, atol=0.005)


@pytest.mark.parametrize("drift", [300, 1000])
def test_drift_leaves_the_beat_alone(drift):
    # In uV per second, in the shortest recording that gives a beat.
    samples = recording(every(700, seconds=5), seconds=5)
    slopes = drift * np.random.default_rng(0).uniform(-1, 1, 8)
    samples = samples + twelve_leads(np.arange(len(samples))[:, None] / 500 * slopes).astype(np.int16)
    assert error_uv(median_beat(samples, 500, EXTRACT)) < 8


def test_missing_samples_cost_only_the_beats_that_they_touch():
    samples = recording(every(800), emg=20)
    samples[2350:2370, 7] = MISSING
    whole, gap = (median_beat(s, 500, EXTRACT) for s in (recording(every(800), emg=20), samples))
    assert whole.n_beats - gap.n_beats == 1
    assert np.isfinite(gap.beat).all()


def test_real_recordings_give_a_beat_or_a_reason(real_data):
    paths = sorted((real_data / "ptb-xl").rglob("*.hea")) + sorted((real_data / "challenge").rglob("*.hea"))
    assert len(paths) == 550
    refused = {}
    for path in paths:
        header = read_header(path)
        found = median_beat(read_samples(header)[0], header.sampling_rate, EXTRACT)
        assert (found.beat is None) == bool(found.reason)
        if found.reason:
            refused[path.stem] = found.reason
            continue
        assert np.isfinite(found.beat).all()
        assert 25 < found.heart_rate < 220
        # What the header says of the rate: sinus bradycardia and tachycardia, SNOMED CT.
        dx = ",".join(header.comments.get("dx", []))
        assert "426177001" not in dx or found.heart_rate < 75
        assert "427084000" not in dx or found.heart_rate > 95
    refused = {record: reason for record, reason in refused.items() if not reason.startswith("paced")}
    assert len(refused) <= 9, refused


def dead_lead_with_a_gap(samples):
    samples = samples.copy()
    samples[:, 6] = 0
    samples[9, 6] = MISSING
    return samples


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x[:1500], "too short: 3.0 s"),
        (lambda x: np.where(np.arange(12) == 6, 0, x), "flat lead: V1"),
        (dead_lead_with_a_gap, "flat lead: V1"),
        (lambda x: np.where((np.arange(12) == 6) & (np.arange(len(x)) > 1500)[:, None], 0, x), "flat lead: V1"),
        (lambda x: np.where(np.arange(12) == 7, MISSING, x), "missing lead: V2"),
        (
            lambda x: np.where((np.arange(12) == 8) & (np.arange(len(x)) % 50 < 5)[:, None], 32767, x),
            "saturated lead: V3",
        ),
        (lambda x: np.where((np.arange(len(x)) > 900)[:, None], 0, x), "flat lead: I, II, III"),
        (lambda x: twelve_leads(np.random.default_rng(0).normal(0, 100, (len(x), 8))), "no QRS complexes"),
        # Above 20 Hz: the beats are told apart and aligned, but not measured.
        (lambda x: x + twelve_leads(450 * np.sin(0.45 * np.arange(len(x)))[:, None] * np.ones(8)), "too noisy: "),
    ],
)
def test_what_cannot_be_used_has_a_reason(change, reason):
    found = median_beat(change(ecg_signal()).astype(np.int16), 500, EXTRACT)
    assert found.beat is None
    assert found.reason.startswith(reason)


def changed(waves, names, scale=1.0, widen=1.0):
    return {
        name: (c, w * widen, *(scale * np.array(v))) if name in names else (c, w, *v)
        for name, (c, w, *v) in waves.items()
    }


QRS_WAVES, T_WAVES = ("Q", "R", "S"), ("T1", "T2")


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
    shifts = np.arange(-40, 40, 0.5)
    assert min(rms_uv(found.beat - truth(TIMES + shift, waves)) for shift in shifts) < 12


@pytest.mark.parametrize("heart_rate", [35, 125])
@pytest.mark.parametrize("sampling_rate", [257, 1000])
@pytest.mark.parametrize("seconds", [10, 60])
def test_slowest_and_fastest_hearts_short_and_long(heart_rate, sampling_rate, seconds):
    # The heart that beats fast repolarises fast (Fridericia 1920).
    late = (60 / heart_rate) ** (1 / 3)
    waves = {k: (c * late, w * late, *v) if k in ("ST", *T_WAVES) else (c, w, *v) for k, (c, w, *v) in HEART.items()}
    peaks = every(60_000 / heart_rate, seconds=seconds)
    made = recording(peaks, seconds=seconds, sampling_rate=sampling_rate, emg=20, waves=waves)
    found = median_beat(made, sampling_rate, EXTRACT)
    assert found.heart_rate == pytest.approx(heart_rate, rel=0.02)
    assert found.n_used >= 0.95 * found.n_beats
    # Before the next beat's P wave.
    before = min(500, 60_000 / heart_rate - 220) > TIMES
    shifts = np.arange(-12, 12, 0.5)
    whole = [sum(leads(TIMES + s + k * 60_000 / heart_rate, waves) for k in (-1, 0, 1)).T for s in shifts]
    pq = (TIMES >= -100) & (TIMES <= -60)
    errors = [found.beat - (beat - np.median(beat[:, pq], axis=1, keepdims=True)) for beat in whole]
    assert min(rms_uv(error[:, before]) for error in errors) < 14


def test_five_seconds():
    found = median_beat(recording(every(811, seconds=5), seconds=5, emg=20, wander=100), 500, EXTRACT)
    assert found.n_used >= 4
    assert error_uv(found) < 15


def test_atrial_fibrillation():
    rng = np.random.default_rng(0)
    waves = {name: wave for name, wave in HEART.items() if name != "P"}
    samples = recording(300 + np.cumsum(rng.uniform(450, 1100, 14)), emg=20, waves=waves)
    times = np.arange(5000) / 500
    flutter = 50 * np.sin(2 * np.pi * (6 * times + 0.3 * np.sin(2 * np.pi * times)))
    samples = samples + twelve_leads(flutter[:, None] * np.ones(8)).astype(np.int16)
    found = median_beat(samples, 500, EXTRACT)
    assert found.n_used >= found.n_beats - 1 >= 7
    assert error_uv(found, (TIMES > -60) & (TIMES < 350)) < 35


def test_paced_beats():
    samples = recording(every(811), emg=20, waves=changed(HEART, QRS_WAVES, widen=2))
    for peak in every(811):
        spike = int((peak - 60) / 2)
        samples[spike : spike + 1] += np.int16(twelve_leads(np.full((1, 8), 2500)))
    found = median_beat(samples, 500, EXTRACT)
    assert found.reason.startswith("paced: ")
    assert found.heart_rate == pytest.approx(60_000 / 811, rel=0.02)


@pytest.mark.parametrize("first_ectopic", [0, 1])
@pytest.mark.parametrize("first", [250, 500, 800, 1000])
def test_bigeminy_takes_the_narrower_qrs_and_says_so(first_ectopic, first):
    peaks = every(800, first=first)
    ectopic = tuple(range(first_ectopic, len(peaks), 2))
    peaks = peaks - np.where(np.isin(np.arange(len(peaks)), ectopic), 200, 0)
    samples = recording(peaks, seconds=10, emg=20, ectopic=ectopic)
    found = median_beat(samples, 500, EXTRACT)
    assert found.flags[0].startswith("two kinds of beat are as frequent")
    assert found.heart_rate == pytest.approx(75, rel=0.02)  # all beats count
    assert abs(found.n_used - found.n_beats / 2) <= 1.5
    assert error_uv(found, TIMES < 300) < 15


def test_half_the_recording_flat_or_railed():
    half = recording(every(800), emg=20)
    half[2500:] = 0
    found = median_beat(half, 500, EXTRACT)
    assert found.n_used >= 4
    assert error_uv(found) < 15
    half[2500:] = 32767
    found = median_beat(half, 500, EXTRACT)
    assert found.n_used >= 4
    assert error_uv(found) < 15


def test_microvolts_taken_for_millivolts_are_refused():
    samples = recording(every(800), emg=20).astype(int)
    assert median_beat((samples // 1000).astype(np.int16), 500, EXTRACT).beat is None
    loud = np.clip(1000 * samples, -32767, 32767).astype(np.int16)
    assert median_beat(loud, 500, EXTRACT).reason.startswith("saturated lead")


def test_too_slow_a_recorder_has_a_reason():
    assert median_beat(ecg_signal(sampling_rate=60), 60, EXTRACT).reason.startswith("sampling rate: 60 Hz")


def test_derived_leads_obey_einthoven_after_all_steps():
    beat = median_beat(recording(every(811)), 500, EXTRACT).beat
    one, two, three = (beat[LEADS.index(lead)] for lead in ("I", "II", "III"))
    np.testing.assert_allclose(three, two - one, atol=0.004)
