import pandas as pd
import pytest
from conftest import ecg_signal, write_challenge

from ecg.params import read_params
from ecg.recordings.archives import from_directory
from ecg.recordings.ecg_file import Person
from ecg.recordings.ptbxl import NOT_IN_TABLE
from ecg.recordings.sources import find_headers, find_recordings, header_of, in_one
from ecg.run.script import UsageError

SAMPLES = ecg_signal(2)


def of_directory(project, *folders):
    """The recordings of a folder or several, by name."""
    directory = [str(folder) for folder in folders] if len(folders) > 1 else str(folders[0])
    download = read_params(project / "params.yaml").download.model_copy(update={"directory": directory})
    return {recording.record: recording for recording in from_directory(download)}


def in_upper_case(path):
    """Rename a record's files, and call them so in its header."""
    path.write_text(path.read_text().replace(f"{path.stem}.mat", f"{path.stem.upper()}.MAT"))
    for suffix in (".mat", ".hea"):
        path.with_suffix(suffix).rename(path.parent / f"{path.stem}{suffix}".upper())
    return path.parent / f"{path.stem}.hea".upper()


def test_suffixes_in_upper_case_are_found(tmp_path, capsys):
    lower = write_challenge(tmp_path, "lower", SAMPLES)
    upper = in_upper_case(write_challenge(tmp_path, "upper", SAMPLES))
    write_challenge(tmp_path / "mixed", "r", SAMPLES).rename(tmp_path / "mixed" / "r.Hea")
    (tmp_path / "alone.DAT").write_bytes(b"x")
    sizes = find_headers(tmp_path)
    assert list(sizes) == sorted([lower, upper, tmp_path / "mixed" / "r.Hea", tmp_path / "alone.hea"])
    assert sizes[upper] == sizes[lower] > SAMPLES.nbytes
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["UPPER", "UPPER.HEA", "UPPER.MAT", "UPPER.mat"])
def test_a_record_in_upper_case_is_found_by_any_of_its_names(tmp_path, name):
    upper = in_upper_case(write_challenge(tmp_path, "upper", SAMPLES))
    assert header_of(tmp_path / name) == upper
    assert header_of(tmp_path / "a.b").name == "a.b.hea"


def test_records_whose_names_differ_in_the_case_of_the_suffix_only(tmp_path):
    path = write_challenge(tmp_path, "r", SAMPLES)
    (tmp_path / "r.HEA").write_text(path.read_text())
    if len(list(tmp_path.iterdir())) == 2:
        pytest.skip("this file system knows no case")
    recordings = in_one({"": find_recordings(tmp_path, "s")})
    assert [recording.record for recording in recordings] == ["r.HEA", "r.hea"]


def test_files_that_are_no_records_are_counted(tmp_path, capsys):
    write_challenge(tmp_path, "r", SAMPLES)
    for name in ("a.csv", "b.CSV", "c.txt", "deeper/d.csv", "notes", ".hidden.csv", ".git/config", "RECORDS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    find_headers(tmp_path)
    expected = f"5 files in {tmp_path} are no recordings: .csv 3, .txt 1, without a suffix 1\n"
    assert capsys.readouterr().err.endswith(f": warning: {expected}")


def ptbxl(root, form=lambda name: name):
    """Four recordings in PTB-XL's layout, with file names in the table in any form."""
    names = [f"records500/00000/{i:05d}_hr" for i in range(1, 5)]
    for i, name in enumerate(names):
        write_challenge(root / "records500/00000", name[-8:], SAMPLES + i, dx=None)
    columns = {"ecg_id": range(1, 5), "patient_id": 1.0, "age": 60, "sex": 0, "strat_fold": 1}
    columns |= {
        "scp_codes": "{'NORM': 100.0}",
        "heart_axis": "",
        "filename_lr": "x",
        "filename_hr": [form(name) for name in names],
    }
    pd.DataFrame(columns).to_csv(root / "ptbxl_database.csv", index=False)


@pytest.mark.parametrize(
    "form",
    [
        str,
        lambda name: name.replace("/", "\\"),
        "./{}".format,
        "D:\\ptb-xl/{}.dat".format,
        "/home/me/records500/{}.hea".format,
        str.upper,
        lambda name: name[-8:],
    ],
    ids=range(7),
)
def test_file_names_of_ptbxl_in_any_form(project, form, capsys):
    ptbxl(project / "ptb-xl", form)
    recordings = of_directory(project, project / "ptb-xl")
    assert all(recording.person.patient == "1" for recording in recordings.values()) and len(recordings) == 4
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            lambda name: name.replace("_hr", ""),
            "no row of {} names a recording: 'records500/00000/00001' there, 'records500/00000/00001_hr.hea' here",
        ),
        (lambda name: "", "{}: filename_hr is empty in all rows"),
        (
            lambda name: "records500/00000/00001_hr",
            "{} names 'records500/00000/00001_hr.hea' in 4 rows, as 'records500/00000/00001_hr' and "
            "'records500/00000/00001_hr'",
        ),
    ],
    ids=range(3),
)
def test_file_names_that_fit_no_recording_are_an_error_with_one_of_each(project, form, said):
    ptbxl(project / "ptb-xl", form)
    with pytest.raises(UsageError) as caught:
        of_directory(project, project / "ptb-xl")
    assert str(caught.value) == said.format(project / "ptb-xl" / "ptbxl_database.csv")


