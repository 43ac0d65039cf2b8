"""The description in a model file, read without torch."""

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

# The trees' weight in the mean of the logits, chosen by cross-validation on PTB-XL and by LUDB: docs/experiment_log.md.
TREES_SHARE = 0.8
TREES_FROM = 10  # ms from the R peak, from which on the trees see the beat

FORMAT = 4  # raise it when numbers in a model file change their meaning


class Recordings(Section):
    """A set of recordings: its sources and size, and one SHA-256 over those of the samples."""

    sources: list[str]
    recordings: Positive
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Grown(Section):
    """The number of nodes of all trees, and the depth of the deepest."""

    nodes: Positive
    depth: Annotated[int, Field(ge=0, le=1000)]


class Description(Section, extra="ignore"):
    """The description of a model of this project.

    labels: the codes of the classes. labelled: share of the recordings of training whose class is a label, not a code.
    recordings: number of hashes of the recordings of train and val. reference: its performance on val, or in
    cross-validation. recalibrated: the recordings of another hospital that it was fitted to.
    """

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    architecture: Architecture
    members: Annotated[int, Field(ge=1, le=100)]
    trees: Grown
    classes: list[Annotated[str, Field(pattern=f"^({'|'.join(CLASSES)})$")]]
    leads: list[str]
    n_samples: Positive
    unit: Literal["mV"]
    extract: Extract
    labels: Labels
    labelled: Fraction = 0
    sources: list[str]
    recordings: Positive
    reference: dict[str, int | float]
    recalibrated: dict[Literal["fitted", "checked"], Recordings]
    specificity: Annotated[float, Field(gt=0, lt=1)]
    threshold: Fraction

    @model_validator(mode="after")
    def fits_the_beats(self):
        if not {"normal", "ischemia"} <= set(self.classes) or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes {self.classes} must differ and include normal and ischemia")
        if self.leads != list(LEADS):
            raise ValueError(f"leads {self.leads} must be {list(LEADS)}")
        if absent := {"sensitivity", "specificity", "brier"} - set(self.reference):
            raise ValueError(f"reference lacks {', '.join(sorted(absent))}")
        if self.n_samples != (expected := len(beat_offsets(self.extract))):
            raise ValueError(f"n_samples {self.n_samples} must be {expected}, by its window and sampling rate")
        return self


def no_model(path: Path, reason: str) -> UsageError:
    """Return the error for a file that is no model of this project."""
    return UsageError(f"{path} is no model of this project: {textwrap.shorten(reason, 300)}")


def read_description(path: Path) -> Description:
    """Read and check the description in a model file; UsageError where there is none."""
    if not path.is_file():
        raise UsageError(f"no model at {path}{', a folder' * path.is_dir()}; run `dvc repro` to train {MODEL}")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("description", "")
        return Description.model_validate_json(text, strict=True)
    except ValidationError as error:
        reason = "; ".join(explain(e) for e in error.errors())
    except SafetensorError as error:
        reason = str(error)
    raise no_model(path, reason)
