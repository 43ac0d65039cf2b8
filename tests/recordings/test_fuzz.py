"""Any file gives a recording or a reason: whole files are mutated, and the fields of WFDB headers and codes are odd."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("memory is limited as Linux does", allow_module_level=True)
pytest.importorskip("hypothesis", reason="the package hypothesis is in requirements-dev.txt")

from fuzz_reader import FORMATS, NAMES, NUMBERS, fuzz, judge, main, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.leads import LEADS, BadRecording
from ecg.params import SCP
from ecg.recordings.codes import class_of, parse_codes
from ecg.run.files import CLASSES

numbers = st.one_of(st.sampled_from(NUMBERS), st.integers().map(str), st.floats().map(str))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.one_of(st.just("a.dat"), st.sampled_from(NAMES), texts)
layouts = st.builds(
    lambda form, *marks: form + "".join(marks), st.sampled_from(FORMATS) | texts, *[numbers | st.just("")] * 3
)
fields = {"a": texts, "12": numbers, "500": numbers, "a.dat": names, "16": layouts, "1000/mV": texts, "0": numbers}


@st.composite
def headers(draw):
    """A header whose fields are what they should be, but for a few."""

    def line(*usual):
        return " ".join(draw(fields.get(field, texts)) if draw(st.integers(0, 150)) == 0 else field for field in usual)

    layout = draw(st.just("16") | layouts)
    lines = [line("a", "12", "500"), *(line("a.dat", layout, "1000/mV", *"160000", lead) for lead in LEADS)]
    return "\n".join([*lines, f"# {draw(texts)}: {draw(texts)}"]).encode("utf-8", "surrogatepass")


@given(
    header=headers() | st.binary(max_size=500),
    content=st.binary(max_size=2000) | st.integers(0, 3000).map(lambda n: bytes(range(240)) * (n // 100)),
    verify=st.booleans(),
)
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_header_and_signal_file_give_a_recording_or_a_reason(tmp_path_factory, header, content, verify):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.hea").write_bytes(header)
    (folder / "a.dat").write_bytes(content)
    judge(folder / "a.hea", folder, verify)


@given(
    texts | st.lists(st.sampled_from(["{", "'NORM'", ": 1", "}", ",", "164861001", "(", ")", " ", "?"])).map("".join)
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_dx_gives_codes_or_a_reason(text):
    try:
        codes = parse_codes(text)
    except BadRecording:
        return
    assert all(code in SCP or code.isdigit() for code in codes)
    assert class_of(codes, ["164861001"], ["NORM"]) in CLASSES


def test_mutated_files_of_each_format_are_read_or_refused():
    for name, known in seeds().items():
        outcomes, failures = fuzz(known, range(300 if name == "wfdb" else 40), seed=3)
        assert failures == []
        assert outcomes["recording"] and len(outcomes) > 2


def test_the_tool_prints_outcomes_and_its_exit_status_is_that_of_failures(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fuzz_reader.py", "--n", "1"])
    monkeypatch.setattr("fuzz_reader.SECONDS", 1e-4)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1 and "TimedOut" in capsys.readouterr().out
