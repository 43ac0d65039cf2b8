"""The tables that give labels and patients of recordings: labels.csv, and PTB-XL's ptbxl_database.csv."""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ecg.recordings.codes import UNKNOWN
from ecg.recordings.ecg_file import Person, digest_of
from ecg.recordings.tables import Row, match_rows, read_rows
from ecg.run.script import UsageError, warn

LABELS = "labels.csv"
COLUMNS = ("patient", "dx", "label", "age", "sex", "source", "sampling_rate", "units", "leads")

NOT_IN_TABLE = "no patient id in PTB-XL's table"
LEFT, RIGHT, INDETERMINATE = "39732003", "47665007", "251200008"
# The table's column heart_axis as the Challenge's SNOMED CT codes have it: deviation of the axis to the left or right,
# or an indeterminate one. MID, the usual axis, has none.
AXES = {"LAD": LEFT, "ALAD": LEFT, "RAD": RIGHT, "ARAD": RIGHT} | dict.fromkeys(("AXL", "AXR", "SAG"), INDETERMINATE)
WHOLE_NUMBER = re.compile(r"(\d{1,9})(\.0*)?", re.ASCII)  # the table has 15709.0 for 15709


def read_labels(
    files: Iterable[Path], top: Path | None = None, *, lenient: bool = False
) -> dict[Path, tuple[Person, Row]]:
    """Return for each file the person in the nearest labels.csv, in its folder or above, and the row there.

    Files are all recordings below `top`; without it, some. A table that cannot be used is a UsageError; if `lenient`,
    or where it does not lie below `top`, it is a warning. Of patients only digests are returned.
    """
    top = top and top.absolute()
    nearest = cache(lambda folder: next((at for at in (folder, *folder.parents) if (at / LABELS).is_file()), None))
    names: dict[Path, dict[str, Path]] = {}
    for file in files:
        if folder := nearest(file.absolute().parent):
            names.setdefault(folder, {})[file.absolute().relative_to(folder).as_posix()] = file
    labels: dict[Path, tuple[Person, Row]] = {}
    for folder, paths in names.items():
        table, complete = folder / LABELS, top is not None and folder.is_relative_to(top)
        try:
            rows = read_rows(table.read_bytes(), str(table), ["file"], COLUMNS)
            matched = match_rows(rows, "file", list(paths), str(table), complete=complete)
        except (UsageError, OSError) as error:
            if complete and not lenient:
                raise
            warn(f"labels.csv is not used: {error}")
            continue
        for name, row in matched.items():
            person = Person(
                age=row.get("age", ""),
                sex=row.get("sex", ""),
                patient=digest_of(row.pop("patient", "")),
                dx=(row["dx"],) if "dx" in row else (),
                source=row.get("source", ""),
            )
            labels[paths[name]] = person, row
    return labels


def read_ptbxl_table(where: str, columns: list[str]) -> dict[int, Row]:
    """Read PTB-XL's ptbxl_database.csv from a URL or a path, by ecg_id; UsageError where a column is missing."""
    content = fetch(where) if re.match(r"https?://", where) else Path(where).read_bytes()
    table: dict[int, Row] = {}
    for line, row in read_rows(content, where, ["ecg_id", *columns], ["device", "site"]).items():
        # No cell is shown: in a table that is not PTB-XL's it may be a patient's id.
        ecg_id = WHOLE_NUMBER.fullmatch(row.get("ecg_id", ""))
        if not ecg_id or int(ecg_id[1]) in table:
            wrong = "is that of a row above" if ecg_id else "is no whole number"
            raise UsageError(f"{where}, line {line}: ecg_id {wrong}")
        table[int(ecg_id[1])] = {name: cell for name, cell in row.items() if cell.lower() not in UNKNOWN}
    return table


def ptbxl_patient(row: Row) -> Person:
    """Return the patient, the fold and the recorder in a row of PTB-XL's table, {} where there is none."""
    if "patient_id" not in row:
        return Person(flags=(NOT_IN_TABLE,))
    fold = WHOLE_NUMBER.fullmatch(row.get("strat_fold", ""))
    return Person(
        patient=row["patient_id"].removesuffix(".0"),
        registry="ptb-xl",
        device=row.get("device", "").removesuffix(".0"),
        site=row.get("site", "").removesuffix(".0"),
        fold=int(fold[1]) if fold else "",
    )


def ptbxl_person(row: Row) -> Person:
    """Return all data of a recording in a row of PTB-XL's table, {} where there is none."""
    sex = row.get("sex", "")
    return ptbxl_patient(row)._replace(
        age=row.get("age", ""),
        sex={"0": "male", "1": "female"}.get(sex.removesuffix(".0"), sex),
        dx=tuple(filter(None, (row.get("scp_codes", ""), AXES.get(row.get("heart_axis", ""), "")))),
    )


def fetch(url: str) -> bytes:
    """Return the content of a URL, checked by the SHA256SUMS.txt beside it, as PhysioNet has one, or with a warning."""
    name = re.escape(unquote(urlsplit(url).path.rpartition("/")[2]))
    sums = get(urljoin(url, "SHA256SUMS.txt"))
    line = re.search(rf"^([\da-f]{{64}})[ *]+{name}\s*$", sums.text if sums.ok else "", re.MULTILINE | re.IGNORECASE)
    if not line:
        warn(f"{url} cannot be verified: no SHA256SUMS.txt beside it names it")
    response = get(url)
    if not response.ok:
        raise UsageError(f"cannot download {url} (status {response.status_code})")
    found = hashlib.sha256(response.content).hexdigest()
    if line and found != line[1].lower():
        raise UsageError(f"cannot download {url}: its SHA-256 is {found}; allowed: {line[1].lower()}")
    return response.content


def get(url: str) -> requests.Response:
    """Return the answer of a server; UsageError where there is none after five retries."""
    busy = (429, 500, 502, 503, 504)
    retry = Retry(5, backoff_factor=1, status_forcelist=busy, respect_retry_after_header=False)
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            return session.get(url, timeout=(10, 60))
        except requests.RequestException as error:
            raise UsageError(f"cannot download {url} ({type(error).__name__})") from error
