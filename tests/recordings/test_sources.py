import pandas as pd
import pytest
from conftest import ecg_signal, write_challenge

from ecg.params import read_params
from ecg.recordings.sources import find_headers, find_recordings, from_directory, header_of
from ecg.stage.script import UsageError

SAMPLES = ecg_signal(2)


def of_directory(project, folder):
    """The recordings of a folder, by name."""
    download = read_params(project / "params.yaml").download.model_copy(update={"directory": str(folder)})
    return {recording.record: recording for recording in from_directory(download)[0]}


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
    recordings, _ = find_recordings({"": tmp_path}, lambda header: {})
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
    columns |= {"scp_codes": "{'NORM': 100.0}", "filename_lr": "x", "filename_hr": [form(name) for name in names]}
    pd.DataFrame(columns).to_csv(root / "ptbxl_database.csv", index=False)


@pytest.mark.parametrize(
    "form", [str, lambda name: name.replace("/", "\\"), "./{}".format, "D:\\ptb-xl/{}.dat".format], ids=range(4)
)
def test_file_names_of_ptbxl_in_any_form(project, form, capsys):
    ptbxl(project / "ptb-xl", form)
    recordings = of_directory(project, project / "ptb-xl")
    assert all(recording.known["patient"] == "ptb-xl:1" for recording in recordings.values()) and len(recordings) == 4
    assert capsys.readouterr().err == ""


def test_file_names_that_fit_no_recording_are_an_error_with_one_of_each(project):
    ptbxl(project / "ptb-xl", lambda name: name.replace("_hr", ""))
    with pytest.raises(UsageError, match=r"'records500/00000/00001' there, 'records500/00000/00001_hr.hea' here"):
        of_directory(project, project / "ptb-xl")


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
