"""The model as ONNX, beside torch."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from ecg.beats.median import median_beat
from ecg.network.ensemble import probabilities
from ecg.network.model_file import load_model
from ecg.params import read_params
from ecg.recordings.header import read_header
from ecg.recordings.signals import read_samples

EXTRACT = read_params(ROOT / "params.yaml").extract

onnxruntime = pytest.importorskip("onnxruntime", reason="the ONNX tests need requirements-onnx.txt")
pytest.importorskip("onnxscript", reason="the ONNX tests need requirements-onnx.txt")


def export(*arguments):
    command = [sys.executable, str(ROOT / "stages/export.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    """The model file and what was written from it."""
    model, path = finished / "data/model.safetensors", tmp_path_factory.mktemp("onnx") / "model.onnx"
    done = export("--model", model, "--out", path)
    assert (done.returncode, done.stderr) == (0, "")
    return model, path


def score_alike(written, beats):
    model, description = load_model(written[0])
    expected = probabilities(model, beats)
    session = onnxruntime.InferenceSession(written[1])
    found, score = session.run(None, {"beats": beats})
    # Last bits set a step that lies at a threshold of a random convolution now above, now below it.
    step = np.abs(found - expected) > 1e-5
    assert step.any(axis=1).sum() <= 1 + 0.05 * len(beats)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    by_class = dict(zip(description.classes, found.T, strict=True))
    np.testing.assert_allclose(score, by_class["ischemia"] / (by_class["ischemia"] + by_class["normal"]), atol=1e-5)


def test_the_same_probabilities_as_torch_whatever_the_batch(finished, written):
    beats = np.load(finished / "data/beats.npy")
    for n in (1, 7, len(beats)):
        score_alike(written, beats[:n])


def test_the_same_probabilities_as_torch_on_real_beats(written, real_data):
    found = []
    for path in sorted((real_data / "ptb-xl/records500").rglob("*.hea"))[:100]:
        header = read_header(path)
        found.append(median_beat(read_samples(header)[0], header.sampling_rate, EXTRACT).beat)
    beats = [beat for beat in found if beat is not None]
    assert len(beats) > 90
    score_alike(written, np.stack(beats))


def test_the_file_describes_itself_and_names_no_folder(written):
    session = onnxruntime.InferenceSession(written[1])
    about = session.get_modelmeta().custom_metadata_map
    description = load_model(written[0])[1]
    assert json.loads(about["description"]) == description.model_dump()
    assert about["trained_on"] == "synthetic recordings"
    (beats,) = session.get_inputs()
    assert (beats.name, beats.shape[1:]) == ("beats", [12, description.samples])
    assert [output.name for output in session.get_outputs()] == ["probabilities", "score"]
    assert b".py" not in written[1].read_bytes()


def test_what_is_missing_is_said(tmp_path):
    done = export("--model", tmp_path / "absent", "--out", tmp_path / "m.onnx")
    assert done.returncode == 1
    assert done.stderr.startswith("export: no model at ")
    assert list(tmp_path.iterdir()) == []
