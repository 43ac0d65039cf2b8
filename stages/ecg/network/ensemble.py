"""Several networks, random convolutions and trees beside them, as one model with calibrated probabilities."""

import numpy as np
import torch
from torch import nn

from ecg.network.fcn import FCN
from ecg.network.novelty import Novelty, in_batches
from ecg.network.random_convolutions import RandomConvolutions
from ecg.network.trees import Trees

# The networks are surer of themselves than the random convolutions, so with half of the mean they would decide alone.
RANDOM_SHARE = 0.7
# The trees' logarithms of probabilities are about as large as the other two's mean.
TREES_SHARE = 0.6


class Ensemble(nn.Module):
    """FCNs that were trained apart, and random convolutions and trees if any; the mean of their logits, calibrated.

    Calibrated logits are the mean divided by the temperature, plus the log of each class's share of the train split.
    Beside them stand what tells whether a beat is like those of training, and the first bytes of the hashes
    (`first_bytes`) of the recordings of train and val.
    """

    def __init__(
        self,
        members: list[FCN],
        random: RandomConvolutions | None,
        trees: Trees | None,
        novelty: Novelty,
        hashes: torch.Tensor,
    ):
        super().__init__()
        self.members: list[FCN] = nn.ModuleList(members)  # type: ignore[assignment]  # ModuleList is not generic
        self.random, self.trees, self.novelty, self.hashes = random, trees, novelty, nn.Buffer(hashes)
        self.temperature = nn.Buffer(torch.ones(()))
        self.log_shares = nn.Buffer(torch.zeros(members[0].classifier.out_features))

    def shares(self) -> list[tuple[FCN | RandomConvolutions | Trees, float]]:
        """Return each part and its share of the mean."""
        parts, rest = [], 1.0
        for part, share in ((self.trees, TREES_SHARE), (self.random, RANDOM_SHARE)):
            if part is not None:
                parts.append((part, rest * share))
                rest *= 1 - share
        return [*parts, *((member, rest / len(self.members)) for member in self.members)]

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        mean = torch.stack([share * part(beats) for part, share in self.shares()]).sum(dim=0)
        return mean / self.temperature + self.log_shares


@torch.no_grad()
def logits(model: nn.Module, beats: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return n x classes logits of n x leads x samples (mV), on the CPU; dropout off."""
    model.eval()
    device = next(model.buffers()).device
    return in_batches(lambda batch: model(batch.to(device)).cpu(), beats)


def probabilities(model: nn.Module, beats: np.ndarray) -> np.ndarray:
    """Return n x classes softmax probabilities, float64, of n x leads x samples (mV)."""
    return torch.softmax(logits(model, beats).double(), dim=1).numpy()


def distances(model: Ensemble, beats: np.ndarray) -> np.ndarray:
    """Return how far each of n beats (n x leads x samples, mV) is from those of training: 1 is the limit."""
    return logits(model.novelty, beats).double().numpy()
