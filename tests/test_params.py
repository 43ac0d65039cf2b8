import shutil

import pytest
from conftest import DEFAULTS
from dvc.utils.hydra import apply_overrides  # as -S does

from ecg.params import read_params
from ecg.run.script import UsageError


def read(tmp_path, *changes):
    """Read the defaults with changes as by `dvc exp run -S`."""
    path = tmp_path / "params.yaml"
    shutil.copy(DEFAULTS, path)
    apply_overrides(path, list(changes))
    return read_params(path)


def test_number_in_the_form_that_yaml_takes_for_a_string(tmp_path):
    # DVC writes 1e-5 as 1e-05, which YAML 1.1 reads as a string.
    assert read(tmp_path, "train.lr=1e-5").train.lr == 1e-5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("train.epochs=oops", ["train.epochs", "'oops'", "integer"]),
        ("+train.lrr=0.003 ~train.lr", ["train.lrr is not a parameter", "lr,", "train.lr is missing"]),
        ("download.source=web", ["download.source is 'web'", "'synthetic', 'kaggle' or 'directory'"]),
        ("extract.sampling_rate=125 extract.low_pass=63", ["below half the sampling_rate 125"]),
        ("train.filters=[32,32] train.kernels=[8,5,3]", ["2 filters, 3 kernels"]),
        ("train.lr=nan", ["train.lr"]),
        ("train.parts=83", ["params.yaml: train.parts is 83: input should be less than or equal to 31"]),
        ("extract.detector=mine", ["extract.detector is 'mine'", "'pantompkins1985'"]),
        ("download.kaggle=[a/ischemia-dataset]", ["download.kaggle.0", "ischemia-dataset"]),
        ("download.directory=5", ["download.directory", " is 5", "string", "list"]),
        ("download.ischemia=[12345]", ["download.ischemia.0", "12345 is not a code", "6 to 18 digits", "SCP"]),
        ("download.ischemia=[ISC_,STEMI]", ["download.ischemia.1", "'STEMI' is not a code"]),
        ("download.ischemia=[ISC_] download.normal=[isc_]", ["download: ischemia and normal share ISC_"]),
        ("download.normal=[]", ["download.normal is []", "at least 1 item"]),
        ("+downlod={} ~download", ["downlod is not a parameter", "download is missing"]),
    ],
)
def test_a_mistake_is_one_line_that_names_key_value_and_what_is_allowed(tmp_path, changes, words):
    with pytest.raises(UsageError) as error:
        read(tmp_path, *changes.split())
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_codes_become_text(tmp_path):
    changes = "download.ischemia=[57054005,imi,1AVB,'PRC(S)',LAO/LAE,67741000119109]", "download.normal=[SR]"
    download = read(tmp_path, *changes).download
    assert download.ischemia == ["57054005", "IMI", "1AVB", "PRC(S)", "LAO/LAE", "67741000119109"]
    assert download.normal == ["SR"]


def test_missing_file_and_wrong_top_level(tmp_path):
    with pytest.raises(OSError, match=r"params\.yaml"):
        read_params(tmp_path / "params.yaml")
    for text, words in (("just text", "just text"), ("download: [", "not valid YAML")):
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=words):
            read_params(tmp_path / "params.yaml")
