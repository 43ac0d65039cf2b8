import numpy as np
import pytest
import torch
from small_models import ARCHITECTURE, made_beats, small_model
from torch.nn import functional

from ecg.model.comparisons import roc_auc
from ecg.model.fcn import FCN, Beats, choose_device, create, fit_network, outputs
from ecg.params import Architecture, Train
from ecg.run.script import UsageError


def test_shape_and_size_of_the_paper():
    paper = {"filters": [128, 256, 128], "dropout": [0, 0, 0], "parts": 1}
    network = FCN(Architecture(**ARCHITECTURE | paper), leads=12, classes=3)
    weights = 12 * 128 * 8 + 128 * 256 * 5 + 256 * 128 * 3 + 2 * (128 + 256 + 128) + 3 * 129
    assert sum(p.numel() for p in network.parameters()) == weights
    for length in (188, 60, 375):
        assert network.features(torch.zeros(2, 12, length)).shape == (2, 128, length)


def test_a_feature_depends_on_as_many_samples_as_its_reach():
    # Of a single beat, a ReLU may let nothing of the ends pass.
    beats = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3, 101))).float().requires_grad_()
    small_model().members[0].features(beats)[:, :, 50].sum().backward()
    seen = beats.grad.abs().sum(dim=(0, 1)).nonzero()
    assert seen.max() - seen.min() + 1 == Architecture(**ARCHITECTURE).reach


def test_the_classifier_sees_the_mean_of_each_part_of_the_beat():
    # 25 samples in three parts: the first is the longer one.
    network, beats = small_model().members[0], torch.randn(4, 3, 25)
    features = network.features(beats)
    means = [features[:, :, start:end].mean(dim=2) for start, end in ((0, 9), (9, 17), (17, 25))]
    torch.testing.assert_close(network(beats), network.classifier(torch.cat(means, dim=1)))


def test_device_is_chosen_by_environment(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(UsageError, match="DEVICE is 'abacus'"):
        choose_device()


TRAIN = Train(
    **{"filters": [16, 16], "kernels": [8, 3], "dropout": [0.1, 0.1], "parts": 3, "trees": 0, "members": 1},
    **{"epochs": 6, "batch_size": 16, "lr": 0.003, "weight_decay": 0.01, "ema_decay": 0.5},
    **{"specificity": 0.9, "refit": False, "seed": 1},
)


def trained(data, val=None, seed=1, **changes):
    torch.use_deterministic_algorithms(True)
    train = TRAIN.model_copy(update=changes)
    network = create(train, data.beats, classes=3, seed=seed)
    return network, fit_network(network, data, train, val)


def test_it_learns_a_signal_and_no_noise():
    def auc(network, data):
        """Of the log odds of class 1 against class 0."""
        logits, either = outputs(network, data.beats).double().numpy(), data.target < 2
        return float(roc_auc(data.target[either] == 1, (logits[:, 1] - logits[:, 0])[either])[0])

    data = made_beats(240, 0)
    assert auc(trained(data)[0], made_beats(300, 2)) > 0.97
    blind, _ = trained(Beats(data.beats, np.random.default_rng(9).permutation(data.target)))
    assert auc(blind, made_beats(600, 2, signal=0)) == pytest.approx(0.5, abs=0.1)


def test_each_lead_is_standardised_by_the_train_split():
    x = made_beats(50, 0).beats * np.arange(1, 13, dtype=np.float32)[:, None] + 5
    network = create(TRAIN, x, classes=3, seed=1).eval()
    np.testing.assert_allclose(network.mean[:, 0], x.mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(network.std[:, 0], x.std(axis=(0, 2)), rtol=1e-5)
    expected = network(torch.from_numpy(x))
    network.mean += 5
    torch.testing.assert_close(network(torch.from_numpy(x + 5)), expected, rtol=1e-4, atol=1e-4)


def test_classes_have_the_same_total_weight():
    data = made_beats(300, 0, signal=0)
    rare = Beats(data.beats, np.where(np.arange(300) % 10, 0, 1 + np.arange(300) // 10 % 2))
    network, _ = trained(rare, epochs=3)
    mean = outputs(network, made_beats(300, 2, signal=0).beats).softmax(dim=1).mean(dim=0)
    assert mean.max() < 0.5


def test_the_average_of_the_last_epoch_is_kept_and_val_only_watched():
    data, val = made_beats(240, 0, signal=0.3), made_beats(90, 1, signal=0.3)
    network, history = trained(data, val)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    loss = functional.cross_entropy(outputs(network, val.beats), torch.from_numpy(val.target))
    assert history[-1]["val_loss"] == pytest.approx(loss.item(), abs=1e-6)  # classes of val and train are even
    without, losses = trained(data)
    assert losses == [{key: row[key] for key in ("epoch", "train_loss")} for row in history]
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in without.state_dict().items())


OTHERS = {"epochs": 2, "batch_size": 20, "lr": 0.002, "weight_decay": 0.1, "ema_decay": 0, "dropout": [0.5, 0.1]}


@pytest.mark.parametrize("name", OTHERS)
def test_each_parameter_of_the_training_has_an_effect(name):
    data = made_beats(60, 0)
    (one, _), (other, _) = trained(data, epochs=3), trained(data, **{"epochs": 3, name: OTHERS[name]})
    assert (one.classifier.weight - other.classifier.weight).abs().max() > 1e-5


def test_divergence_is_one_line():
    with pytest.raises(UsageError, match=r"diverged in epoch 1; train\.lr is 1e\+30"):
        trained(made_beats(60, 0), lr=1e30)
