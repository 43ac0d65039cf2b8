import pytest

from ecg.recordings.codes import label


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
def test_label(codes, expected):
    assert label(codes) == expected
