import functools
import time

import numpy as np
import pytest
import torch
from torch.nn import functional

from ecg.model.comparisons import roc_auc
from ecg.model.fcn import FCN, outputs
from ecg.model.training import Beats, class_weights, create, fit, fit_together, standardise
from ecg.params import Train
from ecg.run.script import UsageError

TRAIN = Train(
    filters=[16, 16],
    kernels=[8, 3],
    dropout=[0.1, 0.1],
    parts=3,
    trees=0,
    members=1,
    epochs=6,
    batch_size=16,
    lr=0.003,
    weight_decay=0.01,
    ema_decay=0.5,
    specificity=0.9,
    refit=False,
    seed=1,
)


def beats(n: int, seed: int, signal: float = 1.0) -> Beats:
    """Noise, with a bump in the leads that belong to the class."""
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.arange(n) % 3)
    x = rng.normal(0, 1, (n, 12, 60)).astype(np.float32)
    for i, place in enumerate(target):
        x[i, 4 * place : 4 * place + 4, 20:28] += signal
    return Beats(x, target)


def untrained(x):
    torch.use_deterministic_algorithms(True)
    return create(TRAIN, x, classes=3, seed=1)


def trained(data, val=None, **changes):
    model, history = untrained(data.beats), []
    fit(model, data, TRAIN.model_copy(update=changes), val, history.append)
    return model, history


def auc(model, data) -> float:
    """Of the log odds of class 1 against class 0, among the beats of these classes."""
    logits, either = outputs(model, data.beats).double().numpy(), data.target < 2
    return float(roc_auc(data.target[either] == 1, (logits[:, 1] - logits[:, 0])[either])[0])


def test_it_learns_what_is_there_and_nothing_else():
    model, history = trained(beats(240, 0))
    assert auc(model, beats(300, 2)) > 0.97
    assert history[-1]["train_loss"] < history[0]["train_loss"]

    x, target = beats(240, 0)
    blind, _ = trained(Beats(x, np.random.default_rng(9).permutation(target)))
    assert auc(blind, beats(600, 2, signal=0)) == pytest.approx(0.5, abs=0.1)


def test_what_is_kept_is_the_average_of_the_last_epoch_whatever_val_says():
    data, val = beats(240, 0, signal=0.3), beats(90, 1, signal=0.3)
    model, history = trained(data, val)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    loss = functional.cross_entropy(outputs(model, val.beats), torch.from_numpy(val.target))
    assert history[-1]["val_loss"] == pytest.approx(loss.item(), abs=1e-6)  # classes of val and train are even
    # Epochs that do worse and worse are kept as well, and val is only watched.
    other, worse = trained(data, Beats(val.beats, np.random.default_rng(3).permutation(val.target)))
    assert [row["val_loss"] for row in worse] != [row["val_loss"] for row in history]
    without, losses = trained(data)
    assert losses == [{key: row[key] for key in ("epoch", "train_loss")} for row in history]
    for network in (other, without):
        assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in model.state_dict().items())
    # After six epochs the average has a memory of those before.
    last, _ = trained(data, ema_decay=0.0)
    assert not torch.allclose(last.classifier.weight, model.classifier.weight)


def test_divergence_is_said_in_one_line():
    with pytest.raises(UsageError, match=r"diverged in epoch 1; train\.lr is 1e\+30"):
        trained(beats(60, 0), lr=1e30)


def test_same_seed_same_weights_other_seed_other_weights():
    one, again, other = (trained(beats(60, 0), epochs=2, seed=seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_normalisation_comes_from_train():
    x, _ = beats(50, 0)
    model = FCN(TRAIN, leads=12, classes=3)
    standardise(model, x)
    np.testing.assert_allclose(model.mean[:, 0], x.mean(axis=(0, 2)), atol=1e-6)
    np.testing.assert_allclose(model.std[:, 0], x.std(axis=(0, 2)), rtol=1e-5)


def test_classes_count_alike():
    target = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights(target, 3)
    sums = torch.stack([weights[target[target == c]].sum() for c in range(3)])
    torch.testing.assert_close(sums, torch.full((3,), 10 / 3))


def test_networks_that_train_at_the_same_time_are_those_that_train_alone(monkeypatch):
    data, seeds = beats(60, 0), [3, 4, 5]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = [trained(data, epochs=2, seed=seed)[0] for seed in seeds]
    torch.set_num_threads(threads)
    networks = [untrained(data.beats) for _ in seeds]
    # With enough cores each would have several, and add up in another order.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)

    def train(network, seed, check):
        fit(network, data, TRAIN.model_copy(update={"epochs": 2, "seed": seed}), check=check)

    fits = [functools.partial(train, network, seed) for network, seed in zip(networks, seeds, strict=True)]
    fit_together(fits, torch.device("cpu"))
    for one, other in zip(alone, networks, strict=True):
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    assert not torch.equal(networks[0].classifier.weight, networks[1].classifier.weight)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_where_one_training_fails_the_others_end_and_its_error_is_what_is_said(device):
    ended = []

    def endless(check):
        try:
            while True:
                time.sleep(0.001)
                check()
        finally:
            ended.append(True)

    def diverges(check):
        raise UsageError("training diverged")

    with pytest.raises(UsageError, match="diverged"):
        fit_together([diverges, endless, endless], torch.device(device))
    assert len(ended) == (2 if device == "cpu" else 0)
