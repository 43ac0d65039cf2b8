"""The rows of recordings: their class, patient, age and sex by headers, labels.csv and PTB-XL's table."""

import pandas as pd
import pytest
from conftest import DEFAULTS, ecg_signal, write_challenge
from ecg_files import SECRETS, WRITERS, dicom, muse

from ecg.params import read_params
from ecg.recordings.index import index_of, read_recording
from ecg.recordings.sources import from_folders

SAMPLES = ecg_signal(5)
DOWNLOAD = read_params(DEFAULTS).download


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "archive"


def write(folder, number, patient=None, dx="426783006", name=None, source=None):
    """Write a record that is named by its number, with samples of its own."""
    path = write_challenge(folder, name or f"r{number}", SAMPLES + SAMPLES.dtype.type(50 * number), dx=dx)
    with path.open("a") as header:
        header.write(f"# Patient: {patient}\n" if patient else "")
        header.write(f"# Source: {source}\n" if source else "")
    return path


def labels(folder, columns, *rows):
    (folder / "labels.csv").write_text("\n".join([columns, *rows]) + "\n")


def index(*folders, **changes):
    """The index of the recordings of folders, by record."""
    recordings = from_folders([str(folder) for folder in folders], "ARCHIVE")
    download = DOWNLOAD.model_copy(update=changes)
    rows = [read_recording(recording, download, verify_checksums=True)[0] for recording in recordings]
    return index_of(rows).set_index("record")


def test_all_dx_lines_count_and_text_that_is_not_understood_is_refused(archive):
    texts = {"two-lines": "426783006\n# Dx: 164861001", "pipe": "426783006|164861001", "float": "164861001.0"}
    texts |= {"infarct": "NORM, IMI", "words": "normal ECG"}
    texts |= {"twice": "426783006\n# Dx: as before", "unknown": "426783006,123456789"}
    for i, (name, dx) in enumerate(texts.items()):
        write(archive, i, dx=dx, name=name)
    table = index(archive)
    expected = dict.fromkeys(("two-lines", "pipe", "float"), "ischemia") | {"infarct": "other", "unknown": "other"}
    assert table.label.to_dict() == expected | {"words": "", "twice": ""}
    assert table.dx["pipe"] == "426783006|164861001" and table.dx["float"] == "164861001"
    assert table.reason["words"] == "Dx not understood: normal ECG"


def test_the_same_waveform_is_of_one_patient_also_across_archives(tmp_path):
    for folder, number, patient, name in [("a", 1, 1, "r"), ("b", 1, 2, "r"), ("b", 2, 2, "s"), ("a", 3, 3, "t")]:
        write(tmp_path / folder, number, patient, name=name)
    table = index(tmp_path / "a", tmp_path / "b")
    assert table.patient.to_dict() == {"a/r": "a:1", "b/r": "a:1", "s": "a:1", "t": "a:3"}
    assert table["flags"]["b/r"] == "same waveform as a/r"


def test_unknown_patients_are_not_one_patient(archive):
    for i, patient in enumerate(("unknown", "unknown", None, None)):
        write(archive, i, patient)
    labels(archive, "file,patient", "r2,n/a", "r3,P7")
    table = index(archive)
    assert list(table.patient) == ["r0", "r1", "r2", "archive:#1"]
    assert list(table["flags"]) == ["no patient id"] * 3 + [""]


def test_an_id_in_a_header_and_in_labels_is_one_patient(archive):
    for i, patient in enumerate(("7", "7", None, None, None)):
        write(archive, i, patient)
    # The name of a record is not a patient's id, even if it is equal to one.
    write(archive, 6, name="8")
    labels(archive, "file,patient,source", "r2,7,", "r3,7.0,", "r4,8,clinic", "r1,,")
    assert index(archive).patient.to_dict() == {
        **dict.fromkeys(("r0", "r1", "r2", "r3"), "archive:7"),
        **{"r4": "clinic:#1", "8": "8"},
    }


def test_files_of_every_format_with_labels(archive):
    archive.mkdir()
    for i, (name, writer) in enumerate(WRITERS.items()):
        (archive / name).write_bytes(writer(SAMPLES + SAMPLES.dtype.type(10 * i), 500))
    labels(archive, "file,dx,sampling_rate,units", *(f"{name},NORM,500,mV" for name in WRITERS if name != "muse.xml"))
    table = index(archive)
    assert set(table.index) == {name.split(".")[0] for name in WRITERS}
    # The cart's own diagnosis is no label.
    assert table.reason["muse"].startswith("no Dx: give") and (table.reason.drop("muse") == "").all()
    assert (table.label.drop("muse") == "normal").all()
    assert (table.age["dicom"], table.sex["dicom"]) == (62, "female")
    assert table.heart_rate["dicom"] == 60 and table.heart_rate["table"] == ""
    assert (table.sampling_rate - 500).abs().max() < 1e-6
    text = table.to_csv()
    assert not any(secret in text for secret in (*SECRETS, "sha256-"))


