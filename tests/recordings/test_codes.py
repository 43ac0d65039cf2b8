import pytest

from ecg.recordings.codes import class_of, parse_age, parse_sex


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["426783006"], "normal"),
        (["426783006", "426783006"], "normal"),
        (["426783006", "55930002"], "other"),
        (["426783006", "164861001"], "ischemia"),
        (["413444003"], "ischemia"),
        (["NORM", "SR"], "normal"),
        (["NORM", "ISC_"], "ischemia"),
        (["NDT", "ISCAN"], "ischemia"),
        (["SR"], "other"),
        (["STD_", "IMI"], "other"),
    ],
)
def test_class_of(codes, expected):
    assert class_of(codes) == expected


@pytest.mark.parametrize(
    ("text", "age"),
    [("56", 56), ("56.0", 56), ("300", 90), ("-1", None), ("NaN", None), ("", None), ("777", None), ("60Y", None)],
)
def test_age(text, age):
    assert parse_age(text)[0] == age


@pytest.mark.parametrize(("text", "sex"), [("Male", "male"), ("F", "female"), ("Unknown", ""), ("NaN", "")])
def test_sex(text, sex):
    assert parse_sex(text) == sex
