import numpy as np
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


def test_device_and_site_are_told_where_the_table_has_them():
    table = pd.DataFrame({"patient_id": ["1.0", "2.0", None, "4.0"], "strat_fold": 3}, index=[1, 2, 3, 4])
    table["device"] = ["AT-6 C 5.5 ", "CS-12   E", "CS-12", None]
    table["site"] = [0.0, 12.0, 1.0, np.nan]
    recorders = [{key: ptbxl_patient(table, i).get(key) for key in ("device", "site")} for i in (1, 2, 3, 4)]
    assert recorders == [
        {"device": "AT-6 C 5.5", "site": "0"},
        {"device": "CS-12   E", "site": "12"},
        {"device": None, "site": None},
        {"device": None, "site": None},
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
