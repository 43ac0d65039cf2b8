"""Hostile and broken recordings: each is read or refused with a reason, at once and in little memory."""

import os
import socket
import sys
import time
import tracemalloc

import numpy as np
import pytest
import wfdb
from conftest import ecg_signal, write_challenge
from fuzz_reader import fuzz, limited

from ecg.leads import LEADS, BadRecording
from ecg.recordings.header import MAX_HEADER, read_header
from ecg.recordings.read import read_ecg, standard_leads
from ecg.recordings.signals import MAX_VALUES, read_samples
from ecg.recordings.sources import find_headers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as Linux does")

SAMPLES = ecg_signal(2)
FORMATS = ("16x2", "24", "32", "61", "80", "160", "212")


def read(path, root=None, **knobs):
    with limited():
        return standard_leads(read_ecg(path, root, **knobs))[0]


def refused(path, root=None):
    """The reason why a recording is refused, which takes less than 1 s of processor time and 20 MB."""
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(BadRecording) as caught:
        read(path, root)
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()
    return str(caught.value)


def plain(folder, *, layout="16", samples=1000, file="mine.dat"):
    """Write a record whose header says any layout, number of samples and file; return the path of the header."""
    folder.mkdir(exist_ok=True)
    sums = SAMPLES.sum(axis=0, dtype=np.int64) % 65536
    lines = [f"{file} {layout} 1000/mV 16 0 0 {s} 0 {lead}" for lead, s in zip(LEADS, sums, strict=True)]
    (folder / "mine.hea").write_text("\n".join([f"mine 12 500 {samples}", *lines]) + "\n")
    (folder / "mine.dat").write_bytes(SAMPLES.astype("<i2").tobytes())
    return folder / "mine.hea"


def other_bytes(path, change):
    path.write_bytes(change(path.read_bytes()))
    return path


def test_a_header_of_10_gb_is_not_read(tmp_path):
    path = plain(tmp_path)
    os.truncate(path, 10 * 2**30)
    assert refused(path) == f"header: {10 * 2**30} bytes; allowed: {MAX_HEADER}"


@pytest.mark.parametrize("layout", ["16", *FORMATS])
@pytest.mark.parametrize("samples", [10**12, 2**31 - 1])
def test_more_samples_than_the_file_holds(tmp_path, layout, samples):
    reason = refused(plain(tmp_path, layout=layout, samples=samples))
    assert "samples a lead, the header says" in reason or "number of samples is" in reason


@pytest.mark.parametrize("layout", ["16", *FORMATS])
def test_a_file_that_does_hold_so_many_is_too_long(tmp_path, layout):
    path = plain(tmp_path, layout=layout, samples=2**31 - 1)
    os.truncate(path.with_suffix(".dat"), 2**42)  # sparse
    assert refused(path).startswith("too long: ")
    path = plain(tmp_path, layout=layout, samples="")
    os.truncate(path.with_suffix(".dat"), 24 * 2**37)
    assert refused(path).startswith("too long")


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("16x100", "holds 10 samples a lead"),
        ("16x1000000", "sampling rate is 5e+08 Hz"),
        (f"212x{2**31 - 1}", "sampling rate is 1.07374e+12 Hz"),
        ("16x0", "samples a frame is 0"),
        (f"16x{10**12}", "samples a frame is '1000000000000'"),
        (f"16+{10**9}", "ends before the byte offset 1000000000"),
        (f"24+{2**31 - 1}", "ends before the byte offset"),
        (f"16:{10**12}", "skew is '1000000000000'"),
        (f"16+{'9' * 5000}", "byte offset is '999"),
        ("16:1000", "flat"),
        (f"212:{2**31 - 1}", "wrong checksum"),
        ("516", "signal format: 516; allowed: 16, 24, 32, 61, 80, 160, 212"),
        ("310", "signal format: 310; allowed: 16, 24"),
        ("8", "signal format: 8; allowed: 16, 24"),
        ("0", "signal format: 0; allowed"),
        ("٣", "signal format: ٣; allowed"),
        ("9" * 5000, "signal format: 999"),
        ("16x", "no signal format in line"),
    ],
)
def test_layouts_that_the_file_cannot_have(tmp_path, layout, reason):
    assert reason in refused(plain(tmp_path, layout=layout))


