import os
import re

import download
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ecg_signal, write_challenge
from ecg_files import SECRETS, WRITERS, dicom, muse

from ecg.recordings import web
from ecg.recordings.index import NO_PATIENT
from ecg.recordings.ptbxl import NOT_IN_TABLE
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


def set_params(project, **changes):
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["download"] |= changes
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


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


def test_all_dx_lines_count_and_what_is_not_understood_is_refused(project, capsys):
    for i, (name, dx) in enumerate(
        {
            "two-lines": "426783006\n# Dx: 164861001",
            "pipe": "426783006|164861001",
            "float": "164861001.0",
            "infarct": "NORM, IMI",
            "words": "normal ECG",
            "twice": "426783006\n# Dx: as before",
            "unknown": "426783006,123456789",
            "also-unknown": "123456789,987654321",
        }.items()
    ):
        write_challenge(project / "archive", name, SAMPLES + np.int16(i), dx=dx)
    table = from_directory(project).set_index("record")
    assert table.label.to_dict() == {
        "two-lines": "ischemia",
        "pipe": "ischemia",
        "float": "ischemia",
        "infarct": "other",
        "words": "",
        "twice": "",
        "unknown": "other",
        "also-unknown": "other",
    }
    assert table.dx["pipe"] == "426783006|164861001" and table.dx["float"] == "164861001"
    assert table.reason["words"] == "Dx not understood: normal ECG"
    assert table.reason["twice"] == "Dx not understood: as before"
    said = capsys.readouterr()
    assert "2 refused: 2 Dx not understood" in said.out
    assert "2 codes in Dx of archive are not known and count as abnormal: 123456789 (2), 987654321 (1)" in said.err


