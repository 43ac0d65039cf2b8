import json
import pickle
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors.torch import save_file
from torch import nn

from ecg.leads import LEADS
from ecg.network.description import Description
from ecg.network.device import choose_device
from ecg.network.fcn import FCN, Dropout, Ensemble, probabilities
from ecg.network.model_file import load_model, save_model
from ecg.params import Architecture, read_params
from ecg.stage.script import UsageError

ARCHITECTURE = {"filters": [16, 24, 8], "kernels": [8, 5, 3], "dropout": [0.1, 0.1, 0.2], "pool": 2}
DESCRIPTION = {
    "architecture": ARCHITECTURE,
    "members": 2,
    "classes": ["normal", "ischemia"],
    "leads": list(LEADS),
    "samples": 188,
    "unit": "mV",
    "extract": read_params(ROOT / "params.yaml").extract.model_dump(),
    "sources": ["Zürich"],
    "specificity": 0.9,
    "threshold": 0.25,
}


def small_model(leads: int = 3, classes: int = 2, **changes) -> Ensemble:
    torch.manual_seed(0)
    members = [FCN(Architecture(**ARCHITECTURE | changes), leads=leads, classes=classes) for _ in range(2)]
    for member in members:
        member.mean.normal_()
    model = Ensemble(members)
    model.temperature.fill_(1.7)
    return model.eval()


def test_shape_and_size_of_the_paper():
    model = FCN(
        Architecture(filters=[128, 256, 128], kernels=[8, 5, 3], dropout=[0, 0, 0], pool=1), leads=12, classes=3
    )
    weights = 12 * 128 * 8 + 128 * 256 * 5 + 256 * 128 * 3 + 2 * (128 + 256 + 128) + 3 * 129
    assert sum(p.numel() for p in model.parameters()) == weights
    for length in (188, 60, 375):
        assert model.features(torch.zeros(2, 12, length)).shape == (2, 128, length)


def test_it_is_the_network_of_one_dimensional_layers():
    model = small_model(leads=12).members[0]
    layers = {name: module for name, module in model.blocks.named_modules() if isinstance(module, nn.Conv2d)}
    beats = torch.randn(4, 12, 188)
    x = nn.functional.avg_pool1d((beats - model.mean) / model.std, 2)
    for convolution, kernel in zip(layers.values(), ARCHITECTURE["kernels"], strict=True):
        x = nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2))
        x = nn.functional.conv1d(x, convolution.weight[:, :, 0])
        x = nn.functional.relu(x / np.sqrt(1 + 1e-5))  # a batch norm that has seen nothing yet
    torch.testing.assert_close(model(beats), model.classifier(x.mean(dim=2)))
    torch.testing.assert_close(model.features((beats - model.mean) / model.std), x)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.999])
def test_dropout_keeps_the_mean_and_drops_its_share(rate):
    torch.manual_seed(0)
    # In the two orders in which a tensor may lie in memory.
    for x in (torch.ones(8, 5, 1, 9999), torch.ones(8, 5, 1, 9999).contiguous(memory_format=torch.channels_last)):
        x.requires_grad_()
        y = Dropout(rate)(x)
        dropped = (y == 0).double()
        exact = min(round(rate * 256), 255) / 256
        error = np.sqrt(exact * (1 - exact) / x.numel())
        assert dropped.mean().item() == pytest.approx(exact, abs=4 * error)
        assert y.mean().item() == pytest.approx(1, abs=4 * error / (1 - exact))
        assert len(y.unique()) == 2
        # Neighbours in time and channels are dropped apart.
        for a, b in ((dropped[..., 1:], dropped[..., :-1]), (dropped[:, 1:], dropped[:, :-1])):
            assert (a * b).mean().item() == pytest.approx(exact**2, abs=8 * error)
        y.sum().backward()
        torch.testing.assert_close(x.grad, y.detach())
    assert torch.equal(Dropout(rate).eval()(x), x)


def test_pool_shows_the_network_means_of_neighbours():
    model = FCN(Architecture(**ARCHITECTURE), leads=3, classes=2).eval()
    fine = FCN(Architecture(**ARCHITECTURE | {"pool": 1}), leads=3, classes=2).eval()
    fine.load_state_dict(model.state_dict())
    beats = torch.randn(4, 3, 51)
    torch.testing.assert_close(model(beats), fine((beats[:, :, 0:50:2] + beats[:, :, 1:50:2]) / 2))


def test_each_lead_is_standardised():
    model = small_model().members[0]
    beats = torch.randn(4, 3, 50)
    expected = model(beats)
    model.mean += 5
    torch.testing.assert_close(model(beats + 5), expected)


def test_ensemble_is_the_mean_of_its_members_at_its_temperature():
    model, beats = small_model(), torch.randn(4, 3, 50)
    one, two = (member(beats) for member in model.members)
    model.log_shares += torch.tensor([-0.1, -2.3])
    torch.testing.assert_close(model(beats), (one + two) / 2 / 1.7 + torch.tensor([-0.1, -2.3]))


def test_probabilities_add_up_and_do_not_depend_on_the_batch():
    beats = np.random.default_rng(0).normal(size=(1500, 3, 50)).astype(np.float32)
    together = probabilities(small_model(), beats)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities(small_model(), beats[:7]), together[:7], rtol=1e-5)


