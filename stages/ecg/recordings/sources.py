"""Finds recordings: of Kaggle data sets, below folders, or named one by one."""

import re
import time
from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import kagglehub
import requests
from kagglehub.exceptions import BackendError, DataCorruptionError

from ecg.params import Download
from ecg.recordings.ecg_file import Person
from ecg.recordings.labels import from_project, labelled_person, ptbxl_person, read_labels, read_ptbxl_table
from ecg.recordings.read import find_headers
from ecg.recordings.tables import Row, match_rows
from ecg.run.script import UsageError, printable, warn

PTBXL_TABLE = "ptbxl_database.csv"


class RecordingFile(NamedTuple):
    """A recording on disk, named by its header or its one file.

    `person` is from a table beside it and comes before the file's own; `told` is its row of labels.csv. `source` is of
    a file that names none. `size` is in bytes.
    """

    record: str
    header: Path
    source: str = ""
    person: Person = Person()
    told: Row = {}  # noqa: RUF012 (never changed)
    size: int = 0


def path_of(header: Path) -> str:
    """Return the path of a recording, of a WFDB record without the suffix."""
    return (header.with_suffix("") if header.suffix.lower() == ".hea" else header).as_posix()


def with_short_names(recordings: list[RecordingFile]) -> list[RecordingFile]:
    """Call each recording by its file's name, where no other has that name; else it keeps its path."""
    counts = Counter(recording.header.stem for recording in recordings)
    return [one._replace(record=one.header.stem) if counts[one.header.stem] == 1 else one for one in recordings]


def find_labelled(root: Path, *, lenient: bool = False) -> list[RecordingFile]:
    """Find all recordings below a folder, called by their paths in it, and the row of labels.csv of each."""
    sizes = find_headers(root)
    rows = read_labels(sizes, root, lenient=lenient)
    recordings = []
    for header, size in sizes.items():
        row, name = rows.get(header, {}), path_of(header.relative_to(root))
        # The folder as a whole is the source: a patient may well be in two of the folders below.
        recordings.append(RecordingFile(name, header, root.name, labelled_person(row), row, size))
    return recordings


def from_folders(folders: list[str], called: str) -> list[RecordingFile]:
    """Find the recordings of folders, each an archive; errors name them as the user `called` them."""
    if not folders or "" in folders:
        raise UsageError(f"{called} is {folders!r}; allowed: the path of a folder, or a list of paths")
    roots = [from_project(folder).resolve() for folder in folders]
    for one, other in permutations(roots, 2):
        if one.is_relative_to(other):
            raise UsageError(f"{called} names one folder twice, or one inside the other: {one} and {other}")
        if one.name == other.name:
            raise UsageError(f"{called} names two folders of one name: {one} and {other}; rename one")
    recordings = []
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"{called} is '{root}': no such folder")
        if (root / PTBXL_TABLE).is_file():
            found = from_ptbxl(root)
        elif tables := sorted(root.glob(f"*/{PTBXL_TABLE}")):
            raise UsageError(f"{PTBXL_TABLE} is in {tables[0].parent}: set {called} to it")
        else:
            found = find_labelled(root)
        if not found:
            raise UsageError(f"no recordings found in {root}")
        if len(roots) > 1:
            found = [recording._replace(record=f"{root.name}/{recording.record}") for recording in found]
        recordings += found
    return with_short_names(recordings)


def from_ptbxl(root: Path) -> list[RecordingFile]:
    """Find the recordings of a folder in PTB-XL's layout; patients, folds and codes come from its table."""
    where = root / PTBXL_TABLE
    records, names = ("records500", "filename_hr") if (root / "records500").is_dir() else ("records100", "filename_lr")
    columns = ["patient_id", "strat_fold", "scp_codes", "age", "sex", names]
    table = read_ptbxl_table(str(where), columns, ["heart_axis", "device", "site"])
    sizes = find_headers(root / records)
    files = {header: header.relative_to(root).as_posix() for header in sizes}
    rows = match_rows(table, names, list(files.values()), str(where))
    return [
        RecordingFile(path_of(Path(file)), header, "ptb-xl", ptbxl_person(rows.get(file, {})), {}, sizes[header])
        for header, file in files.items()
    ]


def from_kaggle(download: Download) -> list[RecordingFile]:
    """Find the recordings of Kaggle data sets; download those that kagglehub has not yet in its cache."""
    where = download.ptbxl_patients
    table = read_ptbxl_table(where, ["patient_id", "strat_fold"], ["device", "site"]) if where else []
    patients = {row.get("ecg_id", ""): row for row in table}
    recordings = []
    for handle in download.kaggle:
        root, source = download_data_set(handle), handle.split("/")[1]
        for header, size in find_headers(root).items():
            of_ptbxl = re.fullmatch(r"HR0*(\d+)", header.stem) if where else None
            person = ptbxl_person(patients.get(of_ptbxl[1], {})) if of_ptbxl else Person()
            name = f"{source}/{path_of(header.relative_to(root))}"
            recordings.append(RecordingFile(name, header, source, person, {}, size))
    return with_short_names(recordings)


def download_data_set(handle: str) -> Path:
    """Return the folder of a Kaggle data set, which kagglehub downloads, without retries, where its cache lacks it."""
    waits = [16, 8, 4, 2, 1]  # s
    while True:
        try:
            return Path(kagglehub.dataset_download(handle)).absolute()
        except (requests.RequestException, DataCorruptionError, BackendError, ValueError) as error:
            if not waits or isinstance(error, BackendError | ValueError):
                raise UsageError(
                    f"cannot download {handle} ({error!r:.200}). Check the network, or set KAGGLEHUB_CACHE to a folder "
                    "where kagglehub has it already"
                ) from error
            warn(f"cannot download {handle} ({error!r:.200}); again in {waits[-1]} s")
            time.sleep(waits.pop())


def find_named(names: list[str], told: dict[str, str]) -> list[RecordingFile]:
    """Find records, named with or without a suffix, and all records of folders; UsageError where there is none.

    `told` holds for all, where labels.csv has nothing else. A file that is no record will be refused.
    """
    found, alone = list[RecordingFile](), list[Path]()
    for name in names:
        # Absolute: worker processes may have been started elsewhere.
        path = Path(name).absolute()
        header = path.with_suffix(".hea") if path.suffix.lower() in (".mat", ".dat") else Path(f"{path}.hea")
        if path.is_dir():
            below = find_labelled(path, lenient=True)
            if not below:
                raise UsageError(f"{name}: no recording in that folder")
            before = name if len(names) > 1 else ""
            found += [recording._replace(record=Path(before, recording.record).as_posix()) for recording in below]
        elif header.exists() or path.exists():
            alone.append(header if header.exists() else path)
            found.append(RecordingFile(path_of(Path(name).with_name(alone[-1].name)), alone[-1]))
        else:
            raise UsageError(f"{name}: no such record or folder")
    rows = read_labels(alone, lenient=True)
    return [
        recording._replace(record=printable(recording.record), told=told | rows.get(recording.header, recording.told))
        for recording in with_short_names(found)
    ]
