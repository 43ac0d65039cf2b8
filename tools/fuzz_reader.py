"""Mutates headers and signal files: each outcome must be a recording or a reason, within 2 s (CPU) and 1 GB.

    python tools/fuzz_reader.py [--n 20000] [--seed 1] [--first 0] [--json] [--formats]

With --formats it is the files of the other formats, of each so many cases.

The seeds are synthetic, and real ones too where ECG_REAL_DATA is set. An alarm after 2 s ends a case that hangs; the
process may map 1 GB more than it had before the case (RLIMIT_AS), so that one that takes more fails; the peak is how
much the resident set grew in a case (VmHWM, which Linux lets reset). What fails is named by its number, and repeated
by --seed S --first NUMBER --n 1.
"""

import argparse
import json
import os
import re
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / name) for name in ("stages", "tests")]

import numpy as np
import pandas as pd
import psutil
import wfdb
from conftest import ecg_signal, write_challenge
from ecg_files import TOLD, WRITERS, dicom

from ecg.leads import LEADS
from ecg.params import Labels
from ecg.recordings.ecg_file import Person
from ecg.recordings.header import read_header
from ecg.recordings.index import COLUMNS, read_recording
from ecg.recordings.sources import RecordingFile
from ecg.run.tables import CLASSES

SECONDS, BYTES = 2, 2**30
LABELS = Labels(ischemia=["164861001"], normal=["426783006"])

NUMBERS = (
    *("0", "-1", "1", "2", "12", "13", "200", "1000", "32767", "65536", "2147483647", "2147483648", "4294967296"),
    *("1000000000000", "-1000000000000", "9" * 30, "9" * 5000, "1e400", "1e-400", "nan", "inf", "-inf", "0x10", "1_0"),
    *("", " ", ".", "-", "1.5", "1e3", "٣", "½", "1/1", "500/1000(7)", "0.0000001", "99999", "100001"),
)
FORMATS = ("0", "8", "16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524", "999", "x", "16x")
NAMES = (
    *("../a.mat", "/etc/passwd", "..", ".", "~", "-", "a/b", "\\..\\x", "a" * 300, "http://127.0.0.1:9/a.dat"),
    *("zip::a.dat", "s3://b/a.dat", "a b", "é.dat", "\u202e.dat", "other.dat"),
)
WORDS = (
    *("# Dx: =1+1", "#Dx:", "# Patient: \x1b[2J", "#", "#:", "::", "V1", "I", "uV", "mV", "µV", "/kPa", "(0)", "9/V"),
    *("\r", "\n", "\r\n", "\t", "\x00", "\x0b", "\x1c", "\u2028", "\ufeff", "\x85", "\x7f", "=cmd|' /C calc'!A0"),
)


