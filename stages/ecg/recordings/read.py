"""Finds the files of recordings and reads them: the content shows the format, and all get the same form."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from ecg.leads import INDEPENDENT, LEADS, MAX_RATE, BadRecording, find_leads, to_microvolts
from ecg.recordings.arrays import read_array
from ecg.recordings.codes import UNKNOWN, parse_sex
from ecg.recordings.dicom import read_dicom
from ecg.recordings.ecg_file import Ecg, Person, file_size, with_a_reason
from ecg.recordings.edf import read_edf
from ecg.recordings.sample_text import is_table_of_samples
from ecg.recordings.wfdb_header import MAX_HEADER, challenge_source, read_header
from ecg.recordings.wfdb_signals import read_samples
from ecg.recordings.xml_files import XML_FORMATS, read_xml
from ecg.run.script import warn

SUFFIXES = (".hea", ".mat", ".dat")
# Files of archives at PhysioNet, which are not counted as other files.
ARCHIVE_FILES = re.compile(
    r"labels\.csv|RECORDS|ANNOTATORS|SHA256SUMS\.txt|LICENSE\.txt|index\.html|ptbxl_.*|scp_statements\.csv|example_physionet\.py"
)
HEAD = 65536  # bytes that tell a format
XML_ROOT = re.compile(rf"<(?:\w+:)?(?:{'|'.join(XML_FORMATS)})[\s>]")
SAME = 20  # uV
READERS = {"XML": read_xml, "DICOM": read_dicom, "EDF": read_edf}
SCP = "SCP-ECG is not read; BioSig's save2gdf converts it: save2gdf -f=EDF IN.scp OUT.edf"


def format_of(path: Path, root: Path | None = None) -> str | None:
    """Return the format that a file's first bytes are those of; None where it is none of them, or no plain file."""
    try:
        file_size(path, root or path.parent)
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (BadRecording, OSError):
        return None
    if head[128:132] == b"DICM":
        return "DICOM"
    if head.startswith(b"\x93NUMPY"):
        return "array"
    if head[16:22] == b"SCPECG":
        return "SCP-ECG"
    if head.startswith(b"0       ") and head[252:256].strip().isdigit():
        return "EDF"
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace").lstrip()
    if text.startswith("<"):
        return "XML" if XML_ROOT.search(text) else None
    return "array" if is_table_of_samples(head) else None


def find_headers(folder: Path, root: Path | None = None) -> dict[Path, int]:
    """Return the header path of every recording below `folder`, or its one file, and its files' size in bytes.

    The content shows whether a file without a header is a recording. A signal file that no header names is one too,
    to be refused. Hidden files and folders are left out: those of git-annex hold each file again. Links to files count,
    links to folders are not followed. A warning counts other files.
    """
    sizes, others = Counter[Path](), Counter[str]()
    for where, folders, files in os.walk(folder, onerror=lambda error: warn(f"cannot look into {error.filename}")):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(where, name) for name in files if not name.startswith(".")]
        headers = {path.stem: path for path in paths if path.suffix.lower() == ".hea"}
        lone = [path for path in paths if path.suffix.lower() in SUFFIXES and path.stem not in headers]
        named = files_named_in(headers.values(), root or folder) if lone else set()
        for path in paths:
            if path.suffix.lower() in SUFFIXES and path.stem in headers:
                recording = headers[path.stem]
            elif path.name in named:
                continue
            elif format_of(path, root or folder):
                recording = path
            elif path.suffix.lower() in SUFFIXES:
                recording = path.with_suffix(".hea")
            else:
                if not ARCHIVE_FILES.fullmatch(path.name):
                    others[path.suffix.lower() or "without a suffix"] += 1
                continue
            sizes[recording] += 0
            with suppress(OSError):
                sizes[recording] += path.stat().st_size
    if others:
        kinds = ", ".join(f"{suffix} {n}" for suffix, n in sorted(others.items(), key=lambda kind: (-kind[1], kind[0])))
        warn(f"{others.total()} files in {folder} are no recordings: {kinds}")
    return dict(sorted(sizes.items()))


