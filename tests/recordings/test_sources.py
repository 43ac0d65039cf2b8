import kagglehub
import pandas as pd
import pytest
import requests
from conftest import ecg_signal, write_challenge
from kagglehub.exceptions import BackendError, DataCorruptionError

from ecg.recordings import sources
from ecg.recordings.ecg_file import Person
from ecg.recordings.labels import NOT_IN_TABLE
from ecg.recordings.read import find_headers
from ecg.recordings.sources import download_data_set, from_folders
from ecg.run.script import UsageError

SAMPLES = ecg_signal(2)
HANDLE = "owner/data/versions/1"


def of_directory(*folders):
    """The recordings of a folder or several, by name."""
    recordings = from_folders([str(folder) for folder in folders], "download.directory")
    return {recording.record: recording for recording in recordings}


def test_recordings_are_headers(tmp_path):
    path = write_challenge(tmp_path, "r", SAMPLES)
    upper = write_challenge(tmp_path, "UPPER", SAMPLES).rename(tmp_path / "UPPER.HEA")
    (tmp_path / "5.mat").write_bytes(b"x")
    (tmp_path / "folder.hea").mkdir()
    sizes = find_headers(tmp_path)
    assert set(sizes) == {path, upper} and sizes[upper] > SAMPLES.nbytes


def test_files_that_are_no_records_are_counted(tmp_path, capsys):
    write_challenge(tmp_path, "r", SAMPLES)
    for name in ("a.csv", "b.CSV", "c.txt", "deeper/d.csv", "notes", ".hidden.csv", ".git/config", "RECORDS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to(tmp_path / "deeper")
    find_headers(tmp_path)
    counts = "6 (.csv 3, .txt 1, link to a folder 1, without a suffix 1, such as a.csv)"
    assert capsys.readouterr().err.endswith(f": warning: files in {tmp_path} that are no recordings: {counts}\n")


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


def test_rows_and_recordings_without_each_other_are_counted(project, capsys):
    ptbxl(project / "ptb-xl", lambda name: name.replace("2_hr", "7_hr"))
    recordings = of_directory(project / "ptb-xl")
    assert recordings["00002_hr"].person == Person(flags=(NOT_IN_TABLE,))
    assert capsys.readouterr().err.endswith(
        "ptbxl_database.csv: 1 of 4 rows name no recording, such as 'records500/00000/00007_hr'; "
        "1 of 4 recordings have no row, such as 'records500/00000/00002_hr.hea'\n"
    )


def test_the_folder_with_the_table_is_named_where_the_one_above_is_given(project):
    ptbxl(project / "above" / "1.0.3")
    with pytest.raises(UsageError) as caught:
        of_directory(project / "above")
    assert str(caught.value) == f"ptbxl_database.csv is in {project / 'above/1.0.3'}; set download.directory to it"


def test_own_recordings_beside_the_table_of_ptbxl_are_found(project):
    ptbxl(project / "ptb-xl")
    write_challenge(project / "ptb-xl" / "own", "r", SAMPLES)
    assert list(of_directory(project / "ptb-xl" / "own")) == ["r"]


def test_the_home_folder_and_the_main_repository(project, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(project))
    write_challenge(project / "my data (1)", "r", SAMPLES)
    assert list(of_directory("~/my data (1)")) == ["r"]
    # DVC may run an experiment in a copy.
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.chdir(project / "data")
    assert list(of_directory("my data (1)")) == ["r"]


def test_archives_of_different_layouts_together(project):
    ptbxl(project / "ptb-xl")
    for name in ("r", "00001_hr"):
        write_challenge(project / "ours" / "2020", name, SAMPLES)
    recordings = of_directory(project / "ptb-xl", project / "ours")
    # Where both have a name, the archive's name stands before its path.
    assert list(recordings) == [
        *("ptb-xl/records500/00000/00001_hr", "00002_hr", "00003_hr", "00004_hr"),
        *("ours/2020/00001_hr", "r"),
    ]
    assert [recording.source for recording in recordings.values()] == ["ptb-xl"] * 4 + ["ours"] * 2
    assert recordings["ptb-xl/records500/00000/00001_hr"].person.patient == "1"
    assert recordings["ours/2020/00001_hr"].person == Person()


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("a", "nowhere"), "'{}/nowhere': no such folder"),
        (("b", "a/a.hea"), "'{}/a/a.hea': a file, not a folder"),
        (("a", "empty"), "no recordings found in {}/empty; docs/data.md lists the formats"),
        (("a", ""), "download.directory is ['{}/a', '']; allowed: the path of a folder, or a list of paths"),
        (("a", "./b/../a"), "names one folder twice, or one inside the other: {0}/a and {0}/a"),
        (("a", "link"), "names one folder twice, or one inside the other: {0}/a and {0}/a"),
        (("a/c", "b", "a"), "names one folder twice, or one inside the other: {0}/a/c and {0}/a"),
        (("a/c", "b/c"), "names two folders of one name: {0}/a/c and {0}/b/c; rename one"),
    ],
)
def test_archives_that_are_not_there_or_not_apart(project, folders, words):
    for folder in ("a", "a/c", "b", "b/c"):
        write_challenge(project / folder, folder.replace("/", "-"), SAMPLES)
    (project / "empty").mkdir()
    (project / "link").symlink_to("a")
    with pytest.raises(UsageError) as caught:
        of_directory(*(folder and project / folder for folder in folders))
    assert str(caught.value).replace("\\", "/").endswith(words.format(project.as_posix()))


@pytest.fixture
def answers(monkeypatch):
    """The answers of kagglehub, one a call: a folder, or an error to raise; waits between them take no time."""
    answers = []

    def answer(handle):
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(kagglehub, "dataset_download", answer)
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: None)
    return answers


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError(), requests.Timeout(), requests.HTTPError("503"), DataCorruptionError("MD5")],
)
def test_a_download_from_kaggle_is_tried_again(answers, tmp_path, error):
    answers += [error, error, str(tmp_path)]
    assert download_data_set(HANDLE) == tmp_path


@pytest.mark.parametrize(("error", "tries"), [(BackendError("no such data set"), 1), (requests.ConnectionError(), 6)])
def test_kaggle_that_does_not_answer_ends_in_one_line(answers, error, tries):
    answers += [error] * 7
    with pytest.raises(UsageError, match=rf"^cannot download {HANDLE} \(.+\); check the network, or set KAGGLE"):
        download_data_set(HANDLE)
    assert len(answers) == 7 - tries
