"""Networks and trees as one model with calibrated probabilities, and its file, with all that is needed to use it."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn import functional

from ecg.model.description import TREES_SHARE, Description, no_model, read_description
from ecg.model.fcn import FCN, in_batches, outputs
from ecg.model.ood import OutOfDistribution
from ecg.model.trees import Trees, first_sample


class Model(nn.Module):
    """Networks that were trained apart, and trees if any; the mean of their logits, calibrated (`Calibration`).

    Takes n x 12 leads x samples (mV) and returns n x classes log probabilities. Beside them stand the distance of a
    beat from those of training, and the first bytes of the hashes (`first_bytes`) of the recordings of training.
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
        """Return each part and its share of the mean."""
        rest = 1.0 if self.trees is None else 1 - TREES_SHARE
        networks: list[tuple[FCN | Trees, float]] = [(member, rest / len(self.members)) for member in self.members]
        return networks if self.trees is None else [(self.trees, TREES_SHARE), *networks]

    def uncalibrated(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x classes, the mean of the parts' logits, which take the classes as equally frequent."""
        return torch.stack([share * part(beats) for part, share in self.shares()]).sum(dim=0)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        first = self.uncalibrated(beats) / self.temperature + self.log_prior
        is_ischemia = torch.arange(first.shape[1], device=first.device) == self.ischemia
        others = first.masked_fill(is_ischemia, -torch.inf)
        log_odds = self.slope * (first[:, self.ischemia] - others.logsumexp(dim=1)) + self.intercept
        yes, no = functional.logsigmoid(log_odds)[:, None], functional.logsigmoid(-log_odds)[:, None]
        return torch.where(is_ischemia, yes, no + others.log_softmax(dim=1))


@torch.no_grad()
def uncalibrated_logits(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return n x classes logits before calibration, float64, of n x leads x samples (mV)."""
    model.eval()
    return (
        in_batches(lambda batch: model.uncalibrated(batch.to(model.temperature.device)).cpu(), beats).double().numpy()
    )


def probabilities(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return n x classes probabilities, float64, of n x leads x samples (mV)."""
    return outputs(model, beats).double().exp().numpy()


def distances(model: Model, beats: np.ndarray) -> np.ndarray:
    """Return how far each of n beats (n x leads x samples, mV) is from those of training: 1 is the limit."""
    return outputs(model.ood, beats).double().numpy()


def first_bytes(hashes: Iterable[str]) -> np.ndarray:
    """Return the first 8 bytes of each SHA-256 (hex) as whole numbers, int64, sorted, each once."""
    return np.unique(np.array([int(text[:16], 16) for text in hashes], dtype=np.uint64)).view(np.int64)


def save_model(path: Path, model: nn.Module, description: Description) -> None:
    """Write weights and what the file says of itself."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One entry: safetensors writes several in an order that changes from run to run.
    path.write_bytes(save(state, metadata={"description": json.dumps(description.model_dump(), sort_keys=True)}))


def load_model(path: Path) -> tuple[Model, Description]:
    """Read a model that `save_model` wrote, and its description, both checked; UsageError says what is wrong."""
    description = read_description(path)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
        return build(description, state), description
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise no_model(path, str(error)) from None


def build(description: Description, state: dict[str, torch.Tensor]) -> Model:
    """Return the model of a description and these weights; ValueError where they do not fit each other."""
    if description.members * len(description.architecture.filters) > len(state):
        raise ValueError(f"{len(state)} tensors are too few for {description.members} members")
    # Without memory: what it takes is known only when the shapes fit those of the file.
    with torch.device("meta"):
        shape = {"leads": len(description.leads), "classes": len(description.classes)}
        members = [FCN(description.architecture, **shape) for _ in range(description.members)]
        trees = None
        if n := description.architecture.trees:
            grown = description.trees.model_dump() | {"samples": description.n_samples}
            trees = Trees(trees=n, classes=shape["classes"], first=first_sample(description.extract), **grown)
        hashes = torch.zeros(description.recordings, dtype=torch.int64)
        ischemia = description.classes.index("ischemia")
        model = Model(members, trees, OutOfDistribution(description.n_samples), hashes, ischemia).eval()
    expected = model.state_dict()
    for name in sorted(expected.keys() | state.keys()):
        form, given = ((t.dtype, *t.shape) if (t := d.get(name)) is not None else None for d in (expected, state))
        if form != given:
            raise ValueError(f"{name!r} is {given}; its architecture has {form}")
    model.load_state_dict(state, assign=True)
    if trees is not None:
        trees.check(shape["leads"])
    with torch.no_grad():
        beats = torch.zeros(1, shape["leads"], description.n_samples)
        answers = model(beats), model.ood(beats)
    if not all(torch.isfinite(tensor).all() for tensor in (*state.values(), *answers)):
        raise ValueError("its weights, or what it says of a beat of zeros, are not finite")
    return model
