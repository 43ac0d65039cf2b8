"""How unlike the beats that a model was trained on a beat is."""

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from ecg.leads import INDEPENDENT
from ecg.network.device import in_batches

COMPONENTS = 12  # of the beat's shape
BEYOND = 0.005  # share of unseen beats beyond each of the three limits
PARTS = 3  # of the patients; each part is seen by what is fitted to the others
RIDGE = 1e-3  # of the largest variance over the leads, so that leads that nearly follow from others have a limit
SMALL = 1e-6  # mV; a flat beat has no size
LEAST = 1e-9  # variance, so that what is divided by it stays finite


class Novelty(nn.Module):
    """The distance of a beat from those of training: 1 is the limit, beyond which about 1.5% of unseen beats lie.

    It is the largest of three: how far the size of the beat, the log of its root mean square, is above the usual one;
    how far its shape at size 1 is, by the likelihood of probabilistic principal components (Tipping & Bishop 1999); and
    how far the lead that does so worst departs from its regression on the others. All see the 8 independent leads.
    """

    def __init__(self, samples: int):
        super().__init__()
        leads = len(INDEPENDENT)
        self.size = nn.Buffer(torch.tensor([0.0, 1.0]))  # mean and standard deviation
        self.mean = nn.Buffer(torch.zeros(leads, samples))
        self.components = nn.Buffer(torch.zeros(COMPONENTS, leads * samples))
        self.spread = nn.Buffer(torch.ones(COMPONENTS + 1))  # standard deviation along each component, and outside
        # The residual of each lead's regression on the others, over its standard deviation.
        self.from_others = nn.Buffer(torch.ones(leads, leads))
        self.limits = nn.Buffer(torch.ones(3))

    def parts(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x 3 distances, of size, shape and leads, of n x 12 leads x samples (mV)."""
        unit, log_size = at_size_1(beats)
        size = (log_size - self.size[0]).clamp(min=0) / self.size[1]
        shape = (unit - self.mean).flatten(1)
        along = shape @ self.components.T
        outside = (shape.square().sum(dim=1) - along.square().sum(dim=1)).clamp(min=0)
        departure = (along / self.spread[:-1]).square().sum(dim=1) + outside / self.spread[-1] ** 2
        alone = (self.from_others @ unit).square().mean(dim=2).sqrt().amax(dim=1)
        return torch.stack([size, departure.sqrt(), alone], dim=1) / self.limits

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.parts(beats).amax(dim=1)


def at_size_1(beats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 8 independent leads of beats (n x 12 x samples, mV) over their root mean square, and its logarithm."""
    eight = beats[:, INDEPENDENT]
    size = eight.square().mean(dim=(1, 2)).sqrt().clamp(min=SMALL)
    return eight / size[:, None, None], size.log()


def learn(beats: np.ndarray) -> Novelty:
    """Return the distance from beats (n x 12 x samples, mV), all limits 1."""
    unit, log_size = (values.numpy() for values in at_size_1(torch.from_numpy(beats).double()))
    mean = unit.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((unit - mean).reshape(len(unit), -1), rowvar=False, bias=True))
    variances = values[::-1].clip(min=LEAST)
    covariance = np.einsum("nit,njt->ij", unit, unit) / (len(unit) * unit.shape[2])
    precision = np.linalg.inv(covariance + RIDGE * np.linalg.eigvalsh(covariance)[-1] * np.eye(len(covariance)))
    fitted = {
        "size": np.array([log_size.mean(), max(log_size.std(), 1e-3)]),
        "mean": mean,
        "components": vectors[:, ::-1].T[:COMPONENTS].copy(),
        "spread": np.sqrt(np.append(variances[:COMPONENTS], variances[COMPONENTS:].mean())),
        "from_others": precision / np.sqrt(np.diag(precision))[:, None],
    }
    model = Novelty(beats.shape[2])
    for name, array in fitted.items():
        getattr(model, name).copy_(torch.from_numpy(array))
    return model


# Sums must not depend on how many threads there are.
@threadpool_limits.wrap(limits=1)
def fit_novelty(beats: np.ndarray, patients: np.ndarray) -> Novelty:
    """Return the distance from beats (n x 12 x samples, mV) of these patients; its limits are set on unseen ones."""
    model = learn(beats)
    part = np.unique(patients, return_inverse=True)[1] % PARTS
    unseen = [in_batches(learn(beats[part != k]).parts, beats[part == k]) for k in np.unique(part)]
    limits = torch.quantile(torch.cat(unseen), 1 - BEYOND, dim=0, interpolation="higher")
    model.limits.copy_(limits.clamp(min=1e-3))
    return model
