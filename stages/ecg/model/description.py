"""What a model file says of itself; read without loading torch."""

import json
import textwrap
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open

from ecg.beats.windows import beat_offsets
from ecg.leads import LEADS
from ecg.params import Architecture, Extract, Fraction, Labels, Positive, Section, explain
from ecg.run.files import CLASSES
from ecg.run.paths import MODEL
from ecg.run.script import UsageError

# Of the mean of the logits. Chosen by cross-validation on PTB-XL and by LUDB: docs/method.md.
TREES_SHARE = 0.8
TREES_FROM = 10  # ms from the R peak: the trees see what comes later

FORMAT = 4  # one more wherever the numbers in a model file get another meaning


class Recordings(Section):
    """Which recordings something was made of: how many, and one SHA-256 over those of their samples."""

    sources: list[str]
    recordings: Positive
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Grown(Section):
    """How many nodes trees have together, and how deep the deepest is."""

    nodes: Positive
    depth: Annotated[int, Field(ge=0, le=1000)]


class Description(Section, extra="ignore"):
    """What a model file says of itself: a model for the ECGs of this project, or ValidationError.

    format: what the numbers mean; a file of another commit may mean something else. trees: how large they are. labels:
    what its classes mean. recordings: number of hashes of the recordings of train and val. reference: how good it was
    on val, or where it was cross-validated. recalibrated: of a model fitted to another hospital, where; else empty.
    """

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    architecture: Architecture
    members: Positive
    trees: Grown
    classes: list[Annotated[str, Field(pattern=f"^({'|'.join(CLASSES)})$")]]
    leads: list[str]
    n_samples: Positive
    unit: Literal["mV"]
    extract: Extract
    labels: Labels
    sources: list[str]
    recordings: Positive
    reference: dict[str, int | float]
    recalibrated: dict[Literal["fitted", "checked"], Recordings]
    specificity: Annotated[float, Field(gt=0, lt=1)]
    threshold: Fraction

    @model_validator(mode="after")
    def fits_the_beats(self):
        if not {"normal", "ischemia"} <= set(self.classes) or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes {self.classes} must differ and hold normal and ischemia")
        if self.leads != list(LEADS):
            raise ValueError(f"leads {self.leads} must be {list(LEADS)}")
        if absent := [name for name in ("sensitivity", "specificity", "brier") if name not in self.reference]:
            raise ValueError(f"reference lacks {', '.join(absent)}")
        expected = len(beat_offsets(self.extract))
        if self.n_samples != expected:
            raise ValueError(f"n_samples {self.n_samples} must be {expected}, by its window and sampling rate")
        return self


def no_model(path: Path, reason: str) -> UsageError:
    return UsageError(f"{path} is no model of this project: {textwrap.shorten(reason, 300)}")


def read_description(path: Path) -> Description:
    """Read and check the description in a model file; UsageError says what is wrong."""
    if not path.is_file():
        raise UsageError(f"no model at {path}; `dvc repro` trains {MODEL}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        if "description" not in metadata:
            raise ValueError("it has no description")
        return Description.model_validate(json.loads(metadata["description"]), strict=True)
    except ValidationError as error:
        reason = "; ".join(explain(e) for e in error.errors())
    except (SafetensorError, ValueError, RecursionError) as error:
        reason = str(error)
    raise no_model(path, reason)
