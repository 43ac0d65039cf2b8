"""PTB-XL's table ptbxl_database.csv: patients, folds, codes."""

import re
from pathlib import Path

from ecg.recordings.codes import UNKNOWN
from ecg.recordings.ecg_file import Person
from ecg.recordings.tables import Row, read_rows
from ecg.recordings.web import fetch, published_checksum
from ecg.run.script import UsageError

NOT_IN_TABLE = "no patient id in PTB-XL's table"
LEFT, RIGHT, INDETERMINATE = "39732003", "47665007", "251200008"
# The table's column heart_axis as the Challenge's SNOMED CT codes have it: deviation of the axis to the left or right,
# or an indeterminate one. MID, the usual axis, has none.
AXES = {"LAD": LEFT, "ALAD": LEFT, "RAD": RIGHT, "ARAD": RIGHT} | dict.fromkeys(("AXL", "AXR", "SAG"), INDETERMINATE)


def read_ptbxl_table(where: str, columns: list[str]) -> dict[int, Row]:
    """Read PTB-XL's ptbxl_database.csv from a URL or a path, by ecg_id; UsageError where a column is missing."""
    content = fetch(where, published_checksum(where)) if re.match(r"https?://", where) else Path(where).read_bytes()
    table: dict[int, Row] = {}
    for line, row in read_rows(content, where, ["ecg_id", *columns], ["device", "site"]).items():
        # No cell is shown: in a table that is not PTB-XL's it may be a patient's id.
        ecg_id = re.fullmatch(r"(\d{1,9})(\.0*)?", row.get("ecg_id", ""), re.ASCII)
        if not ecg_id or int(ecg_id[1]) in table:
            wrong = "is that of a row above" if ecg_id else "is no whole number"
            raise UsageError(f"{where}, line {line}: ecg_id {wrong}")
        table[int(ecg_id[1])] = {name: cell for name, cell in row.items() if cell.lower() not in UNKNOWN}
    return table


def ptbxl_patient(row: Row) -> Person:
    """Return the patient, the fold and the recorder in a row of PTB-XL's table, {} where there is none."""
    if "patient_id" not in row:
        return Person(flags=(NOT_IN_TABLE,))
    fold = re.fullmatch(r"(\d{1,9})(\.0*)?", row.get("strat_fold", ""), re.ASCII)
    # The table writes numbers as 15709.0.
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
