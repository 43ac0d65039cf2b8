"""Finds recordings: of Kaggle data sets, below a folder, or named one by one."""

import os
import re
from collections import Counter
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ecg.leads import BadRecording
from ecg.params import Download
from ecg.recordings.ecg_file import Person, file_size
from ecg.recordings.header import MAX_HEADER
from ecg.recordings.labels import LABELS, read_labels
from ecg.recordings.ptbxl import ptbxl_patient, read_ptbxl_table
from ecg.recordings.read import format_of
from ecg.recordings.tables import Row
from ecg.recordings.web import download_data_set
from ecg.run.script import UsageError, printable, warn

SUFFIXES = (".hea", ".mat", ".dat")
# Of archives at PhysioNet; they need no word.
ARCHIVE_FILES = re.compile(
    rf"{LABELS}|RECORDS|ANNOTATORS|SHA256SUMS\.txt|LICENSE\.txt|index\.html|ptbxl_.*|scp_statements\.csv|example_physionet\.py"
)


class RecordingFile(NamedTuple):
    """A recording on disk, named by its header or its one file.

    `person` is from a table beside it and comes before the file's own; `told` is its row of labels.csv. `source` is of
    a file that names none. Links may not lead out of `root`. `size` is in bytes.
    """

    record: str
    header: Path
    source: str = ""
    person: Person = Person()
    told: Row = {}  # noqa: RUF012 (never changed)
    root: Path | None = None
    size: int = 0


def header_of(path: Path) -> Path:
    """Return the path of a record's header; the record may be named with a suffix of its files or without."""
    if path.suffix.lower() == ".hea":
        return path
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    upper = path.with_name(f"{stem}.HEA")
    return upper if upper.exists() else path.with_name(f"{stem}.hea")


def find_headers(folder: Path, root: Path | None = None) -> dict[Path, int]:
    """Return the header path of every recording below `folder`, or its one file, and its files' size in bytes.

    What is no WFDB record is known by its content. A signal file that no header beside it names is a recording too, one
    without a header. Suffixes may be in upper case. Hidden files and folders are left out: those of git-annex hold each
    file again. Links to files count, links to folders are not followed. Files that are not read, such as links out of
    `root`, by default the folder itself, count as 0 bytes. A warning counts other files.
    """
    sizes, others = dict[Path, int](), Counter[str]()
    for where, folders, files in os.walk(folder, onerror=lambda error: warn(f"cannot look into {error.filename}")):
        folders[:] = [name for name in folders if not name.startswith(".")]
        records: dict[str, list[Path]] = {}
        for path in [Path(where, name) for name in files if not name.startswith(".")]:
            if path.suffix.lower() in SUFFIXES:
                records.setdefault(path.stem, []).append(path)
            elif format_of(path, root or folder):
                sizes[path] = file_size(path, root or folder)
            elif not ARCHIVE_FILES.fullmatch(path.name):
                others[path.suffix.lower() or "without a suffix"] += 1
        sizes |= sizes_by_header(records, root or folder)
    if others:
        kinds = ", ".join(f"{suffix} {n}" for suffix, n in sorted(others.items(), key=lambda kind: (-kind[1], kind[0])))
        warn(f"{others.total()} files in {folder} are no recordings: {kinds}")
    return dict(sorted(sizes.items()))


def sizes_by_header(records: dict[str, list[Path]], root: Path) -> dict[Path, int]:
    """Return the headers of one folder's records (stem: files) and the size of the files of each in bytes."""
    headers = {stem: [path for path in paths if path.suffix.lower() == ".hea"] for stem, paths in records.items()}
    named: set[bytes] = set()
    if not all(headers.values()):
        for header in chain.from_iterable(headers.values()):
            with suppress(BadRecording, OSError):
                if file_size(header, root) <= MAX_HEADER:
                    # Its signal files' names are first words of lines.
                    named |= {line.split()[0].lower() for line in header.read_bytes().splitlines() if line.strip()}
    sizes = dict[Path, int]()
    for stem, paths in records.items():
        if not headers[stem] and any(os.fsencode(path.name.lower()) in named for path in paths):
            continue
        own = headers[stem] or [paths[0] if format_of(paths[0], root) else paths[0].with_suffix(".hea")]
        sizes |= dict.fromkeys(own, 0)
        for path in paths:
            with suppress(BadRecording, OSError):
                sizes[own[0]] += file_size(path, root)
    return sizes


def find_recordings(root: Path, source: str, inside: Path | None = None) -> list[RecordingFile]:
    """Return all recordings below a folder, called by their paths in it.

    Links may not lead out of `inside`, by default the folder itself.
    """
    return [
        RecordingFile(header.relative_to(root).as_posix(), header, source, root=inside or root, size=size)
        for header, size in find_headers(root, inside or root).items()
    ]