def test_same_waveform_shares_a_patient_and_is_flagged(project):
    archive = project / "archive"
    for name, samples, patient in [("a", SAMPLES, 1), ("b", SAMPLES, 2), ("c", -SAMPLES, 2), ("d", SAMPLES // 2, 3)]:
        with write_challenge(archive, name, samples).open("a") as header:
            header.write(f"# Patient: {patient}\n")
    table = from_directory(project).set_index("record")
    assert table.patient["a"] == table.patient["b"] == table.patient["c"] != table.patient["d"]
    assert table["flags"]["b"] == "same waveform as a"
    np.testing.assert_array_equal(stored(table.loc["b"]), SAMPLES)


def test_unknown_patients_are_not_one_patient(project, capsys):
    for i in range(3):
        with write_challenge(project / "archive", f"r{i}", SAMPLES + np.int16(i)).open("a") as header:
            header.write("# Patient: unknown\n")
    assert from_directory(project).patient.nunique() == 3
    assert "3 recordings count as patients of their own: no patient id" in capsys.readouterr().err


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


def test_signal_files_that_a_header_names_are_no_recordings(project):
    path = write_challenge(project / "archive", "r", SAMPLES)
    (project / "archive" / "r.mat").rename(project / "archive" / "signal.mat")
    path.write_text(path.read_text().replace("r.mat", "signal.mat"))
    table = from_directory(project)
    assert (list(table.record), list(table.reason)) == (["r"], [""])


def test_a_signal_file_that_no_header_names_has_a_row(project):
    write_challenge(project / "archive", "15", SAMPLES)
    (project / "archive" / "5.mat").write_bytes(b"x")
    table = from_directory(project)
    assert (list(table.record), [bool(reason) for reason in table.reason]) == (["15", "5"], [False, True])


def test_a_patient_of_two_folders_is_one_patient(project):
    for year in ("2019", "2020"):
        with write_challenge(project / "archive" / year, f"r{year}", SAMPLES + np.int16(len(year))).open("a") as header:
            header.write("# Patient: 17\n")
    assert list(from_directory(project).patient) == ["archive:17"] * 2


def test_records_of_the_same_name_are_told_apart(project):
    write_challenge(project / "archive" / "x", "r", SAMPLES)
    write_challenge(project / "archive" / "y", "r", -SAMPLES)
    write_challenge(project / "archive" / "y", "s", SAMPLES // 2)
    table = from_directory(project)
    assert list(table.record) == ["x/r", "y/r", "s"]
    assert list(table.source) == ["archive"] * 3


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


def test_archives_whose_headers_name_one_source_share_its_patients(project):
    for i, archive in enumerate("ab"):
        with write_challenge(project / archive, archive, SAMPLES + np.int16(i)).open("a") as header:
            header.write("# Patient: 17\n# Source: us\n")
    assert list(from_directory(project, "[a, b]").patient) == ["us:17"] * 2


def test_a_waveform_that_is_in_two_archives_is_of_one_patient(project):
    for archive, record, patient in [("a", "r", 1), ("a", "s", 1), ("b", "r", 1)]:
        samples = SAMPLES // 2 if record == "s" else SAMPLES
        with write_challenge(project / archive, record, samples).open("a") as header:
            header.write(f"# Patient: {patient}\n")
    table = from_directory(project, "[a, b]").set_index("record")
    assert set(table.patient) == {"a:1"}
    assert table["flags"]["b/r"] == "same waveform as a/r"


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
    monkeypatch.setattr(download, "PART_BYTES", 2 * SAMPLES.nbytes + 5000)
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


@pytest.mark.parametrize("links", ["none", "data set", "folders", "files"])
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
        elif links == "folders":
            answers[-1].mkdir()
            (answers[-1] / "inside").symlink_to(mount / "inside")
        elif links == "files":
            (answers[-1] / "inside").mkdir(parents=True)
            for path in (mount / "inside").iterdir():
                (answers[-1] / "inside" / path.name).symlink_to(path)
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


def test_a_mounted_folder_is_read_only_and_may_be_a_link(project):
    write_challenge(project / "mount" / "inside", "A0001", SAMPLES)
    (project / "mount").chmod(0o555)
    (project / "input").symlink_to(project / "mount")
    assert list(from_directory(project, "input").reason) == [""]
    assert list(from_directory(project, "mount").reason) == [""]
    (project / "mount").chmod(0o755)


def test_a_link_of_a_data_set_to_elsewhere_is_refused(kaggle, monkeypatch):
    write_challenge(kaggle / "elsewhere", "A0002", SAMPLES, dx="164861001")
    for suffix in (".hea", ".mat"):
        (kaggle / "ischemia/inside/A0002").with_suffix(suffix).symlink_to(kaggle / f"elsewhere/A0002{suffix}")
    table = run_download(kaggle, source="kaggle", ptbxl_patients="''").set_index("record")
    assert table.reason["A0002"] == "link: A0002.hea leads out of the source's folder"


def test_kaggle_without_a_table_counts_records_as_patients(kaggle):
    table = run_download(kaggle, source="kaggle", ptbxl_patients="''")
    assert list(table.patient) == list(table.record)


@pytest.mark.parametrize("where", ["nowhere.csv", "http://127.0.0.1:9/ptbxl_database.csv", "params.yaml"])
def test_kaggle_without_the_table_stops_and_names_the_param(kaggle, monkeypatch, where):
    monkeypatch.setattr(web.time, "sleep", lambda seconds: None)
    with pytest.raises(UsageError, match=r"download.ptbxl_patients .* or to '' to accept recordings as patients"):
        run_download(kaggle, source="kaggle", ptbxl_patients=where)


def test_ptbxl_layout(project):
    root, folder = project / "ptb-xl", "records100/00000"
    for i in (1, 2, 3, 5, 6):
        write_challenge(root / folder, f"{i:05d}_lr", SAMPLES + np.int16(i), sampling_rate=100, dx=None)
    ptbxl_table(
        root / "ptbxl_database.csv",
        (1, 2, 4, 5, 6),
        scp_codes=["{'NORM': 100.0, 'SR': 0.0}", "{'ISC_': 0.0}", "{}", "{'NORM': 80.0}", "{'NORM': 80.0}"],
        heart_axis=["", "LAD", "", "ALAD", "MID"],
        age=[56, 300, 1, 50, 50],
        sex=[0, 1, 0, 0, 0],
        device=["AT-6", "CS100", "AT-6", "AT-6", "AT-6"],
        site=[0.0, None, 1.0, 1.0, 22.0],
        filename_lr=[f"{folder}/{i:05d}_lr" for i in (1, 2, 4, 5, 6)],
        filename_hr="",
    )
    table = from_directory(project, "ptb-xl")
    assert list(table.label) == ["normal", "ischemia", "", "other", "normal"]
    assert list(table.dx) == ["NORM|SR", "ISC_|39732003", "", "NORM|39732003", "NORM"]
    assert list(table.patient[:2]) == ["ptb-xl:7", "ptb-xl:8"]
    assert (list(table.age[:2]), list(table.sex[:2])) == (["56", "90"], ["male", "female"])
    assert list(table.sampling_rate) == ["100"] * 5
    assert list(table.reason) == ["", "", "no Dx", "", ""]
    # Not in the table: no recorder either.
    assert list(table.device) == ["AT-6", "CS100", "", "AT-6", "AT-6"]
    assert list(table.site) == ["0", "", "", "1", "22"]


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


def labels(project, text, columns="file,patient,dx,age,sex,source,sampling_rate,units"):
    (project / "archive" / "labels.csv").write_text(f"{columns}\n{text}\n")


def test_files_of_every_format_with_labels(project):
    archive = project / "archive"
    archive.mkdir()
    for i, (name, writer) in enumerate(WRITERS.items()):
        (archive / name).write_bytes(writer(SAMPLES + np.int16(10 * i), 500))
    lines = [f"{name},,NORM,,,,500,mV" for name in WRITERS if name != "muse.xml"]
    labels(project, "\n".join(lines))
    index = from_directory(project).set_index("record")
    assert set(index.index) == {name.split(".")[0] for name in WRITERS}
    # What the cart wrote is no label.
    assert index.reason["muse"] == "no Dx" and (index.reason.drop("muse") == "").all()
    assert (index.label.drop("muse") == "normal").all()
    assert index.age["dicom"] == "62" and index.sex["dicom"] == "female"
    assert index.heart_rate["dicom"] == "60.0" and index.heart_rate["table"] == ""
    text = (project / "data/recordings.csv").read_text()
    assert not any(secret in text for secret in (*SECRETS, "sha256-"))


def test_an_id_in_a_header_and_in_labels_is_one_patient(project):
    archive = project / "archive"
    for i, patient in enumerate(("7", "7", None, None, None)):
        with write_challenge(archive, f"r{i}", SAMPLES + np.int16(50 * i)).open("a") as header:
            header.write(f"# Patient: {patient}\n" if patient else "")
    # A record is called like a patient: that is no id.
    write_challenge(archive, "8", SAMPLES + np.int16(300))
    labels(project, "r2,7,,,,,,\nr3,7.0,,,,,,\nr4,8,,,,clinic,,\nr1,,,,,,,")
    index = from_directory(project).set_index("record")
    assert index.patient.to_dict() == dict.fromkeys(("r0", "r1", "r2", "r3"), "archive:7") | {
        "r4": "clinic:#1",
        "8": "8",
    }


def test_patients_are_numbered_and_labels_count_more_than_files(project):
    archive = project / "archive"
    (archive / "deep").mkdir(parents=True)
    (archive / "a.xml").write_bytes(muse(SAMPLES, 500))
    (archive / "b.dcm").write_bytes(dicom(SAMPLES + np.int16(50), 500))
    (archive / "deep" / "c.xml").write_bytes(muse(SAMPLES + np.int16(100), 500))
    write_challenge(archive, "d", SAMPLES + np.int16(150))
    labels(
        project, "a.xml,,NORM,,,,,\nb.dcm,,164861001,50,M,,,\ndeep\\c.xml,Smith,NORM,,,,,\nd,Smith,164861001,,,clinic,,"
    )
    index = from_directory(project).set_index("record")
    assert index.patient.to_dict() == {
        "a": "archive:#1", "b": "archive:#1", "c": "archive:#2", "d": "clinic:#1",
    }  # fmt: skip
    assert list(index.label[["a", "b", "c", "d"]]) == ["normal", "ischemia", "normal", "ischemia"]
    assert (index.age["b"], index.sex["b"], index.age["a"], index.sex["a"]) == ("50", "male", "62", "female")


@pytest.mark.parametrize(
    ("columns", "text", "said"),
    [
        ("name,dx", "a,NORM", "has no column file; allowed: file, "),
        ("file,dx", "a,NORM\n./a.dat,NORM\n", "names 'a.hea' in 2 rows, as 'a' and './a.dat'"),
        ("file,dx", "b,NORM", "no row of .*labels.csv names a recording: 'b' there, 'a.hea' here"),
        ("file,dx", ",NORM\n,SR", "file is empty in all rows"),
    ],
)
def test_a_wrong_labels_table_is_told(project, columns, text, said):
    write_challenge(project / "archive", "a", SAMPLES)
    labels(project, text, columns)
    with pytest.raises(UsageError, match=said):
        from_directory(project)


def test_labels_that_name_recordings_loosely_count_and_rows_that_name_none_are_warned_of(project, capsys):
    archive = project / "archive"
    for i, name in enumerate(["ward3/r0", "ward3/r1", "ward4/r1", "ward4/r2", "ward4/r3"]):
        write_challenge(archive / name[:5], name[6:], SAMPLES + np.int16(i), dx="426783006")
    rows = ["C:\\ecg\\ward3\\R0.HEA", "r1.hea", "ward4/r1", "r2", "ward5/r3"]
    text = "\n".join(f"{row};P{i // 2};164861001,55930002;" for i, row in enumerate(rows))
    labels(project, text, columns="File; Patient;DX ")
    index = from_directory(project)
    # r1.hea may be that of ward 3 or 4, and ward 5 is not there.
    assert index.set_index("sha256").label.to_list() == ["ischemia", "normal", "ischemia", "ischemia", "normal"]
    assert index.patient[2] == "archive:#2" and index.patient[0] != index.patient[2]
    said = capsys.readouterr().err
    assert (
        "labels.csv: 2 of 5 rows name no recording, as 'r1.hea'; "
        "2 of 5 recordings have no row, as 'ward3/r1.hea'\n" in said
    )
    assert "sha256-" not in said and "P0" not in said


def test_labels_may_name_the_class_itself(project):
    archive = project / "archive"
    names = ("label", "dx", "both", "header", "wrong", "case")
    for i, name in enumerate(names):
        write_challenge(archive, name, SAMPLES + np.int16(i), dx="426783006")
    labels(
        project,
        "label,ischemia,\ndx,,ischemia\nboth,other,what is this\nheader,,\nwrong,ischaemia,NORM\ncase, Normal ,\n",
        columns="file,label,dx",
    )
    index = from_directory(project).set_index("record").loc[list(names)]
    assert list(index.label) == ["ischemia", "ischemia", "other", "normal", "", "normal"]
    assert list(index.dx) == ["", "ISCHEMIA", "", "426783006", "", ""]
    assert list(index.reason) == ["", "", "", "", "label: 'ischaemia'; allowed: ischemia, normal, other", ""]
    assert list(index.samples[:1]) != ["0"] and index.samples["wrong"] == "0"


def test_other_codes_make_other_classes(project, capsys):
    archive = project / "archive"
    dx = {
        **{"infarct": "54329005,426783006", "unlisted": "22298006", "ischemic": "164861001", "normal": "426783006"},
        **{"both": "164861001,22298006", "word": "ischemia", "axis": "426783006,39732003", "table": "22298006"},
    }
    for i, (name, codes) in enumerate(dx.items()):
        write_challenge(archive, name, SAMPLES + np.int16(i), dx=codes)
    labels(project, "table,other", columns="file,label")
    set_params(project, ischemia=[54329005, 22298006], normal=["426783006", 39732003])
    index = from_directory(project).set_index("record")
    assert index.label.to_dict() == {
        **{"infarct": "ischemia", "unlisted": "ischemia", "ischemic": "other", "normal": "normal"},
        **{"both": "ischemia", "word": "ischemia", "axis": "normal", "table": "other"},
    }
    output = capsys.readouterr()
    assert "8 recordings found, 8 kept: 4 ischemia, 2 normal, 2 other" in output.out
    # 22298006 is no code of the Challenge, but one that has a meaning here.
    assert "not known" not in output.err


def test_classes_of_synthetic_recordings_follow_their_codes(project):
    set_params(project, synthetic_patients=20, ischemia=[55827005])
    index = run_download(project)
    assert dict(index.groupby("dx").label.unique().map(list)) == {
        **{"426783006": ["normal"], "426783006|164861001": ["other"], "55827005": ["ischemia"]},
    }


def test_an_unknown_patient_is_none(project):
    for i, name in enumerate("abc"):
        write_challenge(project / "archive", name, SAMPLES + np.int16(i))
    labels(project, "a,unknown\nb,n/a\nc,P7", columns="file,patient")
    assert list(from_directory(project).patient) == ["a", "b", "archive:#1"]


def test_the_nearest_labels_count(project, capsys):
    archive = project / "archive"
    for i, name in enumerate(["a", "ward/b", "ward/c"]):
        write_challenge((archive / name).parent, name[-1], SAMPLES + np.int16(i))
    labels(project, "a,other\nward/b,other\nward/c,other", columns="file,dx")
    assert set(from_directory(project).label) == {"other"}
    (archive / "ward" / "labels.csv").write_text("file,dx\nb,ischemia\nc,other\n")
    labels(project, "a,NORM", columns="file,dx")
    assert list(from_directory(project).label) == ["normal", "ischemia", "other"]
    # One above the folder that is asked for counts too, and is no hindrance where it is another table.
    assert list(from_directory(project, "archive/ward").label) == ["ischemia", "other"]
    (archive / "ward" / "labels.csv").unlink()
    labels(project, "ward/b,ischemia\nc,other\nother/c,other", columns="file,dx")
    assert list(from_directory(project, "archive/ward").label) == ["ischemia", "normal"]
    assert "labels.csv" not in capsys.readouterr().err
    labels(project, "nonsense", columns="nonsense")
    assert set(from_directory(project, "archive/ward").label) == {"normal"}
    assert "archive/labels.csv has no column file; allowed: file, " in capsys.readouterr().err


def test_a_sex_or_age_that_is_not_understood_is_flagged(project):
    archive = project / "archive"
    for i, name in enumerate("abcd"):
        write_challenge(archive, name, SAMPLES + np.int16(i))
    header = (archive / "d.hea").read_text()
    (archive / "d.hea").write_text(re.sub("# Sex:.*", "# Sex: weiblich", header))
    labels(project, f"a,61 years,Frau\nb,NaN,Unknown\nc,61,{'x; no patient id' * 9}", columns="file,age,sex")
    index = from_directory(project).set_index("record")
    assert index["flags"]["a"] == "age: 61 years is not believed; sex: Frau is not understood; no patient id"
    assert index["flags"]["b"] == "no patient id"
    assert index["flags"]["c"].split("; ")[0].startswith("sex: x, no patient id") and len(index["flags"]["c"]) < 90
    assert index["flags"]["d"] == "sex: weiblich is not understood; no patient id"
    assert list(index.sex) == [""] * 4


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
    labels(project, "ward3/rate.csv,500", columns="file,sampling_rate")
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
