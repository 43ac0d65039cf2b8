"""Tables of samples as tools write them: each gives the same samples, or a reason that names the fault."""

import io

import numpy as np
import pandas as pd
import pytest
from conftest import noisy_signal
from ecg_files import METADATA

from ecg.leads import LEADS, MISSING, BadRecording
from ecg.recordings.arrays import recording_of
from ecg.recordings.read import find_headers, format_of, read_ecg, standard_leads

SAMPLES = noisy_signal(5)
MV = SAMPLES / 1000
TABLE = pd.DataFrame(MV, columns=LEADS)
TIMES = np.arange(len(MV)) / 500
CELLS = [[f"{value:.3f}" for value in row] for row in MV]
GERMAN = [[cell.replace(".", ",") for cell in row] for row in CELLS]
NAMES = ",".join(LEADS)
QUOTED = ",".join(f"'{lead}'" for lead in LEADS)
MIDNIGHT = pd.Timestamp("2024-02-01")
ORDER = ["leads not named: taken for I, II, III, aVR, aVL, aVF, V1 to V6"]


def table(*header, cells=CELLS, separator=",", first=None, end="", line="\n"):
    """Return a text with header lines and a line for each row; `first` returns its first cell."""
    rows = [[*([first(i)] if first else []), *row] for i, row in enumerate(cells)]
    return line.join([*header, *(separator.join(row) + end for row in rows), ""]).encode()


def savetxt(**options):
    file = io.BytesIO()
    np.savetxt(file, MV, **options)
    return file.getvalue()


def elapsed(i):
    """As WFDB's mstimstr."""
    return f"{i // 30000}:{i / 500 % 60:06.3f}"


def read(folder, content, metadata=METADATA):
    path = folder / "table.txt"
    path.write_bytes(content)
    return read_ecg(path, metadata=metadata)


def refused(folder, content, metadata=METADATA):
    with pytest.raises(BadRecording) as caught:
        standard_leads(read(folder, content, metadata))
    return str(caught.value)


NAMED = {
    "pandas": TABLE.to_csv().encode(),
    "pandas, a lead a row": TABLE.T.to_csv().encode(),
    "pandas, index and time": TABLE.assign(time=TIMES)[["time", *LEADS]].to_csv().encode(),
    "pandas, decimal comma": TABLE.to_csv(sep="\t", decimal=",").encode(),
    "R's write.table": table(QUOTED, first=lambda i: f'"{i + 1}"'),
    "savetxt with a header": savetxt(header=" ".join(LEADS)),
    "lines of words above": table("Patient;Miller", "ward 3" + "," * 11, NAMES),
    "names of units": table(",".join(f"{lead} (mV)" for lead in LEADS)),
    "a row of units": table(NAMES, ",".join(["mV"] * 12)),
    "Excel": table("sep=;", ";".join(LEADS), separator=";", cells=GERMAN, line="\r\n"),
    "Excel's text": TABLE.to_csv(sep="\t", index=False).encode("utf-16"),
    "old Mac": table(NAMES, line="\r"),
    "numbers in quotes": table(NAMES, cells=[[f'"{cell}"' for cell in row] for row in CELLS]),
    "separators at the end": table(NAMES, end=","),
    "blanks with decimal commas": table("  ".join(LEADS), cells=GERMAN, separator="  "),
    "rows of leads": "\n".join(" ".join(row) for row in zip(LEADS, *CELLS, strict=True)).encode(),
    "rows of leads with units": "\n".join(
        ";".join(row) for row in zip(LEADS, ["mV"] * 12, *GERMAN, strict=True)
    ).encode(),
    "letters of R": table("''," + ",".join(f"V{i + 1}" for i in range(12)), first=lambda i: f"'{i + 1}'"),
    "letters": table(f"t,{','.join('ABCDEFGHIJKL')}", first=lambda i: f"{i / 500}"),
    "a column of words": table(f"time,note,{NAMES}", first=lambda i: f"{i / 500},none"),
}
UNNAMED = {
    "savetxt": savetxt(),
    "savetxt with comments": savetxt(delimiter=",", header="ward 3\n500 Hz"),
    "pandas, numbers for names": pd.DataFrame(MV).to_csv().encode(),
    "rdsamp without -v": table(separator="\t", first=lambda i: f"{i:15d}"),
    "semicolons, decimal commas": table(separator=";", cells=GERMAN),
    "separators at the end, no names": table(end=","),
    "a lead a row": "\n".join(map(",".join, zip(*CELLS, strict=True))).encode(),
}
UNITS = ",'mV'" * 12
STATED = {
    "rdsamp -c -v -ps": table(f"'Elapsed time',{QUOTED}", f"'seconds'{UNITS}", first=lambda i: f"{i / 500:.3f}"),
    "rdsamp -c -v -pe": table(f"'Elapsed time',{QUOTED}", f"'hh:mm:ss.mmm'{UNITS}", first=lambda i: f"'{elapsed(i)}'"),
    "rdsamp -c -v -pS": table(f"'sample interval',{QUOTED}", f"'0.002 sec'{UNITS}", first=str),
    "rdsamp -c -v -pm": table(f"'Elapsed time',{QUOTED}", f"'minutes'{UNITS}", first=lambda i: f"{i / 30000:.5f}"),
    "past midnight": table(
        f"'Time and date',{QUOTED}",
        f"'hh:mm:ss.mmm dd/mm/yyyy'{UNITS}",
        first=lambda i: f"'[{MIDNIGHT + pd.Timedelta(2 * i - 2000, 'ms'):%H:%M:%S.%f} 01/02/2024]'",
    ),
    "rdsamp -v -p": table(
        "   Elapsed time\t" + "\t".join(f"{lead:>7}" for lead in LEADS),
        "      (seconds)" + "\t   (mV)" * 12,
        cells=[[f"{cell:>7}" for cell in row] for row in CELLS],
        separator="\t",
        first=lambda i: f"{i / 500:15.3f}",
    ),
    "after _": table("t_ms," + ",".join(f"{lead} [mV]" for lead in LEADS), first=lambda i: str(2 * i)),
    "in names": table("time (ms)," + ",".join(f"{lead} [mV]" for lead in LEADS), first=lambda i: str(2 * i)),
}


