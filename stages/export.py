"""Write the trained model as ONNX: a command, not a stage. Needs requirements-onnx.txt.

    python stages/export.py [--model FILE] [--out FILE]

Reads   data/model.safetensors
Writes  data/model.onnx  input beats: n x leads x samples, float32, mV; outputs probabilities: n x classes, calibrated,
                         and score: n, p(ischemia). Its metadata holds the model's description.
"""

import argparse
import json
import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from ecg.evaluation.names import data_kind
from ecg.model.description import Description
from ecg.model.model import Model, load_model
from ecg.run.files import output_file, replacing
from ecg.run.paths import MODEL, ONNX
from ecg.run.script import UsageError, refuse_input, run


class Scores(nn.Module):
    """The probabilities (n x classes) of a model for beats, and p(ischemia)."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, beats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        probabilities = self.model(beats).exp()
        return probabilities, probabilities[:, self.model.ischemia]


def to_onnx(model: Model, description: Description) -> bytes:
    """Return an ONNX file of a model on the CPU; UsageError where a package is missing."""
    try:
        from onnx_ir.passes.common import ClearMetadataAndDocStringPass
    except ImportError as error:
        raise UsageError(f"needs the package {error.name}: pip install -r requirements-onnx.txt") from None
    # They warn of torchvision, which is not needed, and of torch's own code.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    program = torch.onnx.export(
        Scores(model).eval(),
        (torch.zeros(2, len(description.leads), description.n_samples),),
        input_names=["beats"],
        output_names=["probabilities", "score"],
        dynamic_shapes={"beats": {0: "records"}},
        verbose=False,
    )
    assert program is not None  # only the older exporter returns none
    ClearMetadataAndDocStringPass()(program.model)  # the paths of the code
    program.model.metadata_props["description"] = json.dumps(description.model_dump(), sort_keys=True)
    program.model.metadata_props["trained_on"] = data_kind(description.sources)
    return program.model_proto.SerializeToString(deterministic=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help=f"default: {MODEL}")
    parser.add_argument("--out", type=output_file, default=str(ONNX), metavar="FILE", help=f"default: {ONNX}")
    options = parser.parse_args()
    refuse_input(parser, options.out, [options.model])
    model, description = load_model(options.model)
    content = to_onnx(model, description)
    with replacing(options.out) as temporary:
        temporary.write_bytes(content)
    print(f"{options.out}: {len(content) / 1e6:.1f} MB, trained on {data_kind(description.sources)}")


if __name__ == "__main__":
    run(main)
