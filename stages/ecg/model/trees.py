"""Extremely randomised trees (Geurts, Ernst & Wehenkel 2006) on the beat, as a part of the model."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ecg.beats.windows import beat_times
from ecg.model.description import TREES_FROM
from ecg.model.training import Beats
from ecg.params import Extract

CHANGE = 2  # samples (16 ms at 125 Hz) over which a change is taken
LEAST = 1e-3  # what is added to each class's probability, so that its logarithm is finite
PER_LEAF = 2  # beats, at least
MAX_FEATURES = 8  # of which a node chooses
MOST = 30_000  # beats that trees are fitted to


def evenly(n: int, most: int) -> np.ndarray:
    """Return the indices of at most so many of n beats, evenly spread."""
    return np.linspace(0, n - 1, min(n, most)).astype(int)


class Trees(nn.Module):
    """The log of the mean over trees of each class's probability: n x leads x samples (mV) in, n x classes out.

    The trees see what follows the R peak, which travels best to other hospitals (docs/method.md): of each lead the
    samples from `first` on, and their changes over `CHANGE` samples. Of each node is stored the feature that it asks,
    the threshold up to which the next node follows, the node that follows above it, and the shares of the classes in
    it. A leaf is followed by itself.
    """

    def __init__(self, *, trees: int, nodes: int, depth: int, classes: int, samples: int, first: int):
        super().__init__()
        self.depth, self.samples, self.first = depth, samples, first
        self.roots = nn.Buffer(torch.zeros(trees, dtype=torch.int32))
        self.feature = nn.Buffer(torch.zeros(nodes, dtype=torch.int32))
        self.threshold = nn.Buffer(torch.full((nodes,), torch.finfo(torch.float32).min))
        self.above = nn.Buffer(torch.zeros(nodes, dtype=torch.int32))
        self.shares = nn.Buffer(torch.zeros(nodes, classes))

    def grown(self) -> dict[str, int]:
        """Return what `Trees` needs to be made again, beside what it sees."""
        return {"nodes": len(self.feature), "depth": self.depth}

    def flat(self, beats: torch.Tensor) -> torch.Tensor:
        """Return the features of beats that the trees ask: n x (leads x (values and changes)), mV."""
        return late_features(beats, self.first).flatten(start_dim=1)

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
            and ((self.feature >= 0) & (self.feature < leads * (2 * (self.samples - self.first) - CHANGE))).all()
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

    def evidence(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x classes x samples, whose mean over the samples is the output but for a constant.

        The shares change from node to node, each time by the one feature that was asked (Palczewska et al. 2013). Of a
        sum over trees that is exact; to the logarithm the changes of each class are scaled by one factor (the rescale
        rule of Shrikumar et al. 2017).
        """
        flat = self.flat(beats)
        node = self.roots.long().expand(beats.shape[0], -1)
        start = self.mean_shares(node)
        changes = torch.zeros(self.shares.shape[1], *flat.shape, device=flat.device)
        for _ in range(self.depth):
            then = self.follow(flat, node)
            for change, shares in zip(changes, self.shares.T, strict=True):
                change.scatter_add_(1, self.feature[node].long(), (shares[then] - shares[node]) / len(self.roots))
            node = then
        end = self.mean_shares(node)
        difference, before, after = end - start, torch.log(start + LEAST), torch.log(end + LEAST)
        factors = torch.where(difference == 0, 0, (after - before) / difference)
        by_feature = (changes.movedim(0, 1) * factors[:, :, None]).unflatten(2, (beats.shape[1], -1)).sum(dim=2)
        values, slopes = by_feature.tensor_split([self.samples - self.first], dim=2)
        found = torch.zeros(*values.shape[:2], self.samples, device=flat.device)
        found[:, :, self.first :] = values
        # A change counts in the middle of the time that it is taken over.
        found[:, :, self.first + CHANGE // 2 : self.samples - CHANGE // 2] += slopes
        return found * self.samples


def first_sample(extract: Extract) -> int:
    """Return the number of a beat's first sample that the trees see."""
    return int(np.searchsorted(beat_times(extract), TREES_FROM))


def late_features(beats: torch.Tensor, first: int) -> torch.Tensor:
    """Return ... x leads x features of ... x leads x samples: those from `first` on, and their changes."""
    late = beats[..., first:]
    return torch.cat([late, late[..., CHANGE:] - late[..., :-CHANGE]], dim=-1)


@torch.no_grad()
def fit_trees(trees: int, data: Beats, classes: int, first: int, seed: int) -> Trees:
    """Return so many trees, grown on beats that they see from the sample `first` on; classes are weighted alike.

    Of very many beats some are left out (`evenly`): a tree has about a third as many nodes as beats.
    """
    import joblib
    from sklearn.ensemble import ExtraTreesClassifier

    chosen = evenly(len(data.beats), MOST)
    flat = late_features(torch.from_numpy(data.beats[chosen]), first).flatten(start_dim=1).numpy()
    settings = {"min_samples_leaf": PER_LEAF, "max_features": MAX_FEATURES, "class_weight": "balanced"}
    forest = ExtraTreesClassifier(trees, **settings, random_state=seed)
    with joblib.parallel_config("threading", n_jobs=-1):
        forest.fit(flat, data.target[chosen])
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
    shape = {"classes": classes, "samples": data.beats.shape[2], "first": first}
    model = Trees(trees=trees, nodes=int(counts.sum()), depth=depth, **shape)
    model.roots.copy_(torch.from_numpy(roots))
    for name, values in {"feature": feature, "threshold": threshold, "above": above, "shares": shares}.items():
        getattr(model, name).copy_(torch.from_numpy(np.concatenate(values)))
    return model
