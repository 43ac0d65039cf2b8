"""Any file gives a recording or a reason; any text gives codes or a reason."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the limit of memory works on Linux only", allow_module_level=True)
pytest.importorskip("hypothesis", reason="hypothesis is missing: pip install -r requirements-dev.txt")

from fuzz_reader import fuzz, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.leads import BadRecording
from ecg.params import SCP
from ecg.recordings.codes import class_of, parse_codes
from ecg.run.files import CLASSES

PARTS = ["{", "'NORM'", ": 1", "}", ",", "164861001", "(", ")", " ", "?"]


def test_mutated_files_of_each_format_are_read_or_refused():
    for name, known in seeds().items():
        outcomes, failures = fuzz(known, range(300 if name == "wfdb" else 40), seed=3)
        assert failures == []
        assert outcomes["recording"] and len(outcomes) > 2


@given(st.text() | st.lists(st.sampled_from(PARTS)).map("".join))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_dx_gives_codes_or_a_reason(text):
    try:
        codes = parse_codes(text)
    except BadRecording:
        return
    assert all(code in SCP or code.isdigit() for code in codes)
    assert class_of(codes, ["164861001"], ["NORM"]) in CLASSES
