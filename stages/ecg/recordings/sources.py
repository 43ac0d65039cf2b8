"""Finds the recordings of a source: two Kaggle data sets, or a folder of WFDB recordings."""

import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ecg.leads import BadRecording
from ecg.params import Download
from ecg.recordings.header import MAX_HEADER, file_size
from ecg.recordings.ptbxl import NOT_IN_TABLE, ptbxl_patient, read_ptbxl_table, scp_codes
from ecg.recordings.web import download_data_set
from ecg.stage.script import UsageError, warn

SUFFIXES = (".hea", ".mat", ".dat")


class RecordingFile(NamedTuple):
    """A recording on disk: its name, its header, what is known from elsewhere, and the folder that its files lie in."""

    record: str
    header: Path
    known: dict
    root: Path | None = None


def find_headers(folder: Path, root: Path | None = None) -> dict[Path, int]:
    """Return the header path of every recording below `folder` and its files' size in bytes.

    A signal file that no header beside it names is a recording too, one without a header. Hidden files and folders are
    left out: those of git-annex hold each file again. Links to files count, links to folders are not followed. Files
    that are not read, such as links out of `root`, by default the folder itself, count as 0 bytes.
    """
    sizes, root = Counter(), root or folder
    for where, folders, files in os.walk(folder, onerror=lambda error: warn(f"cannot look into {error.filename}")):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in [Path(where, name) for name in files if not name.startswith(".")]:
            if path.suffix in SUFFIXES:
                sizes[path.with_suffix(".hea")] += 0
                with suppress(BadRecording, OSError):
                    sizes[path.with_suffix(".hea")] += file_size(path, root)
    named = {}
    for header in [header for header in sizes if not header.exists()]:
        if header.parent not in named:
            named[header.parent] = set().union(*(first_words(other, root) for other in header.parent.glob("*.hea")))
        if {os.fsencode(header.with_suffix(suffix).name) for suffix in (".mat", ".dat")} & named[header.parent]:
            del sizes[header]
    return dict(sorted(sizes.items()))


def first_words(header: Path, root: Path) -> set[bytes]:
    """Return the first words of a header's lines, with the names of its signal files; none of what is no header."""
    with suppress(BadRecording, OSError):
        if file_size(header, root) <= MAX_HEADER:
            return {line.split()[0] for line in header.read_bytes().splitlines() if line.strip()}
    return set()


def find_recordings(
    roots: dict[str, Path], known: Callable[[Path], dict], inside: Path | None = None
) -> tuple[list[RecordingFile], list[int]]:
    """Return all recordings below named folders and their sizes in bytes.

    A record is called by its name, or by its path where another has that name. Its source is the data set or the folder
    as a whole: a patient may well be in two of the folders below. `known(header)` tells what is known of a recording
    from elsewhere than its header. Links may not lead out of `inside`, by default the folder itself.
    """
    sizes = [
        (name, root, header, size)
        for name, root in roots.items()
        for header, size in find_headers(root, inside or root).items()
    ]
    stems = Counter(header.stem for _, _, header, _ in sizes)
    recordings = []
    for name, root, header, _ in sizes:
        source = name.split("/")[1] if name else root.resolve().name
        path = (Path(name) / header.relative_to(root)).with_suffix("").as_posix()
        record = header.stem if stems[header.stem] == 1 else path
        recordings.append(RecordingFile(record, header, {"source": source} | known(header), inside or root))
    return recordings, [size for *_, size in sizes]


def from_project(where: str) -> str:
    """Return a relative path from the main repository, also where DVC runs an experiment in a copy of it."""
    return where if not where or "://" in where else str(Path(os.environ.get("DVC_ROOT", ""), where))


def from_kaggle(download: Download) -> tuple[list[RecordingFile], list[int]]:
    """Find the recordings of Kaggle data sets; download those that kagglehub has not yet in its cache."""
    try:
        patients = from_project(download.ptbxl_patients)
        table = read_ptbxl_table(patients, {"patient_id", "strat_fold"}) if patients else None
    except (UsageError, OSError) as error:
        raise UsageError(
            f"{error}. Patients of PTB-XL's recordings come from this table: set download.ptbxl_patients to its URL "
            "or path, or to '' to accept recordings as patients"
        ) from None
    roots = {}
    for handle in download.kaggle:
        try:
            roots[handle] = download_data_set(handle)
        except UsageError as error:
            raise UsageError(
                f"{error}. Check the network, or set KAGGLEHUB_CACHE to a folder where kagglehub has it already, or "
                "use download.source=synthetic"
            ) from None

    def known(header: Path) -> dict:
        ptbxl = re.fullmatch(r"HR(\d{5})", header.stem)
        return ptbxl_patient(table, int(ptbxl[1])) if ptbxl and table is not None else {}

    return find_recordings(roots, known)


def from_directory(download: Download) -> tuple[list[RecordingFile], list[int]]:
    """Find the recordings of download.directory: in PTB-XL's layout where it has the table, else any headers."""
    if not download.directory:
        raise UsageError("download.directory is ''; for download.source=directory it names a folder")
    root = Path(from_project(download.directory)).absolute()
    if not root.is_dir():
        raise UsageError(f"download.directory is '{root}': no such folder")
    if (root / "ptbxl_database.csv").is_file():
        return from_ptbxl(root)
    return find_recordings({"": root}, lambda header: {})


def from_ptbxl(root: Path) -> tuple[list[RecordingFile], list[int]]:
    """Find the recordings of a folder in PTB-XL's layout; patients, folds and codes come from its table."""
    columns = {"patient_id", "strat_fold", "scp_codes", "age", "sex", "filename_hr", "filename_lr"}
    table = read_ptbxl_table(str(root / "ptbxl_database.csv"), columns)
    rate = next((rate for rate in ("500", "100") if (root / f"records{rate}").is_dir()), None)
    if not rate:
        raise UsageError(f"{root} has ptbxl_database.csv, but neither records500 nor records100")
    ecg_ids = {name: ecg_id for ecg_id, name in table[{"500": "filename_hr", "100": "filename_lr"}[rate]].items()}

    def known(header: Path) -> dict:
        ecg_id = ecg_ids.pop(header.relative_to(root).with_suffix("").as_posix(), None)
        if ecg_id is None:
            return {"source": "ptb-xl", "flags": [NOT_IN_TABLE]}
        row = table.loc[ecg_id]
        sex = {0: "male", 1: "female"}.get(row.sex, "")
        about = {"source": "ptb-xl", "dx": scp_codes(row.scp_codes), "age": row.age, "sex": sex}
        return about | ptbxl_patient(table, ecg_id)

    recordings, sizes = find_recordings({"": root / f"records{rate}"}, known, inside=root)
    if ecg_ids:
        warn(
            f"{len(ecg_ids)} of the {len(table)} recordings in ptbxl_database.csv are not in {root / f'records{rate}'}"
        )
    return recordings, sizes
