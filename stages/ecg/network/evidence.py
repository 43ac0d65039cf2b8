"""What in a median beat speaks for ischemia: class activation maps, and leads left out one by one."""

from functools import partial

import numpy as np
import torch

from ecg.leads import limb_leads
from ecg.network.ensemble import Ensemble, logits
from ecg.network.fcn import FCN
from ecg.network.novelty import in_batches
from ecg.network.random_convolutions import RandomConvolutions
from ecg.network.trees import Trees


def evidence_of(
    part: FCN | RandomConvolutions | Trees, beats: torch.Tensor, ischemia: int, normal: int
) -> torch.Tensor:
    """Return n x steps, whose mean is, but for a constant, a part's logit of ischemia minus that of normal."""
    if isinstance(part, Trees):
        return part.evidence(beats, ischemia, normal)
    weight = part.classifier.weight
    return part.evidence(beats, weight[ischemia] - weight[normal])


def average_beat(model: Ensemble, samples: int) -> np.ndarray:
    """Return the average beat of the train split, as the distance from it knows it: 1 x 12 leads x samples, mV."""
    eight = (model.novelty.mean * model.novelty.size[0].exp()).cpu().numpy()
    one, two, *chest = np.repeat(eight, -(-samples // eight.shape[1]), axis=1)[:, :samples]
    return np.stack([*limb_leads(one, two).values(), *chest])[None]


@torch.no_grad()
def activation_maps(model: Ensemble, classes: list[str], beats: np.ndarray) -> np.ndarray:
    """Return when beats (n x 12 x samples, mV) speak for ischemia against normal: n x steps of `pool` samples.

    Class activation maps (Zhou et al. 2016) of the difference of the two logits: networks and random convolutions see
    means over time, and what a tree says changes by one moment of the beat after the other, so the maps are exact. Each
    is that of the beat less that of the average beat, whose log odds are spread evenly over the time: so what is in
    every beat does not show, and a map's mean over its steps is the log odds of the score.
    """
    ischemia, normal = classes.index("ischemia"), classes.index("normal")
    model.eval()
    device = model.temperature.device
    both = np.concatenate([average_beat(model, beats.shape[2]), beats])

    def look(part: FCN | RandomConvolutions | Trees, batch: torch.Tensor) -> torch.Tensor:
        return evidence_of(part, batch.to(device), ischemia, normal).cpu()

    found = [share * in_batches(partial(look, part), both).double() for part, share in model.shares()]
    maps = torch.stack(found).sum(dim=0) / model.temperature.double().cpu()
    average = logits(model, both[:1])[0].double()
    return (maps[1:] - maps[0] + (average[ischemia] - average[normal])).numpy()


def lead_contributions(model: Ensemble, classes: list[str], beats: np.ndarray) -> np.ndarray:
    """Return how much each lead adds to the log odds of ischemia against normal (n x leads).

    That is how far the log odds fall when the lead is replaced by its mean over the train split (occlusion, Zeiler &
    Fergus 2014). Limb leads say much the same, so one of them alone may count for little.
    """
    mean = np.stack([member.mean.cpu().numpy() for member in model.members]).mean(axis=0)

    def log_odds(x):
        out = logits(model, x).double().numpy()
        return out[:, classes.index("ischemia")] - out[:, classes.index("normal")]

    occluded = np.repeat(beats[:, None], beats.shape[1], axis=1)
    for lead in range(beats.shape[1]):
        occluded[:, lead, lead] = mean[lead]
    return log_odds(beats)[:, None] - log_odds(occluded.reshape(-1, *beats.shape[1:])).reshape(len(beats), -1)
