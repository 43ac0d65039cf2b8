import pandas as pd
import pytest

from ecg.recordings.ptbxl import NOT_IN_TABLE, path_in_records, ptbxl_patient


def test_a_patient_without_a_fold_stays_that_patient():
    table = pd.DataFrame({"patient_id": ["10.0", "10.0", None], "strat_fold": [3, None, 4]}, index=[1, 2, 3])
    assert [ptbxl_patient(table, i) for i in (1, 2, 3, 4)] == [
        {"patient": "ptb-xl:10", "fold": 3},
        {"patient": "ptb-xl:10"},
        {"flags": [NOT_IN_TABLE]},
        {"flags": [NOT_IN_TABLE]},
    ]


@pytest.mark.parametrize(
    "name",
    [
        "records500/00000/00001_hr",
        "records500\\00000\\00001_hr",
        "./records500/00000/00001_hr",
        "C:\\data\\ptb-xl\\1.0.3\\records500\\00000\\00001_hr.dat",
        "/home/me/records500/records500/00000/00001_hr.hea",
    ],
)
def test_file_names_of_the_table_in_any_form(name):
    assert path_in_records(name, "records500") == "records500/00000/00001_hr"
