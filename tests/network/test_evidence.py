import numpy as np
import pytest
import torch
from test_fcn import small_model

from ecg.evaluation.questions import ischemia_score
from ecg.network.ensemble import logits, probabilities
from ecg.network.evidence import activation_maps, average_beat, lead_contributions
from ecg.network.novelty import Novelty

CLASSES = ["normal", "ischemia", "other"]
BEATS = np.random.default_rng(1).normal(size=(5, 12, 51)).astype(np.float32)


def log_odds(model, beats):
    by_class = dict(zip(CLASSES, probabilities(model, beats).T, strict=True))
    score = ischemia_score(by_class, "roc_auc")
    return np.log(score / (1 - score))


@pytest.mark.parametrize(("random_convolutions", "trees"), [(0, 0), (84 * 5, 0), (84 * 5, 30)])
@pytest.mark.parametrize(("pool", "parts"), [(1, 1), (1, 10), (2, 3)])
def test_a_map_adds_up_to_the_log_odds_of_the_score(pool, parts, random_convolutions, trees):
    changes = {"random_convolutions": random_convolutions, "trees": trees}
    model = small_model(12, classes=3, pool=pool, parts=parts, **changes)
    model.log_shares += torch.tensor([-0.5, -1.0, -2.0])
    maps = activation_maps(model, CLASSES, BEATS)
    assert maps.shape == (5, 51 // pool)
    np.testing.assert_allclose(maps.mean(axis=1), log_odds(model, BEATS), rtol=1e-4, atol=1e-5)


def test_the_map_of_the_average_beat_is_flat():
    model = small_model(12, classes=3, random_convolutions=84 * 5, trees=30)
    model.novelty = Novelty(pool=2, samples=51)
    model.novelty.mean.normal_()
    model.novelty.size[0] = -1.5  # the log of its root mean square
    average = average_beat(model, 51)
    assert average.shape == (1, 12, 51)
    # Limb leads obey Einthoven's law; the others are those of the mean.
    np.testing.assert_allclose(average[0, 2], average[0, 1] - average[0, 0], atol=1e-6)
    np.testing.assert_allclose(average[0, 6:, 0], np.exp(-1.5) * model.novelty.mean[2:, 0], rtol=1e-5)
    (found,) = activation_maps(model, CLASSES, average)
    np.testing.assert_allclose(found, log_odds(model, average)[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_evidence_of_each_part_of_the_model_is_that_of_its_classifier():
    model, beats = small_model(12, classes=3, random_convolutions=84 * 40), torch.from_numpy(BEATS)
    for part in (model.random, model.members[0]):
        for weight, bias, expected in zip(*part.classifier.parameters(), part(beats).T, strict=True):
            found = part.evidence(beats, weight)
            assert found.shape == (5, 25)
            torch.testing.assert_close(found.mean(dim=1) + bias, expected, rtol=1e-4, atol=1e-5)


def test_a_map_is_high_where_the_evidence_is():
    model = small_model(12, classes=3, pool=1, parts=1)
    quiet = np.zeros((1, 12, 200), np.float32)
    bump = quiet.copy()
    bump[:, :, 120:130] = 5
    change = np.abs(activation_maps(model, CLASSES, bump) - activation_maps(model, CLASSES, quiet))[0]
    # 8, 5 and 3 samples wide: nothing farther away than 13 samples can have a say.
    assert change[:107].max() == change[143:].max() == 0
    assert change[107:143].max() > 0


def test_a_leads_contribution_is_what_its_absence_costs():
    model = small_model(12, classes=3)
    found = lead_contributions(model, CLASSES, BEATS)
    without = BEATS.copy()
    without[:, 1] = np.mean([member.mean[1, 0] for member in model.members])
    expected = log_odds(model, BEATS) - log_odds(model, without)
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-4, atol=1e-5)
    # Nothing is lost where a lead already is its mean.
    np.testing.assert_allclose(lead_contributions(model, CLASSES, without)[:, 1], 0, atol=1e-6)
    assert logits(model, BEATS).shape == (5, 3)
