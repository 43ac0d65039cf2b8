import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logit, softmax
from small_models import PARAMS, made_beats, small_model

from ecg.model.model import activation_maps, first_bytes, lead_contributions, probabilities, uncalibrated_logits
from ecg.model.recipe import fit_model
from ecg.recordings.hearts import twelve_leads

BEATS = np.random.default_rng(1).normal(size=(50, 12, 94)).astype(np.float32)
CLASSES = [(2, 1), (2, 0), (3, 1), (3, 2)]  # their number, and which is ischemia


def log_odds(model, beats):
    return logit(probabilities(model, beats)[:, model.ischemia])


@pytest.mark.parametrize("trees", [0, 4])
def test_trees_have_most_of_the_weight_and_networks_share_the_rest(trees):
    model, beats = small_model(trees=trees), torch.randn(4, 3, 94)
    networks = torch.stack([member(beats) for member in model.members]).mean(dim=0)
    expected = 0.8 * model.trees(beats) + 0.2 * networks if trees else networks
    torch.testing.assert_close(model.uncalibrated(beats), expected)


@pytest.mark.parametrize(("classes", "ischemia"), CLASSES)
def test_its_probabilities_are_calibrated(classes, ischemia):
    model = small_model(12, classes, ischemia, trees=4)
    first = softmax(uncalibrated_logits(model, BEATS) / 1.7 + np.array([-0.5, -1.2, -2.3])[:classes], axis=1)
    p = probabilities(model, BEATS)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(logit(p[:, ischemia]), 0.8 * logit(first[:, ischemia]) - 0.3, atol=1e-5)
    others = np.delete(np.arange(classes), ischemia)
    one, two = others[0], others[-1]
    np.testing.assert_allclose(p[:, one] / p[:, two], first[:, one] / first[:, two], rtol=1e-4)
    assert p.std() > 0.05


def test_networks_differ_and_weights_do_not_depend_on_the_number_of_threads():
    data, names = made_beats(60, 0), ["normal", "ischemia", "other"]
    rows = pd.DataFrame({"label": [names[i] for i in data.target], "patient": np.arange(60), "sha256": "ab" * 32})
    states, before = [], torch.get_num_threads()
    for threads, seed in ((1, 1), (2, 1), (1, 2)):
        torch.set_num_threads(threads)
        train = PARAMS.train.model_copy(update={"epochs": 1, "trees": 5, "seed": seed})
        states.append(fit_model(data.beats, rows, names, PARAMS.extract, train)[0].state_dict())
    torch.set_num_threads(before)
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    weights = [states[0]["members.1.classifier.weight"], states[2]["members.0.classifier.weight"]]
    assert not any(torch.equal(states[0]["members.0.classifier.weight"], other) for other in weights)


@pytest.mark.parametrize(("classes", "ischemia"), CLASSES)
@pytest.mark.parametrize(("parts", "trees"), [(1, 0), (10, 0), (3, 30)])
def test_a_map_adds_up_to_the_log_odds(parts, trees, classes, ischemia):
    model = small_model(12, classes, ischemia, parts=parts, trees=trees)
    model.ood.mean.normal_()
    for member in model.members:
        member.classifier.weight.data *= 30  # the beats then differ in their evidence
    maps, expected = activation_maps(model, BEATS[:5]), log_odds(model, BEATS[:5])
    assert maps.shape == (5, 94)
    np.testing.assert_allclose(maps.mean(axis=1), expected, rtol=1e-5, atol=2e-5)
    assert expected.std() > 1e-3 and maps.std(axis=1).min() > 0.1
    # That of the average beat of training is flat.
    model.ood.size[0] = np.log(2)
    average = twelve_leads(2 * model.ood.mean.T.numpy()).T[None]
    np.testing.assert_allclose(activation_maps(model, average)[0], log_odds(model, average)[0], atol=1e-3)


def test_a_leads_contribution_is_the_cost_of_its_absence():
    model = small_model(12, classes=3, trees=30)
    without = BEATS.copy()
    without[:, 1] = np.mean([member.mean[1, 0] for member in model.members])
    expected = log_odds(model, BEATS) - log_odds(model, without)
    np.testing.assert_allclose(lead_contributions(model, BEATS)[:, 1], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 0.01
    # Nothing is lost where a lead already is its mean.
    np.testing.assert_allclose(lead_contributions(model, without)[:, 1], 0, atol=1e-6)


def test_first_bytes_are_sorted_and_hold_each_hash_once():
    hashes = ["00" * 7 + "01" + "aa" * 24, "ff" * 32, "80" + "00" * 31, "00" * 7 + "01" + "bb" * 24]
    assert first_bytes(hashes).tolist() == [1, -(2**63), -1]  # by their bytes, as unsigned numbers
