import numpy as np
import pytest
import torch

from ecg.model import FCN, Ensemble, choose_device, load_model, probabilities, save_model
from ecg.script import UsageError

ARCHITECTURE = {"filters": [16, 24, 8], "kernels": [8, 5, 3], "dropout": [0.1, 0.1, 0.2]}
DESCRIPTION = {
    "architecture": ARCHITECTURE,
    "members": 2,
    "classes": ["normal", "ischemia"],
    "leads": list("abc"),
    "note": "µV",
}


def small_model(classes: int = 2, **changes) -> Ensemble:
    torch.manual_seed(0)
    members = [FCN(leads=3, classes=classes, **ARCHITECTURE | changes) for _ in range(2)]
    for member in members:
        member.mean.normal_()
    model = Ensemble(members)
    model.temperature.fill_(1.7)
    return model.eval()


def test_shape_and_size_of_the_paper():
    model = FCN(leads=12, classes=3, filters=[128, 256, 128], kernels=[8, 5, 3], dropout=[0, 0, 0])
    weights = 12 * 128 * 8 + 128 * 256 * 5 + 256 * 128 * 3 + 2 * (128 + 256 + 128) + 3 * 129
    assert sum(p.numel() for p in model.parameters()) == weights
    for length in (188, 60, 375):
        assert model.features(torch.zeros(2, 12, length)).shape == (2, 128, length)


def test_pool_shows_the_network_means_of_neighbours():
    model = FCN(leads=3, classes=2, **ARCHITECTURE | {"pool": 2}).eval()
    fine = FCN(leads=3, classes=2, **ARCHITECTURE).eval()
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
    beats = np.random.default_rng(0).normal(size=(5, 3, 50)).astype(np.float32)
    save_model(tmp_path / "m.safetensors", small_model(), DESCRIPTION)
    model, description = load_model(tmp_path / "m.safetensors")
    assert description == DESCRIPTION
    np.testing.assert_array_equal(probabilities(model, beats), probabilities(small_model(), beats))


def test_saved_bytes_are_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        save_model(tmp_path / name, small_model(), DESCRIPTION)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, small_model(), DESCRIPTION)
    whole = path.read_bytes()
    save_model(tmp_path / "wrong", small_model(), DESCRIPTION | {"leads": ["a"]})
    for content in (whole[:-10], b"\x80\x04junk", b"", (tmp_path / "wrong").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="is no model of this project") as error:
            load_model(path)
        assert "\n" not in str(error.value)


def test_device_is_chosen_by_environment(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(UsageError, match="DEVICE is 'abacus'"):
        choose_device()
