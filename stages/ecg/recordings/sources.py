"""Finds the recordings of a source: two Kaggle data sets, or a folder of WFDB recordings."""

import ast
import io
import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg.leads import BadRecording
from ecg.recordings.web import download_data_set, fetch, published_checksum
from ecg.recordings.wfdb_io import MAX_HEADER, file_size
from ecg.stage.script import UsageError, warn

SUFFIXES = (".hea", ".mat", ".dat")
NO_PATIENT = "no patient id"
NOT_IN_TABLE = "no patient id in PTB-XL's table"


class Found(NamedTuple):
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
) -> tuple[list[Found], list[int]]:
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
    found = []
    for name, root, header, _ in sizes:
        source = name.split("/")[1] if name else root.resolve().name
        path = (Path(name) / header.relative_to(root)).with_suffix("").as_posix()
        record = header.stem if stems[header.stem] == 1 else path
        found.append(Found(record, header, {"source": source} | known(header), inside or root))
    return found, [size for *_, size in sizes]


def read_table(where: str, columns: set[str]) -> pd.DataFrame:
    """Read PTB-XL's ptbxl_database.csv from a URL or a path, by ecg_id; UsageError where a column is missing."""
    online = re.match(r"https?://", where)
    source = io.BytesIO(fetch(where, published_checksum(where))) if online else Path(where)
    try:
        table = pd.read_csv(source, dtype={"patient_id": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UsageError(f"{where} is no CSV table: {' '.join(str(error).split())}") from None
    absent = {"ecg_id", *columns} - set(table.columns)
    if absent:
        raise UsageError(f"{where} lacks the columns {', '.join(sorted(absent))} of PTB-XL's ptbxl_database.csv")
    if table.ecg_id.duplicated().any():
        raise UsageError(f"{where} has ecg_id {table.ecg_id[table.ecg_id.duplicated()].iloc[0]} more than once")
    table["strat_fold"] = pd.to_numeric(table.strat_fold, errors="coerce")
    return table.set_index("ecg_id")


def ptbxl_patient(table: pd.DataFrame, ecg_id: int) -> dict:
    """What PTB-XL's table tells of the patient of one recording, and of the patient's fold."""
    if ecg_id not in table.index or pd.isna(table.patient_id[ecg_id]):
        return {"flags": [NOT_IN_TABLE]}
    fold = table.strat_fold[ecg_id]
    # Patients are numbered, as in 15709.0.
    patient = {"patient": f"ptb-xl:{table.patient_id[ecg_id].removesuffix('.0')}"}
    return patient | {"fold": int(fold)} if np.isfinite(fold) else patient


def scp_codes(text: str) -> list[str]:
    """Return the codes in a cell of PTB-XL's table, a Python dict literal of codes and likelihoods; [] in any other."""
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return []  # the last two: so many brackets
    return [str(code) for code in codes] if isinstance(codes, dict) else []


def from_kaggle(handles: list[str], patients: str) -> tuple[list[Found], list[int]]:
    """Find the recordings of Kaggle data sets; download those that kagglehub has not yet in its cache."""
    try:
        table = read_table(patients, {"patient_id", "strat_fold"}) if patients else None
    except (UsageError, OSError) as error:
        raise UsageError(
            f"{error}. Patients of PTB-XL's recordings come from this table: set download.ptbxl_patients to its URL "
            "or path, or to '' to accept recordings as patients"
        ) from None
    roots = {}
    for handle in handles:
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


def from_directory(root: Path) -> tuple[list[Found], list[int]]:
    """Find the recordings of a folder: in PTB-XL's layout where it has ptbxl_database.csv, else any headers."""
    if not root.is_dir():
        raise UsageError(f"download.directory is '{root}': no such folder")
    if not (root / "ptbxl_database.csv").is_file():
        return find_recordings({"": root}, lambda header: {})

    columns = {"patient_id", "strat_fold", "scp_codes", "age", "sex", "filename_hr", "filename_lr"}
    table = read_table(str(root / "ptbxl_database.csv"), columns)
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

    found, sizes = find_recordings({"": root / f"records{rate}"}, known, inside=root)
    if ecg_ids:
        warn(
            f"{len(ecg_ids)} of the {len(table)} recordings in ptbxl_database.csv are not in {root / f'records{rate}'}"
        )
    return found, sizes
