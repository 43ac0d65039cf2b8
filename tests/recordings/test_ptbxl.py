import pandas as pd
import pytest

from ecg.recordings.ptbxl import NOT_IN_TABLE, ptbxl_patient, scp_codes


def test_a_patient_without_a_fold_stays_that_patient():
    table = pd.DataFrame({"patient_id": ["10.0", "10.0", None], "strat_fold": [3, None, 4]}, index=[1, 2, 3])
    assert [ptbxl_patient(table, i) for i in (1, 2, 3, 4)] == [
        {"patient": "ptb-xl:10", "fold": 3},
        {"patient": "ptb-xl:10"},
        {"flags": [NOT_IN_TABLE]},
        {"flags": [NOT_IN_TABLE]},
    ]


@pytest.mark.parametrize(
    ("cell", "codes"), [("{'NORM': 100.0, 'SR': 0.0}", ["NORM", "SR"]), ("'NORM'", []), ("{1: 2}", ["1"]), ("?", [])]
)
def test_scp_codes(cell, codes):
    assert scp_codes(cell) == codes
