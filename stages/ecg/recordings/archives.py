"""Finds the recordings of folders: archives in PTB-XL's layout, or with headers that tell the diagnosis."""

from itertools import combinations
from pathlib import Path

from ecg.params import Download
from ecg.recordings.labels import LABELS
from ecg.recordings.ptbxl import ptbxl_person, read_ptbxl_table
from ecg.recordings.sources import RecordingFile, find_labelled, find_recordings, from_project, in_one
from ecg.recordings.tables import match_rows
from ecg.run.script import UsageError, warn

TABLE = "ptbxl_database.csv"
# PTB-XL's folders of recordings, and the column of its table that names their files.
RECORDS = {"records500": "filename_hr", "records100": "filename_lr"}


def from_directory(download: Download) -> list[RecordingFile]:
    """Find the recordings of the folders that download.directory names."""
    folders = [download.directory] if isinstance(download.directory, str) else download.directory
    if not folders or "" in folders:
        raise UsageError(
            f"download.directory is {download.directory!r}; for download.source=directory it names a folder, or several"
        )
    return from_folders([from_project(folder) for folder in folders], "download.directory")


def from_folders(folders: list[str], called: str) -> list[RecordingFile]:
    """Find the recordings of folders, each an archive; an error says what the user `called` them."""
    roots = [Path(folder).absolute() for folder in folders]
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"{called} is '{root}': no such folder")
    for one, other in combinations(roots, 2):
        real, there = one.resolve(), other.resolve()
        if real == there:
            raise UsageError(f"{called} names one folder twice: {one} and {other}")
        if real.is_relative_to(there) or there.is_relative_to(real):
            raise UsageError(f"{called} names a folder and one inside it: {one} and {other}")
        if real.name == there.name:
            raise UsageError(
                f"{called} names two folders called '{real.name}', which would be one source: {real} and "
                f"{there}; rename one"
            )
    archives = {root.resolve().name if len(roots) > 1 else "": from_archive(root, called) for root in roots}
    for root, recordings in zip(roots, archives.values(), strict=True):
        if not recordings:
            raise UsageError(f"no recordings found in {root}")
    return in_one(archives)


def from_archive(root: Path, called: str) -> list[RecordingFile]:
    """Find the recordings of a folder: in PTB-XL's layout where it has the table, else any files."""
    if (root / TABLE).is_file():
        return from_ptbxl(root)
    recordings = find_labelled(root)
    # The table may lie above records500 or records100, or these below the folder that is named.
    folders = {recording.header.parent for recording in recordings}
    tops = {above.parent for folder in folders for above in (folder, *folder.parents) if above.name in RECORDS}
    for top in sorted(tops):
        if (top / TABLE).is_file():
            where = top.relative_to(root) if top.is_relative_to(root) else top
            raise UsageError(f"{TABLE} is in {where}/: set {called} to it")
    return recordings


def from_ptbxl(root: Path) -> list[RecordingFile]:
    """Find the recordings of a folder in PTB-XL's layout; patients, folds and codes come from its table."""
    columns = ["patient_id", "strat_fold", "scp_codes", "heart_axis", "age", "sex", *RECORDS.values()]
    where = str(root / TABLE)
    table = read_ptbxl_table(where, columns)
    records = next((records for records in RECORDS if (root / records).is_dir()), None)
    if not records:
        raise UsageError(f"{root} has {TABLE}, but neither {' nor '.join(RECORDS)}")
    if (root / LABELS).exists():
        warn(f"{root / LABELS} is not read: {TABLE} beside it has the labels")
    recordings = find_recordings(root / records, "ptb-xl", inside=root)
    files = [recording.header.relative_to(root).as_posix() for recording in recordings]
    rows = match_rows(table, RECORDS[records], files, where)
    persons = [ptbxl_person(rows.get(file, {})) for file in files]
    return [r._replace(person=person) for r, person in zip(recordings, persons, strict=True)]
