"""How unlike the beats that a model was trained on a beat is, and which recordings these were."""

from collections.abc import Iterable

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from ecg.leads import INDEPENDENT, LEADS
from ecg.network.faults import with_faults
from ecg.network.random_convolutions import evenly
from ecg.network.trees import Trees, fit_trees

COMPONENTS = 10  # of the beat's shape
BEYOND = 0.01  # of the val beats lie farther than 1
TREES = 100  # that tell beats with a fault
BEATS, TIMES = 3000, 4  # of train that they learn from, at most, and how often each is given a fault
RIDGE = 1e-3  # of the largest variance over the leads, so that leads that nearly follow from others have a limit


class Novelty(nn.Module):
    """The distance of a beat from those of the train split: 1 is the limit, beyond which 1% of val lie.

    It is the largest of four: how far the size of the beat, the log of its root mean square, is above the usual one;
    how far its shape at size 1 is, in the space of the principal components and outside it; how far the lead that does
    so worst departs from what the others tell of it; and how sure trees are that it has one of some `faults` that they
    were shown. All see the 8 independent leads, means of `pool` samples.
    """

    def __init__(self, *, pool: int, samples: int, nodes: int = 1, depth: int = 0):
        super().__init__()
        self.pool, leads, steps = nn.AvgPool1d(pool), len(INDEPENDENT), samples // pool
        self.size = nn.Buffer(torch.tensor([0.0, 1.0]))  # mean and limit
        self.mean = nn.Buffer(torch.zeros(leads, steps))
        self.components = nn.Buffer(torch.zeros(COMPONENTS, leads * steps))
        self.spread = nn.Buffer(torch.ones(COMPONENTS + 1))  # limit along each component, and outside
        # What a lead has that the others do not tell, over its limit.
        self.from_others = nn.Buffer(torch.zeros(leads, leads))
        self.faults = Trees(trees=TREES, nodes=nodes, depth=depth, pool=1, classes=2, samples=features_of(leads, steps))
        self.sure = nn.Buffer(torch.ones(()))  # the limit of the trees' probability

    def parts(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x 4 distances, of size, shape, leads and faults, of n x 12 leads x samples (mV)."""
        if beats.shape[1] != len(LEADS):
            raise ValueError(f"beats have {beats.shape[1]} leads; allowed: {len(LEADS)}")
        pooled = self.pool(beats[:, INDEPENDENT])
        root_mean_square = pooled.square().mean(dim=(1, 2)).sqrt().clamp(min=1e-6)
        size = (root_mean_square.log() - self.size[0]).clamp(min=0) / self.size[1]
        unit = pooled / root_mean_square[:, None, None]
        shape = (unit - self.mean).flatten(1)
        along = shape @ self.components.T
        outside = (shape.square().sum(dim=1) - along.square().sum(dim=1)).clamp(min=0).sqrt()
        along_and_outside = torch.cat([along, outside[:, None]], dim=1) / self.spread
        alone = (self.from_others @ unit).square().mean(dim=2).sqrt()
        faulty = self.faults(fault_features(unit)[:, None]).softmax(dim=1)[:, 1] / self.sure
        return torch.stack([size, along_and_outside.square().sum(dim=1).sqrt(), alone.amax(dim=1), faulty], dim=1)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.parts(beats).amax(dim=1)


def features_of(leads: int, steps: int) -> int:
    """Return how many features `fault_features` has of so many leads and steps."""
    return leads * steps + (leads - 3) * steps + leads * leads


def fault_features(unit: torch.Tensor) -> torch.Tensor:
    """Return what faults show in beats at size 1 (n x 8 leads x steps): n x features.

    The beat itself, the differences of neighbouring chest leads, and the mean products of leads.
    """
    products = unit @ unit.mT / unit.shape[2]
    return torch.cat([unit.flatten(1), (unit[:, 3:] - unit[:, 2:-1]).flatten(1), products.flatten(1)], dim=1)


def fit_faults(pooled: np.ndarray, seed: int) -> Trees:
    """Return trees that tell beats with a fault, made here, from beats as they are (n x 8 leads x steps, mV)."""
    chosen = pooled[evenly(len(pooled), BEATS)]
    both = np.concatenate([chosen, with_faults(chosen, TIMES, np.random.default_rng(seed))])
    unit = both / np.sqrt(np.square(both).mean(axis=(1, 2), keepdims=True)).clip(min=1e-6)
    features = fault_features(torch.from_numpy(unit.astype(np.float32))).numpy()
    return fit_trees(TREES, 1, features[:, None], (np.arange(len(both)) >= len(chosen)).astype(int), seed)


# Sums must not depend on how many threads there are.
@threadpool_limits.wrap(limits=1)
@torch.no_grad()
def fit_novelty(pool: int, train: np.ndarray, val: np.ndarray, seed: int) -> Novelty:
    """Return the distance from train beats (n x 12 x samples, mV), its limits set on val beats."""
    leads = torch.from_numpy(np.ascontiguousarray(train[:, INDEPENDENT]))
    pooled = nn.AvgPool1d(pool)(leads).double().numpy()
    faults = fit_faults(pooled, seed)
    model = Novelty(pool=pool, samples=train.shape[2], **faults.grown())
    model.faults = faults
    size = np.sqrt(np.square(pooled).mean(axis=(1, 2))).clip(min=1e-6)
    unit = pooled / size[:, None, None]
    mean = unit.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((unit - mean).reshape(len(unit), -1), rowvar=False, bias=True))
    variances, axes = values[::-1].clip(min=0), vectors[:, ::-1].T
    # Outside counts as along the first component that is left out.
    floor = max(variances[COMPONENTS], 1e-9)
    model.size.copy_(torch.tensor([np.log(size).mean(), max(np.log(size).std(), 1e-3)]))
    model.mean.copy_(torch.from_numpy(mean))
    model.components.copy_(torch.from_numpy(axes[:COMPONENTS].copy()))
    model.spread.copy_(torch.from_numpy(np.sqrt(np.append(variances[:COMPONENTS], 0) + floor)))
    covariance = np.einsum("nit,njt->ij", unit, unit) / (len(unit) * unit.shape[2])
    precision = np.linalg.inv(covariance + RIDGE * np.linalg.eigvalsh(covariance)[-1] * np.eye(len(covariance)))
    # A row of the precision over the root of its diagonal: the residual of a lead's regression on the others, over its
    # standard deviation.
    model.from_others.copy_(torch.from_numpy(precision / np.sqrt(np.diag(precision))[:, None]))
    distances = model.parts(torch.from_numpy(np.ascontiguousarray(val)))
    limits = torch.quantile(distances, 1 - BEYOND, dim=0).clamp(min=1e-3)
    limits = limits * torch.quantile((distances / limits).amax(dim=1), 1 - BEYOND)
    model.size[1] *= limits[0]
    model.spread.mul_(limits[1])
    model.from_others.div_(limits[2])
    model.sure.mul_(limits[3])
    return model


def first_bytes(hashes: Iterable[str]) -> np.ndarray:
    """Return the first 8 bytes of each SHA-256 (hex) as whole numbers, int64, sorted, each once."""
    return np.unique(np.array([int(text[:16], 16) for text in hashes], dtype=np.uint64)).view(np.int64)
