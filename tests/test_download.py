"""The stage download: what is stored, what is written of it, and what is printed."""

import os

import download
import numpy as np
import pandas as pd
import pytest
from conftest import ecg_signal, write_challenge
from ecg_files import WRITERS

from ecg.recordings.index import NO_PATIENT
from ecg.recordings.labels import NOT_IN_TABLE
from ecg.run.paths import RECORDINGS, RECORDINGS_TABLE
from ecg.run.script import UsageError
from ecg.run.tables import open_part

SAMPLES = ecg_signal(5)


def run_download(project, **changes):
    """Run the stage's main() with some lines of params.yaml changed; return the index."""
    text = (project / "params.yaml").read_text()
    for key, value in changes.items():
        old = next(line for line in text.splitlines() if line.startswith(f"  {key}:"))
        text = text.replace(old, f"  {key}: {value}")
    (project / "params.yaml").write_text(text)
    download.main()
    return pd.read_csv("data/recordings.csv", keep_default_na=False, dtype=str)


def from_directory(project, folder="archive", **changes):
    return run_download(project, source="directory", directory=folder, **changes)


def stored(row):
    start = int(row.start)
    return open_part(RECORDINGS / row.part)[start : start + int(row.samples)]


def test_every_recording_found_is_kept_or_has_a_reason(project):
    archive = project / "archive"
    write_challenge(archive / "one", "HR00001", SAMPLES, dialect="old")
    write_challenge(archive / "one" / "deeper", "E00001", SAMPLES[::-1], dx="164861001,59118001")
    write_challenge(archive, "nodx", SAMPLES, dx=None)
    write_challenge(archive, "emptydx", SAMPLES, dx=",")
    write_challenge(archive, "checksum", SAMPLES, checksums=False)
    write_challenge(
        archive, "lead", SAMPLES[:, :11], names=("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5")
    )
    write_challenge(archive, "flat", np.zeros_like(SAMPLES))
    (archive / "junk.hea").write_bytes(bytes(range(256)))
    (archive / "headerless.mat").write_bytes(b"x")
    write_challenge(archive, "truncated", SAMPLES)
    (archive / "truncated.mat").write_bytes((archive / "truncated.mat").read_bytes()[:-24])
    (archive / "folder.hea").mkdir()
    (archive / "NA.hea").write_text("NA 12 500 1000\n")
    (archive / "notes.txt").write_text("not a recording")

    table = from_directory(project).set_index("record")
    reasons = table.reason.str.split(":").str[0].to_dict()
    assert reasons == {
        "HR00001": "",
        "E00001": "",
        "nodx": "no Dx",
        "emptydx": "no Dx",
        "checksum": "wrong checksum",
        "lead": "missing lead",
        "flat": "flat",
        "junk": "header",
        "headerless": "unreadable",
        "truncated": "signal file",
        "NA": "header",
    }
    assert list(table.label[["HR00001", "E00001"]]) == ["normal", "ischemia"]
    assert list(table.source[["HR00001", "E00001"]]) == ["ptb-xl", "georgia"]
    assert (table.loc["HR00001", "age"], table.loc["HR00001", "sex"]) == ("60", "male")
    np.testing.assert_array_equal(stored(table.loc["HR00001"]), SAMPLES)
    np.testing.assert_array_equal(stored(table.loc["E00001"]), SAMPLES[::-1])


def test_careless_checksums_are_warned_of_and_can_be_accepted(project, capsys):
    for i in range(3):
        write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i), checksums=i > 0)
    assert (from_directory(project).reason != "").sum() == 1
    assert "download.verify_checksums" in capsys.readouterr().err
    assert (from_directory(project, verify_checksums="false").reason == "").all()


