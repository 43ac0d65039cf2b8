"""The distance of a beat from the beats of training (out-of-distribution detection, ood)."""

import numpy as np
import torch
from torch import nn

from ecg.leads import INDEPENDENT
from ecg.model.fcn import outputs

COMPONENTS = 12  # of the beat's shape
BEYOND = 0.005  # share of unseen beats beyond each of the three limits
PARTS = 3  # folds of the patients, for the limits
RIDGE = 1e-3  # share of the largest variance over the leads: finite limits for leads that nearly follow from others
SMALL, LEAST = 1e-6, 1e-9  # least size in mV and least variance, to keep quotients finite


class OutOfDistribution(nn.Module):
    """The distance of a beat from those of training: 1 is the limit, beyond which about 1.5% of unseen beats lie.

    It is the largest of three distances of the 8 independent leads: of the size (the log of the root mean square) above
    its mean; of the shape at size 1, by the likelihood of probabilistic principal components (Tipping & Bishop 1999);
    and of the lead that is farthest from its regression on the others.
    """

    def __init__(self, samples: int):
        super().__init__()
        leads = len(INDEPENDENT)
        self.size = nn.Buffer(torch.tensor([0.0, 1.0]))  # mean and standard deviation
        self.mean = nn.Buffer(torch.zeros(leads, samples))
        self.components = nn.Buffer(torch.zeros(COMPONENTS, leads * samples))
        self.spread = nn.Buffer(torch.ones(COMPONENTS + 1))  # standard deviation along each component, and outside
        self.from_others = nn.Buffer(torch.ones(leads, leads))  # residuals of regressions over their SDs
        self.limits = nn.Buffer(torch.ones(3))

    def parts(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x 3 distances, of size, shape and leads, of n x 12 leads x samples (mV)."""
        unit, log_size = at_size_1(beats)
        shape = (unit - self.mean).flatten(1)
        along = shape @ self.components.T
        outside = (shape.square().sum(dim=1) - along.square().sum(dim=1)).clamp(min=0)
        departure = (along / self.spread[:-1]).square().sum(dim=1) + outside / self.spread[-1] ** 2
        alone = (self.from_others @ unit).square().mean(dim=2).sqrt().amax(dim=1)
        size = (log_size - self.size[0]).clamp(min=0) / self.size[1]
        return torch.stack([size, departure.sqrt(), alone], dim=1) / self.limits

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.parts(beats).amax(dim=1)


def at_size_1(beats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 8 independent leads of beats (n x 12 x samples, mV) over their root mean square, and its logarithm."""
    eight = beats[:, INDEPENDENT]
    size = eight.square().mean(dim=(1, 2)).sqrt().clamp(min=SMALL)
    return eight / size[:, None, None], size.log()


def learn(beats: np.ndarray) -> OutOfDistribution:
    """Return the distance from beats (n x 12 x samples, mV), with limits of 1."""
    unit, log_size = (values.numpy() for values in at_size_1(torch.from_numpy(beats).double()))
    model, mean = OutOfDistribution(beats.shape[2]), unit.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((unit - mean).reshape(len(unit), -1), rowvar=False, bias=True))
    variances = values[::-1].clip(min=LEAST)
    covariance = np.einsum("nit,njt->ij", unit, unit) / (len(unit) * unit.shape[2])
    precision = np.linalg.inv(covariance + RIDGE * np.linalg.eigvalsh(covariance)[-1] * np.eye(len(covariance)))
    model.size.copy_(torch.tensor([log_size.mean(), max(log_size.std(), 1e-3)]))
    model.mean.copy_(torch.from_numpy(mean))
    model.components.copy_(torch.from_numpy(vectors[:, ::-1].T[:COMPONENTS].copy()))
    model.spread.copy_(torch.from_numpy(np.append(variances[:COMPONENTS], variances[COMPONENTS:].mean())).sqrt())
    model.from_others.copy_(torch.from_numpy(precision / np.sqrt(np.diag(precision))[:, None]))
    return model


def fit_ood(beats: np.ndarray, patients: np.ndarray) -> OutOfDistribution:
    """Return the distance from beats (n x 12 x samples, mV); its limits are quantiles over beats of unseen patients."""
    model, part = learn(beats), np.unique(patients, return_inverse=True)[1] % PARTS
    unseen = [outputs(learn(beats[part != k]), beats[part == k], "parts") for k in np.unique(part)]
    model.limits.copy_(torch.quantile(torch.cat(unseen), 1 - BEYOND, dim=0, interpolation="higher").clamp(min=1e-3))
    return model
