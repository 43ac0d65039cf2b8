import numpy as np
import pytest
import torch
from test_fcn import ARCHITECTURE, small_model

from ecg.model.evidence import activation_maps, average_beat, lead_contributions
from ecg.model.model import probabilities
from ecg.params import Architecture

BEATS = np.random.default_rng(1).normal(size=(5, 12, 94)).astype(np.float32)


def log_odds(model, beats):
    p = probabilities(model, beats)[:, model.ischemia]
    return np.log(p / (1 - p))


@pytest.mark.parametrize(("classes", "ischemia"), [(2, 1), (2, 0), (3, 1), (3, 2)])
@pytest.mark.parametrize(("parts", "trees"), [(1, 0), (10, 0), (3, 30)])
def test_a_map_adds_up_to_the_log_odds(parts, trees, classes, ischemia):
    model = small_model(12, classes, ischemia, parts=parts, trees=trees)
    model.ood.mean.normal_()
    for member in model.members:
        member.classifier.weight.data *= 30  # so that the beats differ in what they speak for
    maps, expected = activation_maps(model, BEATS), log_odds(model, BEATS)
    assert maps.shape == (5, 94)
    np.testing.assert_allclose(maps.mean(axis=1), expected, rtol=1e-5, atol=2e-5)
    assert expected.std() > 1e-3 and maps.std(axis=1).min() > 0.1


def test_the_map_of_the_average_beat_is_flat():
    model = small_model(12, classes=3, trees=30)
    model.ood.mean.normal_()
    model.ood.size[0] = -1.5  # the log of its root mean square
    average = average_beat(model)
    assert average.shape == (1, 12, 94)
    # Limb leads obey Einthoven's law; the others are those of the mean.
    np.testing.assert_allclose(average[0, 2], average[0, 1] - average[0, 0], atol=1e-6)
    np.testing.assert_allclose(average[0, 6:], np.exp(-1.5) * model.ood.mean[2:], rtol=1e-5)
    (found,) = activation_maps(model, average)
    np.testing.assert_allclose(found, log_odds(model, average)[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_evidence_of_a_network_is_that_of_its_classifier():
    network = small_model(12, classes=3).members[0]
    found = network.evidence(torch.from_numpy(BEATS))
    assert found.shape == (5, 3, 94)
    expected = network(torch.from_numpy(BEATS)) - network.classifier.bias
    torch.testing.assert_close(found.mean(dim=2), expected, rtol=1e-4, atol=1e-5)


def test_a_map_is_high_where_the_evidence_is():
    model = small_model(12, parts=1)
    quiet = np.zeros((1, 12, 94), np.float32)
    bump = quiet.copy()
    bump[:, :, 40:50] = 5
    change = np.abs(activation_maps(model, bump) - activation_maps(model, quiet))[0]
    # Nothing that no feature sees together with the bump can have a say.
    reach = Architecture(**ARCHITECTURE).reach
    assert change[: 40 - reach + 1].max() == change[50 + reach - 1 :].max() == 0
    assert change[40 - reach + 1 : 50 + reach - 1].max() > 0


def test_a_leads_contribution_is_what_its_absence_costs():
    model = small_model(12, classes=3, trees=30)
    found = lead_contributions(model, BEATS)
    without = BEATS.copy()
    without[:, 1] = np.mean([member.mean[1, 0] for member in model.members])
    expected = log_odds(model, BEATS) - log_odds(model, without)
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 0.01
    # Nothing is lost where a lead already is its mean.
    np.testing.assert_allclose(lead_contributions(model, without)[:, 1], 0, atol=1e-6)
