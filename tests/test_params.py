from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides  # what -S does

from ecg.params import Params, read_params
from ecg.stage.script import UsageError

TEXT = (Path(__file__).parent.parent / "params.yaml").read_text()


def read(tmp_path, old, new):
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    return read_params(path)


def test_number_in_the_form_that_yaml_takes_for_a_string(tmp_path):
    # DVC writes 1e-5 as 1e-05, which YAML 1.1 reads as a string.
    assert read(tmp_path, "lr: 0.003", "lr: 1e-05").train.lr == 1e-5


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs: 20", "epochs: oops", ["train.epochs", "'oops'", "integer"]),
        ("lr: 0.003", "lrr: 0.003", ["train.lrr is not a parameter", "lr,", "train.lr is missing"]),
        ("epochs: 20", "epochs: 0", ["train.epochs is 0", "greater than or equal to 1"]),
        ("source: synthetic", "source: web", ["download.source is 'web'", "'synthetic', 'kaggle' or 'directory'"]),
        ("test_fold: 10", "test_fold: 9", ["val_fold and test_fold are both 9"]),
        ("test_fold: 10", "test_fold: 11", ["at most 10"]),
        ("low_pass: 40.0", "low_pass: 63", ["below half the sampling_rate 125"]),
        ("  - 64\n", "", ["2 filters, 3 kernels"]),
        ("lr: 0.003", "lr: .nan", ["train.lr"]),
        ("parts: 10", "parts: 83", ["params.yaml: train.parts is 83; the beat has 82 samples"]),
        ("detector: neurokit", "detector: mine", ["extract.detector is 'mine'", "'pantompkins1985'"]),
        ("/versions/1\n", "\n", ["download.kaggle.0", "ischemia-dataset"]),
        ("directory: ''", "directory: 5", ["download.directory", " is 5", "string", "list"]),
        ("directory: ''", "directory: [a, 5]", ["download.directory", " is 5", "string"]),
        ("- 164861001", "- 12345", ["download.ischemia.0", "12345 is no code", "6 to 18 digits", "SCP"]),
        ("- 164861001", "- 164861001.0", ["download.ischemia.0", "164861001.0 is no code"]),
        ("- ISC_", "- STEMI", ["download.ischemia.6", "'STEMI' is no code"]),
        ("- SR\n", "- normal\n", ["download.normal.2", "'normal' is no code"]),
        ("- SR\n", "- [SR]\n", ["download.normal.2", "['SR'] is no code"]),
        ("- SR\n", "- isc_\n", ["download: ischemia and normal both hold ISC_"]),
        ("- 426783006\n  - NORM\n  - SR\n", "", ["download.normal is None", "list"]),
        ("normal:\n  - 426783006\n  - NORM\n  - SR\n", "normal: []\n", ["download.normal is []", "at least 1 item"]),
        ("download:", "download: [", ["no YAML"]),
        ("download:", "downlod:", ["downlod is not a parameter", "download is missing"]),
    ],
)
def test_a_mistake_is_one_line_that_names_key_value_and_what_is_allowed(tmp_path, old, new, words):
    with pytest.raises(UsageError) as error:
        read(tmp_path, old, new)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_codes_become_text(tmp_path):
    download = read(tmp_path, "- ISC_\n", "- isc_\n  - '57054005'\n  - LAO/LAE\n  - 67741000119109\n").download
    assert download.ischemia[5:10] == ["413444003", "ISC_", "57054005", "LAO/LAE", "67741000119109"]
    assert download.normal == ["426783006", "NORM", "SR"]


def test_codes_set_on_the_command_line_are_read(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    apply_overrides(path, ["download.ischemia=[57054005,imi,1AVB,'PRC(S)']", "download.normal=[SR]"])
    download = read_params(path).download
    assert download.ischemia == ["57054005", "IMI", "1AVB", "PRC(S)"] and download.normal == ["SR"]


def test_missing_file_and_wrong_top_level(tmp_path):
    with pytest.raises(OSError, match=r"params\.yaml"):
        read_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("just text")
    with pytest.raises(UsageError, match="just text"):
        read_params(tmp_path / "params.yaml")


def test_order_in_the_file_is_the_order_of_the_schema():
    keys = [
        line.split(":")[0].strip()
        for line in TEXT.splitlines()
        if ":" in line and not line.lstrip().startswith(("#", "-"))
    ]
    schema = []
    for name, field in Params.model_fields.items():
        schema += [name, *field.annotation.model_fields]
    assert keys == schema