@pytest.mark.parametrize("name", [*NAMED, *UNNAMED])
def test_tables_as_tools_write_them(tmp_path, name):
    ecg = read(tmp_path, (NAMED | UNNAMED)[name], METADATA | ({"leads": NAMES} if "letters" in name else {}))
    np.testing.assert_array_equal(standard_leads(ecg)[0], SAMPLES)
    assert ecg.flags == ORDER * (name in UNNAMED)


@pytest.mark.parametrize("name", STATED)
def test_a_table_states_its_rate_and_units(tmp_path, name):
    ecg = read(tmp_path, STATED[name], {})
    assert ecg.sampling_rate == 500
    np.testing.assert_array_equal(standard_leads(ecg)[0], SAMPLES)
    assert read(tmp_path, STATED[name], {"sampling_rate": "499"}).sampling_rate == 499
    reason = refused(tmp_path, STATED[name], METADATA | {"sampling_rate": "250"})
    assert reason == "sampling rate: 250 Hz given, 500 Hz by the times in the table"
    assert refused(tmp_path, STATED[name], METADATA | {"units": "uV"}) == "units: uV given, mV in the table"
    assert refused(tmp_path, STATED[name], {"leads": "I,II"}).startswith("leads: I II given, I")


def test_times_are_rounded_and_not_all_are_in_seconds(tmp_path):
    header = f"time,{NAMES}"
    ecg = read(tmp_path, table(header, first=lambda i: f"{i / 360:.3f}"), {"units": "mV"})
    assert ecg.sampling_rate == 360
    for first in (str, lambda i: str(4 * i)):  # numbers of samples, milliseconds
        content = table(header, first=first)
        assert read(tmp_path, content).sampling_rate == 500
        assert refused(tmp_path, content, {"units": "mV"}).startswith("no sampling_rate: add to labels")


@pytest.mark.parametrize("word", ["NA", "NaN", "null", "", "      -", "missing", "-32768"])
def test_missing_samples(tmp_path, word):
    cells = [[*row[:8], word if 10 <= i < 20 else row[8], *row[9:]] for i, row in enumerate(CELLS)]
    samples, _ = standard_leads(read(tmp_path, table(f"time,{NAMES}", cells=cells, first=lambda i: f"{i / 500:.3f}")))
    expected = SAMPLES.copy()
    expected[10:20, 8] = MISSING
    np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize("kind, marker", [("i2", MISSING), ("i4", -(2**31)), ("i8", MISSING), ("f4", MISSING)])
def test_the_least_integer_is_missing(tmp_path, kind, marker):
    stored = SAMPLES.astype(kind)
    stored[10:20, 8] = marker
    np.save(tmp_path / "a.npy", stored)
    samples, _ = standard_leads(read_ecg(tmp_path / "a.npy", metadata=METADATA | {"units": "uV"}))
    expected = SAMPLES.copy()
    expected[10:20, 8] = MISSING
    np.testing.assert_array_equal(samples, expected)