@pytest.mark.parametrize("column", range(2, 8))
@pytest.mark.parametrize("number", ["9" * 5000, "nan", "inf", "-1e400", str(2**31), "½", "-"])
def test_numbers_that_are_none(tmp_path, column, number):
    path = plain(tmp_path)
    lines = [line.split() for line in path.read_text().splitlines()]
    lines[1][column] = number
    path.write_text("\n".join(" ".join(line) for line in lines))
    if column in (3, 5, 7):  # resolution, initial value and block size: nothing needs them
        np.testing.assert_array_equal(read(path), SAMPLES)
    else:
        assert len(refused(path)) < 250


def test_more_signals_than_a_recorder_has(tmp_path):
    path = plain(tmp_path)
    path.write_text("mine 50000 500 1000\n" + "mine.dat 16\n" * 50_000)
    assert refused(path) == "header: 50000 signals; allowed: 1000"
    path.write_text(f"mine {'9' * 40} 500 1000\n")
    assert "number of signals is '999" in refused(path)


@pytest.mark.parametrize("rate", ["0", "-500", "nan", "inf", "-inf", "1e300", "1e-400", "x", "100001"])
def test_sampling_rates_that_are_none(tmp_path, rate):
    path = other_bytes(plain(tmp_path), lambda text: text.replace(b" 500 ", f" {rate} ".encode()))
    assert refused(path).startswith("header: ")


def test_mixed_units(tmp_path):
    path = plain(tmp_path)
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("1000/mV", "1/uV")
    lines[2] = lines[2].replace("1000/mV", "1000000/V")
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read(path), SAMPLES)
    path.write_text("\n".join(lines).replace("1000/mV", "1000/mmHg", 1))
    assert "units: 'mmHg' in lead III" in refused(path)


@pytest.mark.parametrize("layout", ["16", "16x2", "32", "212", "80"])
def test_matlab_v5_files_in_any_layout(tmp_path, layout):
    path = plain(tmp_path, layout=f"{layout}+24", samples=100, file="mine.mat")
    head = b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(128)
    path.with_suffix(".mat").write_bytes(head + SAMPLES.astype("<i2").tobytes())
    assert "is not a MATLAB v4 file" in refused(path)


