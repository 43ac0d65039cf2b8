import unicodedata

import pytest

from ecg.recordings.tables import match_rows, read_rows
from ecg.run.script import UsageError

HERE = "t.csv"
GREEN = "grün/r0.hea"
NO_FILE = "t.csv has no column file; allowed: file, dx, age, sampling_rate"


def rows_of(content, required=("file",), optional=("dx", "age", "sampling_rate")):
    return read_rows(content if isinstance(content, bytes) else content.encode(), HERE, required, optional)


@pytest.mark.parametrize(
    "content",
    [
        " FILE ,Dx, Age\ngrün/r0.hea , NORM, 61\n",
        "file;dx;age\ngrün/r0.hea;NORM;61\n",
        "file\tdx\tage\ngrün/r0.hea\tNORM\t61\n",
        "file,dx,age,,\ngrün/r0.hea,NORM,61,,,\n,,\n\n",
        "\n,file,age,dx\n0,grün/r0.hea,61,NORM",
        'file,comment,dx,age\r\n"grün/r0.hea","one,\r\ntwo ""three""",NORM,61\r\n\r\n',
        "file,dx,age\rgrün/r0.hea,NORM,61\r",
        "\ufefffile,dx,age\ngrün/r0.hea,NORM,61\n",
        "file,dx,age\ngrün/r0.hea,NORM,61\n".encode("utf-16"),
        "file,dx,age\ngrün/r0.hea,NORM,61\n".encode("latin-1"),
    ],
)
def test_one_table_as_programs_write_it(content):
    assert [row | {"line": ""} for row in rows_of(content)] == [{"file": GREEN, "dx": "NORM", "age": "61", "line": ""}]


def test_rows_with_fewer_cells_and_columns_in_other_spellings():
    rows = rows_of("file,Sampling Rate,dx\na,500\n\nb\n,,NORM\n")
    expected = [
        {"file": "a", "sampling_rate": "500", "line": "2"},
        {"file": "b", "line": "4"},
        {"dx": "NORM", "line": "5"},
    ]
    assert rows == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        *((content, NO_FILE) for content in ("", "r0,Miller", b"PK\3\4\0\0")),
        ("file,dx, DX\na,NORM,SR", "t.csv has the column dx twice"),
        ("file,dx\na,NORM\nb,NORM,SR", "t.csv, line 3: more cells than the 2 of the header"),
        ('file,dx\na,"NORM\nb,NORM\n', "t.csv is not a CSV table: line 3: unexpected end of data"),
    ],
)
def test_a_table_that_is_refused(content, reason):
    with pytest.raises(UsageError) as caught:
        rows_of(content)
    assert str(caught.value) == reason


def test_columns_that_are_not_read_are_warned_of_where_others_are_absent(capsys):
    rows_of("file,Age (years),sampling rate,comment\na,61,500,x")
    assert capsys.readouterr().err.endswith(": warning: t.csv: columns that are not read: Age (years), comment\n")
    rows_of("file,dx,age,sampling_rate,comment\na,NORM,61,500,x")
    assert capsys.readouterr().err == ""


def matched(cells, files, **options):
    rows = match_rows([{"file": cell, "line": str(i)} for i, cell in enumerate(cells)], "file", files, HERE, **options)
    return {file: int(row["line"]) for file, row in rows.items()}


@pytest.mark.parametrize(
    "row",
    [
        *("ward3/r0.hea", "ward3/r0", "ward3/r0.dat", "ward3/r0.mat", ".\\ward3//r0"),
        *("Ward3/r0.DAT", "C:\\ecg\\ward3\\r0.hea", "r0.hea", "R0", "x/../r0"),
    ],
)
def test_a_recording_in_any_spelling(row, capsys):
    assert matched(["ward4/r1", row], ["ward3/r0.hea", "ward4/r1.hea"]) == {"ward3/r0.hea": 1, "ward4/r1.hea": 0}
    assert capsys.readouterr().err == ""


def test_composed_and_decomposed_letters_are_the_same():
    file = unicodedata.normalize("NFD", "Müller/r0.xml")
    assert matched([unicodedata.normalize("NFC", file)], [file]) == {file: 0}


@pytest.mark.parametrize(
    ("rows", "files", "expected"),
    [
        # The path itself comes before the end of the path.
        (["r.xml", "x/r.xml"], ["x/r.xml", "r.xml"], {"r.xml": 0, "x/r.xml": 1}),
        # Doubt: two recordings fit, or two rows, or the recording has a row already.
        (["A.xml", "b"], ["a.xml", "á.xml", "b.hea"], {"a.xml": 0, "b.hea": 1}),
        (["R.xml", "b"], ["r.xml", "r.XML", "b.hea"], {"b.hea": 1}),
        (["r.xml", "b"], ["x/r.xml", "y/r.xml", "b.hea"], {"b.hea": 1}),
        (["x/r.xml", "y/r.xml", "b"], ["r.xml", "b.hea"], {"b.hea": 2}),
        (["x/r.xml", "r.xml"], ["x/r.xml", "z.xml"], {"x/r.xml": 0}),
        # Folders that differ, ends of names, and suffixes of other files are no match.
        (["x/r.xml", "b"], ["y/r.xml", "b.hea"], {"b.hea": 1}),
        (["r.xml", "b"], ["xr.xml", "b.hea"], {"b.hea": 1}),
        (["r", "r.csv", "b"], ["r.xml", "b.hea"], {"b.hea": 2}),
    ],
)
def test_a_row_counts_where_there_is_no_doubt_and_all_else_is_counted(rows, files, expected, capsys):
    assert matched(rows, files) == expected
    rest, others = len(rows) - len(expected), len(files) - len(expected)
    warning = capsys.readouterr().err
    assert (f"{rest} of {len(rows)} rows name no recording" in warning) == (rest > 0)
    assert (f"{others} of {len(files)} recordings have no row" in warning) == (others > 0)


def test_of_some_files_the_folders_count_too_and_nothing_is_warned_of(capsys):
    assert matched(["r.xml", "b.XML", "nowhere"], ["x/r.xml", "b.xml"], complete=False) == {"b.xml": 1}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["A", "A.HEA", "a.MAT"], "t.csv, lines 0 and 1 and 2 name 'a.hea'; keep one"),
        (["x"], "t.csv: 1 of 1 rows name no recording, such as 'x'; 1 of 1 recordings have no row, such as 'a."),
    ],
)
def test_rows_that_cannot_be_used(rows, reason):
    with pytest.raises(UsageError) as caught:
        matched(rows, ["a.hea"])
    assert str(caught.value).startswith(reason)
