"""Write the trained model as ONNX: a command, not a stage. Needs requirements-onnx.txt.

    python stages/export.py [--model FILE] [--out FILE]

Reads   data/model.safetensors
Writes  data/model.onnx  input beats: n x leads x samples, float32, mV; outputs probabilities: n x classes, calibrated,
                         and score: n, p(ischemia). Its metadata holds the model's description.
"""

import argparse
import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ecg.evaluation.names import data_kind
from ecg.model.description import Description
from ecg.model.fcn import FCN
from ecg.model.model import Model, load_model
from ecg.model.trees import CHANGE, LEAST, Trees
from ecg.run.files import output_file, replacing
from ecg.run.paths import MODEL, ONNX
from ecg.run.script import UsageError, refuse_input, run


class Graph:
    """The nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output; its inputs are names, or numbers for constants."""
        from onnx import helper, numpy_helper

        names = []
        for value in inputs:
            if not isinstance(value, str):
                values = np.asarray(value)
                values = values.astype(np.float32 if values.dtype.kind == "f" else np.int64)
                value = f"constant_{len(self.constants)}"
                self.constants.append(numpy_helper.from_array(values, value))
            names.append(value)
        self.nodes.append(helper.make_node(kind, names, [output or f"{kind}_{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]


def add_trees(graph: Graph, trees: Trees) -> str:
    """Add the trees and return the name of their output, n x classes."""
    first, end = trees.first, trees.samples
    values = graph.add("Slice", "beats", [first], [end], [2])
    later = graph.add("Slice", "beats", [first + CHANGE], [end], [2])
    changes = graph.add("Sub", later, graph.add("Slice", "beats", [first], [end - CHANGE], [2]))
    roots, above, shares = trees.roots.numpy(), trees.above.numpy(), trees.shares.numpy() / len(trees.roots)
    number = np.arange(len(above))
    tree = np.searchsorted(roots, number, side="right") - 1
    within, leaf = number - roots[tree], above == number
    leaves, classes = np.nonzero(leaf[:, None] & (shares > 0))
    mean_shares = graph.add(
        "TreeEnsembleRegressor",
        graph.add("Flatten", graph.add("Concat", values, changes, axis=2)),
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
    return graph.add("Log", graph.add("Add", mean_shares, LEAST))


def add_network(graph: Graph, network: FCN, samples: int) -> str:
    """Add a network and return the name of its output, n x classes.

    Each batch norm is part of its convolution, and the means over parts of the beat are part of the linear layer.
    """
    scaled = graph.add("Div", graph.add("Sub", "beats", network.mean), network.std)
    # Pictures of height 1: ONNX Runtime's convolutions are faster in two dimensions.
    found = graph.add("Unsqueeze", scaled, [2])
    for layer, norm in pairwise(network.blocks):
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            fused, width = fuse_conv_bn_eval(layer, norm), layer.kernel_size[1]
            pads = [0, (width - 1) // 2, 0, width // 2]
            found = graph.add("Relu", graph.add("Conv", found, fused.weight, fused.bias, pads=pads))
    lengths = torch.tensor([len(part) for part in torch.arange(samples).tensor_split(network.parts)])
    by_part = network.classifier.weight.unflatten(1, (network.parts, -1)) / lengths[:, None]
    by_time = by_part.repeat_interleave(lengths, dim=1).mT
    return graph.add("Gemm", graph.add("Flatten", found), by_time.flatten(1).T, network.classifier.bias)


@torch.no_grad()
def onnx_model(model: Model, description: Description) -> Any:
    """Return the onnx.ModelProto of a model on the CPU."""
    from onnx import TensorProto, helper

    # Double precision: constants that are computed here are rounded once.
    model, graph, samples = deepcopy(model).double(), Graph(), description.n_samples
    parts = []
    for part, share in model.shares():
        found = add_trees(graph, part) if isinstance(part, Trees) else add_network(graph, part, samples)
        parts.append(graph.add("Mul", found, share / model.temperature))
    logits = graph.add("Sum", *parts, model.log_prior)
    numbers = [number for number in range(len(description.classes)) if number != model.ischemia]
    ischemia, others = (graph.add("Gather", logits, chosen, axis=1) for chosen in ([model.ischemia], numbers))
    log_odds = graph.add("Sub", ischemia, graph.add("ReduceLogSumExp", others, [1]))
    line = graph.add("Add", graph.add("Mul", log_odds, model.slope), model.intercept)
    yes, no = graph.add("Sigmoid", line), graph.add("Sigmoid", graph.add("Neg", line))
    both = graph.add("Concat", yes, graph.add("Mul", no, graph.add("Softmax", others, axis=1)), axis=1)
    graph.add("Gather", both, np.argsort([model.ischemia, *numbers]), axis=1, output="probabilities")
    graph.add("Squeeze", yes, [1], output="score")
    shapes = {"beats": [len(description.leads), samples], "probabilities": [len(description.classes)], "score": []}
    beats, *outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["records", *shape]) for name, shape in shapes.items()
    )
    whole = helper.make_graph(graph.nodes, "ecg", [beats], outputs, graph.constants)
    # ONNX Runtime reads these from version 1.14 on.
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(whole, opset_imports=opsets, ir_version=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help=f"default: {MODEL}")
    parser.add_argument("--out", type=output_file, default=str(ONNX), metavar="FILE", help=f"default: {ONNX}")
    options = parser.parse_args()
    refuse_input(parser, options.out, [options.model])
    try:
        import onnx
    except ImportError as error:
        raise UsageError(f"needs the package {error.name}: pip install -r requirements-onnx.txt") from None
    model, description = load_model(options.model)
    proto = onnx_model(model, description)
    trained_on = data_kind(description.sources)
    onnx.helper.set_model_props(
        proto, {"description": json.dumps(description.model_dump(), sort_keys=True), "trained_on": trained_on}
    )
    onnx.checker.check_model(proto, full_check=True)
    with replacing(options.out) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, trained on {trained_on}")


if __name__ == "__main__":
    run(main)
