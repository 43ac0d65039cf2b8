"""Finds the recordings of a source: two Kaggle data sets, or a folder of WFDB recordings."""

import ast
import io
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ecg.script import UsageError, warn

SUFFIXES = (".hea", ".mat", ".dat")
RETRY_AFTER = (1, 2, 4, 8)  # s
NO_PATIENT = "no patient id"
NOT_IN_TABLE = "no patient id in PTB-XL's table"


class Found(NamedTuple):
    """A recording on disk: its name, its header, and what is known of it from elsewhere than the header."""

    record: str
    header: Path
    known: dict


def find_headers(root: Path) -> dict[Path, int]:
    """Return the header path of every recording below `root` and its files' size in bytes.

    A signal file that no header beside it names is a recording too, one without a header.
    """
    sizes = Counter()
    for path in sorted(root.rglob("*")):
        if path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir():
            sizes[path.with_suffix(".hea")] += path.lstat().st_size
    named = {}
    for header in [header for header in sizes if not header.exists()]:
        folder = header.parent
        if folder not in named:
            lines = [line.split() for other in folder.glob("*.hea") if other.is_file() for line in other.open("rb")]
            named[folder] = {words[0] for words in lines if words}
        if {os.fsencode(header.with_suffix(suffix).name) for suffix in (".mat", ".dat")} & named[folder]:
            del sizes[header]
    return dict(sizes)


def find_recordings(roots: dict[str, Path], known: Callable[[Path], dict]) -> tuple[list[Found], list[int]]:
    """Return all recordings below named folders and their sizes in bytes.

    A record is called by its name, or by its path where another has that name. Its source is the data set or the folder
    as a whole: a patient may well be in two of the folders below. `known(header)` tells what is known of a recording
    from elsewhere than its header.
    """
    sizes = [(name, root, header, size) for name, root in roots.items() for header, size in find_headers(root).items()]
    stems = Counter(header.stem for _, _, header, _ in sizes)
    found = []
    for name, root, header, _ in sizes:
        inside = header.relative_to(root).with_suffix("")
        source = name.split("/")[1] if name else root.resolve().name
        record = header.stem if stems[header.stem] == 1 else (Path(name) / inside).as_posix()
        found.append(Found(printable(record), header, {"source": printable(source)} | known(header)))
    return found, [size for *_, size in sizes]


def printable(name: str) -> str:
    """Return a file's name as text that can be written, also where it is no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_table(where: str, columns: set[str]) -> pd.DataFrame:
    """Read PTB-XL's ptbxl_database.csv from a URL or a path, by ecg_id; UsageError where a column is missing."""
    if re.match(r"https?://", where):
        source = io.BytesIO(with_retries(lambda: fetch(where), f"download {where}"))
    else:
        source = Path(where)
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


def fetch(url: str) -> bytes:
    import requests

    response = requests.get(url, timeout=(10, 60))
    response.raise_for_status()
    return response.content


def with_retries(call: Callable, what: str):
    """Call; again after 1, 2, 4 and 8 s on connection errors, time-outs, broken transfers, 429 and 5xx."""
    import requests
    from kagglehub.exceptions import DataCorruptionError

    for wait in (*RETRY_AFTER, None):
        try:
            return call()
        except (requests.RequestException, DataCorruptionError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            short = f"{type(error).__name__}{f' {status}' if status else ''}"
            if wait is None or (status and status != 429 and status < 500):
                raise UsageError(f"cannot {what} ({short})") from error
            warn(f"cannot {what} ({short}); again in {wait} s")
            time.sleep(wait)


def ptbxl_patient(table: pd.DataFrame, ecg_id: int) -> dict:
    """What PTB-XL's table tells of the patient of one recording, and of the patient's fold."""
    if ecg_id not in table.index or pd.isna(table.patient_id[ecg_id]):
        return {"flags": [NOT_IN_TABLE]}
    fold = table.strat_fold[ecg_id]
    # Patients are numbered, as in 15709.0.
    patient = {"patient": f"ptb-xl:{table.patient_id[ecg_id].removesuffix('.0')}"}
    return patient if pd.isna(fold) else patient | {"fold": int(fold)}


def scp_codes(text: str) -> list[str]:
    """Return the codes in a cell of PTB-XL's table, a Python dict literal of codes and likelihoods; [] in any other."""
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return []
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
    import kagglehub

    roots = {}
    for handle in handles:
        try:
            folder = with_retries(lambda handle=handle: kagglehub.dataset_download(handle), f"download {handle}")
        except UsageError as error:
            raise UsageError(
                f"{error}. Check the network, or set KAGGLEHUB_CACHE to a folder where kagglehub has it already, or "
                "use download.source=synthetic"
            ) from None
        roots[handle] = Path(folder)

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

    found, sizes = find_recordings({"": root / f"records{rate}"}, known)
    if ecg_ids:
        warn(
            f"{len(ecg_ids)} of the {len(table)} recordings in ptbxl_database.csv are not in {root / f'records{rate}'}"
        )
    return found, sizes
