import numpy as np
import pytest
import torch
from torch import nn

from ecg.model.decision import Calibration, calibrated
from ecg.model.fcn import FCN, Dropout
from ecg.model.model import Model, first_bytes, probabilities, uncalibrated_logits
from ecg.model.ood import OutOfDistribution
from ecg.model.training import Beats
from ecg.model.trees import fit_trees
from ecg.params import Architecture

ARCHITECTURE = {"filters": [16, 24, 8], "kernels": [8, 5, 3], "dropout": [0.1, 0.1, 0.2], "parts": 3, "trees": 0}


def small_model(leads: int = 3, classes: int = 2, ischemia: int = 1, **changes) -> Model:
    """Two networks, with trees for beats of 94 samples where the changes say so, and a calibration."""
    torch.manual_seed(0)
    architecture = Architecture(**ARCHITECTURE | changes)
    members = [FCN(architecture, leads=leads, classes=classes) for _ in range(2)]
    for member in members:
        member.mean.normal_()
    trees = None
    if architecture.trees:
        beats = np.random.default_rng(0).normal(size=(60, leads, 94)).astype(np.float32)
        trees = fit_trees(architecture.trees, Beats(beats, np.arange(60) % classes), classes, 33, seed=1)
    model = Model(members, trees, OutOfDistribution(94), torch.arange(3), ischemia)
    for name, value in {"temperature": 1.7, "slope": 0.8, "intercept": -0.3}.items():
        getattr(model, name).fill_(value)
    model.log_prior.copy_(torch.tensor([-0.5, -1.2, -2.3])[:classes])
    return model.eval()


def test_shape_and_size_of_the_paper():
    paper = {"filters": [128, 256, 128], "dropout": [0, 0, 0], "parts": 1}
    model = FCN(Architecture(**ARCHITECTURE | paper), leads=12, classes=3)
    weights = 12 * 128 * 8 + 128 * 256 * 5 + 256 * 128 * 3 + 2 * (128 + 256 + 128) + 3 * 129
    assert sum(p.numel() for p in model.parameters()) == weights
    for length in (188, 60, 375):
        assert model.features(torch.zeros(2, 12, length)).shape == (2, 128, length)


def test_it_is_the_network_of_one_dimensional_layers():
    model = small_model(leads=12, parts=1).members[0]
    layers = {name: module for name, module in model.blocks.named_modules() if isinstance(module, nn.Conv2d)}
    beats = torch.randn(4, 12, 188)
    x = (beats - model.mean) / model.std
    for convolution, kernel in zip(layers.values(), ARCHITECTURE["kernels"], strict=True):
        x = nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2))
        x = nn.functional.conv1d(x, convolution.weight[:, :, 0])
        x = nn.functional.relu(x / np.sqrt(1 + 1e-5))  # a batch norm that has seen nothing yet
    torch.testing.assert_close(model(beats), model.classifier(x.mean(dim=2)))
    torch.testing.assert_close(model.features(beats), x)


def test_a_feature_reaches_as_far_as_is_said():
    beats = torch.randn(1, 3, 101, requires_grad=True)
    small_model().members[0].features(beats)[0, :, 50].sum().backward()
    seen = beats.grad.abs().sum(dim=(0, 1)).nonzero()
    assert seen.max() - seen.min() + 1 == Architecture(**ARCHITECTURE).reach


def test_the_classifier_sees_the_mean_of_each_part_of_the_beat():
    # 25 samples in three parts: the first is the longer one.
    model, beats = small_model().members[0], torch.randn(4, 3, 25)
    features = model.features(beats)
    means = [features[:, :, start:end].mean(dim=2) for start, end in ((0, 9), (9, 17), (17, 25))]
    torch.testing.assert_close(model(beats), model.classifier(torch.cat(means, dim=1)))


def test_only_parts_tell_where_in_the_beat_something_is():
    bump = torch.zeros(2, 3, 200)
    bump[0, :, 40:50] = bump[1, :, 140:150] = 1
    for parts, told in ((1, False), (10, True)):
        model = small_model(parts=parts).members[0]
        model.mean.zero_()  # so that the zeros at the ends of the beat are like those round the bump
        early, late = model(bump)
        assert torch.allclose(early, late, atol=1e-6) != told


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


def test_each_lead_is_standardised():
    model = small_model().members[0]
    beats = torch.randn(4, 3, 50)
    expected = model(beats)
    model.mean += 5
    torch.testing.assert_close(model(beats + 5), expected)


def test_ensemble_is_the_mean_of_its_members():
    model, beats = small_model(), torch.randn(4, 3, 50)
    one, two = (member(beats) for member in model.members)
    torch.testing.assert_close(model.uncalibrated(beats), (one + two) / 2)


def test_trees_have_most_of_the_say():
    model, beats = small_model(trees=4), torch.randn(4, 3, 94)
    one, two = (member(beats) for member in model.members)
    torch.testing.assert_close(model.uncalibrated(beats), 0.8 * model.trees(beats) + 0.1 * one + 0.1 * two)


@pytest.mark.parametrize(("classes", "ischemia"), [(2, 1), (2, 0), (3, 1), (3, 2)])
def test_its_probabilities_are_calibrated(classes, ischemia):
    model = small_model(classes=classes, ischemia=ischemia, trees=4)
    beats = np.random.default_rng(0).normal(size=(50, 3, 94)).astype(np.float32)
    calibration = Calibration(1.7, np.array([-0.5, -1.2, -2.3])[:classes], 0.8, -0.3)
    expected = calibrated(uncalibrated_logits(model, beats), calibration, ischemia)
    np.testing.assert_allclose(probabilities(model, beats), expected, atol=1e-6)
    np.testing.assert_allclose(model(torch.from_numpy(beats)).exp().detach(), expected, atol=1e-6)
    assert expected.std() > 0.05


def test_probabilities_add_up_and_do_not_depend_on_the_batch():
    beats = np.random.default_rng(0).normal(size=(1500, 3, 94)).astype(np.float32)
    model = small_model(trees=4)
    together = probabilities(model, beats)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities(model, beats[:7]), together[:7], rtol=1e-5)


def test_first_bytes_are_sorted_and_hold_each_hash_once():
    hashes = ["00" * 7 + "01" + "aa" * 24, "ff" * 32, "80" + "00" * 31, "00" * 7 + "01" + "bb" * 24]
    assert first_bytes(hashes).tolist() == [1, -(2**63), -1]  # by their bytes, as unsigned numbers
    assert first_bytes([]).dtype == np.int64
