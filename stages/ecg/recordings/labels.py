"""Tables of labels and patients: labels.csv, and PTB-XL's ptbxl_database.csv."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Collection
from functools import cache
from pathlib import Path
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter, Retry

from ecg.recordings.codes import UNKNOWN
from ecg.recordings.ecg_file import Person, digest_of
from ecg.recordings.tables import Row, match_rows, read_rows
from ecg.run.script import UsageError, warn

LABELS = "labels.csv"
COLUMNS = ("patient", "dx", "label", "age", "sex", "source", "sampling_rate", "units", "leads")

NOT_IN_TABLE = "no patient id in PTB-XL's table"
# SNOMED CT codes of the Challenge for PTB-XL's column heart_axis; MID, the usual axis, has none.
AXES = {"LAD": "39732003", "ALAD": "39732003", "RAD": "47665007", "ARAD": "47665007"}
AXES |= dict.fromkeys(("AXL", "AXR", "SAG"), "251200008")


def read_labels(files: Collection[Path], top: Path | None = None, *, lenient: bool = False) -> dict[Path, Row]:
    """Return each file's row (absolute paths; {}: none) in the nearest labels.csv, in its folder or above.

    With `top`, `files` are all recordings below it. UsageError if a table below `top` cannot be used; only a warning if
    `lenient`, or if the table lies above `top`.
    """
    nearest = cache(lambda folder: next((at for at in (folder, *folder.parents) if (at / LABELS).is_file()), None))
    below = defaultdict[Path, dict[str, Path]](dict)
    for file in files:
        if folder := nearest(file.parent):
            below[folder][file.relative_to(folder).as_posix()] = file
    labels: dict[Path, Row] = {file: {} for file in files}
    for folder, paths in below.items():
        table, complete = folder / LABELS, top is not None and folder.is_relative_to(top)
        try:
            rows = read_rows(table.read_bytes(), str(table), ["file"], COLUMNS)
            matched = match_rows(rows, "file", list(paths), str(table), complete=complete)
            labels |= {paths[name]: row for name, row in matched.items()}
        except (UsageError, OSError) as error:
            if complete and not lenient:
                raise
            warn(f"labels.csv is not used: {error}")
    return labels


def labelled_person(row: Row) -> Person:
    """Return the person in a row of labels.csv ({}: no row), with the digest of the patient's id."""
    age, sex, patient, source = (row.get(column, "") for column in ("age", "sex", "patient", "source"))
    return Person(age, sex, digest_of(patient), dx=(row["dx"],) if "dx" in row else (), source=source)


def read_ptbxl_table(where: str, columns: list[str], optional: list[str]) -> list[Row]:
    """Read PTB-XL's table from a URL or a path, numbers without .0; UsageError if it or a column is missing."""
    if "://" not in where and not from_project(where).is_file():
        raise UsageError(f"{where} is missing; set download.ptbxl_patients to the URL or path of PTB-XL's table, or ''")
    content = fetch(where) if "://" in where else from_project(where).read_bytes()
    table = read_rows(content, where, ["ecg_id", *columns], optional)
    return [{key: cell.removesuffix(".0") for key, cell in row.items() if cell.lower() not in UNKNOWN} for row in table]


def ptbxl_person(row: Row) -> Person:
    """Return the person and the recorder in a row of PTB-XL's table ({}: no row)."""
    columns = ("age", "sex", "patient_id", "device", "site", "strat_fold")
    age, sex, patient, device, site, fold = (row.get(column, "") for column in columns)
    dx = tuple(filter(None, (row.get("scp_codes"), AXES.get(row.get("heart_axis", "")))))
    person = Person(age, {"0": "male", "1": "female"}.get(sex, sex), patient, dx, device=device, site=site)
    more = {"registry": "ptb-xl"} if patient else {"flags": (NOT_IN_TABLE,)}
    return person._replace(fold=int(fold) if fold.isdecimal() else "", **more)


def from_project(where: str) -> Path:
    """Return a path relative to ~ or to the main repository, also if DVC runs an experiment in a copy."""
    return Path(os.environ.get("DVC_ROOT", ""), Path(where).expanduser())


def fetch(url: str) -> bytes:
    """Return the content of a URL, checked against SHA256SUMS.txt in its folder if there is one, as at PhysioNet."""
    retry = Retry(5, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504), respect_retry_after_header=False)
    with requests.Session() as session:
        session.mount(urljoin(url, "."), HTTPAdapter(max_retries=retry))
        try:
            sums, answer = (session.get(at, timeout=(10, 60)) for at in (urljoin(url, "SHA256SUMS.txt"), url))
            answer.raise_for_status()
        except requests.RequestException as error:
            raise UsageError(f"cannot download {url}: {error}; set download.ptbxl_patients to a copy or ''") from error
    found = hashlib.sha256(answer.content).hexdigest()
    listed = sums.text.replace("*", " ").split() if sums.ok else []
    if url.rpartition("/")[2] in listed and found not in listed:
        raise UsageError(f"cannot download {url}: its SHA-256 {found} is not in SHA256SUMS.txt; try again")
    return answer.content