def test_rows_and_recordings_without_each_other_are_counted(project, capsys):
    ptbxl(project / "ptb-xl", lambda name: name.replace("2_hr", "7_hr"))
    (project / "ptb-xl" / "labels.csv").write_text("file,dx\n00002_hr,NORM\n")
    recordings = of_directory(project, project / "ptb-xl")
    assert recordings["00002_hr"].person == Person(flags=(NOT_IN_TABLE,))
    assert [line.partition("warning: ")[2] for line in capsys.readouterr().err.splitlines()] == [
        f"{project}/ptb-xl/labels.csv is not read: ptbxl_database.csv beside it has the labels",
        f"{project}/ptb-xl/ptbxl_database.csv: 1 of 4 rows name no recording, as 'records500/00000/00007_hr'; "
        "1 of 4 recordings have no row, as 'records500/00000/00002_hr.hea'",
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_at_the_end_of_ptbxls_rows_move_no_column(project, separator):
    ptbxl(project / "ptb-xl")
    right = of_directory(project, project / "ptb-xl")
    path = project / "ptb-xl" / "ptbxl_database.csv"
    pd.read_csv(path).to_csv(path, index=False, sep=separator)
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header.upper(), *(row + separator for row in rows)]) + "\n\n")
    assert of_directory(project, project / "ptb-xl") == right


@pytest.mark.parametrize(
    ("folder", "where"),
    [
        ("above", "1.0.3"),
        ("", "above/1.0.3"),
        ("above/1.0.3/records500", "{}/above/1.0.3"),
        ("above/1.0.3/records500/00000", "{}/above/1.0.3"),
    ],
)
def test_the_folder_with_the_table_is_named_where_another_is_given(project, folder, where):
    ptbxl(project / "above" / "1.0.3")
    with pytest.raises(UsageError) as caught:
        of_directory(project, project / folder)
    expected = f"ptbxl_database.csv is in {where.format(project)}/: set download.directory to it"
    assert str(caught.value) == expected


def test_own_recordings_beside_the_table_of_ptbxl_are_found(project):
    ptbxl(project / "ptb-xl")
    write_challenge(project / "ptb-xl" / "own", "r", SAMPLES)
    assert list(of_directory(project, project / "ptb-xl" / "own")) == ["r"]


def test_the_home_folder(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    write_challenge(project / "my data (1)", "r", SAMPLES)
    assert list(of_directory(project, "~/my data (1)")) == ["r"]
    with pytest.raises(UsageError, match="no such folder"):
        of_directory(project, "~nobody-of-this-name/data")


def test_archives_of_different_layouts_together(project):
    ptbxl(project / "ptb-xl")
    for name in ("r", "00001_hr"):
        write_challenge(project / "ours" / "2020", name, SAMPLES)
    recordings = of_directory(project, project / "ptb-xl", project / "ours")
    # Where both have a name, the archive's name stands before its path.
    assert list(recordings) == [
        *("ptb-xl/00000/00001_hr", "00002_hr", "00003_hr", "00004_hr"),
        *("ours/2020/00001_hr", "r"),
    ]
    assert [recording.source for recording in recordings.values()] == ["ptb-xl"] * 4 + ["ours"] * 2
    assert recordings["ptb-xl/00000/00001_hr"].person.patient == "1"
    assert recordings["ours/2020/00001_hr"].person == Person()
    # Links may not lead from one archive into the other.
    assert {recording.root for recording in recordings.values()} == {project / "ptb-xl", project / "ours"}


def test_a_list_of_one_is_that_folder(project):
    write_challenge(project / "x" / "deeper", "r", SAMPLES)
    write_challenge(project / "x", "r", SAMPLES)
    download = read_params(project / "params.yaml").download
    found = [from_directory(download.model_copy(update={"directory": given})) for given in ("x", ["x"])]
    assert found[0] == found[1]
    assert {recording.record for recording in found[0]} == {"deeper/r", "r"}


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("a", "nowhere"), "'{}/nowhere': no such folder"),
        (("a", "empty"), "no recordings found in {}/empty"),
        (("a", ""), "download.directory is ['a', '']; for download.source=directory it names a folder, or several"),
        (("a", "./b/../a"), "download.directory names one folder twice: {0}/a and {0}/b/../a"),
        (("a", "link"), "download.directory names one folder twice: {0}/a and {0}/link"),
        (("a/c", "b", "a"), "download.directory names a folder and one inside it: {0}/a/c and {0}/a"),
        (("link", "a/c"), "download.directory names a folder and one inside it: {0}/link and {0}/a/c"),
        (("a/c", "b/c"), "two folders called 'c', which would be one source: {0}/a/c and {0}/b/c; rename one"),
    ],
)
def test_archives_that_are_not_there_or_not_apart(project, folders, words):
    for folder in ("a", "a/c", "b", "b/c"):
        write_challenge(project / folder, folder.replace("/", "-"), SAMPLES)
    (project / "empty").mkdir()
    (project / "link").symlink_to("a")
    with pytest.raises(UsageError) as caught:
        of_directory(project, *folders)
    assert str(caught.value).endswith(words.format(project))
    assert "\n" not in str(caught.value)
