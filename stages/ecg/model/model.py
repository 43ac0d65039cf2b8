"""The model: trees and networks with calibrated probabilities; activation maps of beats; the model file."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional

from ecg.leads import limb_leads
from ecg.model.decision import Calibration, calibrated
from ecg.model.description import TREES_SHARE, Description, no_model, read_description
from ecg.model.fcn import FCN, outputs
from ecg.model.ood import OutOfDistribution
from ecg.model.trees import Trees, first_sample
from ecg.run.files import write


class Model(nn.Module):
    """Networks and trees, if any: maps beats (n x 12 leads x samples, mV) to log probabilities (n x classes).

    The weighted mean of the parts' logits is calibrated (`Calibration`). The model also contains the distance of a
    beat from those of training, and the first bytes (`first_bytes`) of the hashes of the recordings of training.
    """

    def __init__(
        self, members: list[FCN], trees: Trees | None, ood: OutOfDistribution, hashes: torch.Tensor, ischemia: int
    ):
        super().__init__()
        self.members: list[FCN] = nn.ModuleList(members)  # type: ignore[assignment]  # ModuleList is not generic
        self.trees, self.ood, self.hashes, self.ischemia = trees, ood, nn.Buffer(hashes), ischemia
        self.temperature, self.slope = nn.Buffer(torch.ones(())), nn.Buffer(torch.ones(()))
        self.log_prior = nn.Buffer(torch.zeros(members[0].classifier.out_features))
        self.intercept = nn.Buffer(torch.zeros(()))

    def shares(self) -> list[tuple[FCN | Trees, float]]:
        """Return each part and its weight in the mean of the logits."""
        rest = 1.0 if self.trees is None else 1 - TREES_SHARE
        networks: list[tuple[FCN | Trees, float]] = [(member, rest / len(self.members)) for member in self.members]
        return networks if self.trees is None else [(self.trees, TREES_SHARE), *networks]

    def uncalibrated(self, beats: torch.Tensor) -> torch.Tensor:
        """Return the mean of the parts' logits (n x classes), which take the classes as equally frequent."""
        return torch.stack([share * part(beats) for part, share in self.shares()]).sum(dim=0)

    def calibration(self) -> Calibration:
        return Calibration(self.temperature, self.log_prior, self.slope, self.intercept)

    def calibrate(self, calibration: Calibration) -> None:
        for name, value in calibration._asdict().items():
            getattr(self, name).copy_(value)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return calibrated(self.uncalibrated(beats), self.calibration(), self.ischemia)


def uncalibrated_logits(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return logits before calibration (n x classes, float64) of beats (n x leads x samples, mV)."""
    return outputs(model, beats, "uncalibrated").double().numpy()


def probabilities(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return probabilities (n x classes, float64) of beats (n x leads x samples, mV)."""
    return outputs(model, beats).double().exp().numpy()


def distances(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return the distance of each beat (n x leads x samples, mV) from those of training; 1 is the limit."""
    return outputs(model.ood, beats).double().numpy()


def log_odds(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return the log odds of ischemia of beats (n x 12 x samples, mV)."""
    log_p = outputs(model, beats).double()[:, model.ischemia]
    return (log_p - torch.log(-torch.expm1(log_p))).numpy()


def activation_maps(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return the evidence for ischemia over beats (n x 12 x samples, mV): n x samples, whose mean is the log odds.

    The class activation map (Zhou et al. 2016) of each class is exact: networks average over time, and each node of a
    tree responds to one time. The map of the average beat is subtracted, so that features of every beat do not show;
    the log odds of the average beat are spread evenly over the time. The other classes are weighted by their change of
    the log odds from the average beat to this one (the rescale rule of Shrikumar et al. 2017).
    """
    # The average beat of training, as the distance from training stores it.
    one, two, *chest = (model.ood.mean * model.ood.size[0].exp()).cpu().numpy()
    both = np.concatenate([np.stack([*limb_leads(one, two).values(), *chest])[None], beats])
    temperature, log_prior, slope, _ = (value.double().cpu() for value in model.calibration())
    maps = torch.stack([share * outputs(part, both, "evidence").double() for part, share in model.shares()]).sum(dim=0)
    maps = (maps[1:] - maps[0]) / temperature
    first = outputs(model, both, "uncalibrated").double() / temperature + log_prior
    others = [number for number in range(first.shape[1]) if number != model.ischemia]
    # One other class counts as two equal ones.
    one, two = others[0], others[-1]
    apart = first[:, two] - first[:, one]
    change = apart[1:] - apart[0]
    soft = functional.softplus(apart)
    rate = torch.where(change.abs() < 1e-9, torch.sigmoid(apart[1:]), (soft[1:] - soft[0]) / change)
    against = maps[:, one] + rate[:, None] * (maps[:, two] - maps[:, one])
    return (slope * (maps[:, model.ischemia] - against)).numpy() + log_odds(model, both[:1])


def lead_contributions(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return each lead's contribution to the log odds of ischemia of beats (n x leads x samples, mV): n x leads.

    The contribution is the fall of the log odds where the lead is replaced by its mean over the train split (occlusion,
    Zeiler & Fergus 2014). It may be small for a limb lead, since the other limb leads contain nearly the same.
    """
    mean = np.stack([member.mean.cpu().numpy() for member in model.members]).mean(axis=0)
    leads = np.arange(beats.shape[1])[:, None]
    without = [log_odds(model, np.where(leads == lead, mean, beats)) for lead in leads]
    return log_odds(model, beats)[:, None] - np.stack(without, axis=1)


def first_bytes(hashes: Iterable[str]) -> np.ndarray:
    """Return the first 8 bytes of each SHA-256 (hex) as integers (int64): sorted, without duplicates."""
    return np.unique(np.array([int(text[:16], 16) for text in hashes], dtype=np.uint64)).view(np.int64)


def save_model(path: Path, model: nn.Module, description: Description) -> None:
    """Write weights and description, whole or not at all."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    about = description.model_dump(exclude_defaults=True)  # a new key leaves other files as they are
    # One entry of metadata: safetensors writes several in an order that changes from run to run.
    write(path, save(state, metadata={"description": json.dumps(about, sort_keys=True)}))


@torch.no_grad()
def load_model(path: Path) -> tuple[Model, Description]:
    """Read a model and its description from a file of `save_model`; UsageError for any other file."""
    description = read_description(path)
    leads, classes, samples = len(description.leads), len(description.classes), description.n_samples
    try:
        # The device meta allocates no memory: a wrong description may state any size.
        with torch.device("meta"):
            members = [FCN(description.architecture, leads=leads, classes=classes) for _ in range(description.members)]
            trees = None
            if n := description.architecture.trees:
                first = first_sample(description.extract)
                trees = Trees(trees=n, classes=classes, samples=samples, first=first, **description.trees.model_dump())
            hashes, ood = torch.zeros(description.recordings, dtype=torch.int64), OutOfDistribution(samples)
            model = Model(members, trees, ood, hashes, description.classes.index("ischemia")).eval()
        model.load_state_dict(load_file(path), assign=True)
        beats = torch.zeros(1, leads, samples)
        values = (*model.state_dict().values(), model(beats), model.ood(beats))
        if not all(torch.isfinite(tensor).all() for tensor in values):
            raise ValueError("its weights, or its outputs for a beat of zeros, are not finite")
    except (SafetensorError, ValueError, RuntimeError, IndexError) as error:
        raise no_model(path, str(error)) from None
    return model, description