def test_text_from_files_is_safe_in_the_index(project, capsys):
    nasty = ["=HYPERLINK(1)", "'=HYPERLINK(1)", "a\x1b[2J", "a\\x1b[2J", "\u202eb", "@c", "@c"]
    for i, patient in enumerate(nasty):
        path = write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i), dx="426783006")
        with path.rename(path.with_stem(f"-r{i}\n\x1b")).open("a") as header:
            header.write(f"# Patient: {patient}\n# Source: +s\n")
    (project / "archive" / os.fsdecode(b"\xff\x1b.mat")).touch()
    table = from_directory(project)
    assert list(table.record) == [rf"'-r{i}\n\x1b" for i in range(7)] + [r"\udcff\x1b"]
    assert table.patient[:7].nunique() == 6 and table.patient[5] == table.patient[6]
    assert table.source[0] == "'+s" and table.patient[0] == "'+s:=HYPERLINK(1)"
    assert table.reason[7] == r"unreadable: No such file or directory (\udcff\x1b.hea)"
    written = (project / "data" / "recordings.csv").read_text()
    assert all(line.isprintable() for line in written.splitlines()) and written.count("\n") == 9
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in table.to_numpy().ravel())
    assert "\x1b" not in "".join(capsys.readouterr())


def two_archives(project):
    """PTB-XL's layout with a table, and headers: recordings of the same names, patients of the same numbers."""
    folder = "records500/00000"
    for i, patient in enumerate((7, 7, 8), start=1):
        write_challenge(project / "ptb-xl" / folder, f"{i:05d}_hr", SAMPLES + np.int16(i), dx=None)
        with write_challenge(project / "ours", f"{i:05d}_hr", SAMPLES - np.int16(i), dx="164861001").open(
            "a"
        ) as header:
            header.write(f"# Patient: {patient}\n")
    ptbxl_table(
        project / "ptb-xl" / "ptbxl_database.csv",
        (1, 2, 3),
        patient_id=["7.0", "7.0", "8.0"],
        scp_codes="{'NORM': 100.0, 'SR': 0.0}",
        heart_axis=["", "MID", "LAD"],
        age=60,
        sex=0,
        filename_hr=[f"{folder}/{i:05d}_hr" for i in (1, 2, 3)],
        filename_lr="",
    )
    return from_directory(project, "[ptb-xl, ours]").set_index("record")


def test_patients_of_two_archives_are_different_patients(project):
    table = two_archives(project)
    assert table.patient.to_dict() == {
        "ptb-xl/00000/00001_hr": "ptb-xl:7",
        "ptb-xl/00000/00002_hr": "ptb-xl:7",
        "ptb-xl/00000/00003_hr": "ptb-xl:8",
        "ours/00001_hr": "ours:7",
        "ours/00002_hr": "ours:7",
        "ours/00003_hr": "ours:8",
    }
    assert list(table.label) == ["normal", "normal", "other"] + ["ischemia"] * 3
    assert list(table.fold) == ["3"] * 3 + [""] * 3


def test_the_summary_counts_by_archive(project, capsys):
    write_challenge(project / "ours", "nodx", SAMPLES, dx=None)
    write_challenge(project / "ours", "alone", -SAMPLES)
    two_archives(project)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "8 recordings found, 7 kept: 3 ischemia, 3 normal, 1 other; 5 patients; 1 refused: 1 no Dx",
        "  ours: 5 recordings found, 4 kept: 3 ischemia, 1 normal; 3 patients; 1 refused: 1 no Dx",
        "  ptb-xl: 3 recordings found, 3 kept: 2 normal, 1 other; 2 patients",
    ]
    assert "1 recordings count as patients of their own: no patient id (1 ours)" in said.err


def test_store_is_cut_into_parts(project, monkeypatch):
    for i in range(5):
        write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i))
    monkeypatch.setattr(download, "PART_BYTES", 2 * SAMPLES.nbytes)
    table = from_directory(project)
    assert list(table.part) == ["part-00000.npy"] * 2 + ["part-00001.npy"] * 2 + ["part-00002.npy"]
    for i, row in table.iterrows():
        np.testing.assert_array_equal(stored(row), SAMPLES + np.int16(i))


@pytest.mark.parametrize("folder", ["nowhere", "archive"])
def test_missing_and_empty_folders_are_errors(project, folder):
    (project / "archive").mkdir()
    with pytest.raises(UsageError, match=r"no such folder|no recordings found"):
        from_directory(project, folder)
    with pytest.raises(UsageError, match=r"download\.directory is ''"):
        from_directory(project, "''")
    assert not RECORDINGS_TABLE.exists() and not RECORDINGS.exists()


