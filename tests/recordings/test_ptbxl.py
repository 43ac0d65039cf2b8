import pytest

from ecg.recordings.ecg_file import Person
from ecg.recordings.ptbxl import NOT_IN_TABLE, ptbxl_patient, ptbxl_person, read_ptbxl_table
from ecg.run.script import UsageError

COLUMNS = ["patient_id", "strat_fold"]


def table(path, text):
    path.write_text(text)
    return read_ptbxl_table(str(path), COLUMNS)


def test_a_patient_without_a_fold_stays_that_patient(tmp_path):
    rows = table(tmp_path / "t.csv", "ecg_id,patient_id,strat_fold\n1,10.0,3.0\n2,10,\n3,,4\n4,NA,4\n5,12.0,NaN\n")
    assert [ptbxl_patient(rows.get(i, {})) for i in (1, 2, 3, 4, 5, 6)] == [
        Person(patient="10", registry="ptb-xl", fold=3),
        Person(patient="10", registry="ptb-xl"),
        Person(flags=(NOT_IN_TABLE,)),
        Person(flags=(NOT_IN_TABLE,)),
        Person(patient="12", registry="ptb-xl"),
        Person(flags=(NOT_IN_TABLE,)),
    ]


def test_device_and_site_are_told_where_the_table_has_them(tmp_path):
    cells = "1,1.0,3,AT-6 C 5.5 ,0.0\n2,2.0,3,CS-12   E,12.0\n3,,3,CS-12,1\n4,4,3,,nan"
    rows = table(tmp_path / "t.csv", f"ecg_id,patient_id,strat_fold,device,site\n{cells}")
    recorders = [(ptbxl_patient(rows[i]).device, ptbxl_patient(rows[i]).site) for i in (1, 2, 3, 4)]
    assert recorders == [("AT-6 C 5.5", "0"), ("CS-12   E", "12"), ("", ""), ("", "")]


@pytest.mark.parametrize(("cell", "sex"), [("0", "male"), ("1.0", "female"), ("", ""), ("2", "2")])
def test_the_sex_is_0_or_1(cell, sex):
    assert ptbxl_person({"patient_id": "1", "sex": cell}).sex == sex


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,4711,3\n1,4712,3", "line 3: ecg_id is that of a row above"),
        ("4711,3\nx4711,3,1", "line 3: ecg_id is no whole number"),
        (",4711,3", "line 2: ecg_id is no whole number"),
        ("1,2,4711,3", "line 2: 4 cells under a header of 3"),
    ],
)
def test_what_is_wrong_with_the_table_is_told_without_what_may_be_a_patients_id(tmp_path, rows, said):
    with pytest.raises(UsageError) as caught:
        table(tmp_path / "t.csv", f"ecg_id,patient_id,strat_fold\n{rows}\n")
    assert str(caught.value) == f"{tmp_path / 't.csv'}, {said}"
