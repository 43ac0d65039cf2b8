import numpy as np
import pytest
import torch
from torch import nn

from ecg.network.ensemble import Ensemble, probabilities
from ecg.network.fcn import FCN, Dropout
from ecg.network.novelty import Novelty
from ecg.network.random_convolutions import RandomConvolutions, draw
from ecg.network.trees import fit_trees
from ecg.params import Architecture

ARCHITECTURE = {
    **{"filters": [16, 24, 8], "kernels": [8, 5, 3], "dropout": [0.1, 0.1, 0.2], "pool": 2},
    **{"parts": 3, "random_convolutions": 0, "trees": 0},
}


def small_model(leads: int = 3, classes: int = 2, samples: int = 51, **changes) -> Ensemble:
    """Two networks, with random convolutions and trees for beats of so many samples where the changes say so."""
    torch.manual_seed(0)
    architecture, shape = Architecture(**ARCHITECTURE | changes), {"leads": leads, "classes": classes}
    members = [FCN(architecture, **shape) for _ in range(2)]
    for member in members:
        member.mean.normal_()
    random = trees = None
    rng = np.random.default_rng(0)
    beats = rng.normal(size=(20, leads, samples)).astype(np.float32)
    if features := architecture.random_convolutions:
        random = RandomConvolutions(pool=architecture.pool, features=features, **shape, samples=samples)
        draw(random, beats, rng)
    if architecture.trees:
        trees = fit_trees(architecture.trees, architecture.pool, beats, np.arange(20) % classes, seed=1)
    model = Ensemble(members, random, trees, Novelty(pool=2, samples=188), torch.arange(3))
    model.temperature.fill_(1.7)
    return model.eval()


def test_shape_and_size_of_the_paper():
    paper = {"filters": [128, 256, 128], "dropout": [0, 0, 0], "pool": 1, "parts": 1}
    model = FCN(Architecture(**ARCHITECTURE | paper), leads=12, classes=3)
    weights = 12 * 128 * 8 + 128 * 256 * 5 + 256 * 128 * 3 + 2 * (128 + 256 + 128) + 3 * 129
    assert sum(p.numel() for p in model.parameters()) == weights
    for length in (188, 60, 375):
        assert model.features(torch.zeros(2, 12, length)).shape == (2, 128, length)


def test_it_is_the_network_of_one_dimensional_layers():
    model = small_model(leads=12, parts=1).members[0]
    layers = {name: module for name, module in model.blocks.named_modules() if isinstance(module, nn.Conv2d)}
    beats = torch.randn(4, 12, 188)
    x = nn.functional.avg_pool1d((beats - model.mean) / model.std, 2)
    for convolution, kernel in zip(layers.values(), ARCHITECTURE["kernels"], strict=True):
        x = nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2))
        x = nn.functional.conv1d(x, convolution.weight[:, :, 0])
        x = nn.functional.relu(x / np.sqrt(1 + 1e-5))  # a batch norm that has seen nothing yet
    torch.testing.assert_close(model(beats), model.classifier(x.mean(dim=2)))
    torch.testing.assert_close(model.features(beats), x)


def test_the_classifier_sees_the_mean_of_each_part_of_the_beat():
    # 25 steps in three parts: the first is the longer one.
    model, beats = small_model().members[0], torch.randn(4, 3, 51)
    features = model.features(beats)
    means = [features[:, :, start:end].mean(dim=2) for start, end in ((0, 9), (9, 17), (17, 25))]
    torch.testing.assert_close(model(beats), model.classifier(torch.cat(means, dim=1)))


def test_only_parts_tell_where_in_the_beat_something_is():
    bump = torch.zeros(2, 3, 200)
    bump[0, :, 40:50] = bump[1, :, 140:150] = 1
    for parts, told in ((1, False), (10, True)):
        model = small_model(pool=1, parts=parts).members[0]
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


def test_trees_and_random_convolutions_have_most_of_the_say():
    beats = torch.randn(4, 3, 51)
    model = small_model(random_convolutions=84 * 3)
    one, two = (member(beats) for member in model.members)
    torch.testing.assert_close(model(beats), (0.7 * model.random(beats) + 0.15 * one + 0.15 * two) / 1.7)
    model = small_model(trees=4)
    one, two = (member(beats) for member in model.members)
    torch.testing.assert_close(model(beats), (0.6 * model.trees(beats) + 0.2 * one + 0.2 * two) / 1.7)
    model = small_model(random_convolutions=84 * 3, trees=4)
    one, two = (member(beats) for member in model.members)
    parts = 0.6 * model.trees(beats) + 0.28 * model.random(beats) + 0.06 * one + 0.06 * two
    torch.testing.assert_close(model(beats), parts / 1.7)


def test_probabilities_add_up_and_do_not_depend_on_the_batch():
    beats = np.random.default_rng(0).normal(size=(1500, 3, 50)).astype(np.float32)
    together = probabilities(small_model(), beats)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities(small_model(), beats[:7]), together[:7], rtol=1e-5)
