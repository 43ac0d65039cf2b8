"""MiniRocket (Dempster, Schmidt & Webb 2021): fixed convolutions, how often each exceeds thresholds, a linear layer.

84 kernels of 9 weights, 2 at three places and -1 at the others, each dilated in several ways and each summing over a
few leads that were drawn. A feature is the share of the time for which a convolution lies above a threshold.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional

LENGTH = 9
BATCH = 64  # beats whose features are computed at once
KERNELS = np.array([[2.0 if i in places else -1.0 for i in range(LENGTH)] for places in combinations(range(LENGTH), 3)])
MAX_DILATIONS = 32
MAX_LEADS = 9  # that one kernel sums over
STRENGTH = 0.001  # of the logistic regression on the features: the inverse of its L2 penalty
MOST = 30_000  # beats that random convolutions and trees are fitted to; 1.2 GB of 9,996 features
ROWS = 2000  # of the features that are standardised at once: in double precision they take twice the memory


def dilations(steps: int, features: int) -> dict[int, int]:
    """Return the dilations for beats of so many steps, and how many thresholds each kernel has at each of them."""
    each = features // len(KERNELS)
    n = min(each, MAX_DILATIONS)
    widest = np.log2((steps - 1) / (LENGTH - 1))
    values, shares = np.unique(np.logspace(0, widest, n, base=2).astype(int), return_counts=True)
    counts = (shares * each / n).astype(int)
    # What rounding has left goes to the narrow ones.
    counts += np.arange(len(counts)) < each - counts.sum()
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


class RandomConvolutions(nn.Module):
    """MiniRocket's features of the means of every `pool` samples, and a linear layer: n x leads x samples (mV)."""

    def __init__(self, *, pool: int, features: int, leads: int, classes: int, samples: int):
        super().__init__()
        self.pool, self.steps = nn.AvgPool1d(pool), samples // pool
        counts = dilations(self.steps, features)
        self.dilations, self.counts = list(counts), list(counts.values())
        self.weight = nn.Buffer(torch.zeros(len(counts), len(KERNELS), leads, LENGTH))
        self.thresholds = nn.Buffer(torch.zeros(sum(self.counts), len(KERNELS)))
        self.classifier = nn.Linear(self.thresholds.numel(), classes)

    def convolved(self, beats: torch.Tensor, i: int) -> torch.Tensor:
        """Return n x kernels x steps at the i-th dilation."""
        reach = self.dilations[i] * (LENGTH // 2)
        return functional.conv1d(self.pool(beats), self.weight[i], padding=reach, dilation=self.dilations[i])

    def above(self, beats: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield where the convolutions lie above a threshold: (steps x n x kernels, 0 or 1), and the steps left out.

        Half of the kernels, those whose number and dilation's number differ in parity, leave out the steps at both ends
        where they would look beyond the beat. The tensor is overwritten by the next one.
        """
        for i, thresholds in enumerate(self.thresholds.split(self.counts)):
            values = self.convolved(beats, i).permute(2, 0, 1)
            for first, reach in ((i % 2, 0), ((i + 1) % 2, self.dilations[i] * (LENGTH // 2))):
                some = values[reach : len(values) - reach, :, first::2].contiguous()
                above = torch.empty_like(some)
                for threshold in thresholds[:, first::2].contiguous():
                    # In place, and time first: five times as fast as the mean of a comparison.
                    yield reach, torch.gt(some, threshold, out=above)

    def features(self, beats: torch.Tensor) -> torch.Tensor:
        """Return what the classifier sees: n x features, each between 0 and 1."""
        return torch.cat([above.mean(dim=0) for _, above in self.above(beats)], dim=1)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(beats))

    def evidence(self, beats: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return n x steps, whose mean over the steps is what the classifier sees times `weight`."""
        total = torch.zeros(self.steps, len(beats), device=beats.device)
        for (reach, above), weights in zip(self.above(beats), weight.split(len(KERNELS) // 2), strict=True):
            total[reach : self.steps - reach] += above @ weights * (self.steps / len(above))
        return total.T


@torch.no_grad()
def draw(model: RandomConvolutions, beats: np.ndarray, rng: np.random.Generator) -> None:
    """Draw the leads of each kernel, and its thresholds: quantiles of what it gives on one beat of the train split.

    `beats` are n x leads x samples (mV). Which quantiles: a low-discrepancy sequence, as in the paper.
    """
    n, leads, _ = beats.shape
    kernels = np.arange(len(KERNELS))
    golden = np.arange(1, model.thresholds.numel() + 1) * (np.sqrt(5) + 1) / 2 % 1
    drawn = []
    for i, count in enumerate(model.counts):
        for kernel, weights in enumerate(KERNELS):
            size = int(2 ** rng.uniform(0, np.log2(min(leads, MAX_LEADS) + 1)))
            model.weight[i, kernel, rng.choice(leads, size, replace=False)] = torch.from_numpy(weights).float()
        examples = torch.from_numpy(beats[rng.integers(n, size=len(kernels))]).to(model.weight.device)
        values = model.convolved(examples, i).cpu().numpy()[kernels, kernels]
        quantiles, golden = np.split(golden, [count * len(kernels)])
        shares = quantiles.reshape(len(kernels), count)
        drawn.append(np.stack([np.quantile(v, q) for v, q in zip(values, shares, strict=True)], axis=1))
    model.thresholds.copy_(torch.from_numpy(np.concatenate(drawn)))


def evenly(n: int, most: int) -> np.ndarray:
    """Return the indices of at most so many of n beats, evenly spread."""
    return np.linspace(0, n - 1, min(n, most)).astype(int)


@torch.no_grad()
def convolution_features(model: RandomConvolutions, beats: np.ndarray) -> np.ndarray:
    """Return the features (n x features, float32) of beats (n x leads x samples, mV)."""
    features = np.empty((len(beats), model.thresholds.numel()), np.float32)
    for start in range(0, len(beats), BATCH):
        batch = torch.from_numpy(beats[start : start + BATCH]).to(model.weight.device)
        features[start : start + BATCH] = model.features(batch).cpu()
    return features


@torch.no_grad()
def fit_linear(model: RandomConvolutions, beats: np.ndarray, target: np.ndarray) -> None:
    """Fit the linear layer of drawn random convolutions to beats (n x leads x samples, mV) and class numbers.

    A logistic regression of the standardised features that weights classes alike, its penalty strong: the features are
    many more than the records, or as many. Beats beyond `MOST` are left out.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    chosen = evenly(len(beats), MOST)
    features, target = convolution_features(model, beats[chosen]), target[chosen]
    blocks = [features[start : start + ROWS] for start in range(0, len(features), ROWS)]
    scaler = StandardScaler(copy=False)
    for block in blocks:
        scaler.partial_fit(block)
    for block in blocks:
        scaler.transform(block)  # in place
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    # Sums must not depend on how many threads there are; the features do not.
    with threadpool_limits(limits=1):
        regression.fit(features, target)
    coefficients, intercept = regression.coef_, regression.intercept_
    if len(coefficients) == 1:  # of two classes it gives one row, the second one's log odds
        coefficients, intercept = (np.concatenate([-values, values]) / 2 for values in (coefficients, intercept))
    weight = coefficients / scaler.scale_
    model.classifier.weight.copy_(torch.from_numpy(weight))
    model.classifier.bias.copy_(torch.from_numpy(intercept - weight @ scaler.mean_))


def fit_random(features: int, pool: int, beats: np.ndarray, target: np.ndarray, seed: int) -> RandomConvolutions:
    """Return random convolutions, their linear layer fitted to beats (n x leads x samples, mV) and class numbers."""
    _, leads, samples = beats.shape
    model = RandomConvolutions(pool=pool, features=features, leads=leads, classes=target.max() + 1, samples=samples)
    draw(model, beats, np.random.default_rng([seed, 0]))
    fit_linear(model, beats, target)
    return model
