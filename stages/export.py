"""Write the trained model as ONNX: a command, not a stage. Needs requirements-onnx.txt.

    python stages/export.py --model models/ptb-xl.safetensors --out ptb-xl.onnx

Reads   a model file
Writes  an ONNX file  input beats: n x leads x samples, float32, mV; outputs probabilities: n x classes, calibrated, and
                      score: n, p(ischemia). Its metadata contains the model's description.
"""

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
from ecg.model.trees import LEAST, Trees, late_features
from ecg.run.files import output_file, write
from ecg.run.paths import MODEL, ONNX
from ecg.run.script import UsageError, argument_parser, refuse_input, run


class Scores(nn.Module):
    """A model's probabilities (n x classes) and p(ischemia) of beats, and the features of its trees.

    `mean_shares` (n x classes) is the output of the trees for these features, from `tree_node`.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, beats: torch.Tensor, mean_shares: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shares, trees = self.model.shares(), self.model.trees
        features = late_features(beats, trees.first) if trees else beats
        logits = [share * (torch.log(mean_shares + LEAST) if part is trees else part(beats)) for part, share in shares]
        calibration, ischemia = self.model.calibration(), self.model.ischemia
        probabilities = calibrated(torch.stack(logits).sum(dim=0), calibration, ischemia).exp()
        return probabilities, probabilities[:, ischemia], features


def tree_node(trees: Trees) -> Any:
    """Return the ONNX node that computes `mean_shares` from `features`, with the operator for trees."""
    from onnx import helper

    roots, above, shares = trees.roots.numpy(), trees.above.numpy(), trees.shares.numpy() / len(trees.roots)
    number = np.arange(len(above))
    tree = np.searchsorted(roots, number, side="right") - 1
    within, leaf = number - roots[tree], above == number
    leaves, classes = np.nonzero(leaf[:, None] & (shares > 0))
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
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


def to_onnx(model: Model, description: Description) -> bytes:
    """Return an ONNX file of a model on the CPU; UsageError where a package is missing.

    torch.onnx writes all but the trees, for which it has no operator.
    """
    try:
        from onnx import helper
        from onnx_ir.passes.common import ClearMetadataAndDocStringPass
    except ImportError as error:
        raise UsageError(f"the package {error.name} is missing; run `pip install -r requirements-onnx.txt`") from None
    # torch.onnx warns of torchvision, which is not needed, and of torch's own code.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    beats = torch.zeros(2, len(description.leads), description.n_samples)
    program = torch.onnx.export(
        Scores(model).eval(),
        (beats, torch.zeros(2, len(description.classes))),
        input_names=["beats", "mean_shares"],
        output_names=["probabilities", "score", "features"],
        dynamic_shapes={name: {0: "records"} for name in ("beats", "mean_shares")},
        verbose=False,
    )
    assert program is not None  # only the older exporter returns None
    ClearMetadataAndDocStringPass()(program.model)  # which contain the paths of the code
    proto = program.model_proto
    graph = proto.graph
    del graph.input[1], graph.output[2]
    if model.trees:
        before = [i for i, node in enumerate(graph.node) if "features" in node.output]
        graph.node.insert(before[0] + 1, tree_node(model.trees))
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    about = {"description": json.dumps(description.model_dump(), sort_keys=True)}
    helper.set_model_props(proto, about | {"trained_on": data_kind(description.sources)})
    return proto.SerializeToString(deterministic=True)


def main() -> None:
    parser = argument_parser(__doc__)
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
