"""Write the trained model as ONNX: a command, not a stage. Needs requirements-onnx.txt.

    python stages/export.py [--model FILE] [--out FILE]

Reads   data/model.safetensors
Writes  data/model.onnx  input beats: n x leads x samples, float32, mV; outputs probabilities: n x classes, calibrated,
                         and score: n, that of ischemia against normal. Its metadata is the model's own description.
"""

import argparse
import json
import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from ecg.evaluation.names import data_kind
from ecg.network.ensemble import Ensemble
from ecg.network.model_file import load_model
from ecg.stage.files import output_file, replacing
from ecg.stage.paths import MODEL, ONNX
from ecg.stage.script import UsageError, refuse_input, run


class Scorer(nn.Module):
    """The ensemble with what turns its logits into probabilities and the score of ischemia against normal."""

    def __init__(self, model: Ensemble, classes: list[str]):
        super().__init__()
        self.model, self.either = model, [classes.index("ischemia"), classes.index("normal")]

    def forward(self, beats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        probabilities = torch.softmax(self.model(beats), dim=1)
        ischemia, normal = (probabilities[:, number] for number in self.either)
        return probabilities, ischemia / (ischemia + normal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help=f"default: {MODEL}")
    parser.add_argument("--out", type=output_file, default=str(ONNX), metavar="FILE", help=f"default: {ONNX}")
    options = parser.parse_args()
    refuse_input(parser, options.out, [options.model])
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError as error:
        raise UsageError(f"needs the package {error.name}: pip install -r requirements-onnx.txt") from None
    model, description = load_model(options.model)
    # It says much that is for its developers.
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Scorer(model, description.classes).eval(),
            (torch.zeros(2, len(description.leads), description.samples),),
            dynamo=True,
            verbose=False,
            input_names=["beats"],
            output_names=["probabilities", "score"],
            dynamic_shapes=({0: torch.export.Dim("records")},),
        )
    proto = program.model_proto  # type: ignore[union-attr]  # None only without dynamo
    # Where each node comes from: folders of this machine, which would make other bytes elsewhere.
    for part in (proto.graph, *proto.graph.node, *proto.graph.value_info):
        del part.metadata_props[:]
    trained_on = data_kind(description.sources)
    onnx.helper.set_model_props(
        proto, {"description": json.dumps(description.model_dump(), sort_keys=True), "trained_on": trained_on}
    )
    onnx.checker.check_model(proto)
    with replacing(options.out) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, trained on {trained_on}")


if __name__ == "__main__":
    run(main)
