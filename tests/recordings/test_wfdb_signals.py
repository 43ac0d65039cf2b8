import shutil
from pathlib import Path

import numpy as np
import pytest
import wfdb
from conftest import ecg_signal, write_challenge

from ecg.leads import LEADS, MISSING, BadRecording
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import BITS, read_samples

SAMPLES = ecg_signal(2)


def read(path, **knobs):
    return read_samples(read_header(path), **knobs)


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ("500(100)/mV", (SAMPLES.astype(int) - 100) * 2),
        *((gain, SAMPLES) for gain in ("1/uV", "1000000/V")),
        ("0.5/µV", SAMPLES.astype(int) * 2),
    ],
)
def test_gain_baseline_and_unit_of_the_header_count(tmp_path, gain, expected):
    samples, flags = read(write_challenge(tmp_path, "mine", SAMPLES, gain=gain))
    np.testing.assert_array_equal(samples, expected)
    assert flags == []


def test_the_adc_zero_is_the_baseline_where_none_is_stated(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES, gain="500/mV")
    path.write_text(path.read_text().replace(" 16 0 ", " 16 100 "))
    np.testing.assert_array_equal(read(path)[0], (SAMPLES.astype(int) - 100) * 2)


def encode(form, values):
    """Return the bytes of samples in a format, as in signal(5)."""
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


@pytest.mark.parametrize(
    ("record", "file"),
    [
        ("r.mat 12 500 100", "r.dat"),
        ("r 12 500 100 25:61:00", "r.dat"),
        ("r 12 500 100 #\x1cr", "r.dat"),
        ("r 12 500 100", "grün.dat"),  # wfdb leaves out letters that are not ASCII
    ],
)
def test_a_record_that_wfdb_cannot_read_is_refused(tmp_path, record, file):
    for name in (file, "grn.dat"):
        (tmp_path / name).write_bytes(bytes(18 * 100))
    lines = "".join(f"{file} 212 1000/mV 12 0 0 0 0 {lead}\n" for lead in LEADS)
    (tmp_path / "r.hea").write_text(f"{record}\n{lines}", encoding="utf-8")
    with pytest.raises(BadRecording, match=r"^header: wfdb cannot read it \((HeaderSyntax|Value)Error\)$"):
        read(tmp_path / "r.hea")


@pytest.mark.parametrize(("per_frame", "frame_rate"), [(500, 1), (4, 125)])
def test_all_samples_of_a_frame_count(tmp_path, per_frame, frame_rate):
    leads = [lead.reshape(-1, per_frame) for lead in SAMPLES.T]
    (tmp_path / "r.dat").write_bytes(np.hstack(leads).astype("<i2").tobytes())
    lines = "".join(f"r.dat 16x{per_frame} 1000/mV 16 0 {lead}\n" for lead in LEADS)
    lines = lines.replace(" 0 ", " 0 0 \0 0 ").replace("\0", "{}").format(*SAMPLES.sum(axis=0) % 65536)
    (tmp_path / "r.hea").write_text(f"r 12 {frame_rate} {len(leads[0])}\n{lines}")
    np.testing.assert_array_equal(read(tmp_path / "r.hea")[0], SAMPLES)
    assert read_header(tmp_path / "r.hea").sampling_rate == 500
    (tmp_path / "r.hea").write_text(f"r 12 {frame_rate} {len(leads[0])}\n{lines.replace(f'x{per_frame}', '', 1)}")
    with pytest.raises(BadRecording, match=r"^header: leads differ in samples a frame; allowed: one sampling rate$"):
        read(tmp_path / "r.hea")


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1), ("V", 1e-3), ("uV", 1e3)])
def test_what_wfdb_writes_by_default_is_read(tmp_path, unit, factor):
    # Samples between the steps of a coarse grid: wfdb then takes format 32 and a large gain.
    signal = SAMPLES / 1000 + np.random.default_rng(0).uniform(-4e-4, 4e-4, SAMPLES.shape)
    wfdb.wrsamp("r", 500, [unit] * 12, list(LEADS), p_signal=signal * factor, write_dir=str(tmp_path))
    assert " 32 " in (tmp_path / "r.hea").read_text() and read_header(tmp_path / "r.hea").signals[0].gain > 1e6
    samples, flags = read(tmp_path / "r.hea")
    np.testing.assert_array_equal(samples, SAMPLES)
    assert flags == []


@pytest.mark.parametrize(
    ("gain", "reason"),
    [
        ("0.5/mV", "gain: 2 mV, steps of 2000 uV; allowed: above 0, to 1000"),
        ("1e12/mV", "amplitude: "),
        ("-200/mV", "gain: -200/mV in lead I; allowed: above 0"),
        ("1e999/V", "gain: 0 V"),
        ("nan", "header: cannot read "),
    ],
)
def test_gains_that_no_ecg_can_have(tmp_path, gain, reason):
    with pytest.raises(BadRecording, match=f"^{reason}"):
        read(write_challenge(tmp_path, "mine", SAMPLES, gain=gain))


def test_real_recordings_equal_wfdb(real_data, tmp_path):
    headers = sorted(real_data.rglob("*.hea"))
    assert headers
    for path in headers:
        header = read_header(path)
        samples, flags = read_samples(header)
        text, name = path.read_text(), str(path.with_suffix(""))
        if "05-Feb-2020" in text:  # wfdb refuses a record line that ends in a date
            name = str(tmp_path / path.stem)
            Path(f"{name}.hea").write_text(text.replace(" 05-Feb-2020 11:39:16", ""))
            shutil.copy(path.with_suffix(".mat"), tmp_path)
        record = wfdb.rdrecord(name, physical=False)
        np.testing.assert_array_equal(samples, record.d_signal)
        assert (header.sampling_rate, flags) == (record.fs, [])
        assert [name.lower() for name in record.sig_name] == [lead.lower() for lead in LEADS]
