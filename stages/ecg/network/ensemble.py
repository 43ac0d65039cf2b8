"""Networks and trees as one model with calibrated probabilities."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ecg.network.description import TREES_SHARE
from ecg.network.device import in_batches, outputs
from ecg.network.networks import Network
from ecg.network.novelty import Novelty
from ecg.network.trees import Trees


class Ensemble(nn.Module):
    """Networks that were trained apart, and trees if any; the mean of their logits, calibrated (`Calibration`).

    Takes n x 12 leads x samples (mV) and returns n x classes log probabilities. Beside them stand the distance of a
    beat from those of training, and the first bytes of the hashes (`first_bytes`) of the recordings of training.
    """

    def __init__(
        self, members: list[Network], trees: Trees | None, novelty: Novelty, hashes: torch.Tensor, ischemia: int
    ):
        super().__init__()
        self.members: list[Network] = nn.ModuleList(members)  # type: ignore[assignment]  # ModuleList is not generic
        self.trees, self.novelty, self.hashes, self.ischemia = trees, novelty, nn.Buffer(hashes), ischemia
        self.temperature, self.slope = nn.Buffer(torch.ones(())), nn.Buffer(torch.ones(()))
        self.log_shares = nn.Buffer(torch.zeros(members[0].classifier.out_features))
        self.intercept = nn.Buffer(torch.zeros(()))

    def shares(self) -> list[tuple[Network | Trees, float]]:
        """Return each part and its share of the mean."""
        rest = 1.0 if self.trees is None else 1 - TREES_SHARE
        networks: list[tuple[Network | Trees, float]] = [(member, rest / len(self.members)) for member in self.members]
        return networks if self.trees is None else [(self.trees, TREES_SHARE), *networks]

    def uncalibrated(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x classes, the mean of the parts' logits, which take the classes as equally frequent."""
        return torch.stack([share * part(beats) for part, share in self.shares()]).sum(dim=0)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        first = self.uncalibrated(beats) / self.temperature + self.log_shares
        is_ischemia = torch.arange(first.shape[1], device=first.device) == self.ischemia
        others = first.masked_fill(is_ischemia, -torch.inf)
        log_odds = self.slope * (first[:, self.ischemia] - others.logsumexp(dim=1)) + self.intercept
        yes, no = functional.logsigmoid(log_odds)[:, None], functional.logsigmoid(-log_odds)[:, None]
        return torch.where(is_ischemia, yes, no + others.log_softmax(dim=1))


@torch.no_grad()
def uncalibrated_logits(model: Ensemble, beats: np.ndarray) -> np.ndarray:
    """Return n x classes logits before calibration, float64, of n x leads x samples (mV)."""
    model.eval()
    return (
        in_batches(lambda batch: model.uncalibrated(batch.to(model.temperature.device)).cpu(), beats).double().numpy()
    )


def probabilities(model: Ensemble, beats: np.ndarray) -> np.ndarray:
    """Return n x classes probabilities, float64, of n x leads x samples (mV)."""
    return outputs(model, beats).double().exp().numpy()


def distances(model: Ensemble, beats: np.ndarray) -> np.ndarray:
    """Return how far each of n beats (n x leads x samples, mV) is from those of training: 1 is the limit."""
    return outputs(model.novelty, beats).double().numpy()


def first_bytes(hashes: Iterable[str]) -> np.ndarray:
    """Return the first 8 bytes of each SHA-256 (hex) as whole numbers, int64, sorted, each once."""
    return np.unique(np.array([int(text[:16], 16) for text in hashes], dtype=np.uint64)).view(np.int64)