def test_no_lead_gets_the_name_of_its_neighbour(tmp_path):
    without = [[*row[:11], "NA"] for row in CELLS]
    content = table(NAMES, cells=without, first=str)  # not a separator at the end
    samples, _ = standard_leads(read(tmp_path, content))
    np.testing.assert_array_equal(samples[:, :11], SAMPLES[:, :11])
    content = table(NAMES, cells=[["-", *row[1:]] for row in CELLS], end=",")  # not names of rows
    samples, _ = standard_leads(read(tmp_path, content))
    np.testing.assert_array_equal(samples[:, 1:], SAMPLES[:, 1:])
    eleven = table(cells=[row[:11] for row in CELLS], first=str)
    assert refused(tmp_path, eleven) == "file: 2500 x 11 values; allowed: samples x 12 leads"


@pytest.mark.parametrize(
    "content, reason",
    [
        (table(NAMES, cells=[[*row, row[3]] for row in CELLS]), "file: 12 cells above 13 columns of numbers"),
        (table("# made here", NAMES)[:-30], "file: line 2502 has 8 of 12 values"),
        (table(NAMES, cells=GERMAN), "file: 12 cells above 24 columns of numbers"),
        (table(NAMES, ",".join(["adu"] * 12)), "units: 'adu'; allowed: uV, mV, V"),
        (table(NAMES.replace(",V1", " (mV),V1 (uV)")), "units: mV, uV in one table; allowed: one"),
        (table(NAMES, cells=[*CELLS[:1500], [*CELLS[0][:11], "#DIV/0!"]]), "file: line 1502 contains '#DIV/0!'; "),
        (table(first=lambda i: str(i + 9 * (i > 999))), "file: times do not rise evenly near 1009; allowed: no gaps"),
        (b"\n".join(NAMED["pandas, a lead a row"].splitlines()[1:])[:-6], "file: 2501 columns of numbers; allowed:"),
        (table(",".join(f"ch{i}" for i in range(12))), "leads: columns ch0, ch1, ch2, … name none; "),
        (table(",".join(f"V{i + 1}" for i in range(12))), "leads: columns V1, V2, V3, … name none; give --leads"),
        (table(",".join("ABCDEFGHIJKL")), "leads: columns A, B, C, … name none; give --leads, or"),
    ],
)
def test_the_fault_of_a_table_is_named(tmp_path, content, reason):
    assert refused(tmp_path, content).startswith(reason)
    # In a folder it is a recording all the same, and has a row.
    assert list(find_headers(tmp_path)) == [tmp_path / "table.txt"]


@pytest.mark.parametrize(
    "content",
    [
        b"file,patient,age,sex,heart,pr,qrs,qt,qtc,axis\n" + b"a.xml,7,60,1,70,160,90,400,420,30\n" * 30,
        b"1,Miller,60,1,70,160,90,400,420,30\n" * 30,
        b"The leads are I, II, III, aVR, aVL, aVF\nand V1, V2, V3, V4, V5, V6.\n" * 30,
        b"\xff\xfe\0",
    ],
)
def test_other_tables_are_no_recordings(tmp_path, content):
    (tmp_path / "table.csv").write_bytes(content)
    assert format_of(tmp_path / "table.csv") is None


@pytest.mark.parametrize(("units", "scale"), [("uV", 1000), ("µV", 1000), ("mV", 1), ("V", 1 / 1000)])
def test_arrays_and_tables_in_any_unit(tmp_path, units, scale):
    np.testing.assert_array_equal(standard_leads(recording_of(MV * scale, 500, LEADS, units))[0], SAMPLES)
    ecg = read(tmp_path, (TABLE * scale).to_csv(index=False).encode("latin-1"), METADATA | {"units": units})
    np.testing.assert_array_equal(standard_leads(ecg)[0], SAMPLES)
    with pytest.raises(ValueError, match=r"^units: 'cm'; allowed: uV, mV, V$"):
        recording_of(MV, 500, LEADS, "cm")


@pytest.mark.parametrize(("stored", "given"), [("uV", "mV"), ("uV", "V"), ("mV", "V"), ("mV", "uV"), ("V", "mV")])
@pytest.mark.parametrize("offset", [0, -40])
def test_a_wrong_unit_is_the_reason_before_what_follows_from_it(stored, given, offset):
    """In a larger unit, the offset (mV) would be one of volts, and waves would be clipped or flat."""
    values = (MV + offset) * {"uV": 1000, "mV": 1, "V": 0.001}[stored]
    with pytest.raises(BadRecording, match=r"^amplitude: .* mV in .*; wrong unit\?$"):
        standard_leads(recording_of(values, 500, LEADS, given))
