"""The model as ONNX, beside torch."""

import json

import numpy as np
import pytest
import torch
from export import main, onnx_model
from small_models import DESCRIPTION, description_of, small_model

from ecg.model.description import Description
from ecg.model.fcn import Beats
from ecg.model.model import probabilities, save_model
from ecg.model.trees import fit_trees
from ecg.run.script import UsageError

onnxruntime = pytest.importorskip("onnxruntime", reason="the ONNX tests need requirements-onnx.txt")
CLASSES = ["normal", "ischemia", "other"]


@pytest.fixture
def export(monkeypatch):
    """Runs the command with arguments."""

    def export(*arguments):
        monkeypatch.setattr("sys.argv", ["export.py", *map(str, arguments)])
        main()

    return export


def described(model, classes=CLASSES, **architecture) -> Description:
    return Description(**description_of(model, **architecture) | {"classes": classes})


def assert_same_probabilities(model, description, beats):
    session = onnxruntime.InferenceSession(onnx_model(model, description).SerializeToString())
    expected = probabilities(model, beats)
    for n in (1, 7, len(beats)):
        found, score = session.run(None, {"beats": beats[:n]})
        np.testing.assert_allclose(found, expected[:n], atol=1e-6)
        np.testing.assert_allclose(score, expected[:n, model.ischemia], atol=1e-6)
    assert expected[:, model.ischemia].std() > 1e-3


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES[1::-1], CLASSES, [*CLASSES[::2], "ischemia"]])
@pytest.mark.parametrize("trees", [0, 20])
def test_the_same_probabilities_as_torch_in_any_batch(classes, trees):
    model = small_model(12, len(classes), classes.index("ischemia"), trees=trees, parts=10)
    for member in model.members:
        member.std.uniform_(0.2, 2)
        member.classifier.weight.data *= 3
        for norm in (layer for layer in member.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(0.5, 2)
            norm.bias.data.normal_()
    beats = np.random.default_rng(1).normal(size=(50, 12, 94)).astype(np.float32)
    assert_same_probabilities(model, described(model, classes, trees=trees, parts=10), beats)


def test_the_same_probabilities_of_many_trees():
    model, target = small_model(12, 3), np.arange(600) % 3
    beats = np.random.default_rng(2).normal(size=(600, 12, 94)).astype(np.float32)
    beats[:, 3:9, 50:70] += 0.2 * target[:, None, None]
    beats = beats.round(1)  # so that they lie at thresholds
    model.trees = fit_trees(300, Beats(beats[::2], target[::2]), 3, 33, seed=1)
    assert_same_probabilities(model, described(model, trees=300), beats)


def test_the_file_describes_itself_and_is_the_same_each_time(tmp_path, export):
    model, path = small_model(12, trees=5), tmp_path / "model.safetensors"
    save_model(path, model, Description(**description_of(model, trees=5)))
    for name in ("one.onnx", "two.onnx"):
        export("--model", path, "--out", tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    session = onnxruntime.InferenceSession(tmp_path / "one.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["description"]) == description_of(model, trees=5)
    assert about["trained_on"] == "recordings of Zürich"
    (beats,) = session.get_inputs()
    assert (beats.name, beats.shape) == ("beats", ["records", 12, DESCRIPTION["n_samples"]])
    outputs = {output.name: output.shape for output in session.get_outputs()}
    assert outputs == {"probabilities": ["records", 2], "score": ["records"]}


def test_a_missing_model_is_a_usage_error(tmp_path, export):
    with pytest.raises(UsageError, match="no model at "):
        export("--model", tmp_path / "absent", "--out", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
