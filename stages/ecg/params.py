"""The schema of params.yaml: its keys and their allowed values."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ecg.run.script import UsageError

Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]
DataSet = Annotated[str, Field(pattern=r"^[\w-]+/[\w-]+/versions/\d+$")]  # OWNER/NAME/versions/NUMBER
Detector = Literal[
    "sharpness", "neurokit", "pantompkins1985", "nabian2018", "hamilton2002", "christov2004", "elgendi2010",
    "kalidas2017", "martinez2004", "rodrigues2021", "manikandan2012", "khamis2016",
]  # fmt: skip

# PTB-XL's SCP statements (scp_statements.csv): the diagnostic ones, then those of form or rhythm alone.
SCP = frozenset(str.split("""
    NORM NDT NST_ DIG LNGQT IMI ASMI LVH LAFB ISC_ IRBBB 1AVB IVCD ISCAL CRBBB CLBBB ILMI LAO/LAE AMI ALMI ISCIN INJAS
    LMI ISCIL LPFB ISCAS INJAL ISCLA RVH ANEUR RAO/RAE EL WPW ILBBB IPLMI ISCAN IPMI SEHYP INJIN INJLA PMI 3AVB INJIL
    2AVB ABQRS PVC STD_ VCLVH QWAVE LOWT NT_ PAC LPR INVT LVOLT HVOLT TAB_ STE_ PRC(S) SR AFIB STACH SARRH SBRAD PACE
    SVARR BIGU AFLT SVTAC PSVT TRIGU
"""))  # fmt: skip


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def diagnosis_code(value: object) -> str:
    """Return a SNOMED CT or SCP code as text; ValueError for any other value."""
    text = str(value).upper()
    if not re.fullmatch(r"\d{6,18}", text, re.ASCII) and text not in SCP:
        raise ValueError(f"{value!r} is not a code; allowed: 6 to 18 digits (SNOMED CT) or an SCP statement of PTB-XL")
    return text


Codes = Annotated[list[Annotated[str, BeforeValidator(diagnosis_code)]], Field(min_length=1)]


class Labels(Section):
    """The SNOMED CT and SCP codes of the classes ischemia and normal."""

    ischemia: Codes
    normal: Codes

    @model_validator(mode="after")
    def classes_differ(self):
        if both := sorted({*self.ischemia} & {*self.normal}):
            raise ValueError(f"ischemia and normal share {', '.join(both)}; allowed: no code in both")
        return self


class Download(Labels):
    source: Literal["synthetic", "kaggle", "directory"]
    verify_checksums: bool
    synthetic_patients: Annotated[int, Field(ge=20)]
    synthetic_seed: Seed
    kaggle: Annotated[list[DataSet], Field(min_length=1)]
    ptbxl_patients: str
    directory: str | list[str]


class Extract(Section):
    sampling_rate: Annotated[int, Field(ge=100, le=2000)]
    high_pass: Annotated[float, Field(ge=0, le=5)]
    low_pass: Annotated[float, Field(gt=5, le=500)]
    detector: Detector
    window_start: Annotated[int, Field(ge=-500, le=-150)]
    window_end: Annotated[int, Field(ge=150, le=1000)]
    min_correlation: Annotated[float, Field(ge=0, lt=1)]
    min_beats: Positive
    max_noise: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def below_nyquist(self):
        if self.low_pass >= self.sampling_rate / 2:
            raise ValueError(f"low_pass {self.low_pass:g} Hz must be below half the sampling_rate {self.sampling_rate}")
        return self


class Split(Section):
    folds: Annotated[int, Field(ge=3)]
    val_fold: Positive
    test_fold: Annotated[int, Field(ge=0, lt=2**31)]
    holdout_source: str
    seed: Seed


class Architecture(Section):
    """The networks and trees of a model, with the networks' name and paper for report and cards."""

    networks: ClassVar[str] = "fully convolutional networks"
    source: ClassVar[str] = (
        "Wang Z, Yan W, Oates T (2017). Time series classification from scratch with deep neural networks: a strong "
        "baseline. arXiv:1611.06455"
    )

    filters: Annotated[list[Positive], Field(min_length=1)]
    kernels: Annotated[list[Positive], Field(min_length=1)]
    dropout: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=1)]
    parts: Annotated[int, Field(ge=1, le=31)]  # at most the samples of the shortest beat
    trees: Annotated[int, Field(ge=0, le=2000)]

    @model_validator(mode="after")
    def one_of_each_per_layer(self):
        if not len(self.filters) == len(self.kernels) == len(self.dropout):
            found = f"{len(self.filters)} filters, {len(self.kernels)} kernels and {len(self.dropout)} dropout"
            raise ValueError(f"{found}; allowed: one of each for a layer")
        return self

    @property
    def details(self) -> str:
        """Return the layers of a network in words."""
        filters, kernels = (", ".join(map(str, values)) for values in (self.filters, self.kernels))
        return f"filters {filters}; kernels {kernels}; means over {self.parts} parts of the beat"

    @property
    def reach(self) -> int:
        """Return the number of samples of the beat on which a feature of the networks depends."""
        return 1 + sum(kernel - 1 for kernel in self.kernels)


class Train(Architecture):
    members: Positive
    epochs: Positive
    batch_size: Annotated[int, Field(ge=2)]
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    specificity: Annotated[float, Field(gt=0, lt=1)]
    refit: bool
    seed: Seed


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Seed


class Audit(Section):
    components: Positive
    permutations: Annotated[int, Field(ge=2)]
    seed: Seed


class Params(Section):
    download: Download
    extract: Extract
    split: Split
    train: Train
    evaluate: Evaluate
    audit: Audit


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check all of params.yaml; UsageError with key, value and allowed values."""
    try:
        return Params.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise UsageError(f"{path}: " + "; ".join(explain(e) for e in error.errors())) from None


def explain(error: ErrorDetails) -> str:
    """Return one of pydantic's errors as a clause with the key, the value and the allowed values."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section = Params.__annotations__.get(str(error["loc"][0]), Params)
        return f"{key} is not a parameter; allowed: {', '.join(section.model_fields)}"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "value_error":
        return ": ".join(filter(None, [key, str(error["ctx"]["error"])]))
    return f"{key or 'content'} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"
