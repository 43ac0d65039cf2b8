import csv
from pathlib import Path

import pandas as pd
import pytest
from conftest import DEFAULTS

from ecg.leads import BadRecording
from ecg.params import SCP, read_params
from ecg.recordings.codes import CLASSES, SNOMED, class_of, parse_age, parse_codes, parse_label, parse_sex
from ecg.recordings.labels import AXES, ptbxl_person

DOWNLOAD = read_params(DEFAULTS).download
ISCHEMIA, NORMAL = set(DOWNLOAD.ischemia), set(DOWNLOAD.normal)


def test_class_of():
    for expected, texts in {
        "normal": ["426783006", "NORM SR", "NORMAL SR"],
        "ischemia": ["426783006 164861001", "NDT ISCAN"],
        "other": ["426783006 55930002", "NORM SR 39732003", "OTHER NORM", ""],
    }.items():
        assert {class_of(text.split(), ISCHEMIA, NORMAL) for text in texts} == {expected}


def test_codes_may_mean_something_else():
    ischemia, normal = ["57054005", "IMI"], ["NORM", "SBRAD"]
    for codes in (["57054005"], ["IMI", "ISC_", "426783006"], ["ISCHEMIA"]):
        assert class_of(codes, ischemia, normal) == "ischemia"
    for codes in (["164861001"], ["426783006"], ["SBRAD", "SR"]):
        assert class_of(codes, ischemia, normal) == "other"
    assert class_of(["NORMAL", "SBRAD"], ischemia, normal) == "normal"


SINUS, ISCHEMIC = "426783006", "164861001"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("426783006,164861001", [SINUS, ISCHEMIC]),
        ("426783006, 426783006,", [SINUS]),
        ("426783006;164861001 | 426783006", [SINUS, ISCHEMIC]),
        ("426783006，164861001", [SINUS, ISCHEMIC]),
        ("164861001.0", [ISCHEMIC]),
        ("[426783006.0, 164861001.0]", [SINUS, ISCHEMIC]),
        ("['426783006', \"164861001\"]", [SINUS, ISCHEMIC]),
        ("164861001(myocardial ischemia, acute), 426783006 (sinus rhythm)", [ISCHEMIC, SINUS]),
        ("isc_", ["ISC_"]),
        ("Norm, sr", ["NORM", "SR"]),
        ("LAO/LAE; PRC(S) 1avb", ["LAO/LAE", "PRC(S)", "1AVB"]),
        ("{'NORM': 100.0, 'SR': 0.0}", ["NORM", "SR"]),
        ("normal, other", ["NORMAL", "OTHER"]),
        ("{}", []),
        ("Unknown", []),
    ],
)
def test_codes_in_any_form(text, codes):
    assert parse_codes(text) == codes


@pytest.mark.parametrize(
    "text",
    [
        *("normal ECG", "ischemic", "no ischemia", "ischemia?", "I21.9", "12345", "-426783006", "NSR"),
        *("164861001?", "not 164861001", "164861001 (ruled out)", "164861001 (possible)", "426783006 (no ischemia)"),
        *("4.26783e8", "426783006.5", "426783006 and 164861001", "426783006/164861001", "164861001: ischemia"),
        *("{'NORM': 100.0", "{1: 2}", "[[426783006]]", "426783006 164861001 (a (b))", "?", "=1+1", "٤٢٦٧٨٣٠٠٦"),
    ],
)
def test_text_that_is_not_understood_is_no_class(text):
    with pytest.raises(BadRecording, match=r"^Dx not understood: ") as caught:
        parse_codes(text)
    assert str(caught.value).endswith(text)


def test_the_tables_of_codes_fit_together():
    assert len(SNOMED) == 133 and len(SCP) == 71
    assert ISCHEMIA | NORMAL | set(AXES.values()) <= SNOMED | SCP
    assert not CLASSES & (SNOMED | SCP)


def test_real_statements_are_those_of_the_tables(real_data):
    table = pd.read_csv(real_data / "ptb-xl" / "scp_statements.csv", index_col=0)
    assert set(table.index) == SCP
    # Those of diagnostic subclass ISC_, ISCA or ISCI.
    assert set(table.index[table.diagnostic_subclass.isin(["ISC_", "ISCA", "ISCI"])]) == ISCHEMIA & SCP


def test_the_same_class_by_ptbxls_table_and_by_the_challenges_codes():
    """The file: number of PTB-XL's first 500 recordings with these codes in its table and in the Challenge's header."""
    with Path(__file__).with_name("ptbxl_codes.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    challenge = [class_of(parse_codes(row["snomed"]), ISCHEMIA, NORMAL) for row in table]
    codes = [[code for text in ptbxl_person(row).dx for code in parse_codes(text)] for row in table]
    ptbxl = [class_of(row, ISCHEMIA, NORMAL) for row in codes]
    assert ptbxl == challenge
    recordings = pd.Series([int(row["recordings"]) for row in table])
    assert recordings.groupby(ptbxl).sum().to_dict() == {"ischemia": 40, "normal": 231, "other": 229}


def test_age():
    texts = ["56", "56.0", "300", "-1", "NaN", "", "777", "60Y"]
    assert [parse_age(text)[0] for text in texts] == [56, 56, 90, None, None, None, None, None]
    assert [bool(parse_age(text)[1]) for text in texts] == [False, False, True, False, False, False, True, True]


def test_sex():
    texts = ["Male", " F ", "Unknown", "NaN", "O", "Frau", "1"]
    assert [parse_sex(text)[0] for text in texts] == ["male", "female", "", "", "", "", ""]
    assert [bool(parse_sex(text)[1]) for text in texts] == [False] * 5 + [True, True]


def test_a_label_is_one_of_three():
    assert [parse_label(text) for text in ("ischemia", "Normal", "OTHER")] == ["ischemia", "normal", "other"]
    for text in ("ischaemia", "164861001", ""):
        with pytest.raises(BadRecording, match=f"^label: '{text}'; allowed: ischemia, normal, other$"):
            parse_label(text)
