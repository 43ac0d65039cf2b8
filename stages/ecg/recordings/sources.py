"""Finds recordings: of Kaggle data sets, below folders, or named one by one."""

import os
import re
import time
from collections import Counter
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import requests

from ecg.params import Download
from ecg.recordings.ecg_file import Person
from ecg.recordings.labels import LABELS, ptbxl_patient, ptbxl_person, read_labels, read_ptbxl_table
from ecg.recordings.read import SUFFIXES, find_headers, format_of
from ecg.recordings.tables import Row, match_rows
from ecg.run.script import UsageError, printable, warn

PTBXL_TABLE = "ptbxl_database.csv"
# PTB-XL's folders of recordings, and the column of its table that names their files.
PTBXL_FOLDERS = {"records500": "filename_hr", "records100": "filename_lr"}


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


def find_labelled(root: Path, *, lenient: bool = False) -> list[RecordingFile]:
    """Find all recordings below a folder, called by their paths in it, and the row of labels.csv of each.

    The source is the folder as a whole: a patient may well be in two of the folders below.
    """
    sizes = find_headers(root)
    return recordings_of(sizes, root, root.resolve().name, read_labels(sizes, root, lenient=lenient))


def recordings_of(
    sizes: dict[Path, int],
    folder: Path,
    source: str,
    data: dict[Path, tuple[Person, Row]],
    root: Path | None = None,
) -> list[RecordingFile]:
    """Return recordings, called by their paths in a folder, with their data from a table."""
    recordings = []
    for header, size in sizes.items():
        person, row = data.get(header, (Person(), {}))
        record = header.relative_to(folder).as_posix()
        recordings.append(RecordingFile(record, header, source, person, row, root or folder, size))
    return recordings


def in_one(archives: dict[str, list[RecordingFile]]) -> list[RecordingFile]:
    """Return the recordings of named archives as one list.

    A recording is then called by its name, or by its path from the archive's name on where another has that name.
    """
    found = [(Path(name, recording.record), recording) for name in archives for recording in archives[name]]
    stems, records = Counter(path.stem for path, _ in found), Counter(path.with_suffix("") for path, _ in found)
    recordings = []
    for path, recording in found:
        # Where one folder holds r1.xml and r1.dcm, the suffix counts too.
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


def from_directory(download: Download) -> list[RecordingFile]:
    """Find the recordings of the folders that download.directory names."""
    folders = [download.directory] if isinstance(download.directory, str) else download.directory
    if not folders or "" in folders:
        raise UsageError(
            f"download.directory is {download.directory!r}; for download.source=directory it names a folder, or several"
        )
    return from_folders([from_project(folder) for folder in folders], "download.directory")


def from_folders(folders: list[str], called: str) -> list[RecordingFile]:
    """Find the recordings of folders, each an archive; errors name them as the user `called` them."""
    roots = [Path(folder).absolute() for folder in folders]
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"{called} is '{root}': no such folder")
    for one, other in combinations(roots, 2):
        real, there = one.resolve(), other.resolve()
        if real.is_relative_to(there) or there.is_relative_to(real):
            raise UsageError(f"{called} names one folder twice, or one inside the other: {one} and {other}")
        if real.name == there.name:
            raise UsageError(f"{called} names two folders of one name, {real.name!r}: {real} and {there}; rename one")
    archives = {}
    for root in roots:
        name = root.resolve().name if len(roots) > 1 else ""
        archives[name] = from_archive(root, called)
        if not archives[name]:
            raise UsageError(f"no recordings found in {root}")
    return in_one(archives)


def from_archive(root: Path, called: str) -> list[RecordingFile]:
    """Find the recordings of a folder: in PTB-XL's layout where it has the table, else any files."""
    if (root / PTBXL_TABLE).is_file():
        return from_ptbxl(root)
    recordings = find_labelled(root)
    # The table may lie above records500 or records100, or these below the folder that is named.
    folders = {recording.header.parent for recording in recordings}
    tops = {above.parent for folder in folders for above in (folder, *folder.parents) if above.name in PTBXL_FOLDERS}
    for top in sorted(tops):
        if (top / PTBXL_TABLE).is_file():
            where = top.relative_to(root) if top.is_relative_to(root) else top
            raise UsageError(f"{PTBXL_TABLE} is in {where.as_posix()}/: set {called} to it")
    return recordings


