import numpy as np
import pytest
import wfdb
from conftest import ecg_signal, write_challenge

from ecg.leads import LEADS, MISSING, BadRecording
from ecg.recordings.read import read_ecg, standard_leads
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import BITS, read_samples

SAMPLES = ecg_signal(2)


def read(path, **knobs):
    return read_samples(read_header(path), **knobs)


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ("500(100)/mV", (SAMPLES.astype(int) - 100) * 2),
        ("1/uV", SAMPLES),
        ("0.5/µV", SAMPLES.astype(int) * 2),
        ("1000000/V", SAMPLES),
    ],
)
def test_gain_baseline_and_unit_of_the_header_count(tmp_path, gain, expected):
    samples, flags = read(write_challenge(tmp_path, "mine", SAMPLES, gain=gain))
    np.testing.assert_array_equal(samples, expected)
    assert flags == []


def encode(form, values):
    """The bytes of a format as signal(5) says, sample by sample."""
    if form == "212":
        values = [value % 4096 for value in values]
        pairs = zip(values[::2], [*values[1::2], 0], strict=False)
        return b"".join(bytes((a % 256, a // 256 + b // 256 * 16, b % 256)) for a, b in pairs)
    n_bytes = BITS[form] // 8
    if form in ("80", "160"):
        return b"".join((value + 2 ** (8 * n_bytes - 1)).to_bytes(n_bytes, "little") for value in values)
    return b"".join(value.to_bytes(n_bytes, "big" if form == "61" else "little", signed=True) for value in values)


@pytest.mark.parametrize("layout", ["{}", "{}x2", "{}:3"])
@pytest.mark.parametrize("form", BITS)
def test_each_format_gives_back_the_samples_that_were_written(tmp_path, form, layout):
    stored = SAMPLES.astype(int) // (40 if form == "80" else 4)
    stored[10:20, 4] = -(2 ** (BITS[form] - 1))  # missing
    expected = np.where(stored == stored[10, 4], MISSING, 4 * stored)
    per_frame = 2 if "x2" in layout else 1
    frames = stored.reshape(-1, per_frame, 12).transpose(0, 2, 1)
    if ":" in layout:
        expected[:-3], expected[-3:] = expected[3:].copy(), MISSING
    (tmp_path / "r.dat").write_bytes(encode(form, frames.ravel().tolist()))
    sums = stored.sum(axis=0) % 65536
    lines = [f"r.dat {layout.format(form)} 250/mV 16 0 0 {s} 0 {lead}" for s, lead in zip(sums, LEADS, strict=True)]
    (tmp_path / "r.hea").write_text("\n".join([f"r 12 500 {len(frames)}", *lines]))
    np.testing.assert_array_equal(read(tmp_path / "r.hea")[0], expected)


def test_a_record_that_wfdb_cannot_read_is_refused(tmp_path):
    lines = "".join(f"r.dat 212 1000/mV 12 0 0 0 0 {lead}\n" for lead in LEADS)
    (tmp_path / "r.dat").write_bytes(bytes(18 * 100))
    for record in ("r.mat 12 500 100", "r 12 500 100 25:61:00"):
        (tmp_path / "r.hea").write_text(f"{record}\n{lines}")
        with pytest.raises(BadRecording, match=r"^header: wfdb cannot read it \((HeaderSyntax|Value)Error\)$"):
            read(tmp_path / "r.hea")


def write_frames(folder, per_frame, frame_rate=500, name="mine"):
    """Write SAMPLES with so many samples a frame, one number for all or one for each lead; return the header's path."""
    per_frame = per_frame if isinstance(per_frame, list) else [per_frame] * 12
    times = max(per_frame)
    # Leads with fewer samples keep each k-th.
    leads = [lead[:: times // n].reshape(-1, n) for lead, n in zip(SAMPLES.T, per_frame, strict=True)]
    (folder / f"{name}.dat").write_bytes(np.hstack(leads).astype("<i2").tobytes())
    lines = [
        f"{name}.dat 16x{n} 1000/mV 16 0 {values[0, 0]} {values.sum(dtype=np.int64) % 65536} 0 {lead}"
        for lead, n, values in zip(LEADS, per_frame, leads, strict=True)
    ]
    head = f"{name} 12 {frame_rate:g} {len(leads[0])}"
    (folder / f"{name}.hea").write_text("\n".join([head, *lines]) + "\n")
    return folder / f"{name}.hea"


@pytest.mark.parametrize(("per_frame", "frame_rate"), [(500, 1), (50, 10), (4, 125), (5, 100)])
def test_all_samples_of_a_frame_count(tmp_path, per_frame, frame_rate):
    path = write_frames(tmp_path, per_frame, frame_rate)
    np.testing.assert_array_equal(read(path)[0], SAMPLES)
    assert read_header(path).sampling_rate == 500


def test_leads_with_fewer_samples_a_frame_are_resampled_to_the_others(tmp_path):
    path = write_frames(tmp_path, [4] * 6 + [2] * 6, 125)
    assert read_header(path).sampling_rate == 500
    samples, _ = read(path)
    np.testing.assert_array_equal(samples[:, :6], SAMPLES[:, :6])
    # Between samples at 250 Hz, and away from the ends, where nothing is known of what follows.
    assert np.abs(samples[50:-50, 6:].astype(int) - SAMPLES[50:-50, 6:]).max() <= 10
    path.write_text(path.read_text().replace("16x2", "16x3").replace("mine 12 125 250", "mine 12 125 200"))
    with pytest.raises(BadRecording, match=r"3 samples a frame in lead V1, 4 in another; allowed: a multiple$"):
        read(path, verify_checksums=False)


def write_physical(folder, signal, **options):
    """Write a signal (samples x 12, mV) by wfdb.wrsamp."""
    wfdb.wrsamp(
        "mine", 500, p_signal=signal, write_dir=str(folder), **{"units": ["mV"] * 12, "sig_name": list(LEADS)} | options
    )
    return folder / "mine.hea"


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1), ("V", 1e-3), ("uV", 1e3)])
def test_what_wfdb_writes_by_default_is_read(tmp_path, unit, factor):
    # Of what is on no coarse grid, in format 32, and with a gain that makes the most of it.
    signal = SAMPLES / 1000 + np.random.default_rng(0).uniform(-4e-4, 4e-4, SAMPLES.shape)
    path = write_physical(tmp_path, signal * factor, units=[unit] * 12)
    assert " 32 " in path.read_text() and read_header(path).signals[0].gain > 1e6
    samples, flags = read(path)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert flags == []


@pytest.mark.parametrize("offset", [30, 300, -300])
def test_an_electrode_offset_is_removed_before_anything_is_clipped(tmp_path, offset):
    path = write_physical(
        tmp_path, SAMPLES / 1000 + offset, fmt=["24"] * 12, adc_gain=[20000.0] * 12, baseline=[0] * 12
    )
    samples, flags = read(path)
    constant = samples - SAMPLES.astype(int)
    # A constant in each lead, but for steps of the converter.
    assert np.ptp(constant, axis=0).max() <= 1
    if offset == 30:  # int16 holds it
        assert flags == [] and (constant == 30_000).all()
    else:
        assert flags == [f"offset removed: {offset} mV in {', '.join(LEADS)}"]
        one, two = samples[:, 0].astype(int), samples[:, 1].astype(int)
        assert np.abs(samples[:, 2] - (two - one)).max() <= 2
        assert np.abs(2 * samples[:, 3] + one + two).max() <= 3


def test_a_long_recording_says_both_numbers_in_samples(tmp_path):
    path = write_frames(tmp_path, 1)
    path.write_text(path.read_text().replace("mine 12 500 1000", "mine 12 250 21600000"))
    with path.with_suffix(".dat").open("r+b") as file:
        file.truncate(2 * 12 * 21_600_000)  # sparse
    with pytest.raises(BadRecording, match=r"^too long: 259200000 samples in mine\.dat; allowed: 22000000$"):
        read(path)


def test_wrong_checksum_refuses_unless_told_otherwise(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES, checksums=False)
    with pytest.raises(BadRecording, match="wrong checksum"):
        read(path)
    samples, flags = read(path, verify_checksums=False)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert flags[0].startswith("wrong checksum")


@pytest.mark.parametrize(
    ("gain", "reason"),
    [
        ("0.5/mV", r"gain: 0.5/mV in lead I, steps of 2000 uV; allowed: to 1000 uV"),
        ("1e12/mV", r"gain: 1e\+12/mV in lead I, steps of 1e-09 uV; .* at least 1 uV in all"),
        ("0/mV", "gain: 0/mV"),
        ("nan", "gain: nan/mV"),
        ("inf/V", "gain: inf/V"),
        ("-200/mV", "gain: -200/mV"),
    ],
)
def test_gains_that_no_ecg_can_have(tmp_path, gain, reason):
    with pytest.raises(BadRecording, match=reason):
        read(write_challenge(tmp_path, "mine", SAMPLES, gain=gain))


def test_bad_signal_files_are_refused_with_a_reason(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES)
    whole = path.with_suffix(".mat").read_bytes()
    for content, reason in [
        (whole[:-2], "holds 999 samples"),
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN64" + whole[38:], "not a MATLAB v4 file"),
        (b"", "ends before the byte offset 24"),
    ]:
        path.with_suffix(".mat").write_bytes(content)
        with pytest.raises(BadRecording, match=reason):
            read(path)
    with pytest.raises(BadRecording, match="flat"):
        standard_leads(read_ecg(write_challenge(tmp_path, "flat", np.full_like(SAMPLES, 7))))


def test_real_recordings_equal_wfdb(real_data):
    headers = sorted(real_data.rglob("*.hea"))
    assert headers
    for path in headers:
        header = read_header(path)
        samples, flags = read_samples(header)
        # wfdb refuses the record line that ends in a date; the same record without it is read.
        if "05-Feb-2020" in path.read_text():
            continue
        record = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
        np.testing.assert_array_equal(samples, record.d_signal)
        assert (header.sampling_rate, flags) == (record.fs, [])
        assert [name.lower() for name in record.sig_name] == [lead.lower() for lead in LEADS]


def test_real_old_dialect_equals_wfdb_without_the_date(real_data, tmp_path):
    dated = [path for path in sorted(real_data.rglob("*.hea")) if "05-Feb-2020" in path.read_text()]
    assert dated
    for path in dated:
        text = path.read_text().replace(" 05-Feb-2020 11:39:16", "")
        (tmp_path / path.name).write_text(text)
        (tmp_path / path.with_suffix(".mat").name).write_bytes(path.with_suffix(".mat").read_bytes())
        record = wfdb.rdrecord(str(tmp_path / path.stem), physical=False)
        np.testing.assert_array_equal(read(path)[0], record.d_signal)