def find_labelled(root: Path, *, lenient: bool = False) -> list[RecordingFile]:
    """Find all recordings below a folder, and the row of labels.csv of each.

    The source is the folder as a whole: a patient may well be in two of the folders below.
    """
    recordings = find_recordings(root, root.resolve().name)
    labels = read_labels([recording.header for recording in recordings], root, lenient=lenient)
    found = [labels.get(recording.header, (Person(), {})) for recording in recordings]
    return [r._replace(person=person, told=row) for r, (person, row) in zip(recordings, found, strict=True)]


def in_one(archives: dict[str, list[RecordingFile]]) -> list[RecordingFile]:
    """Return the recordings of named archives as one list.

    A recording is then called by its name, or by its path from the archive's name on where another has that name.
    """
    found = [(Path(name, recording.record), recording) for name in archives for recording in archives[name]]
    stems, records = Counter(path.stem for path, _ in found), Counter(path.with_suffix("") for path, _ in found)
    recordings = []
    for path, recording in found:
        # Where one folder holds r1.hea and r1.HEA, even the suffix counts.
        longer = path.with_suffix("") if records[path.with_suffix("")] == 1 else path
        recordings.append(recording._replace(record=path.stem if stems[path.stem] == 1 else longer.as_posix()))
    return recordings


def from_project(where: str) -> str:
    """Return a path from the home folder (~) or the main repository, also where DVC runs an experiment in a copy."""
    if not where or "://" in where:
        return where
    path = Path(where)
    with suppress(RuntimeError):  # no such user
        path = path.expanduser()
    return str(Path(os.environ.get("DVC_ROOT", ""), path))


def from_kaggle(download: Download) -> list[RecordingFile]:
    """Find the recordings of Kaggle data sets; download those that kagglehub has not yet in its cache."""
    try:
        patients = from_project(download.ptbxl_patients)
        table = read_ptbxl_table(patients, ["patient_id", "strat_fold"]) if patients else None
    except (UsageError, OSError) as error:
        raise UsageError(
            f"{error}. Patients of PTB-XL's recordings come from this table: set download.ptbxl_patients to its URL "
            "or path, or to '' to accept recordings as patients"
        ) from None

    def person(header: Path) -> Person:
        ptbxl = re.fullmatch(r"HR(\d{5})", header.stem)
        return ptbxl_patient(table.get(int(ptbxl[1]), {})) if ptbxl and table is not None else Person()

    data_sets = {}
    for handle in download.kaggle:
        try:
            root = download_data_set(handle)
        except UsageError as error:
            raise UsageError(
                f"{error}. Check the network, or set KAGGLEHUB_CACHE to a folder where kagglehub has it already, or "
                "use download.source=synthetic"
            ) from None
        recordings = find_recordings(root, handle.split("/")[1])
        data_sets[handle] = [recording._replace(person=person(recording.header)) for recording in recordings]
    return in_one(data_sets)


def find_named(names: list[str], told: dict[str, str]) -> list[RecordingFile]:
    """Find records, named with or without a suffix, and all records of folders; UsageError where there is none.

    `told` is known of all, where labels.csv says nothing else. Of several with one name, each is called by its path. A
    file that is no record is one that will be refused.
    """
    roots, found, tables = {}, [], []
    for name in names:
        path = Path(name)
        if path.is_dir():
            roots[name] = path
        elif form := format_of(path):
            found.append(RecordingFile(path.stem, path))
            tables += [path] if form == "array" else []
        elif (header := header_of(path)).exists() or (path.suffix.lower() in SUFFIXES and path.exists()):
            found.append(RecordingFile(header.stem, header))
        elif path.exists():
            found.append(RecordingFile(path.name, path))
        else:
            raise UsageError(f"{name}: no such record or folder")
    labels = read_labels(tables, lenient=True)
    for name, root in roots.items():
        below = in_one({"": find_labelled(root, lenient=True)})
        if not below:
            raise UsageError(f"{name}: no recording in that folder")
        found += below
    counts = Counter(recording.record for recording in found)
    named = []
    for recording in found:
        header = recording.header
        path = header.with_suffix("") if header.suffix.lower() == ".hea" else header
        _, row = labels.get(header, (None, recording.told))
        named.append(
            recording._replace(
                record=printable(recording.record if counts[recording.record] == 1 else path.as_posix()),
                # Absolute: worker processes may have been started elsewhere.
                header=header.absolute(),
                root=recording.root and recording.root.absolute(),
                told=told | row,
            )
        )
    return named
