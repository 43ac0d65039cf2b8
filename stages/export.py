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
from typing import Any

import numpy as np
import torch
from torch import nn

from ecg.evaluation.names import data_kind
from ecg.model.decision import calibrated
from ecg.model.description import Description
from ecg.model.model import Model, load_model
from ecg.model.trees import CHANGE, LEAST, Trees
from ecg.run.files import output_file, write
from ecg.run.paths import MODEL, ONNX
from ecg.run.script import UsageError, refuse_input, run


class Scores(nn.Module):
    """The probabilities (n x classes) of a model for beats, and p(ischemia), from the output of its trees."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, beats: torch.Tensor, trees: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shares = self.model.shares()
        logits = [share * (trees if isinstance(part, Trees) else part(beats)) for part, share in shares]
        calibration, ischemia = self.model.calibration(), self.model.ischemia
        probabilities = calibrated(torch.stack(logits).sum(dim=0), calibration, ischemia).exp()
        return probabilities, probabilities[:, ischemia]


def tree_nodes(trees: Trees) -> list:
    """Return the nodes of ONNX that compute the output `trees` from `beats`, by the operator for trees."""
    from onnx import helper, numpy_helper

    def constant(name: str, value: object) -> Any:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value), name))

    first, end = trees.first, trees.samples
    roots, above, shares = trees.roots.numpy(), trees.above.numpy(), trees.shares.numpy() / len(trees.roots)
    number = np.arange(len(above))
    tree = np.searchsorted(roots, number, side="right") - 1
    within, leaf = number - roots[tree], above == number
    leaves, classes = np.nonzero(leaf[:, None] & (shares > 0))
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["late_features"],
        ["mean_shares"],
        domain="ai.onnx.ml",
        n_targets=shares.shape[1],
        nodes_treeids=tree,
        nodes_nodeids=within,
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ"),
        nodes_featureids=trees.feature.numpy().astype(int),
        nodes_values=trees.threshold.numpy(),
        nodes_truenodeids=np.where(leaf, 0, within + 1),
        nodes_falsenodeids=np.where(leaf, 0, above - roots[tree]),
        target_treeids=tree[leaves],
        target_nodeids=within[leaves],
        target_ids=classes,
        target_weights=shares[leaves, classes],
    )
    numbers = {"first": [first], "second": [first + CHANGE], "last": [end - CHANGE], "end": [end], "time": [2]}
    return [
        *(constant(name, value) for name, value in numbers.items()),
        constant("least", np.float32(LEAST)),
        helper.make_node("Slice", ["beats", "first", "end", "time"], ["values"]),
        helper.make_node("Slice", ["beats", "second", "end", "time"], ["later"]),
        helper.make_node("Slice", ["beats", "first", "last", "time"], ["earlier"]),
        helper.make_node("Sub", ["later", "earlier"], ["changes"]),
        helper.make_node("Concat", ["values", "changes"], ["by_lead"], axis=2),
        helper.make_node("Flatten", ["by_lead"], ["late_features"]),
        ensemble,
        helper.make_node("Add", ["mean_shares", "least"], ["at_least"]),
        helper.make_node("Log", ["at_least"], ["trees"]),
    ]


def to_onnx(model: Model, description: Description) -> bytes:
    """Return an ONNX file of a model on the CPU; UsageError where a package is missing.

    torch.onnx writes all but the trees, for which it has no operator.
    """
    try:
        from onnx import helper
        from onnx_ir.passes.common import ClearMetadataAndDocStringPass
    except ImportError as error:
        raise UsageError(f"needs the package {error.name}: pip install -r requirements-onnx.txt") from None
    # They warn of torchvision, which is not needed, and of torch's own code.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    beats = torch.zeros(2, len(description.leads), description.n_samples)
    program = torch.onnx.export(
        Scores(model).eval(),
        (beats, torch.zeros(2, len(description.classes))),
        input_names=["beats", "trees"],
        output_names=["probabilities", "score"],
        dynamic_shapes={name: {0: "records"} for name in ("beats", "trees")},
        verbose=False,
    )
    assert program is not None  # only the older exporter returns none
    ClearMetadataAndDocStringPass()(program.model)  # the paths of the code
    proto = program.model_proto
    graph = proto.graph
    del graph.input[1]
    if model.trees:
        nodes = [*tree_nodes(model.trees), *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    about = {"description": json.dumps(description.model_dump(), sort_keys=True)}
    helper.set_model_props(proto, about | {"trained_on": data_kind(description.sources)})
    return proto.SerializeToString(deterministic=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help=f"default: {MODEL}")
    parser.add_argument("--out", type=output_file, default=str(ONNX), metavar="FILE", help=f"default: {ONNX}")
    options = parser.parse_args()
    refuse_input(parser, options.out, [options.model])
    model, description = load_model(options.model)
    content = to_onnx(model, description)
    write(options.out, content)
    print(f"{options.out}: {len(content) / 1e6:.1f} MB, trained on {data_kind(description.sources)}")


if __name__ == "__main__":
    run(main)
