"""Whatever a header and its signal file hold: a recording or a reason. Fields are odd, or whole files are."""

import json
import subprocess
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("memory is limited and measured as Linux does", allow_module_level=True)
pytest.importorskip("hypothesis", reason="the package hypothesis is in requirements-dev.txt")

from conftest import ROOT
from ecg_files import WRITERS
from fuzz_reader import FORMATS, NAMES, NUMBERS, judge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.leads import LEADS, BadRecording
from ecg.params import SCP
from ecg.recordings.codes import class_of, parse_codes
from ecg.run.tables import CLASSES

numbers = st.one_of(st.sampled_from(NUMBERS), st.integers().map(str), st.floats().map(str))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.one_of(st.just("a.dat"), st.sampled_from(NAMES), texts)


@st.composite
def layouts(draw):
    parts = [mark + draw(numbers) for mark in "x:+" if draw(st.integers(0, 3)) == 0]
    return draw(st.one_of(st.sampled_from(FORMATS), texts)) + "".join(parts)


@st.composite
def headers(draw):
    """A header with the fields of a header, each of which may be what it should or anything."""

    def field(usual, odd):
        return draw(odd) if draw(st.integers(0, 150)) == 0 else usual

    layout = field("16", layouts()) if draw(st.booleans()) else draw(layouts())
    file, gain = field("a.dat", names), field("1000/mV", texts)
    lines = [" ".join([field("a", texts), field("12", numbers), field("500", numbers), field("", numbers)])]
    for lead in LEADS:
        rest = [field(value, numbers) for value in ("16", "0", "0", "0", "0")]
        lines.append(
            " ".join([field(file, names), field(layout, layouts()), field(gain, texts), *rest, field(lead, texts)])
        )
    lines.append(f"# {draw(texts)}: {draw(texts)}")
    return field("\n", st.sampled_from(["\r\n", "\r", "\n\n"])).join(lines).encode("utf-8", "surrogatepass")


@given(
    header=st.one_of(headers(), headers(), st.binary(max_size=500)),
    content=st.one_of(st.binary(max_size=2000), st.integers(0, 3000).map(lambda n: bytes(range(240)) * (n // 100))),
    verify=st.booleans(),
)
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_header_and_signal_file_give_a_recording_or_a_reason(tmp_path_factory, header, content, verify):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.hea").write_bytes(header)
    (folder / "a.dat").write_bytes(content)
    _, seconds, megabytes = judge(folder / "a.hea", folder, verify)
    assert seconds < 2 and megabytes < 1000


@given(
    st.text()
    | st.lists(st.sampled_from(["{", "'NORM'", ": 1", "}", ",", "164861001", "(", ")", " ", "?"])).map("".join)
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_dx_gives_codes_or_a_reason(text):
    try:
        codes = parse_codes(text)
    except BadRecording:
        return
    assert all(code in SCP or code.isdigit() for code in codes)
    assert class_of(codes, ["164861001"], ["NORM"]) in CLASSES


def test_the_tool_starts():
    command = [sys.executable, ROOT / "tools/fuzz_reader.py", "--n", "3", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cases"] == 3
    done = subprocess.run([*command, "--formats"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert set(json.loads(done.stdout)) == set(WRITERS)
