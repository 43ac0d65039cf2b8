"""PTB-XL's table ptbxl_database.csv: patients, folds, codes."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ecg.recordings.web import fetch, published_checksum
from ecg.stage.script import UsageError

NOT_IN_TABLE = "no patient id in PTB-XL's table"
LEFT, RIGHT, INDETERMINATE = "39732003", "47665007", "251200008"
# The table's column heart_axis as the Challenge's SNOMED CT codes have it: deviation of the axis to the left or right,
# or an indeterminate one. MID, the usual axis, has none.
AXES = {
    **{"LAD": LEFT, "ALAD": LEFT, "RAD": RIGHT, "ARAD": RIGHT},
    **{"AXL": INDETERMINATE, "AXR": INDETERMINATE, "SAG": INDETERMINATE},
}


def read_ptbxl_table(where: str, columns: set[str]) -> pd.DataFrame:
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
    """What PTB-XL's table tells of the patient of one recording, the patient's fold, and the recorder."""
    if ecg_id not in table.index or pd.isna(table.patient_id[ecg_id]):
        return {"flags": [NOT_IN_TABLE]}
    fold = table.strat_fold[ecg_id]
    # Patients are numbered, as in 15709.0.
    patient = {"patient": f"ptb-xl:{table.patient_id[ecg_id].removesuffix('.0')}"}
    recorder = table.loc[ecg_id].reindex(["device", "site"]).dropna()
    patient |= {name: str(value).strip().removesuffix(".0") for name, value in recorder.items()}
    return patient | {"fold": int(fold)} if np.isfinite(fold) else patient


def path_in_records(file_name: str, records: str) -> str:
    """Return a file name of PTB-XL's table from records500 (or 100) on, as in records500/00000/00001_hr.

    Copies of the table have backslashes, ./ or the folder of the download before it, or a suffix after it.
    """
    path = str(file_name).replace("\\", "/")
    path = path[max(path.rfind(f"{records}/"), 0) :]
    return re.sub(r"\.(hea|dat)$", "", path, flags=re.IGNORECASE)


def about_recording(table: pd.DataFrame, ecg_id: int) -> dict:
    """What PTB-XL's table tells of one recording and its patient."""
    row = table.loc[ecg_id]
    sex = "male" if row.sex == 0 else "female" if row.sex == 1 else ""
    dx = [str(row.scp_codes), AXES.get(row.heart_axis, "")]
    about = {"source": "ptb-xl", "dx": dx, "age": row.age, "sex": sex}
    return about | ptbxl_patient(table, ecg_id)
