"""The stage download: what is stored, what is written of it, and what is printed."""

import os
import sys

import download
import numpy as np
import pandas as pd
import pytest
from conftest import ecg_signal, write_challenge

from ecg.leads import LEADS
from ecg.recordings.index import NO_PATIENT
from ecg.recordings.labels import NOT_IN_TABLE
from ecg.run.paths import RECORDINGS, RECORDINGS_TABLE
from ecg.run.script import UsageError

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
    return np.load(RECORDINGS / row.part)[start : start + int(row.samples)]


def test_every_recording_found_is_kept_or_has_a_reason(project):
    archive = project / "archive"
    write_challenge(archive / "one", "HR00001", SAMPLES, dialect="old")
    write_challenge(archive / "one" / "deeper", "E00001", SAMPLES[::-1], dx="164861001,59118001")
    write_challenge(archive, "nodx", SAMPLES, dx=None)
    write_challenge(archive, "emptydx", SAMPLES, dx=",")
    write_challenge(archive, "checksum", SAMPLES, checksums=False)
    write_challenge(archive, "lead", SAMPLES[:, :11], names=LEADS[:11])
    write_challenge(archive, "flat", np.zeros_like(SAMPLES))
    (archive / "junk.hea").write_bytes(bytes(range(256)))
    write_challenge(archive, "truncated", SAMPLES)
    (archive / "truncated.mat").write_bytes((archive / "truncated.mat").read_bytes()[:-24])
    (archive / "folder.hea").mkdir()
    (archive / "NA.hea").write_text("NA 12 500 1000\n")
    (archive / "notes.txt").write_text("not a recording")

    table = from_directory(project).set_index("record")
    reasons = table.reason.str.split(":").str[0].to_dict()
    expected = {"HR00001": "", "E00001": "", "nodx": "no Dx", "emptydx": "no Dx", "checksum": "wrong checksum"}
    expected |= {"lead": "missing lead", "flat": "flat", "junk": "header", "truncated": "signal file", "NA": "header"}
    assert reasons == expected
    assert list(table.label[["HR00001", "E00001"]]) == ["normal", "ischemia"]
    assert list(table.source[["HR00001", "E00001"]]) == ["ptb-xl", "georgia"]
    assert (table.loc["HR00001", "age"], table.loc["HR00001", "sex"]) == ("60", "male")
    np.testing.assert_array_equal(stored(table.loc["HR00001"]), SAMPLES)
    np.testing.assert_array_equal(stored(table.loc["E00001"]), SAMPLES[::-1])


def test_wrong_checksums_can_be_accepted(project):
    for i in range(3):
        write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i), checksums=i > 0)
    assert (from_directory(project).reason != "").sum() == 1
    assert (from_directory(project, verify_checksums="false").reason == "").all()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such file names")
def test_text_from_files_is_safe_in_the_index(project, capsys):
    nasty = ["=HYPERLINK(1)", "'=HYPERLINK(1)", "a\x1b[2J", "a\\x1b[2J", "\u202eb", "@c", "@c"]
    for i, patient in enumerate(nasty):
        path = write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i), dx="426783006")
        with path.rename(path.with_stem(f"-r{i}\n\x1b")).open("a") as header:
            header.write(f"# Patient: {patient}\n# Source: +s\n")
    (project / "archive" / os.fsdecode(b"\xff\x1b.mat")).touch()
    table = from_directory(project)
    assert list(table.record) == [rf"'-r{i}\n\x1b" for i in range(7)]
    assert table.patient.nunique() == 5 and table.patient[5] == table.patient[6]
    assert table.source[0] == "'+s" and table.patient[0] == "'+s:=HYPERLINK(1)"
    written = (project / "data" / "recordings.csv").read_text()
    assert all(line.isprintable() for line in written.splitlines()) and written.count("\n") == 8
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in table.to_numpy().ravel())
    assert "\x1b" not in "".join(capsys.readouterr())


def test_the_summary_counts_by_archive(project, capsys):
    found = [("a", "164861001"), ("a", "426783006"), ("a", None), ("b", "NORM"), ("b", "IMI")]
    for i, (folder, dx) in enumerate(found):
        write_challenge(project / folder, f"r{i}", SAMPLES + np.int16(i), dx=dx)
    (project / "b" / "labels.csv").write_text("file,age,sex\nr3,old,F\nr4,61,?\n")
    from_directory(project, "[a, b]")
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "5 recordings found, 4 kept: 1 ischemia, 2 normal, 1 other; 4 patients; 1 refused: 1 'no Dx'",
        "  a: 3 recordings found, 2 kept: 1 ischemia, 1 normal; 2 patients; 1 refused: 1 'no Dx'",
        "  b: 2 recordings found, 2 kept: 1 normal, 1 other; 2 patients",
    ]
    assert "4 recordings have no patient id and count as a patient each (2 a, 2 b)" in printed.err
    assert "2 recordings have a wrong age or sex (2 b)" in printed.err


