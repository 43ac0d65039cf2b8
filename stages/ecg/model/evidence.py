"""What in a median beat speaks for ischemia: class activation maps, and leads left out one by one."""

import numpy as np
import torch
from torch.nn import functional

from ecg.leads import limb_leads
from ecg.model.fcn import FCN, in_batches, outputs
from ecg.model.model import Model, uncalibrated_logits
from ecg.model.trees import Trees


def average_beat(model: Model) -> np.ndarray:
    """Return the average beat of training, as the distance from it knows it: 1 x 12 leads x samples, mV."""
    one, two, *chest = (model.ood.mean * model.ood.size[0].exp()).cpu().numpy()
    return np.stack([*limb_leads(one, two).values(), *chest])[None]


def log_odds(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return the log odds of p(ischemia) of n beats (n x 12 x samples, mV)."""
    log_p = outputs(model, beats).double()[:, model.ischemia]
    return (log_p - torch.log(-torch.expm1(log_p))).numpy()


@torch.no_grad()
def activation_maps(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return when beats (n x 12 x samples, mV) speak for ischemia: n x samples, whose mean is the log odds.

    Class activation maps (Zhou et al. 2016): networks see means over time, and a tree's output changes by one moment of
    the beat after the other, so each class's map is exact. Each is that of the beat less that of the average beat,
    whose log odds are spread evenly over the time: so what is in every beat does not show. The other classes count by
    what each adds to the log odds from the average beat to this one (the rescale rule of Shrikumar et al. 2017).
    """
    model.eval()
    device = model.temperature.device
    both = np.concatenate([average_beat(model), beats])

    def maps_of(part: FCN | Trees) -> torch.Tensor:
        return in_batches(lambda batch: part.evidence(batch.to(device)).cpu(), both).double()

    maps = torch.stack([share * maps_of(part) for part, share in model.shares()]).sum(dim=0)
    maps = (maps[1:] - maps[0]) / model.temperature.double().cpu()
    first = torch.from_numpy(uncalibrated_logits(model, both)) / model.temperature.double().cpu()
    first += model.log_prior.double().cpu()
    others = [number for number in range(first.shape[1]) if number != model.ischemia]
    against = maps[:, others[0]]
    if len(others) == 2:
        apart = first[:, others[1]] - first[:, others[0]]
        change = apart[1:] - apart[0]
        soft = functional.softplus(apart)
        rate = torch.where(change.abs() < 1e-9, torch.sigmoid(apart[1:]), (soft[1:] - soft[0]) / change)
        against = against + rate[:, None] * (maps[:, others[1]] - against)
    found = model.slope.double().cpu() * (maps[:, model.ischemia] - against)
    return found.numpy() + log_odds(model, both[:1])


def lead_contributions(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return how much each lead adds to the log odds of ischemia (n x leads).

    That is how far the log odds fall when the lead is replaced by its mean over the train split (occlusion, Zeiler &
    Fergus 2014). Limb leads say much the same, so one of them alone may count for little.
    """
    mean = np.stack([member.mean.cpu().numpy() for member in model.members]).mean(axis=0)
    occluded = np.repeat(beats[:, None], beats.shape[1], axis=1)
    for lead in range(beats.shape[1]):
        occluded[:, lead, lead] = mean[lead]
    without = log_odds(model, occluded.reshape(-1, *beats.shape[1:])).reshape(len(beats), -1)
    return log_odds(model, beats)[:, None] - without
