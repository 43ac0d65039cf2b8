"""Hostile and broken WFDB records: each is read or refused with a reason, at once and in little memory."""

import os
import sys
import tracemalloc

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("the limit of memory works on Linux only", allow_module_level=True)

from conftest import ecg_signal, write_challenge
from fuzz_reader import limited

from ecg.leads import LEADS, BadRecording
from ecg.recordings.read import find_headers, read_ecg, standard_leads

SAMPLES = ecg_signal(2)
LAYOUTS = ("16", "16x2", "24", "32", "61", "80", "160", "212")


def read(path):
    with limited():
        return standard_leads(read_ecg(path))[0]


def refused(path):
    """Return the reason of a refusal, which takes little memory."""
    tracemalloc.start()
    with pytest.raises(BadRecording) as caught:
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()
    return str(caught.value)


def plain(folder, *, layout="16", samples=1000, file="mine.dat"):
    """Write a record with any layout, number of samples and file in its header; return the path of the header."""
    folder.mkdir(exist_ok=True)
    sums = SAMPLES.sum(axis=0, dtype=np.int64) % 65536
    lines = [f"{file} {layout} 1000/mV 16 0 0 {s} 0 {lead}" for lead, s in zip(LEADS, sums, strict=True)]
    (folder / "mine.hea").write_text("\n".join([f"mine 12 500 {samples}", *lines]) + "\n", encoding="utf-8")
    (folder / "mine.dat").write_bytes(SAMPLES.astype("<i2").tobytes())
    return folder / "mine.hea"


def changed(path, change):
    path.write_bytes(change(path.read_bytes()))
    return path


def test_a_header_of_10_gb_is_not_read(tmp_path):
    path = plain(tmp_path)
    os.truncate(path, 10 * 2**30)
    assert refused(path).startswith(f"too long: {10 * 2**30} bytes; allowed ")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_are_checked_before_anything_is_read(tmp_path, layout):
    for samples in (10**12, 10**9 - 1):
        reason = refused(plain(tmp_path, layout=layout, samples=samples))
        assert "samples a lead, the header states" in reason or "header: cannot read" in reason
    for samples, size in ((10**9 - 1, 2**42), ("", 24 * 2**37)):
        path = plain(tmp_path, layout=layout, samples=samples)
        os.truncate(path.with_suffix(".dat"), size)  # sparse
        assert refused(path).startswith("too long")
    path = plain(tmp_path, layout=layout, samples=1000)
    for size in (0, 1, 500):
        os.truncate(path.with_suffix(".dat"), size)
        assert "samples a lead, the header states 1000" in refused(path)


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("16x1000000", "sampling rate: 5e+08 Hz"),
        (f"16+{10**8}", "contains 0 samples a lead, the header states 1000"),
        ("16:1000", "flat"),
        ("516", "signal format: 516; allowed: 16"),
        *((wrong, "header: cannot read") for wrong in ("16x0", f"16x{10**12}", f"16+{'9' * 5000}", "٣", "16x")),
    ],
)
def test_layouts_that_the_file_cannot_have(tmp_path, layout, reason):
    assert reason in refused(plain(tmp_path, layout=layout))


NAMES = ["../secret.dat", "archive/../mine.dat", "..", ".", "/etc/passwd", "http:", "zip::mine.dat", "s3:..mine.dat"]


@pytest.mark.parametrize("name", [*NAMES, "~", "-", "\\..\\m.dat", "mïne.dat"])
def test_file_names_are_names_in_the_folder_and_nothing_else(tmp_path, name):
    (tmp_path / "archive").mkdir()
    (tmp_path / "secret.dat").write_bytes(SAMPLES.tobytes())
    os.mkfifo(tmp_path / "archive/mne.dat")  # wfdb drops other characters than ASCII from a name
    reasons = ("header: not a plain file name: ", "signal file: .. contains ", "unreadable: No such file")
    for layout in ("16", "212"):
        assert refused(plain(tmp_path / "archive", layout=layout, file=name)).startswith(reasons)


@pytest.mark.parametrize("suffix", [".hea", ".dat"])
@pytest.mark.parametrize("layout", ["16", "212"])
@pytest.mark.parametrize("target", ["fifo", "folder", "/dev/zero", "itself", "nowhere"])
def test_only_regular_files_are_opened(tmp_path, target, suffix, layout):
    path = plain(tmp_path, layout=layout)
    file = path.with_suffix(suffix)
    file.unlink()
    if target in ("fifo", "folder"):
        (os.mkfifo if target == "fifo" else os.mkdir)(file)
    else:
        file.symlink_to(file.name if target == "itself" else target)
    assert refused(path).startswith(("no regular file: mine", "unreadable: ", "signal file: mine.dat contains "))
    assert list(find_headers(tmp_path)) == ([] if (target, suffix) == ("folder", ".hea") else [path])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r"),
        lambda text: text + b"# Dx: " + bytes(set(range(1, 256)) - set(b"\r\n")) * 20,
        lambda text: text + b"#a:b\n" * 100_000 + b"#" * 500_000,
    ],
)
def test_odd_headers_that_can_be_read(tmp_path, change):
    np.testing.assert_array_equal(read(changed(plain(tmp_path), change)), SAMPLES)


def test_archives_of_git_annex_are_read_through_their_links(tmp_path):
    # Names are links to hidden folders of the same root; their targets keep the suffix, and are no recordings.
    path = write_challenge(tmp_path / "one", "r1", SAMPLES)
    for suffix in (".hea", ".mat"):
        target = tmp_path / ".git" / "annex" / f"key{suffix}" / f"key{suffix}"
        target.parent.mkdir(parents=True)
        path.with_suffix(suffix).rename(target)
        path.with_suffix(suffix).symlink_to(os.path.relpath(target, path.parent))
    sizes = find_headers(tmp_path)
    assert list(sizes) == [path] and sizes[path] > SAMPLES.nbytes
    np.testing.assert_array_equal(read(path), SAMPLES)
