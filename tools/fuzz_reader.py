"""Read mutated recordings of each format: each must give a recording or a reason, within 8 s (CPU) and 1 GB. Linux.

    python tools/fuzz_reader.py [--n 300] [--seed 1] [--first 0]

Writes N cases of each format from synthetic recordings, and from real ones too where ECG_REAL_DATA is set. A case that
fails is named by its number; --seed S --first NUMBER --n 1 repeats it.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / name) for name in ("stages", "tests")]

import numpy as np
import psutil
import wfdb
from conftest import ecg_signal, write_challenge
from ecg_files import METADATA, WRITERS, dicom

from ecg.leads import LEADS
from ecg.params import Labels
from ecg.recordings.ecg_file import Person
from ecg.recordings.index import COLUMNS, read_recording
from ecg.recordings.sources import RecordingFile
from ecg.run.files import CLASSES

SECONDS, BYTES = 8, 2**30
REAL_DATA = os.environ.get("ECG_REAL_DATA", "absent")
LABELS = Labels(ischemia=["164861001"], normal=["426783006"])
ODD = (
    *("0", "-1", "1", "12", "32767", "65536", "2147483648", "1000000000000", "9" * 5000, "1e400", "nan", "-inf"),
    *("", " ", ".", "-", "1.5", "1e3", "٣", "½", "1/1", "500/1000(7)", "8", "16", "80", "212", "516", "16x2", "16:7"),
    *("212x3:9", "../a.mat", "/etc/passwd", "..", "~", "a" * 300, "http://127.0.0.1:9/a.dat", "zip::a.dat", "é.dat"),
    *("# Dx: =1+1", "# Patient: \x1b[2J", "#:", "V1", "I", "uV", "mV", "µV", "/kPa", "(0)", "\r\n", "\t", "\x00"),
    *("\x1c", "\u2028", "\ufeff", "\x85", "\x7f"),
)


class TimedOut(BaseException):
    """A case took too long. It is no Exception, since a reader might turn that into a reason."""


def records() -> list[dict[str, bytes]]:
    """Return WFDB records as {file name: content}, the header first."""
    samples = ecg_signal(2) // 20  # format 80 has 8 bits
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        headers = [write_challenge(folder, f"HR{dialect}", samples, dialect=dialect) for dialect in ("old", "new")]
        for form in ("16", "212", "24", "32", "80"):
            wfdb.wrsamp(
                f"mine{form}", 500, ["mV"] * 12, list(LEADS), d_signal=samples.astype(np.int64), fmt=[form] * 12,
                adc_gain=[1000.0] * 12, baseline=[0] * 12, comments=["Dx: 426783006", "Age: 60"], write_dir=temporary,
            )  # fmt: skip
            headers.append(folder / f"mine{form}.hea")
        real = sorted(Path(REAL_DATA).rglob("*.hea"))
        headers += real[:: max(len(real) // 40, 1)]
        names = [[header.with_suffix(suffix) for suffix in (".hea", ".mat", ".dat")] for header in headers]
        found = [{path.name: path.read_bytes() for path in paths if path.exists()} for paths in names]
    plain = found[2]
    # Formats that wfdb does not write, two samples per frame, skew: other layouts of the same bytes.
    for layout, times in ((b"61", 12), (b"160", 12), (b"16x2", 1), (b"16:7", 2)):
        header = plain["mine16.hea"].replace(b"mine16.dat 16 ", b"mine16.dat %s " % layout, times)
        found.append(plain | {"mine16.hea": header})
    return found


def seeds() -> dict[str, list[dict[str, bytes]]]:
    """Return recordings of each format as {file name: content}, written here and real."""
    found = {name: [{"case": writer(ecg_signal(2), 500)}] for name, writer in WRITERS.items()}
    real = [{"case": path.read_bytes()} for path in Path(REAL_DATA, "formats").glob("*")]
    return {"wfdb": records(), **found, **({"real": real} if real else {})}


def bomb(rng: np.random.Generator) -> bytes:
    """Return content that grows when it is read, nests too deeply, or declares more than it contains."""
    n = int(10 ** rng.uniform(2, 6.3))
    name = ("RestingECG", "AnnotatedECG", "CardiologyXML", "restingecgdata")[rng.integers(4)]
    # The data set of a DICOM begins after its head.
    head = dicom(ecg_signal(0.1), 500)
    head = head[: head.index(b"\x08\x00\x16\x00")]
    sequence, item, endless = b"\x00\x54\x00\x01SQ\0\0", b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff"
    shape = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 12), }" % 10 ** int(rng.integers(20))
    kinds = (
        lambda: f'<!DOCTYPE {name} [<!ENTITY a SYSTEM "file:///etc/passwd">]><{name}><a>&a;</a></{name}>'.encode(),
        lambda: f"<{name}>{'<a>' * n}{'</a>' * n}</{name}>".encode(),
        lambda: f'<?xml version="1.0" encoding="hex"?><{name}/>'.encode(),
        lambda: head + sequence + (8 * n).to_bytes(4, "little") + (item + bytes(4)) * n,
        lambda: head + (sequence + endless + item + endless) * n,
        lambda: (b"\x93NUMPY\x01\x00v\x00" + shape).ljust(128) + bytes(n),
        lambda: b"I,II,V1,V2,V3,V4,V5,V6\n" + b"1,2,3,4,5,6,7,8\n" * n,
        lambda: b"I,II,V1,V2,V3,V4,V5,V6" + b",a" * n + b"\n" + b"," * n,
    )
    return kinds[rng.integers(len(kinds))]()


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes, words, lines or the encoding of a file, or put a bomb in its place."""
    at, n = int(rng.integers(len(content) + 1)), len(content)
    word, part = ODD[rng.integers(len(ODD))].encode(), content[at : at + int(rng.integers(1, 3000))]
    words = re.findall((rb"-?\d+(?:\.\d+)?", rb"[A-Za-z]{2,20}", rb"[^ \n]+")[rng.integers(3)], content[: 2**17])
    old = words[rng.integers(len(words))] if words else b" "
    changed = bytearray(content)
    for i in rng.integers(min(n, (n, 400)[rng.integers(2)]), size=rng.integers(1, 9)) if n else ():
        changed[i] = rng.integers(256)
    kinds = (
        *(lambda: bytes(changed), lambda: bytes(changed), lambda: bomb(rng), lambda: content[:at]),
        lambda: content[:at] + content[at + len(part) :],
        lambda: content[:at] + part * int(rng.integers(2, 2**21 // (len(part) + 1) + 3)) + content[at:],
        lambda: content[:at] + rng.bytes(int(rng.integers(1, 300))) + content[at:],
        lambda: content[:at] + word + content[at:],
        *(lambda: content.replace(old, word, 1), lambda: content.replace(old, word, 1)),
        *(lambda: content.replace(old, word, 12), lambda: content.replace(old, word)),
        lambda: b"\n".join(rng.permutation(np.array(content.split(b"\n"), object))),
        *(lambda: content.replace(b"\n", b"\r\n"), lambda: content.decode("latin-1").encode("utf-16")),
    )
    return kinds[rng.integers(len(kinds))]()


@contextmanager
def limited() -> Iterator[None]:
    """Limit the process to BYTES more memory; raise TimedOut after SECONDS of CPU time."""
    import resource  # not on Windows

    def time_out(number: int, frame: object) -> None:
        raise TimedOut(f"more than {SECONDS} s")

    signal.signal(signal.SIGPROF, time_out)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def judge(path: Path, verify_checksums: bool) -> str:
    """Read a recording; return '' or the reason. AssertionError where row and samples do not agree."""
    recording = RecordingFile(path.stem, path, "fuzz", Person(dx=("426783006",)), METADATA)
    with limited():
        row, samples = read_recording(recording, LABELS, verify_checksums=verify_checksums)
    assert list(row) == COLUMNS
    assert all(value.isprintable() for value in row.values() if isinstance(value, str)), row
    assert bool(row["reason"]) == (samples is None)
    if samples is not None:
        assert samples.dtype == np.int16 and samples.shape == (row["samples"], 12) and len(samples)
        assert float(row["sampling_rate"]) > 0 and row["label"] in CLASSES and row["patient"]
    return row["reason"]


def fuzz(known: list[dict[str, bytes]], cases: range, seed: int) -> tuple[Counter, list[str]]:
    """Judge mutated recordings, each made from its number; return the number of each outcome, and the failures."""
    outcomes, failures = Counter[str](), []
    for case in cases:
        rng = np.random.default_rng((seed, case))
        files = dict(known[rng.integers(len(known))])
        changed = list(files)[-1] if rng.random() < 0.3 else next(iter(files))
        for _ in range(rng.integers(1, 3)):
            files[changed] = mutate(files[changed], rng)
        with tempfile.TemporaryDirectory() as temporary:
            for name, content in files.items():
                Path(temporary, name).write_bytes(content)
            try:
                reason = judge(Path(temporary, next(iter(files))), rng.random() < 0.5)
                outcomes[reason.split(":")[0] or "recording"] += 1
            except (Exception, TimedOut) as error:
                failures.append(f"{case}: {''.join(traceback.format_exception_only(error)).strip()}")
    return outcomes, failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="number of cases of each format")
    parser.add_argument("--seed", type=int, default=1, help="seed of the mutations")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    failed = False
    for name, known in seeds().items():
        outcomes, failures = fuzz(known, range(options.first, options.first + options.n), options.seed)
        print(f"{name}: {len(failures)} failures;", ", ".join(f"{key} {n}" for key, n in outcomes.most_common()))
        print(*failures[:20], sep="\n", end="\n" * bool(failures))
        failed |= bool(failures)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
