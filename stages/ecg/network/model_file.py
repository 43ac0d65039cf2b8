"""A model file: weights with all that is needed to use them."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from ecg.network.description import Description, no_model, read_description
from ecg.network.ensemble import Ensemble
from ecg.network.networks import Network
from ecg.network.novelty import Novelty
from ecg.network.trees import Trees, first_sample


def save_model(path: Path, model: nn.Module, description: Description) -> None:
    """Write weights and what the file says of itself."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One entry: safetensors writes several in an order that changes from run to run.
    path.write_bytes(save(state, metadata={"description": json.dumps(description.model_dump(), sort_keys=True)}))


def load_model(path: Path) -> tuple[Ensemble, Description]:
    """Read a model that `save_model` wrote, and its description, both checked; UsageError says what is wrong."""
    description = read_description(path)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
        return build(description, state), description
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise no_model(path, str(error)) from None


def build(description: Description, state: dict[str, torch.Tensor]) -> Ensemble:
    """Return the model of a description and these weights; ValueError where they do not fit each other."""
    if description.members * len(description.architecture.filters) > len(state):
        raise ValueError(f"{len(state)} tensors are too few for {description.members} members")
    # Without memory: what it takes is known only when the shapes fit those of the file.
    with torch.device("meta"):
        shape = {"leads": len(description.leads), "classes": len(description.classes)}
        members = [Network(description.architecture, **shape) for _ in range(description.members)]
        trees = None
        if n := description.architecture.trees:
            grown = description.trees.model_dump() | {"samples": description.samples}
            trees = Trees(trees=n, classes=shape["classes"], first=first_sample(description.extract), **grown)
        hashes = torch.zeros(description.recordings, dtype=torch.int64)
        ischemia = description.classes.index("ischemia")
        model = Ensemble(members, trees, Novelty(description.samples), hashes, ischemia).eval()
    expected = model.state_dict()
    for name in sorted(expected.keys() | state.keys()):
        form, given = ((t.dtype, *t.shape) if (t := d.get(name)) is not None else None for d in (expected, state))
        if form != given:
            raise ValueError(f"{name!r} is {given}; its architecture has {form}")
    model.load_state_dict(state, assign=True)
    if trees is not None:
        trees.check(shape["leads"])
    with torch.no_grad():
        beats = torch.zeros(1, shape["leads"], description.samples)
        answers = model(beats), model.novelty(beats)
    if not all(torch.isfinite(tensor).all() for tensor in (*state.values(), *answers)):
        raise ValueError("its weights, or what it says of a beat of zeros, are not finite")
    return model