def test_codes_that_have_no_class_are_warned_of(project, capsys):
    for i, dx in enumerate(("426783006,123456789", "123456789,987654321")):
        write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i), dx=dx)
    from_directory(project)
    assert "2 unknown codes in Dx count as other: 123456789 (2), 9876" in capsys.readouterr().err


def test_store_is_cut_into_parts(project, monkeypatch):
    for i in range(5):
        write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i))
    monkeypatch.setattr(download, "PART_BYTES", 2 * SAMPLES.nbytes)
    table = from_directory(project)
    assert list(table.part) == ["part-00000.npy"] * 2 + ["part-00001.npy"] * 2 + ["part-00002.npy"]
    for i, row in table.iterrows():
        np.testing.assert_array_equal(stored(row), SAMPLES + np.int16(i))


@pytest.fixture
def kaggle(project, monkeypatch):
    """Two small data sets where kagglehub would have put them."""
    ill, well = ("ischemia", ["HR00001", "A0001"], "164861001"), ("normal", ["HR00002", "HR00009"], "426783006")
    for folder, names, dx in (ill, well):
        for i, name in enumerate(names):
            write_challenge(project / folder / "inside", name, SAMPLES // 2 + np.int16(10 * i + len(folder)), dx=dx)
    folders = iter([project / "ischemia", project / "normal"])
    monkeypatch.setattr("kagglehub.dataset_download", lambda handle: next(folders))
    return project


def test_kaggle_patients_come_from_ptbxl(kaggle, capsys):
    (kaggle / "t.csv").write_text("ecg_id,patient_id,strat_fold\n1,7.0,3\n2,8.0,3\n")
    for name in ("ischemia", "normal"):  # as Kaggle mounts data sets
        (kaggle / name / "inside").chmod(0o555)
    table = run_download(kaggle, source="kaggle", ptbxl_patients=kaggle / "t.csv").set_index("record")
    for name in ("ischemia", "normal"):
        (kaggle / name / "inside").chmod(0o755)
    names = {"HR00001": "ptb-xl:7", "HR00002": "ptb-xl:8", "A0001": "A0001", "HR00009": "HR00009"}
    assert table.patient.to_dict() == names
    assert table.fold.to_dict() == {"HR00001": "3", "HR00002": "3", "A0001": "", "HR00009": ""}
    assert list(table["flags"][["A0001", "HR00009"]]) == [NO_PATIENT, NOT_IN_TABLE]
    assert table.label.value_counts().to_dict() == {"ischemia": 2, "normal": 2}
    assert "2 recordings have no patient id and count as a patient each" in capsys.readouterr().err


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
    assert table.label.value_counts().to_dict() == {"normal": 231, "other": 229, "ischemia": 40}
    assert set(table.fold) == {str(fold) for fold in range(1, 11)}
    table = from_directory(project, real_data / "challenge")
    assert (table.reason == "").all()
    assert table.source.value_counts().to_dict() == {"georgia": 20, "chapman-ningbo": 20, "ptb-xl": 10}


def test_where_all_are_refused_the_table_has_the_reasons(project):
    write_challenge(project / "archive", "a", SAMPLES, dx=None)
    write_challenge(project / "archive", "b", SAMPLES[:, :2], names=("I", "II"))
    with pytest.raises(UsageError, match=r"^no recording can be used; .*recordings\.csv has the reason"):
        from_directory(project)
    table = pd.read_csv(RECORDINGS_TABLE, keep_default_na=False).set_index("record")
    assert table.reason["a"].startswith("no Dx: give") and table.reason["b"].startswith("missing lead")


def test_a_store_is_replaced_and_nothing_else(project):
    write_challenge(project / "archive", "a", SAMPLES)
    assert from_directory(project).equals(from_directory(project))
    (RECORDINGS / "mine.npy").write_text("kept")
    with pytest.raises(UsageError, match=r"mine\.npy is no part of the store"):
        from_directory(project)
    assert {path.name for path in RECORDINGS.iterdir()} == {"mine.npy", "part-00000.npy"}
