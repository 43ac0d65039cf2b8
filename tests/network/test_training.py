import functools
import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ecg.evaluation.questions import scores_against_normal
from ecg.evaluation.roc import roc_auc
from ecg.network.checkpoint import read_checkpoint, write_checkpoint
from ecg.network.ensemble import probabilities
from ecg.network.fcn import FCN
from ecg.network.random_convolutions import STRENGTH, RandomConvolutions, convolution_features, draw, fit_linear
from ecg.network.training import class_weights, create, fit, fit_together, standardise
from ecg.params import Train
from ecg.stage.script import UsageError

CLASSES = ["normal", "ischemia", "other"]
TRAIN = Train(
    filters=[16, 16],
    kernels=[8, 3],
    dropout=[0.1, 0.1],
    pool=1,
    parts=3,
    random_convolutions=0,
    trees=0,
    members=1,
    epochs=6,
    batch_size=16,
    precision="float32",
    lr=0.003,
    weight_decay=0.01,
    average=0.5,
    specificity=0.9,
    seed=1,
)


def headline_auc(scores: np.ndarray, target: np.ndarray) -> float:
    return float(roc_auc(*scores_against_normal(scores, target, CLASSES))[0])


def beats(n: int, seed: int, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Noise, with a bump in the leads that belong to the class."""
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.arange(n) % 3)
    x = rng.normal(0, 1, (n, 12, 60)).astype(np.float32)
    for i, place in enumerate(target):
        x[i, 4 * place : 4 * place + 4, 20:28] += signal
    return x, target


def untrained(x):
    torch.use_deterministic_algorithms(True)
    return create(TRAIN, x, classes=3, seed=1)


def trained(train, val, state=None, save=lambda state: None, **changes):
    model = untrained(train[0])
    history, weights = fit(model, (train, val), headline_auc, TRAIN.model_copy(update=changes), state, save)
    model.load_state_dict(weights)
    return model, history


def test_it_learns_what_is_there_and_nothing_else():
    model, history = trained(beats(240, 0), beats(90, 1))
    fresh, target = beats(300, 2)
    assert headline_auc(probabilities(model, fresh), target) > 0.97
    assert history[-1]["train_loss"] < history[0]["train_loss"]

    x, target = beats(240, 0)
    blind, _ = trained((x, np.random.default_rng(9).permutation(target)), beats(90, 1))
    fresh, target = beats(600, 2, signal=0)
    assert headline_auc(probabilities(blind, fresh), target) == pytest.approx(0.5, abs=0.1)


def test_what_is_kept_is_the_average_of_the_last_epoch_whatever_val_says():
    train, val = beats(240, 0, signal=0.3), beats(90, 1, signal=0.3)
    model, history = trained(train, val)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert headline_auc(probabilities(model, val[0]), val[1]) == pytest.approx(history[-1]["val_roc_auc"], abs=1e-9)
    # Epochs that do worse and worse are kept as well.
    other, worse = trained(train, (val[0], np.random.default_rng(3).permutation(val[1])))
    assert [row["val_roc_auc"] for row in worse] != [row["val_roc_auc"] for row in history]
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())
    # After six epochs the average has a memory of those before.
    last, _ = trained(train, val, average=0.0)
    assert not torch.allclose(last.classifier.weight, model.classifier.weight)


def test_divergence_is_said_in_one_line():
    with pytest.raises(UsageError, match=r"diverged in epoch 1; train\.lr is 1e\+30"):
        trained(beats(60, 0), beats(30, 1), lr=1e30)


def test_same_seed_same_weights_other_seed_other_weights():
    one, again, other = (trained(beats(60, 0), beats(30, 1), epochs=2, seed=seed)[0].state_dict() for seed in (1, 1, 2))
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


def test_headline_auc_by_hand():
    # p(i) / (p(i) + p(n)) is .75 and .4 in two ischemic, .5 and .2 in two normal; the fifth, other, does not count.
    p = np.array([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5], [0.5, 0.5, 0.0], [0.8, 0.2, 0.0], [0.0, 1.0, 0.0]])
    assert headline_auc(p, np.array([1, 1, 0, 0, 2])) == pytest.approx(3 / 4)


def test_training_goes_on_from_a_checkpoint_as_if_nothing_had_been(tmp_path):
    train, val, path = beats(60, 0), beats(30, 1), tmp_path / "run/member-1"
    whole, history = trained(train, val, save=lambda state: None)

    def stop_after_three(state):
        write_checkpoint(path, state)
        if len(state["history"]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(train, val, save=stop_after_three)
    state = read_checkpoint(path)
    torch.rand(7)  # the random numbers go on where they were, whatever was drawn since
    again, same_history = trained(train, val, state=state, save=lambda state: write_checkpoint(path, state))
    assert same_history == history
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
    # Finished already: nothing is left to do.
    _, same_history = trained(train, val, state=read_checkpoint(path), save=pytest.fail)
    assert same_history == history


def test_bf16_is_coarser_and_learns():
    exact, _ = trained(beats(60, 0), beats(30, 1), epochs=2)
    coarse, history = trained(beats(60, 0), beats(30, 1), epochs=2, precision="bf16")
    near = [(a - b).abs().max() for a, b in zip(exact.parameters(), coarse.parameters(), strict=True)]
    assert 0 < max(near) < 0.02
    assert history[-1]["train_loss"] < 1.2


def test_networks_that_train_at_the_same_time_are_those_that_train_alone(monkeypatch):
    data, seeds = (beats(60, 0), beats(30, 1)), [3, 4, 5]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = [trained(*data, epochs=2, seed=seed)[0] for seed in seeds]
    torch.set_num_threads(threads)
    networks = [untrained(data[0][0]) for _ in seeds]
    # With enough cores each would have several, and add up in another order.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)

    def train(network, seed, check):
        own = TRAIN.model_copy(update={"epochs": 2, "seed": seed})
        network.load_state_dict(fit(network, data, headline_auc, own, check=check)[1])

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


@pytest.mark.parametrize("classes", [2, 3])
def test_the_linear_layer_of_random_convolutions_is_a_logistic_regression(classes):
    x, target = beats(60, 0)
    target = np.minimum(target, classes - 1)
    model = RandomConvolutions(pool=1, features=84 * 4, leads=12, classes=classes, samples=60)
    draw(model, x, np.random.default_rng(0))
    fit_linear(model, x, target)
    seen = StandardScaler().fit(features := convolution_features(model, x))
    expected = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=10_000, tol=1e-10)
    expected.fit(seen.transform(features), target)
    fresh = beats(40, 1)[0]
    p = expected.predict_proba(seen.transform(convolution_features(model, fresh)))
    np.testing.assert_allclose(probabilities(model, fresh), p, atol=2e-4)
    assert p.std() > 0.02