def test_patients_are_numbered_and_labels_override_files(archive):
    (archive / "deep").mkdir(parents=True)
    (archive / "a.xml").write_bytes(muse(SAMPLES, 500))
    (archive / "b.dcm").write_bytes(dicom(SAMPLES * 2, 500))
    (archive / "deep" / "c.xml").write_bytes(muse(SAMPLES * 3, 500))
    write(archive, 1, name="d")
    rows = ("a.xml,,NORM,,,", "b.dcm,,164861001,50,M,", "deep\\c.xml,Smith,NORM,,,", "d,Smith,164861001,,,clinic")
    labels(archive, "file,patient,dx,age,sex,source", *rows)
    table = index(archive)
    assert table.patient.to_dict() == {"a": "archive:#1", "b": "archive:#1", "c": "archive:#2", "d": "clinic:#1"}
    assert list(table.label[["a", "b", "c", "d"]]) == ["normal", "ischemia", "normal", "ischemia"]
    assert (table.age["b"], table.sex["b"], table.age["a"], table.sex["a"]) == (50, "male", 62, "female")


def test_labels_may_name_the_class_itself(archive):
    names = ("label", "dx", "both", "header", "wrong", "case")
    for i, name in enumerate(names):
        write(archive, i, name=name)
    rows = ("label,ischemia,", "dx,,ischemia", "both,other,what is this", "header,,", "wrong,ischaemia,NORM")
    labels(archive, "file,label,dx", *rows, "case, Normal ,")
    table = index(archive).loc[list(names)]
    assert list(table.label) == ["ischemia", "ischemia", "other", "normal", "", "normal"]
    assert list(table.dx) == ["", "ISCHEMIA", "", "426783006", "", ""]
    assert list(table.reason) == ["", "", "", "", "label: 'ischaemia'; allowed: ischemia, normal, other", ""]
    assert table.samples["wrong"] == 0


def test_the_nearest_labels_count(archive, capsys):
    for i, name in enumerate(["a", "ward/b", "ward/c"]):
        write((archive / name).parent, i, name=name[-1])
    labels(archive, "file,dx", "a,other", "ward/b,other", "ward/c,other")
    assert set(index(archive).label) == {"other"}
    labels(archive / "ward", "file,dx", "b,ischemia", "c,other")
    labels(archive, "file,dx", "a,NORM")
    assert list(index(archive).label) == ["normal", "ischemia", "other"]
    # A table above the folder counts too, and is ignored if it is another kind of table.
    assert list(index(archive / "ward").label) == ["ischemia", "other"]
    assert "labels.csv" not in capsys.readouterr().err


def test_ptbxl_layout(tmp_path):
    root, folder = tmp_path / "ptb-xl", "records100/00000"
    for i in (1, 2, 3, 5):
        write_challenge(root / folder, f"{i:05d}_lr", SAMPLES + SAMPLES.dtype.type(i), sampling_rate=100, dx=None)
    columns = {"ecg_id": [1, 2, 4, 5], "patient_id": ["7.0", "8.0", "9.0", "10.0"], "strat_fold": 3}
    columns |= {
        "scp_codes": ["{'NORM': 100.0, 'SR': 0.0}", "{'ISC_': 0.0}", "{}", "{'NORM': 80.0}"],
        "heart_axis": ["MID", "LAD", "", "ALAD"],
        "filename_lr": [f"{folder}/{i:05d}_lr" for i in (1, 2, 4, 5)],
    }
    columns |= {"age": [56, 300, 1, 50], "sex": [0, 1, 0, 0], "site": [0.0, None, 1.0, 22.0], "filename_hr": ""}
    columns["device"] = ["AT-6", "CS100", "AT-6", "AT-6"]
    pd.DataFrame(columns).to_csv(root / "ptbxl_database.csv", index=False)
    # The third is not in the table.
    expected = {"label": ["normal", "ischemia", "", "other"], "dx": ["NORM|SR", "ISC_|39732003", "", "NORM|39732003"]}
    expected |= {"fold": [3, 3, "", 3], "device": ["AT-6", "CS100", "", "AT-6"]}
    expected |= {"site": ["0", "", "", "22"], "sampling_rate": [100] * 4}
    table = index(root)
    assert {column: list(table[column]) for column in expected} == expected
    assert list(table.reason.str.split(":").str[0]) == ["", "", "no Dx", ""]
    assert list(table.patient[:2]) == ["ptb-xl:7", "ptb-xl:8"]
    assert (list(table.age[:2]), list(table.sex[:2])) == ([56, 90], ["male", "female"])