def seeds():
    """Return recordings as {file name: content}, the header first."""
    samples = ecg_signal(2) // 20  # format 80 has 8 bits
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for dialect in ("old", "new"):
            write_challenge(folder, "HR00001", samples, dialect=dialect)
            found.append(files_of(folder / "HR00001.hea"))
        for form in ("16", "212", "24", "32", "80"):
            wfdb.wrsamp(
                "mine", 500, ["mV"] * 12, list(LEADS), d_signal=samples.astype(np.int64), fmt=[form] * 12,
                adc_gain=[1000.0] * 12, baseline=[0] * 12, comments=["Dx: 426783006", "Age: 60"], write_dir=temporary,
            )  # fmt: skip
            found.append(files_of(folder / "mine.hea"))
        # Formats that wfdb does not write: other numbers in the same bytes.
        plain = found[2]
        for form in (b"61", b"160"):
            found.append(plain | {"mine.hea": plain["mine.hea"].replace(b"mine.dat 16 ", b"mine.dat %s " % form)})
        # Two samples a frame of lead I, skew in leads I and II, each limb lead in a file of its own.
        found.append(plain | {"mine.hea": plain["mine.hea"].replace(b"mine.dat 16 ", b"mine.dat 16x2 ", 1)})
        found.append(plain | {"mine.hea": plain["mine.hea"].replace(b"mine.dat 16 ", b"mine.dat 16:7 ", 2)})
        header, files = plain["mine.hea"], {}
        for i in range(3):
            header = header.replace(b"mine.dat ", f"lead{i}.dat ".encode(), 1)
            files[f"lead{i}.dat"] = samples[:, i].astype("<i2").tobytes()
        files["mine.dat"] = samples[:, 3:].astype("<i2").tobytes()
        found.append({"mine.hea": header} | files)
    if os.environ.get("ECG_REAL_DATA"):
        headers = sorted(Path(os.environ["ECG_REAL_DATA"]).rglob("*.hea"))
        found += [files_of(header) for header in headers[:: max(len(headers) // 40, 1)]]
    return found


def format_seeds():
    """Return files by the name of their format: each one written here, and real ones."""
    samples = ecg_signal(2)
    found = {name: [writer(samples, 500)] for name, writer in WRITERS.items()}
    if os.environ.get("ECG_REAL_DATA"):
        for path in sorted(Path(os.environ["ECG_REAL_DATA"], "formats").glob("*")):
            for name in found:
                if name.split(".")[0] in path.name or path.suffix == Path(name).suffix == ".dcm":
                    found[name].append(path.read_bytes())
    return found


def bomb(rng):
    """Return content that is more than it looks, or that asks for more than there is."""
    n = int(10 ** rng.uniform(2, 6.3))
    name = ("RestingECG", "AnnotatedECG", "CardiologyXML", "restingecgdata")[rng.integers(4)]
    encoding = ("utf-7", "hex", "idna", "x", "utf-16", "cp037")[rng.integers(6)]
    laughs = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    attributes = (f"a{i}='' " for i in range(n))
    # The data set of a DICOM begins after its head.
    head = dicom(ecg_signal(0.1), 500)
    head = head[: head.index(b"\x08\x00\x16\x00")]
    sequence, item, endless = b"\x00\x54\x00\x01SQ\0\0", b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff"
    texts = (b"\x08\x00%sLO\0\0" % i.to_bytes(2, "little") for i in range(min(n, 65535)))
    shape = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 12), }" % 10 ** int(rng.integers(20))
    kinds = (
        lambda: f'<!DOCTYPE {name} [<!ENTITY a0 "ha">{laughs}]><{name}>&a11;</{name}>'.encode(),
        lambda: f'<!DOCTYPE {name} [<!ENTITY a SYSTEM "file:///etc/passwd">]><{name}><a>&a;</a></{name}>'.encode(),
        lambda: f"<{name}>{'<a>' * n}".encode(),
        lambda: f"<{name}>{'<a>' * n}{'</a>' * n}</{name}>".encode(),
        lambda: f"<{name}>{'<a/>' * n}</{name}>".encode(),
        lambda: f"<{name} {''.join(attributes)}/>".encode(),
        lambda: f"<{name}><!--{'-a' * n}--></{name}>".encode(),
        lambda: f'<?xml version="1.0" encoding="{encoding}"?><{name}/>'.encode(),
        lambda: head + sequence + (8 * n).to_bytes(4, "little") + (item + bytes(4)) * n,
        lambda: head + (sequence + endless + item + endless) * n,
        lambda: head + sequence + endless + (item + endless) * n,
        lambda: head + sequence + endless + item + endless + b"\x08\x00\x05\x00CS\0\0" * n,
        lambda: head + b"".join(texts) * (n // 65535 + 1),
        lambda: (b"\x93NUMPY\x01\x00v\x00" + shape).ljust(128) + bytes(n),
        lambda: b"I,II,V1,V2,V3,V4,V5,V6\n" + b"1,2,3,4,5,6,7,8\n" * n,
        lambda: b"I,II,V1,V2,V3,V4,V5,V6" + b",a" * n + b"\n" + b"," * n,
    )
    return kinds[rng.integers(len(kinds))]()


def mutate_file(content, rng):
    """Change bytes, numbers, words, tags or samples of a file, or put a bomb in its place."""
    kind = rng.integers(12)
    at, n = int(rng.integers(len(content) + 1)), len(content)
    if kind == 0:
        return bomb(rng)
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + content[at + int(rng.integers(1, 3000)) :]
    if kind == 3:  # a part again and again
        part = content[at : at + int(rng.integers(1, 3000))]
        return content[:at] + part * int(rng.integers(2, 2**21 // (len(part) + 1) + 3)) + content[at:]
    if kind == 4:
        return content[:at] + rng.bytes(int(rng.integers(1, 300))) + content[at:]
    if kind < 8:  # a number or a word of its texts
        words = list(re.finditer((rb"-?\d+(?:\.\d+)?", rb"[A-Za-z]{2,20}")[kind % 2], content[: 2**17]))
        if not words:
            return content
        word = words[rng.integers(len(words))]
        new = (NUMBERS + WORDS + FORMATS)[rng.integers(len(NUMBERS + WORDS + FORMATS))].encode()
        return content[: word.start()] + new + content[word.end() :]
    head = bytearray(content)
    for i in rng.integers(min(n, (n, 400, 4000)[kind % 3]), size=rng.integers(1, 9)) if n else ():
        head[i] = (rng.integers(256), 255, 0)[rng.integers(3)]
    return bytes(head)


def files_of(header):
    names = [header.name, *sorted({signal.file for signal in read_header(header).signals})]
    return {name: (header.parent / name).read_bytes() for name in names}


def mutate_header(text, rng):
    """Change bytes, fields or lines of a header."""

    def pick(items):
        return items[rng.integers(len(items))]

    kind = rng.integers(13)
    at = rng.integers(len(text) + 1)
    lines = text.split(b"\n")
    if kind == 0:  # bytes
        changed = bytearray(text)
        for i in rng.integers(len(text), size=rng.integers(1, 9)) if text else ():
            changed[i] = rng.integers(256)
        return bytes(changed)
    if kind == 1:
        return text[:at] + text[at + rng.integers(1, 200) :]
    if kind == 2:
        return text[:at] + pick((*NUMBERS, *NAMES, *WORDS)).encode() + text[at:]
    if kind == 3:
        return text[:at]
    if kind in (4, 5, 6):  # a field of one line, or of all
        column = int(rng.integers(1, 9)) if rng.random() < 0.8 else 0
        new = pick(NAMES if column == 0 else NUMBERS).encode()
        chosen = range(len(lines)) if rng.random() < 0.3 else [rng.integers(len(lines))]
        for i in chosen:
            fields = lines[i].split(b" ")
            if column < len(fields):
                fields[column] = new
                lines[i] = b" ".join(fields)
        return b"\n".join(lines)
    if kind == 7:  # the layout of one signal, or of all
        new = pick(FORMATS) + "".join(mark + pick(NUMBERS) for mark in "x:+" if rng.random() < 0.4)
        for i in range(1, len(lines)) if rng.random() < 0.6 else [rng.integers(len(lines))]:
            fields = lines[i].split(b" ")
            lines[i] = b" ".join([*fields[:1], new.encode(), *fields[2:]])
        return b"\n".join(lines)
    if kind == 8:  # the record line
        fields = lines[0].split(b" ")
        fields[rng.integers(len(fields))] = pick(NUMBERS).encode()
        return b"\n".join([b" ".join(fields), *lines[1:]])
    if kind == 9:
        return b"\n".join(lines[i] for i in rng.permutation(len(lines)))
    if kind == 10:
        i = rng.integers(len(lines))
        times = int(rng.integers(2000)) % (2**22 // (len(text) + 1) + 1)
        return b"\n".join(lines[:i] + lines[i : i + 1] * times + lines[i:])
    if kind == 11:
        return pick(
            (
                *(text.replace(b"\n", b"\r\n"), text.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + text, b""),
                *(text.decode("latin-1").encode("utf-16"), text.decode("latin-1").encode("utf-16-be")),
                *(text.replace(b" ", b"\0"), text + b"#" + rng.bytes(5000), text + b"\n#a:" + b"b" * 2_000_000),
            )
        )
    return text + b"\n" + pick((b"#k:v\n", b"a 16\n", b"\n", b"a" * 50)) * int(rng.integers(1, 60_000))


def mutate_signal(path, outside, rng):
    """Change a signal file, or put something else in its place."""
    content = path.read_bytes()
    kind = rng.integers(14)
    if kind < 4:
        path.write_bytes(content[: rng.integers(len(content) + 1)])
    elif kind == 4:
        path.write_bytes(content + rng.bytes(int(rng.integers(1, 5000))))
    elif kind == 5:
        path.write_bytes(rng.bytes(len(content)))
    elif kind == 6:
        path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(128) + content)
    elif kind == 7:
        path.write_bytes(np.frombuffer(rng.bytes(24), "<i4").tobytes() + content[24:])
    elif kind == 8:
        os.truncate(path, int(2 ** rng.uniform(0, 43)))  # sparse
    else:
        path.unlink()
        if kind == 9:
            path.mkdir()
        elif kind == 10:
            os.mkfifo(path)
        elif kind == 11:
            path.symlink_to(rng.choice([str(outside), path.name, "/dev/zero", "nowhere", ".."]))
        elif kind == 12:
            with socket.socket(socket.AF_UNIX) as place:
                place.bind(str(path))


@contextmanager
def limited():
    """Let the process map BYTES more, and no more; raise RuntimeError after SECONDS."""

    def timed_out(number, frame):
        # Not TimeoutError, which is an OSError: it would become a reason.
        raise RuntimeError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGPROF, timed_out)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def judge(header, root, verify_checksums):
    """Read a recording; return '' or the reason, the seconds and the growth in MB. Whatever else it does is raised."""
    recording = RecordingFile(header.stem, header, "fuzz", Person(dx=("426783006",)), TOLD, root)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    start = time.perf_counter()
    with limited():
        row, samples = read_recording(recording, LABELS, verify_checksums=verify_checksums)
    seconds, megabytes = time.perf_counter() - start, (memory("VmHWM") - before) / 1024
    assert list(row) == COLUMNS
    assert all(value.isprintable() for value in row.values() if isinstance(value, str)), row
    assert bool(row["reason"]) == (samples is None)
    if samples is not None:
        assert samples.dtype == np.int16 and samples.shape == (row["samples"], 12) and len(samples)
        assert float(row["sampling_rate"]) > 0 and row["label"] in CLASSES and row["patient"]
    return row["reason"], seconds, megabytes


def memory(name):
    """A line of /proc/self/status, in KB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0])


def fuzz(cases, seed):
    """Judge mutated recordings, each made from its number; return what came of them."""
    known = seeds()
    reasons, slowest, peak, failures, recordings, cases = Counter(), 0.0, 0.0, [], 0, list(cases)
    with tempfile.TemporaryDirectory() as temporary:
        outside = Path(temporary, "outside.dat")
        outside.write_bytes(bytes(100_000))
        judge(write_case(Path(temporary, "first"), known[3]), Path(temporary, "first"), True)  # loads what it needs
        for case in cases:
            rng = np.random.default_rng((seed, case))
            files = dict(known[rng.integers(len(known))])
            where = rng.choice(["header", "signal", "both"], p=(0.6, 0.25, 0.15))
            name = next(iter(files))
            for _ in range(rng.integers(1, 4) if where != "signal" else 0):
                files[name] = mutate_header(files[name], rng)
            folder = Path(temporary, f"case{case}")
            header = write_case(folder, files)
            if where != "header":
                mutate_signal(folder / list(files)[rng.integers(1, len(files))], outside, rng)
            try:
                reason, seconds, megabytes = judge(header, folder, rng.random() < 0.5)
                slowest, peak = max(slowest, seconds), max(peak, megabytes)
                recordings += not reason
                reasons[reason.split(":")[0]] += bool(reason)
            except Exception as error:
                failures.append(f"{case}: {''.join(traceback.format_exception_only(error)).strip()}")
            for path in folder.iterdir():
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            folder.rmdir()
    return result_of(len(cases), recordings, reasons, slowest, peak, failures)


def fuzz_formats(cases, seed):
    """Judge mutated files of each other format; return what came of them by format."""
    return {name: fuzz_format(name, contents, list(cases), seed) for name, contents in format_seeds().items()}


def fuzz_format(name, contents, cases, seed):
    reasons, slowest, peak, failures, recordings = Counter(), 0.0, 0.0, [], 0
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "case")
        for content in contents:  # loads what it needs
            path.write_bytes(content)
            judge(path, path.parent, True)
        for case in cases:
            rng = np.random.default_rng((seed, case))
            content = contents[rng.integers(len(contents))]
            for _ in range(rng.integers(1, 3)):
                content = mutate_file(content, rng)
            path.write_bytes(content)
            try:
                reason, seconds, megabytes = judge(path, path.parent, True)
                slowest, peak = max(slowest, seconds), max(peak, megabytes)
                recordings += not reason
                reasons[reason.split(":")[0]] += bool(reason)
            except Exception as error:
                failures.append(f"{name} {case}: {''.join(traceback.format_exception_only(error)).strip()}")
    return result_of(len(cases), recordings, reasons, slowest, peak, failures)


def result_of(cases, recordings, reasons, slowest, peak, failures):
    return {
        "cases": cases,
        "recordings": recordings,
        "reasons": dict((+reasons).most_common()),
        "slowest_ms": round(1000 * slowest, 1),
        "peak_mb": round(peak, 1),
        "failures": failures,
    }


def write_case(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="so many cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    parser.add_argument("--formats", action="store_true", help="files of the other formats, of each so many cases")
    arguments = parser.parse_args()
    cases = range(arguments.first, arguments.first + arguments.n)
    results = fuzz_formats(cases, arguments.seed) if arguments.formats else {"": fuzz(cases, arguments.seed)}
    if arguments.json:
        print(json.dumps(results if arguments.formats else results[""]))
    else:
        for name, result in results.items():
            table = {"format": name} if name else {}
            table |= {"cases": result["cases"], "recordings": result["recordings"]}
            table |= {f"refused: {reason}": n for reason, n in result["reasons"].items()}
            table |= {
                "neither": len(result["failures"]),
                "slowest, ms": result["slowest_ms"],
                "peak, MB": result["peak_mb"],
            }
            print(pd.Series(table, dtype=object).to_string(), end="\n\n" if name else "\n")
            print(*result["failures"][:20], sep="\n", end="\n" if result["failures"] else "")
    raise SystemExit(any(result["failures"] for result in results.values()))


if __name__ == "__main__":
    main()
