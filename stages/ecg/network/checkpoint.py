"""Checkpoints: what a training that was killed goes on from."""

import contextlib
import hashlib
import io
import os
from pathlib import Path

import torch

from ecg.params import Params
from ecg.stage.files import cache_folder
from ecg.stage.paths import BEATS, BEATS_TABLE, SPLIT
from ecg.stage.script import warn


def checkpoint_folder(params: Params, device: torch.device) -> Path:
    """Return where checkpoints of a training with these params, inputs and machine lie."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    machine = {"torch": torch.__version__, "device": name, "threads": torch.get_num_threads()}
    inputs = {"train": params.train.model_dump(), "extract": params.extract.model_dump(), "machine": machine}
    return cache_folder("train", inputs, (BEATS, BEATS_TABLE, SPLIT))


def seal(path: Path, content: bytes) -> bytes:
    """Return a hash of the content and of the run and member that it belongs to."""
    return hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode() + content).digest()


def write_checkpoint(path: Path, state: dict) -> None:
    """Write state dicts, tensors, numbers and text, nested in dicts and lists, in one move."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # Another run of the same inputs may end, and remove the folder, at any moment. It had no use for this one.
    with contextlib.suppress(FileNotFoundError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(seal(path, content) + content)
        temporary.replace(path)


def read_checkpoint(path: Path) -> dict | None:
    """Return what `write_checkpoint` wrote there; None where there is nothing, or, with a warning, something else."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if data[:32] != seal(path, data[32:]):
        warn(f"{path} is not what was written there; this member is trained anew")
        return None
    return torch.load(io.BytesIO(data[32:]), map_location="cpu", weights_only=True)
