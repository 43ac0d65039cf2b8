"""The model as ONNX, beside torch."""

import json

import numpy as np
import pytest
import torch
from export import main, to_onnx
from small_models import description_of, small_model

from ecg.model.description import Description
from ecg.model.model import probabilities, save_model

onnxruntime = pytest.importorskip("onnxruntime", reason="the ONNX tests need requirements-onnx.txt")
CLASSES = {"classes": ["normal", "ischemia", "other"]}


@pytest.fixture(scope="module")
def exported():
    """A model, its description and its ONNX file."""
    model = small_model(12, classes=3, ischemia=1, trees=20, parts=10)
    for member in model.members:
        member.classifier.weight.data *= 10
        for norm in (layer for layer in member.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    description = Description(**description_of(model, trees=20, parts=10) | CLASSES)
    return model, description, to_onnx(model, description)


def test_the_same_probabilities_as_torch_in_any_batch(exported):
    model, _, content = exported
    session = onnxruntime.InferenceSession(content)
    beats = np.random.default_rng(1).normal(size=(50, 12, 94)).astype(np.float32)
    expected = probabilities(model, beats)
    for n in (1, 7, len(beats)):
        found, score = session.run(None, {"beats": beats[:n]})
        np.testing.assert_allclose(found, expected[:n], atol=1e-6)
        np.testing.assert_allclose(score, expected[:n, model.ischemia], atol=1e-6)
    assert expected[:, model.ischemia].std() > 0.01


def test_the_command_writes_the_same_file_which_describes_itself(exported, tmp_path, monkeypatch):
    model, description, content = exported
    save_model(tmp_path / "m.safetensors", model, description)
    arguments = ["--model", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "m.onnx")]
    monkeypatch.setattr("sys.argv", ["export.py", *arguments])
    main()
    assert (tmp_path / "m.onnx").read_bytes() == content
    assert b".py" not in content  # no path of the code
    assert content.count(b"TreeEnsembleRegressor") == 1
    session = onnxruntime.InferenceSession(content)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["description"]) == description.model_dump()
    assert about["trained_on"] == "recordings of Zürich"
    (beats,) = session.get_inputs()
    assert (beats.name, beats.shape) == ("beats", ["records", 12, 94])
    outputs = {output.name: output.shape for output in session.get_outputs()}
    assert outputs == {"probabilities": ["records", 3], "score": ["records"]}
