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
from ecg.recordings.ecg_file import UNITS, Person
from ecg.recordings.labels import from_project, labelled_person, ptbxl_person, read_labels, read_ptbxl_table
from ecg.recordings.read import find_headers
from ecg.recordings.tables import Row, match_rows
from ecg.run.script import UsageError, printable, warn

PTBXL_TABLE = "ptbxl_database.csv"


class RecordingFile(NamedTuple):
    """A recording on disk: the path of its header, or of its one file.

    `person`, from a table, overrides the file's own data. `metadata` is the row of labels.csv. `source` is used if the
    file names none. `size` is in bytes.
    """

    record: str
    header: Path
    source: str = ""
    person: Person = Person()
    metadata: Row = {}  # noqa: RUF012 (never changed)
    size: int = 0


def path_of(header: Path) -> str:
    """Return the path of a recording; that of a WFDB record without the suffix."""
    return (header.with_suffix("") if header.suffix.lower() == ".hea" else header).as_posix()


def with_short_names(recordings: list[RecordingFile]) -> list[RecordingFile]:
    """Name each recording after its file if that name is unique; else it keeps its path."""
    counts = Counter(recording.header.stem for recording in recordings)
    return [one._replace(record=one.header.stem) if counts[one.header.stem] == 1 else one for one in recordings]


def find_labelled(root: Path, *, lenient: bool = False) -> list[RecordingFile]:
    """Return all recordings below a folder, named by their paths in it, with their rows of labels.csv."""
    sizes = find_headers(root)
    rows = read_labels(sizes, root, lenient=lenient)
    # The top folder is the source, because a patient may be in several folders below it.
    return [
        RecordingFile(path_of(header.relative_to(root)), header, root.name, labelled_person(row), row, sizes[header])
        for header, row in rows.items()
    ]


def from_folders(folders: list[str], called: str) -> list[RecordingFile]:
    """Return the recordings of folders, each an archive; errors name the argument as in `called`."""
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
            raise UsageError(f"{called} is '{root}': {'a file, not a' if root.exists() else 'no such'} folder")
        if (root / PTBXL_TABLE).is_file():
            found = from_ptbxl(root)
        elif tables := sorted(root.glob(f"*/{PTBXL_TABLE}")):
            raise UsageError(f"{PTBXL_TABLE} is in {tables[0].parent}; set {called} to it")
        else:
            found = find_labelled(root)
        if not found:
            raise UsageError(f"no recordings found in {root}; docs/data.md lists the formats")
        if len(roots) > 1:
            found = [recording._replace(record=f"{root.name}/{recording.record}") for recording in found]
        recordings += found
    return with_short_names(recordings)


def from_ptbxl(root: Path) -> list[RecordingFile]:
    """Return the recordings of a folder in PTB-XL's layout, with patients, folds and codes from its table."""
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
    """Return the recordings of Kaggle data sets; kagglehub downloads those that its cache lacks."""
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
    """Return the folder of a Kaggle data set; retry the download, as kagglehub does not."""
    waits = [16, 8, 4, 2, 1]  # s
    while True:
        try:
            return Path(kagglehub.dataset_download(handle)).absolute()
        except (requests.RequestException, DataCorruptionError, BackendError, ValueError) as error:
            failed = f"cannot download {handle} ({error!r:.200})"
            if not waits or isinstance(error, BackendError | ValueError):
                raise UsageError(f"{failed}; check the network, or set KAGGLEHUB_CACHE to a cache with it") from error
            warn(f"{failed}; next attempt in {waits[-1]} s")
            time.sleep(waits.pop())


def find_named(names: list[str], metadata: dict[str, str]) -> list[RecordingFile]:
    """Return the records named, with or without a suffix, and all records of folders; UsageError if there are none.

    `metadata` applies to all, unless labels.csv has other values. A file that is no recording is refused later.
    """
    found, alone = list[RecordingFile](), list[Path]()
    if (unit := metadata.get("units", "mV")).lower() not in UNITS:
        raise UsageError(f"--units is {unit}; allowed: uV, mV, V")
    if not re.fullmatch(r"\d+(\.\d*)?", rate := metadata.get("sampling_rate", "500")) or not float(rate):
        raise UsageError(f"--sampling-rate is {rate}; allowed: a number above 0, in Hz")
    for name in names:
        # Absolute: worker processes may run in another folder.
        path = Path(name).absolute()
        header = path.with_suffix(".hea") if path.suffix.lower() in (".mat", ".dat") else Path(f"{path}.hea")
        if path.is_dir():
            if not (below := find_labelled(path, lenient=True)):
                raise UsageError(f"RECORD is {name}: no recording in that folder; docs/data.md lists the formats")
            before = name if len(names) > 1 else ""
            found += [recording._replace(record=Path(before, recording.record).as_posix()) for recording in below]
        elif header.exists() or path.exists():
            alone.append(header if header.exists() else path)
            found.append(RecordingFile(path_of(Path(name).with_name(alone[-1].name)), alone[-1]))
        else:
            raise UsageError(f"RECORD is {name}: no such record or folder")
    rows = read_labels(alone, lenient=True)
    return [
        one._replace(record=printable(one.record), metadata=metadata | rows.get(one.header, one.metadata))
        for one in with_short_names(found)
    ]
