"""Finds the files of recordings and reads them; the content of a file decides on its format."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from ecg.leads import INDEPENDENT, LEADS, MAX_RATE, BadRecording, find_leads, to_microvolts
from ecg.recordings.arrays import is_table_of_samples, read_array
from ecg.recordings.codes import UNKNOWN
from ecg.recordings.dicom import read_dicom
from ecg.recordings.ecg_file import Ecg, Person
from ecg.recordings.edf import read_edf
from ecg.recordings.tables import decode
from ecg.recordings.wfdb_header import archive_of, read_header
from ecg.recordings.wfdb_signals import read_samples
from ecg.recordings.xml_files import XML_FORMATS, read_xml
from ecg.run.script import warn

SUFFIXES = (".hea", ".mat", ".dat")
NO_OTHERS = ("labels.csv", "RECORDS", "ANNOTATORS", "SHA256SUMS.txt", "LICENSE.txt", "index.html", "ptbxl_database.csv")
HEAD = 65536  # bytes by which a format is recognised
XML_ROOT = re.compile(rf"<(?:\w+:)?(?:{'|'.join(XML_FORMATS)})[\s>]")
SAME = 20  # uV; leads within it are equal
READERS = {"XML": read_xml, "DICOM": read_dicom, "EDF": read_edf}


def format_of(path: Path) -> str | None:
    """Return a file's format by its first bytes; None for any other format, or if it is not a regular file."""
    head = b""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(HEAD)
    if head[128:132] == b"DICM":
        return "DICOM"
    if head.startswith(b"\x93NUMPY"):
        return "array"
    if head[16:22] == b"SCPECG":
        return "SCP-ECG"
    if head.startswith(b"0       ") and head[252:256].strip().isdigit():
        return "EDF"
    text = decode(head).lstrip()
    if text.startswith("<"):
        return "XML" if XML_ROOT.search(text) else None
    return "array" if is_table_of_samples(head) else None


def find_headers(folder: Path) -> dict[Path, int]:
    """Return the header, or the one file, of every recording below `folder`, and the size of its files in bytes.

    Hidden files and folders are skipped, because git-annex keeps a copy of each file there. Links to files count; links
    to folders are not followed. A warning counts these links, and the files that are no recordings.
    """
    sizes, others = Counter[Path](), list[tuple[str, str]]()
    for where, folders, files in os.walk(folder, onerror=lambda error: warn(f"cannot read folder {error.filename}")):
        folders[:] = [name for name in folders if not name.startswith(".")]
        others += [("link to a folder", name) for name in folders if Path(where, name).is_symlink()]
        paths = [Path(where, name) for name in files if not name.startswith(".")]
        headers = {path.stem: path for path in paths if path.suffix.lower() == ".hea"}
        for path in paths:
            header = headers.get(path.stem) if path.suffix.lower() in SUFFIXES else None
            if header or format_of(path):
                sizes[header or path] += path.stat().st_size if path.exists() else 0
            elif path.name not in NO_OTHERS:
                others.append((path.suffix.lower() or "without a suffix", path.name))
    if others:
        kinds = ", ".join(f"{kind} {n}" for kind, n in Counter(kind for kind, _ in sorted(others)).most_common())
        warn(f"files in {folder} that are no recordings: {len(others)} ({kinds}, such as {min(others)[1]})")
    return dict(sorted(sizes.items()))


def read_ecg(path: Path, *, metadata: Mapping[str, str] | None = None, verify_checksums: bool = True) -> Ecg:
    """Read a recording; BadRecording if its file cannot be used.

    The content decides on the format; of a WFDB record, `path` is the header. `metadata`, such as a row of labels.csv,
    gives sampling_rate, units and leads of a table. A WFDB record with a good header but bad signals gets a `reason`.
    """
    try:
        form = "WFDB" if path.suffix.lower() == ".hea" else format_of(path)
        if form is None:
            raise BadRecording("no ECG file: neither WFDB nor MUSE, CardioSoft, aECG, Philips, DICOM, EDF, CSV, NPY")
        if form == "SCP-ECG":
            raise BadRecording("file: SCP-ECG is not supported; convert it with BioSig: save2gdf -f=EDF IN.scp OUT.edf")
        if form == "WFDB":
            ecg = read_wfdb(path, verify_checksums)
        else:
            ecg = read_array(path, metadata or {}) if form == "array" else READERS[form](path)
    except OSError as error:
        raise BadRecording(f"unreadable: {error.strerror or error} ({Path(error.filename or path).name})") from None
    if not 0 < ecg.sampling_rate <= MAX_RATE:
        raise BadRecording(f"sampling rate: {ecg.sampling_rate:g} Hz; allowed: above 0, to {MAX_RATE} Hz")
    return ecg


def read_wfdb(path: Path, verify_checksums: bool) -> Ecg:
    """Read a WFDB record by the path of its header, and the person in its comments."""
    header = read_header(path)
    archive = archive_of(header)
    comments = {key: values[0] for key, values in header.comments.items()}
    age, sex, patient = (comments.get(key, "") for key in ("age", "sex", "patient"))
    patient = "" if patient.lower() in UNKNOWN else patient
    source = comments.get("source") or (archive.source if archive else "")
    person = Person(age, sex, patient, tuple(header.comments.get("dx", [])), source)
    try:
        samples, flags = read_samples(header, verify_checksums=verify_checksums)
    except BadRecording as error:
        return Ecg(np.empty((0, 12), np.int16), header.sampling_rate, LEADS, person, reason=str(error))
    return Ecg(samples, header.sampling_rate, LEADS, person, flags=flags)


def standard_leads(ecg: Ecg) -> tuple[np.ndarray, list[str]]:
    """Return the 12 leads of a recording (samples x 12, int16, uV; -32768 is missing) and flags.

    Leads are found by name, and derived where two limb leads give a third. A calibration pulse is cut off.
    """
    if ecg.reason:
        raise BadRecording(ecg.reason)
    samples, flags = ecg.signal, list[str]()
    if samples.dtype != np.int16:
        columns = find_leads(list(ecg.leads))
        if not len(samples):
            raise BadRecording("no samples")
        samples, flags = to_microvolts({lead: 1000 * samples[:, column] for lead, column in columns.items()})
    if not (samples != samples[0]).any():
        raise BadRecording("flat")
    samples, pulses = drop_calibration(samples)
    return samples, [*ecg.flags, *flags, *pulses]


def drop_calibration(samples: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Cut a calibration pulse off the ends of a recording (samples x 12, int16, uV); also return flags.

    In a pulse, unlike in a heartbeat, all independent leads are equal: at one level, or at one 1 mV above it.
    """
    flags = []
    for end in ("end", "beginning"):
        samples = samples[::-1]
        # Most recordings have no pulse: skip the slow part.
        if np.ptp(samples[0, INDEPENDENT].astype(int)) > SAME:
            continue
        differ = np.ptp(samples[:, INDEPENDENT].astype(int), axis=1) > SAME
        held = samples[: np.argmax(differ), 0].astype(int)
        if len(held) and 900 <= np.ptp(held) <= 1100:
            steady = np.minimum(held - held.min(), held.max() - held) <= SAME
            if steady.mean() > 0.9:
                samples = samples[len(held) :]
                flags.append(f"calibration pulse dropped at the {end}: {len(held)} samples")
    return samples, flags
