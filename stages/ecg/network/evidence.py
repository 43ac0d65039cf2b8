"""What in a median beat speaks for ischemia: class activation maps, and leads left out one by one."""

import numpy as np
import torch

from ecg.network.ensemble import Ensemble, logits
from ecg.network.fcn import FCN
from ecg.network.novelty import BATCH
from ecg.network.random_convolutions import RandomConvolutions
from ecg.network.trees import Trees


def evidence_of(
    part: FCN | RandomConvolutions | Trees, beats: torch.Tensor, ischemia: int, normal: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n x steps, and a constant: their mean plus it is a part's logit of ischemia minus that of normal."""
    if isinstance(part, Trees):
        return part.evidence(beats, ischemia, normal)
    weight, bias = (values[ischemia] - values[normal] for values in part.classifier.parameters())
    return part.evidence(beats, weight), bias


@torch.no_grad()
def activation_maps(model: Ensemble, classes: list[str], beats: np.ndarray) -> tuple[np.ndarray, float]:
    """Return when beats (n x leads x samples, mV) speak for ischemia against normal (n x steps), and a constant.

    Class activation maps (Zhou et al. 2016) of the difference of the two logits: networks and random convolutions see
    means over time, and what a tree says changes by one moment of the beat after the other, so the maps are exact. A
    map's mean over its steps plus the constant is the log odds of the score. A step is `pool` samples of the beat.
    """
    ischemia, normal = classes.index("ischemia"), classes.index("normal")
    model.eval()
    device = model.temperature.device
    maps, constant = torch.zeros(()), torch.zeros(())
    for part, share in model.shares():
        batches = torch.as_tensor(beats).split(BATCH)
        found, constants = zip(
            *(evidence_of(part, batch.to(device), ischemia, normal) for batch in batches), strict=True
        )
        maps = maps + share * torch.cat(found).cpu().double()
        constant = constant + share * constants[0].double()
    offset = constant / model.temperature.double() + (model.log_shares[ischemia] - model.log_shares[normal]).double()
    return (maps / model.temperature.double().cpu()).numpy(), float(offset)


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
