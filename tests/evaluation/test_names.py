from conftest import DEFAULTS

from ecg.evaluation.names import CODE_TITLES, names_of
from ecg.params import read_params


def test_codes_in_words():
    assert names_of(["ISC_", "164861001", "57054005", "IMI"]) == (
        "SNOMED CT 164861001 (myocardial ischemia), 57054005; SCP ISC_ (non-specific ischemic), IMI"
    )
    assert names_of(["SR", "NORM"]) == "SCP SR (sinus rhythm), NORM (normal ECG)"


def test_all_default_codes_have_a_name():
    download = read_params(DEFAULTS).download
    assert {*download.ischemia, *download.normal} == set(CODE_TITLES)