def test_saved_model_comes_back_with_its_description(tmp_path):
    beats = np.random.default_rng(0).normal(size=(5, 12, 188)).astype(np.float32)
    save_model(tmp_path / "m.safetensors", small_model(12), Description(**DESCRIPTION))
    model, description = load_model(tmp_path / "m.safetensors")
    assert description.model_dump() == DESCRIPTION
    np.testing.assert_array_equal(probabilities(model, beats), probabilities(small_model(12), beats))


def test_saved_bytes_are_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        save_model(tmp_path / name, small_model(12), Description(**DESCRIPTION))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def write_with(path, description: dict) -> None:
    """Write a model file that says of itself what no model of ours does."""
    save_file(small_model(12).state_dict(), path, metadata={"description": json.dumps(description)})


def refused(path) -> str:
    with pytest.raises(UsageError, match="is no model of this project: ") as error:
        load_model(path)
    assert len(str(error.value)) < 300 + len(str(path)) + 40
    assert str(error.value).isprintable()
    return str(error.value)


def test_a_broken_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, small_model(12), Description(**DESCRIPTION))
    whole = path.read_bytes()
    pickled = pickle.dumps(small_model(12).state_dict())
    torch.save(small_model(12).state_dict(), tmp_path / "zip")
    contents = (whole[:-10], whole[:100], whole + b"x", b"\x80\x04junk", b"", pickled, (tmp_path / "zip").read_bytes())
    for content in (*contents, b"\xff" * 8 + whole[8:]):
        path.write_bytes(content)
        refused(path)
    for metadata in (None, {"description": "{"}, {"description": "[" * 100_000}, {"description": "7"}):
        save_file(small_model(12).state_dict(), path, metadata=metadata)
        refused(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"leads": list(LEADS[:3])}, "leads"),
        ({"leads": [*LEADS[1:], "I"]}, "leads"),
        ({"classes": ["normal", "other"]}, "must differ and hold normal and ischemia"),
        ({"classes": ["normal", "ischemia", "ischemia"]}, "must differ"),
        ({"classes": ["normal", "\x1b[31mgout"]}, r"classes\.1"),
        ({"classes": ["normal", "ischemia", "other"]}, "its architecture has"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": "0.5"}, "threshold is '0.5'"),
        ({"members": 10**9}, "too few"),
        ({"members": 1}, "members"),
        ({"members": 2.0}, "members is 2.0"),
        ({"samples": 187}, "samples 187 must be 188"),
        ({"unit": "uV"}, "unit"),
        ({"sources": "ptb"}, "sources"),
        ({"extract": DESCRIPTION["extract"] | {"sampling_rate": 500}}, "samples 188 must be 376"),
        ({"extract": DESCRIPTION["extract"] | {"window_start": -(10**9)}}, "window_start"),
        ({"extract": DESCRIPTION["extract"] | {"notch": 50}}, "notch"),
        ({"extract": None}, "extract"),
        ({"architecture": ARCHITECTURE | {"filters": [16, 24]}}, "one a layer"),
        ({"architecture": ARCHITECTURE | {"filters": [16, 10**9, 8]}}, "its architecture has"),
        ({"architecture": ARCHITECTURE | {"filters": [16, 10**30, 8]}}, "less than"),
        ({"architecture": ARCHITECTURE | {"kernels": [8, 10**9, 3]}}, "its architecture has"),
        ({"architecture": ARCHITECTURE | {"pool": 95 * 2}}, "Output size is too small"),
        ({"architecture": ARCHITECTURE | {"pool": 10**30}}, "less than"),
        ({"architecture": {key: [1] * 10_000 for key in ("filters", "kernels")}}, "dropout is missing"),
        ({"architecture": {key: [0] * 10_000 for key in ("filters", "kernels", "dropout")} | {"pool": 1}}, "filters"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_in_one_line(tmp_path, change, reason):
    write_with(tmp_path / "m.safetensors", DESCRIPTION | change)
    assert re.search(reason, refused(tmp_path / "m.safetensors"))


@pytest.mark.parametrize("name", list(DESCRIPTION))
def test_a_description_that_lacks_a_key_is_refused(tmp_path, name):
    description = {key: value for key, value in DESCRIPTION.items() if key != name}
    write_with(tmp_path / "m.safetensors", description)
    assert f"{name} is missing" in refused(tmp_path / "m.safetensors")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    changes = {
        "members.0.classifier.weight": [lambda t: t[:, :-1], lambda t: t.double(), lambda t: t * torch.nan, None],
        "members.1.blocks.1.weight": [lambda t: t * torch.inf, lambda t: t[:, :, 0]],
        "members.1.std": [lambda t: t * 0],
        "temperature": [lambda t: t * 0, lambda t: t[None]],
        "members.2.std": [lambda _: torch.ones(12, 1)],
    }
    for name, ways in changes.items():
        for change in ways:
            state = small_model(12).state_dict()
            given = state.pop(name, None)
            if change:
                state[name] = change(given).contiguous()
            save_file(state, path, metadata={"description": json.dumps(DESCRIPTION)})
            refused(path)


def test_device_is_chosen_by_environment(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(UsageError, match="DEVICE is 'abacus'"):
        choose_device()