@pytest.mark.parametrize("fmt", ["16", "212", "24", "32", "80"])
def test_truncated_and_empty_signal_files(tmp_path, fmt):
    wfdb.wrsamp(
        "mine", 500, ["mV"] * 12, list(LEADS), d_signal=SAMPLES.astype(np.int64) // 40, fmt=[fmt] * 12,
        adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(tmp_path),
    )  # fmt: skip
    content = (tmp_path / "mine.dat").read_bytes()
    for kept in (0, 1, len(content) // 2, len(content) - 1):
        (tmp_path / "mine.dat").write_bytes(content[:kept])
        assert "samples a lead, the header says 1000" in refused(tmp_path / "mine.hea")


def test_empty_and_blank_headers(tmp_path):
    for content in (b"", b"\n", b"  \r\n\t", b"# Dx: 426783006\n", b"\xef\xbb\xbf"):
        path = tmp_path / "mine.hea"
        path.write_bytes(content)
        assert refused(path) == "header: empty"


def files_of(folder):
    """A record whose header is in one folder, with its signal file beside it and another one outside the folder."""
    path = plain(folder / "archive")
    (folder / "secret.dat").write_bytes(SAMPLES.tobytes())
    return path


@pytest.mark.parametrize("name", ["../secret.dat", "archive/../mine.dat", "..", ".", "/etc/passwd", "{}/secret.dat"])
@pytest.mark.parametrize("layout", ["16", "16x2", "212"])
def test_file_names_that_lead_out_of_the_folder(tmp_path, name, layout):
    path = files_of(tmp_path)
    name = name.format(tmp_path)
    assert refused(plain(path.parent, layout=layout, file=name)) == f"header: not a plain file name: {name!r}"[:200]


@pytest.mark.parametrize("name", ["http:", "zip::mine.dat", "s3:..mine.dat", "~", "-", "\\..\\secret.dat", "a" * 255])
@pytest.mark.parametrize("layout", ["16", "16x2"])
def test_file_names_are_names_and_nothing_else(tmp_path, name, layout):
    assert refused(plain(tmp_path, layout=layout, file=name)).startswith(f"signal file: no {name[:150]}")
    assert "not a plain file name" in refused(plain(tmp_path, layout=layout, file="a" * 256))


@pytest.mark.parametrize("layout", ["16", "16x2"])
def test_links_out_of_the_root_are_refused_and_those_inside_followed(tmp_path, layout):
    path = files_of(tmp_path)
    path.with_suffix(".dat").unlink()
    path.with_suffix(".dat").symlink_to("../secret.dat")
    path.write_text(path.read_text().replace(" 16 ", f" {layout} "))
    assert refused(path) == "link: mine.dat leads out of the source's folder"
    if layout == "16":
        np.testing.assert_array_equal(read(path, root=tmp_path), SAMPLES)
    header = tmp_path / "other" / "mine.hea"
    header.parent.mkdir()
    header.symlink_to(path)
    assert refused(header) == "link: mine.hea leads out of the source's folder"


def test_links_to_themselves_and_to_nothing(tmp_path):
    path = plain(tmp_path)
    for target in ("mine.dat", "nowhere"):
        path.with_suffix(".dat").unlink()
        path.with_suffix(".dat").symlink_to(target)
        assert refused(path).startswith(("signal file: no mine.dat", "unreadable: Too many levels"))
    path.unlink()
    path.symlink_to("mine.hea")
    assert refused(path).startswith("unreadable: Too many levels of symbolic links (mine.hea)")


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(str(path))


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("suffix", [".hea", ".dat"])
@pytest.mark.parametrize("layout", ["16", "16x2"])
@pytest.mark.parametrize("make", [fifo, unix_socket, device, os.mkdir])
def test_what_is_no_regular_file_is_not_opened(tmp_path, monkeypatch, make, suffix, layout):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path = plain(tmp_path, layout=layout)
    path.with_suffix(suffix).unlink()
    make(path.with_suffix(suffix).relative_to(tmp_path))
    assert refused(path).startswith(("no regular file: mine", "link: mine"))
    # Nor by the look for headers; a directory is none.
    assert list(find_headers(tmp_path, tmp_path)) == [path]


def test_a_name_that_is_another_in_ascii_does_not_open_that_one(tmp_path):
    # wfdb drops what is not ASCII from a header, and would wait for ever.
    os.mkfifo(tmp_path / "mne.dat")
    assert refused(plain(tmp_path, layout="16x2", file="mïne.dat")) == "signal file: no mïne.dat"


def test_the_longest_that_is_read_stays_within_the_limits(tmp_path):
    # Wide samples to scale, and four leads to derive.
    names, n = ("I", "II", *LEADS[6:]), MAX_VALUES // 8
    lines = [f"mine.dat 32 500/mV 32 0 0 0 0 {lead}" for lead in names]
    (tmp_path / "mine.hea").write_text("\n".join([f"mine 8 500 {n}", *lines]))
    (tmp_path / "mine.dat").write_bytes(np.arange(1, 9, dtype="<i4").tobytes())
    os.truncate(tmp_path / "mine.dat", 4 * 8 * n)
    # The first time, the system hands out the memory, which may take longer than the reading.
    read_samples(read_header(tmp_path / "mine.hea"), verify_checksums=False)
    samples = read(tmp_path / "mine.hea", verify_checksums=False)
    assert samples.shape == (n, 12) and samples[0].tolist() == [2, 4, 2, -3, 0, 3, 6, 8, 10, 12, 14, 16]


def test_one_file_in_two_formats(tmp_path):
    path = other_bytes(plain(tmp_path), lambda text: text.replace(b" 16 ", b" 24 ", 1))
    assert refused(path) == "header: signals in mine.dat differ in format or byte offset"


def test_the_first_of_two_files_is_empty(tmp_path):
    path = plain(tmp_path, samples="")
    (tmp_path / "empty.dat").touch()
    other_bytes(path, lambda text: text.replace(b"mine.dat", b"empty.dat", 1))
    assert refused(path) == "no samples"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text + b"#" + bytes(set(range(1, 256)) - set(b"\r\n")) * 20,
        lambda text: text + b"# Dx: \xff\xfe\x80\n# Age: \x1b[2J\n",
        lambda text: text + b"#a:b\n" * 200_000,
    ],
    ids=["CRLF", "CR", "BOM", "junk in a comment", "junk in values", "many comments"],
)
def test_odd_headers_that_can_be_read(tmp_path, change):
    start = time.process_time()
    np.testing.assert_array_equal(read(other_bytes(plain(tmp_path), change)), SAMPLES)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.decode().encode("utf-16-be"),
        lambda text: text.replace(b"12", b"12\0"),
        lambda text: text + b"# Dx: 4267\x0083006\n",
        lambda text: b"\x7fELF" + bytes(5000),
    ],
    ids=["UTF-16", "UTF-16 without a mark", "NUL", "NUL in a comment", "binary"],
)
def test_headers_with_nul_bytes_are_no_text(tmp_path, change):
    assert refused(other_bytes(plain(tmp_path), change)).startswith("header: it holds NUL bytes")


