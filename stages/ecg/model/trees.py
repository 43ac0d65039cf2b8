"""Extremely randomised trees (Geurts, Ernst & Wehenkel 2006) on the beat, as a part of the model."""

import joblib
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ecg.beats.windows import beat_times
from ecg.model.description import TREES_FROM
from ecg.model.fcn import Beats
from ecg.params import Extract

CHANGE = 2  # samples over which a change is measured: 16 ms at 125 Hz
LEAST = 1e-3  # added to each class's probability to keep its logarithm finite
PER_LEAF = 2  # minimum number of beats
MAX_FEATURES = 8  # number drawn for each node
MOST = 30_000  # maximum number of beats to which trees are fitted


def first_sample(extract: Extract) -> int:
    """Return the number of a beat's first sample that the trees see."""
    return int(np.searchsorted(beat_times(extract), TREES_FROM))


def late_features(beats: torch.Tensor, first: int) -> torch.Tensor:
    """Return features (n x (leads x (values and changes)), mV) of the samples of n beats from `first` on."""
    late = beats[..., first:]
    return torch.cat([late, late[..., CHANGE:] - late[..., :-CHANGE]], dim=-1).flatten(start_dim=1)


class Trees(nn.Module):
    """The log of the mean of the trees' class probabilities: maps n x leads x samples (mV) to n x classes.

    The trees see the samples of each lead from `first` on, and their changes over `CHANGE` samples: the time after
    the R peak transfers best to other archives (docs/experiment_log.md). A node has a feature, threshold, shares of the
    classes, and the next node above the threshold; up to it the next one is the following node. A leaf follows itself.
    """

    def __init__(self, *, trees: int, nodes: int, depth: int, classes: int, samples: int, first: int):
        super().__init__()
        self.depth, self.samples, self.first = depth, samples, first
        self.roots = nn.Buffer(torch.zeros(trees, dtype=torch.int32))
        self.feature = nn.Buffer(torch.zeros(nodes, dtype=torch.int32))
        self.threshold = nn.Buffer(torch.full((nodes,), torch.finfo(torch.float32).min))
        self.above = nn.Buffer(torch.zeros(nodes, dtype=torch.int32))
        self.shares = nn.Buffer(torch.zeros(nodes, classes))

    def follow(self, flat: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
        """Return the next nodes (n x trees) of `node`."""
        # Not values[node], for which ONNX Runtime takes five times as long.
        feature, threshold, above = (
            values.index_select(0, node.flatten()).view_as(node)
            for values in (self.feature, self.threshold, self.above)
        )
        return torch.where(flat.gather(1, feature.long()) <= threshold, node + 1, above.long())

    def mean_shares(self, node: torch.Tensor) -> torch.Tensor:
        """Return the mean over the trees of the shares in nodes (n x trees): n x classes."""
        return functional.embedding(node, self.shares).mean(dim=1)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        flat = late_features(beats, self.first)
        node = self.roots.long().expand(beats.shape[0], -1)
        for _ in range(self.depth):
            node = self.follow(flat, node)
        return torch.log(self.mean_shares(node) + LEAST)

    def evidence(self, beats: torch.Tensor) -> torch.Tensor:
        """Return maps (n x classes x samples) whose mean over the samples is the output plus a constant.

        Each step to the next node changes the shares by one feature (Palczewska et al. 2013), which is exact for a mean
        over trees. A factor per class scales the changes to those of the logarithm (the rescale rule of Shrikumar et
        al. 2017).
        """
        flat = late_features(beats, self.first)
        node = self.roots.long().expand(beats.shape[0], -1)
        start = self.mean_shares(node)
        changes = torch.zeros(len(beats), self.shares.shape[1], flat.shape[1], device=flat.device)
        for _ in range(self.depth):
            then = self.follow(flat, node)
            feature = self.feature[node].long()[:, None].expand(-1, changes.shape[1], -1)
            changes.scatter_add_(2, feature, ((self.shares[then] - self.shares[node]) / len(self.roots)).mT)
            node = then
        end = self.mean_shares(node)
        difference, before, after = end - start, torch.log(start + LEAST), torch.log(end + LEAST)
        factors = torch.where(difference == 0, 0, (after - before) / difference)
        by_feature = (changes * factors[:, :, None]).unflatten(2, (beats.shape[1], -1)).sum(dim=2)
        values, slopes = by_feature.tensor_split([self.samples - self.first], dim=2)
        # A change counts in the middle of its `CHANGE` samples.
        slopes = functional.pad(slopes, (CHANGE // 2, CHANGE // 2))
        return functional.pad(values + slopes, (self.first, 0)) * self.samples


@torch.no_grad()
def fit_trees(trees: int, data: Beats, classes: int, first: int, seed: int) -> Trees:
    """Return trees grown on beats from the sample `first` on; each class has the same total weight.

    At most `MOST` beats, evenly spread, are used: a tree has about a third as many nodes as beats.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # takes 0.6 s, which predict saves

    n = len(data.beats)
    chosen = np.linspace(0, n - 1, min(n, MOST)).astype(int)
    settings = {"min_samples_leaf": PER_LEAF, "max_features": MAX_FEATURES, "class_weight": "balanced"}
    forest = ExtraTreesClassifier(trees, **settings, random_state=seed)
    with joblib.parallel_config("threading", n_jobs=-1):
        forest.fit(late_features(torch.from_numpy(data.beats[chosen]), first).numpy(), data.target[chosen])
    grown = [estimator.tree_ for estimator in forest.estimators_]
    sizes = [tree.node_count for tree in grown]
    roots = np.cumsum([0, *sizes[:-1]])
    left, right, feature, exact, shares = (
        np.concatenate([getattr(tree, name) for tree in grown])
        for name in ("children_left", "children_right", "feature", "threshold", "value")
    )
    # Beats are in single precision; the largest such number up to the threshold separates them equally.
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    size = {"nodes": len(left), "depth": max(tree.max_depth for tree in grown)}
    model = Trees(trees=trees, **size, classes=classes, samples=data.beats.shape[2], first=first)
    # scikit-learn numbers nodes depth first: the next node up to the threshold is the following one.
    above = np.where(left < 0, np.arange(len(left)), right + np.repeat(roots, sizes))
    nodes = {"roots": roots, "feature": feature, "threshold": threshold, "above": above, "shares": shares[:, 0]}
    for name, values in nodes.items():
        getattr(model, name).copy_(torch.from_numpy(values))
    model.feature.clamp_(min=0)  # of leaves
    model.threshold[left < 0] = torch.finfo(torch.float32).min
    return model