def ptbxl_table(path, ecg_ids=(1, 2), **columns):
    table = {"ecg_id": ecg_ids, "patient_id": [f"{7 + i}.0" for i, _ in enumerate(ecg_ids)], "strat_fold": 3} | columns
    pd.DataFrame(table).to_csv(path, index=False)
    return path


@pytest.fixture
def kaggle(project, monkeypatch):
    """Two small data sets where kagglehub would have put them."""
    for folder, names, dx in (
        ("ischemia", ["HR00001", "A0001"], "164861001"),
        ("normal", ["HR00002", "HR00009"], "426783006"),
    ):
        for i, name in enumerate(names):
            write_challenge(project / folder / "inside", name, SAMPLES // 2 + np.int16(10 * i + len(folder)), dx=dx)
    folders = iter([project / "ischemia", project / "normal"])
    monkeypatch.setattr("kagglehub.dataset_download", lambda handle: next(folders))
    return project


def test_kaggle_patients_come_from_ptbxl(kaggle, capsys):
    table = run_download(kaggle, source="kaggle", ptbxl_patients=ptbxl_table(kaggle / "t.csv")).set_index("record")
    assert table.patient.to_dict() == {
        "HR00001": "ptb-xl:7",
        "HR00002": "ptb-xl:8",
        "A0001": "A0001",
        "HR00009": "HR00009",
    }
    assert table.fold.to_dict() == {"HR00001": "3", "HR00002": "3", "A0001": "", "HR00009": ""}
    assert list(table["flags"][["A0001", "HR00009"]]) == [NO_PATIENT, NOT_IN_TABLE]
    assert table.label.to_dict() == {
        "HR00001": "ischemia",
        "A0001": "ischemia",
        "HR00002": "normal",
        "HR00009": "normal",
    }
    assert capsys.readouterr().err.count("1 recordings count as patients of their own") == 2


@pytest.mark.parametrize("links", ["none", "data set"])
def test_kaggle_mounts_are_read_only_and_may_be_behind_links(kaggle, monkeypatch, links):
    """On Kaggle kagglehub answers with /kaggle/input/NAME, or with links to it."""
    mounts = [kaggle / "ischemia", kaggle / "normal"]
    before = {path: path.lstat().st_mtime_ns for mount in mounts for path in [mount, *mount.rglob("*")]}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    answers = []
    for mount in mounts:
        answers.append(mount if links == "none" else kaggle / "cache" / mount.name)
        answers[-1].parent.mkdir(exist_ok=True)
        if links == "data set":
            answers[-1].symlink_to(mount)
    answers = iter(answers)
    monkeypatch.setattr("kagglehub.dataset_download", lambda handle: str(next(answers)))
    table = run_download(kaggle, source="kaggle", ptbxl_patients="''").set_index("record")
    assert table.label.to_dict() == {
        "HR00001": "ischemia",
        "A0001": "ischemia",
        "HR00002": "normal",
        "HR00009": "normal",
    }
    assert before == {path: path.lstat().st_mtime_ns for mount in mounts for path in [mount, *mount.rglob("*")]}
    for path in before:
        path.chmod(0o755)


def test_a_link_of_a_data_set_to_elsewhere_is_refused(kaggle, monkeypatch):
    write_challenge(kaggle / "elsewhere", "A0002", SAMPLES, dx="164861001")
    for suffix in (".hea", ".mat"):
        (kaggle / "ischemia/inside/A0002").with_suffix(suffix).symlink_to(kaggle / f"elsewhere/A0002{suffix}")
    table = run_download(kaggle, source="kaggle", ptbxl_patients="''").set_index("record")
    assert table.reason["A0002"] == "link: A0002.hea leads out of the source's folder"


@pytest.mark.parametrize("where", ["nowhere.csv", "http://127.0.0.1:9/ptbxl_database.csv", "params.yaml"])
def test_kaggle_without_the_table_stops_and_names_the_param(kaggle, monkeypatch, where):
    monkeypatch.setattr("urllib3.util.retry.time.sleep", lambda seconds: None)
    with pytest.raises(UsageError, match=r"download.ptbxl_patients .* or to '' to accept recordings as patients"):
        run_download(kaggle, source="kaggle", ptbxl_patients=where)


def test_synthetic_source_is_the_same_for_the_same_seed(project):
    one = run_download(project, synthetic_patients=20)
    again = run_download(project, synthetic_patients=20)
    other = run_download(project, synthetic_patients=20, synthetic_seed=2)
    pd.testing.assert_frame_equal(one, again)
    assert list(one.sha256) != list(other.sha256)
    assert one.patient.nunique() == 20 and len(one) > 20
    assert set(one.sampling_rate) == {"500", "257", "1000"}
    assert set(one.source) == {"synthetic-north", "synthetic-east", "synthetic-west"}


def test_real_kaggle_cache(project, real_data, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(real_data / "kagglehub"))
    table = run_download(project, source="kaggle", ptbxl_patients=real_data / "ptb-xl" / "ptbxl_database.csv")
    assert (table.reason == "").all()
    assert table.label.value_counts().to_dict() == {"normal": 231, "ischemia": 38}
    truth = pd.read_csv(real_data / "ptb-xl" / "ptbxl_database.csv").set_index("ecg_id").patient_id
    patient = table.record.str[2:].astype(int).map(truth)
    assert (table.patient.groupby(patient).nunique() == 1).all()


def test_real_ptbxl_and_challenge_folders(project, real_data):
    table = from_directory(project, real_data / "ptb-xl")
    assert (table.reason == "").all()
    # Of the 297 with NORM, 66 have more: an axis to the left, a sinus arrhythmia, …
    assert table.label.value_counts().to_dict() == {"normal": 231, "other": 229, "ischemia": 40}
    assert set(table.fold) == {str(fold) for fold in range(1, 11)}
    table = from_directory(project, real_data / "challenge")
    assert (table.reason == "").all()
    assert table.source.value_counts().to_dict() == {"georgia": 20, "chapman-ningbo": 20, "ptb-xl": 10}


def test_a_store_is_replaced_and_what_else_lies_there_is_not(project):
    write_challenge(project / "archive", "a", SAMPLES)
    first = from_directory(project)
    assert from_directory(project).equals(first)
    (RECORDINGS / "mine.npy").write_text("kept")
    held = {path: path.read_bytes() for path in RECORDINGS.iterdir()}
    with pytest.raises(UsageError, match=r"data/recordings/mine\.npy is no part of a store"):
        from_directory(project)
    assert {path: path.read_bytes() for path in RECORDINGS.iterdir()} == held


def test_an_example_of_each_refusal_is_named(project, capsys):
    archive = project / "archive"
    write_challenge(archive / "ward3", "a", SAMPLES)
    write_challenge(archive / "ward3", "b", SAMPLES, dx=None)
    for name in ("ecg0019.csv", "ecg0020.csv"):
        (archive / "ward3" / name).write_bytes(WRITERS["table.csv"](SAMPLES, 500))
    (archive / "ward3" / "rate.csv").write_bytes(WRITERS["table.csv"](SAMPLES, 500))
    (archive / "labels.csv").write_text("file,sampling_rate\nward3/rate.csv,500\n")
    from_directory(project)
    said = capsys.readouterr().err
    assert "2 refused (no sampling_rate, no units), as ward3/ecg0019.csv: no sampling_rate, no units: columns" in said
    assert "1 refused (no units), as ward3/rate.csv: no units: columns of labels.csv above the file" in said
    assert "1 refused (no Dx), as ward3/b.hea: no Dx\n" in said


def test_where_all_are_refused_the_table_has_the_reasons(project):
    write_challenge(project / "archive", "a", SAMPLES, dx=None)
    write_challenge(project / "archive", "b", SAMPLES[:, :2], names=("I", "II"))
    with pytest.raises(UsageError, match=r"none of the recordings can be used; data/recordings\.csv has the reason"):
        from_directory(project)
    table = pd.read_csv(RECORDINGS_TABLE, keep_default_na=False).set_index("record")
    assert table.reason["a"] == "no Dx" and table.reason["b"].startswith("missing lead")