def files_named_in(headers: Iterable[Path], root: Path) -> set[str]:
    """Return the names of the signal files in headers: the first words of lines."""
    named: set[str] = set()
    for header in headers:
        with suppress(BadRecording, OSError):
            if file_size(header, root) <= MAX_HEADER:
                named |= {os.fsdecode(line.split()[0]) for line in header.read_bytes().splitlines() if line.strip()}
    return named


def read_ecg(
    path: Path, root: Path | None = None, *, told: Mapping[str, str] | None = None, verify_checksums: bool = True
) -> Ecg:
    """Read a recording as its file has it.

    The format is that of the file's content; a WFDB record is named by its header. A link may not lead out of `root`,
    by default the file's folder. `told` is what labels.csv tells: of a table, sampling_rate, units and leads.
    BadRecording is why a file cannot be used; of a WFDB record with a good header, `reason` is.
    """
    if path.suffix.lower() == ".hea":
        ecg = read_wfdb(path, root, verify_checksums)
    else:
        with with_a_reason():
            file_size(path, root or path.parent)
        form = format_of(path, root)
        if form == "SCP-ECG":
            raise BadRecording(f"file: {SCP}")
        if form is None:
            raise BadRecording("no ECG file: neither WFDB nor MUSE, CardioSoft, aECG, Philips, DICOM, EDF, CSV, NPY")
        ecg = read_array(path, root, told or {}) if form == "array" else READERS[form](path, root)
    if not 0 < ecg.sampling_rate <= MAX_RATE:
        raise BadRecording(f"sampling rate: {ecg.sampling_rate:g} Hz; allowed: above 0, to {MAX_RATE}")
    return ecg


def read_wfdb(path: Path, root: Path | None, verify_checksums: bool) -> Ecg:
    """Read a WFDB record, named by its header, and the comments there."""
    header = read_header(path, root)
    comments = {key: values[0] for key, values in header.comments.items()}
    patient = comments.get("patient", "")
    person = Person(
        age=comments.get("age", ""),
        sex=parse_sex(comments.get("sex", "")),
        patient="" if patient.lower() in UNKNOWN else patient,
        dx=tuple(header.comments.get("dx", [])),
        source=comments.get("source") or challenge_source(header) or "",
    )
    try:
        samples, flags = read_samples(header, verify_checksums=verify_checksums)
    except BadRecording as error:
        return Ecg(np.empty((0, 12), np.int16), header.sampling_rate, LEADS, person, reason=str(error))
    return Ecg(samples, header.sampling_rate, LEADS, person, flags=flags)


def standard_leads(ecg: Ecg) -> tuple[np.ndarray, list[str]]:
    """Return the 12 leads of a recording (samples x 12, int16, uV; -32768 is missing) and flags: what was odd.

    Leads are found by name, and derived where two limb leads give a third. A calibration pulse is cut off.
    """
    if ecg.reason:
        raise BadRecording(ecg.reason)
    if ecg.signal.dtype == np.int16:
        samples, flags = ecg.signal, list[str]()
    else:
        columns = find_leads(list(ecg.leads))
        if not len(ecg.signal):
            raise BadRecording("no samples")
        samples, flags = to_microvolts({lead: 1000 * ecg.signal[:, column] for lead, column in columns.items()})
    if not (samples != samples[0]).any():
        raise BadRecording("flat")
    samples, pulses = drop_calibration(samples)
    return samples, [*ecg.flags, *flags, *pulses]


def drop_calibration(samples: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Cut a calibration pulse off the ends of a recording (samples x 12, int16, uV); also return flags.

    There all independent leads hold the same, as no heart does: a level, and one of 1 mV above.
    """
    flags = []
    for end in ("end", "beginning"):
        samples = samples[::-1]
        # Most recordings are done with here.
        if np.ptp(samples[0, INDEPENDENT].astype(int)) > SAME:
            continue
        spread = np.ptp(samples[:, INDEPENDENT].astype(int), axis=1)
        held = samples[: int(np.argmax(spread > SAME)), 0].astype(int)
        height = np.ptp(held) if len(held) else 0
        steady = np.minimum(held - min(held, default=0), max(held, default=0) - held) <= SAME
        if 900 <= height <= 1100 and steady.mean() > 0.9:
            samples = samples[len(held) :]
            flags.append(f"calibration pulse dropped at the {end}: {len(held)} samples")
    return samples, flags