def from_ptbxl(root: Path) -> list[RecordingFile]:
    """Find the recordings of a folder in PTB-XL's layout; patients, folds and codes come from its table."""
    where = str(root / PTBXL_TABLE)
    columns = ["patient_id", "strat_fold", "scp_codes", "heart_axis", "age", "sex", *PTBXL_FOLDERS.values()]
    table = read_ptbxl_table(where, columns)
    records = next((records for records in PTBXL_FOLDERS if (root / records).is_dir()), None)
    if not records:
        raise UsageError(f"{root} has {PTBXL_TABLE}, but neither {' nor '.join(PTBXL_FOLDERS)}")
    if (root / LABELS).exists():
        warn(f"{root / LABELS} is not read: {PTBXL_TABLE} beside it has the labels")
    sizes = find_headers(root / records)
    files = {header: header.relative_to(root).as_posix() for header in sizes}
    rows = match_rows(table, PTBXL_FOLDERS[records], list(files.values()), where)
    persons: dict[Path, tuple[Person, Row]] = {
        header: (ptbxl_person(rows.get(file, {})), {}) for header, file in files.items()
    }
    return recordings_of(sizes, root / records, "ptb-xl", persons, root)


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

    data_sets = {}
    for handle in download.kaggle:
        root = download_data_set(handle)
        sizes = find_headers(root)
        persons: dict[Path, tuple[Person, Row]] = {
            header: (ptbxl_patient(table.get(int(header.stem[2:]), {})), {})
            for header in sizes
            if table is not None and re.fullmatch(r"HR\d{5}", header.stem)
        }
        data_sets[handle] = recordings_of(sizes, root, handle.split("/")[1], persons)
    return in_one(data_sets)


def download_data_set(handle: str) -> Path:
    """Return the folder of a Kaggle data set, which kagglehub downloads, without retries, where its cache lacks it."""
    # Here, as only this source needs it and it takes 0.3 s to load.
    import kagglehub
    from kagglehub.exceptions import BackendError, DataCorruptionError

    waits = [16, 8, 4, 2, 1]  # s
    while True:
        try:
            return Path(kagglehub.dataset_download(handle)).absolute()
        except (requests.RequestException, DataCorruptionError, BackendError, ValueError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            problem = f"status {status}" if status else type(error).__name__
            again = status == 429 or status >= 500 if status else not isinstance(error, BackendError | ValueError)
            if not again or not waits:
                raise UsageError(
                    f"cannot download {handle} ({problem}). Check the network, or set "
                    "KAGGLEHUB_CACHE to a folder where kagglehub has it already, or use download.source=synthetic"
                ) from error
            warn(f"cannot download {handle} ({problem}); again in {waits[-1]} s")
            time.sleep(waits.pop())


def find_named(names: list[str], told: dict[str, str]) -> list[RecordingFile]:
    """Find records, named with or without a suffix, and all records of folders; UsageError where there is none.

    `told` holds for all, where labels.csv has nothing else. Of several with one name, each is called by its path. A
    file that is no record is one that will be refused.
    """
    found, tables = list[RecordingFile](), list[Path]()
    for name in names:
        path = Path(name)
        header = path.with_suffix(".hea") if path.suffix.lower() in SUFFIXES[1:] else path.with_name(f"{path.name}.hea")
        if path.is_dir():
            below = in_one({"": find_labelled(path, lenient=True)})
            if not below:
                raise UsageError(f"{name}: no recording in that folder")
            found += below
        elif form := format_of(path):
            found.append(RecordingFile(path.stem, path))
            tables += [path] if form == "array" else []
        elif path.suffix.lower() == ".hea" and path.exists():
            found.append(RecordingFile(path.stem, path))
        elif header.exists() or (path.suffix.lower() in SUFFIXES and path.exists()):
            found.append(RecordingFile(header.stem, header))
        elif path.exists():
            found.append(RecordingFile(path.name, path))
        else:
            raise UsageError(f"{name}: no such record or folder")
    labels = read_labels(tables, lenient=True)
    counts = Counter(recording.record for recording in found)
    named = []
    for record, header, _, _, row, root, _ in found:
        path = header.with_suffix("") if header.suffix.lower() == ".hea" else header
        called = printable(record if counts[record] == 1 else path.as_posix())
        row = told | labels.get(header, (Person(), row))[1]
        # Absolute: worker processes may have been started elsewhere.
        named.append(RecordingFile(called, header.absolute(), told=row, root=root and root.absolute()))
    return named
