"""Extremely randomised trees (Geurts, Ernst & Wehenkel 2006) on the beat, as a part of the model."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ecg.network.random_convolutions import MOST, evenly

LEAST = 1e-3  # what is added to each class's probability, so that its logarithm is finite
PER_LEAF = 2  # beats, at least


class Trees(nn.Module):
    """The log of the mean over trees of each class's probability: n x leads x samples (mV) in, n x classes out.

    The trees see means of `pool` samples of each lead. Of each node is stored the feature that it asks, the threshold
    up to which the next node follows, the node that follows above it, and the shares of the classes in it. A leaf is
    followed by itself.
    """

    def __init__(self, *, trees: int, nodes: int, depth: int, pool: int, classes: int, samples: int):
        super().__init__()
        self.pool, self.depth, self.steps = nn.AvgPool1d(pool), depth, samples // pool
        self.roots = nn.Buffer(torch.zeros(trees, dtype=torch.int32))
        self.feature = nn.Buffer(torch.zeros(nodes, dtype=torch.int16))
        self.threshold = nn.Buffer(torch.full((nodes,), torch.finfo(torch.float32).min))
        self.above = nn.Buffer(torch.zeros(nodes, dtype=torch.int32))
        self.shares = nn.Buffer(torch.zeros(nodes, classes))

    def grown(self) -> dict[str, int]:
        """Return what `Trees` needs to be made again, beside what it sees."""
        return {"nodes": len(self.feature), "depth": self.depth}

    def flat(self, beats: torch.Tensor) -> torch.Tensor:
        """Return what the trees ask of beats: n x (leads x steps), mV."""
        return self.pool(beats).flatten(start_dim=1)

    def follow(self, flat: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
        """Return the nodes (n x trees) that follow `node`."""
        asked = flat.gather(1, self.feature[node].long())
        return torch.where(asked <= self.threshold[node], node + 1, self.above[node].long())

    def mean_shares(self, node: torch.Tensor) -> torch.Tensor:
        """Return the mean over the trees of the shares in nodes (n x trees): n x classes."""
        return functional.embedding(node, self.shares).mean(dim=1)

    def check(self, leads: int) -> None:
        """Raise ValueError where a node is followed by none that comes after it, or asks what a beat does not have."""
        number = torch.arange(len(self.feature))
        leaf = self.above == number
        if not (
            ((self.roots >= 0) & (self.roots < len(number))).all()
            and ((self.feature >= 0) & (self.feature < leads * self.steps)).all()
            and ((self.above >= number) & (self.above < len(number))).all()
            and (self.threshold[leaf] == torch.finfo().min).all()
        ):
            raise ValueError("its trees' nodes do not follow one another")

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        flat = self.flat(beats)
        node = self.roots.long().expand(beats.shape[0], -1)
        for _ in range(self.depth):
            node = self.follow(flat, node)
        return torch.log(self.mean_shares(node) + LEAST)

    def evidence(self, beats: torch.Tensor, ischemia: int, normal: int) -> torch.Tensor:
        """Return n x steps, whose mean is, but for a constant, how far the two classes' outputs are apart.

        What a tree says changes from node to node, each time by the one feature that was asked (Palczewska et al.
        2013). Of a sum over trees that is exact; to the difference of the logarithms the changes of each class are
        scaled by one factor (the rescale rule of Shrikumar et al. 2017).
        """
        flat = self.flat(beats)
        node = self.roots.long().expand(beats.shape[0], -1)
        start = self.mean_shares(node)
        changes = torch.zeros(2, *flat.shape, device=flat.device)
        for _ in range(self.depth):
            then = self.follow(flat, node)
            for change, number in zip(changes, (ischemia, normal), strict=True):
                shares = self.shares[:, number]
                change.scatter_add_(1, self.feature[node].long(), (shares[then] - shares[node]) / len(self.roots))
            node = then
        end = self.mean_shares(node)
        difference, before, after = end - start, torch.log(start + LEAST), torch.log(end + LEAST)
        factors = torch.where(difference == 0, 0, (after - before) / difference)
        change = changes[0] * factors[:, [ischemia]] - changes[1] * factors[:, [normal]]
        return change.view(len(beats), -1, self.steps).sum(dim=1) * self.steps


@torch.no_grad()
def fit_trees(
    trees: int, pool: int, beats: np.ndarray, target: np.ndarray, seed: int, max_features: str | float = "sqrt"
) -> Trees:
    """Return so many trees, grown on beats (n x leads x samples, mV) and class numbers; classes are weighted alike.

    A node chooses among so many features, or such a share of them (of scikit-learn). Of very many beats some are left
    out (`evenly`): a tree has about a third as many nodes as beats.
    """
    import joblib
    from sklearn.ensemble import ExtraTreesClassifier

    chosen = evenly(len(beats), MOST)
    flat = nn.AvgPool1d(pool)(torch.from_numpy(beats[chosen])).flatten(start_dim=1).numpy()
    settings = {"min_samples_leaf": PER_LEAF, "max_features": max_features, "class_weight": "balanced"}
    forest = ExtraTreesClassifier(trees, **settings, random_state=seed)
    with joblib.parallel_config("threading", n_jobs=-1):
        forest.fit(flat, target[chosen])
    grown = [estimator.tree_ for estimator in forest.estimators_]
    counts = np.array([tree.node_count for tree in grown])
    roots = np.cumsum(counts) - counts
    feature, threshold, above, shares = [], [], [], []
    for tree, root in zip(grown, roots, strict=True):
        leaf = tree.children_left < 0
        # scikit-learn numbers a tree's nodes depth first: what follows up to the threshold is the next one.
        assert (tree.children_left[~leaf] == np.flatnonzero(~leaf) + 1).all()
        feature.append(np.where(leaf, 0, tree.feature))
        # The beats are in single precision: the largest such number up to the threshold divides them the same way.
        single = tree.threshold.astype(np.float32)
        single = np.where(single > tree.threshold, np.nextafter(single, np.float32(-np.inf)), single)
        threshold.append(np.where(leaf, np.finfo(np.float32).min, single))
        above.append(root + np.where(leaf, np.arange(tree.node_count), tree.children_right))
        shares.append(tree.value[:, 0])
    depth = max(tree.max_depth for tree in grown)
    shape = {"pool": pool, "classes": tree.value.shape[2], "samples": beats.shape[2]}
    model = Trees(trees=trees, nodes=int(counts.sum()), depth=depth, **shape)
    model.roots.copy_(torch.from_numpy(roots))
    for name, values in {"feature": feature, "threshold": threshold, "above": above, "shares": shares}.items():
        getattr(model, name).copy_(torch.from_numpy(np.concatenate(values)))
    return model