def test_a_reason_holds_the_first_words_only(tmp_path):
    path = other_bytes(plain(tmp_path), lambda text: text.replace(b" 16 ", b" " + b"x" * 500_000 + b" ", 1))
    assert len(refused(path)) < 250


def test_leads_that_are_there_twice_or_unknown(tmp_path):
    path = plain(tmp_path)
    text = path.read_text()
    path.write_text(text.replace(" V6", " v5 "))
    assert refused(path) == "duplicate lead: V5 (V5, v5)"
    path.write_text(text.replace(" V6", " V7"))
    assert refused(path).startswith("missing lead: V6; found: I, II, III")
    path.write_text(text.replace(" V6", ""))
    assert refused(path).startswith("missing lead: V6; found: I, II, III")


def test_archives_of_git_annex_are_read_through_their_links(tmp_path):
    # Names are links to hidden folders of the same root; their targets keep the suffix, and are no recordings.
    objects = tmp_path / ".git" / "annex" / "objects"
    for suffix in (".hea", ".mat"):
        (objects / f"key{suffix}").mkdir(parents=True)
    path = write_challenge(tmp_path / "one", "r1", SAMPLES)
    for suffix in (".hea", ".mat"):
        target = objects / f"key{suffix}" / f"key{suffix}"
        path.with_suffix(suffix).rename(target)
        path.with_suffix(suffix).symlink_to(os.path.relpath(target, path.parent))
    sizes = find_headers(tmp_path, tmp_path)
    assert list(sizes) == [path] and sizes[path] > SAMPLES.nbytes
    np.testing.assert_array_equal(read(path, root=tmp_path), SAMPLES)


def test_mutated_recordings_are_read_or_refused():
    result = fuzz(range(500), seed=3)
    assert result["failures"] == []
    assert result["recordings"] > 25 and len(result["reasons"]) > 8
    assert result["slowest_ms"] < 2000 and result["peak_mb"] < 1000
