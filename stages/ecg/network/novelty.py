"""How unlike the beats that a model was trained on a beat is, and which recordings these were."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from ecg.leads import INDEPENDENT, LEADS
from ecg.network.faults import CHEST, PAIRS, UNDONE, with_faults
from ecg.network.random_convolutions import evenly
from ecg.network.trees import Trees, fit_trees

COMPONENTS = 12  # of the beat's shape
BEYOND = 0.015  # of the beats that it has not seen lie farther than 1
FAR = (0.002, 0.001, 0.001)  # of them by size, by shape and by leads, so that most are left to the trees
PARTS = 3  # of train, each told by what saw the others, to know how far beats lie that it has not seen
TREES = 100  # that tell beats with a fault
BEATS, TIMES = 3000, 4  # of train that they learn from, at most, and how often each is given a fault
FEATURES = 0.2  # of what they see, drawn for each node
RIDGE = 1e-3  # of the largest variance over the leads, so that leads that nearly follow from others have a limit
ALIKE = 1e-4  # of the size of the beat: two leads that differ by less are the same
BATCH = 256  # beats that are looked at at once
SMALL = 1e-6  # mV; a flat beat has no size
LEAST = 1e-9  # variance, so that what is divided by it stays finite


TWO = torch.tensor(PAIRS).T - CHEST[0]  # of the six chest leads


def orders() -> torch.Tensor:
    """Return the chest leads in order, and in each order in which two have changed places."""
    ways = torch.arange(len(CHEST)).repeat(1 + len(PAIRS), 1)
    for way, pair in zip(ways[1:], TWO.T, strict=True):
        way[pair] = pair.flip(0)
    return ways


ORDERS = orders()
N_SIGNS = 1 + len(UNDONE) + len(INDEPENDENT) + 4 * len(PAIRS) + 3


class Novelty(nn.Module):
    """The distance of a beat from those of the train split: 1 is the limit, beyond which 1.5% of unseen beats lie.

    It is the largest of four: how far the size of the beat, the log of its root mean square, is above the usual one;
    how far its shape at size 1 is, by the likelihood of probabilistic principal components (Tipping & Bishop 1999); how
    far the lead that does so worst departs from what the others tell of it; and how sure trees are that it has one of
    some `faults` that they were shown. All see the 8 independent leads, means of `pool` samples.
    """

    def __init__(self, *, pool: int, samples: int, nodes: int = 1, depth: int = 0):
        super().__init__()
        self.pool, leads, steps = nn.AvgPool1d(pool), len(INDEPENDENT), samples // pool
        self.size = nn.Buffer(torch.tensor([0.0, 1.0]))  # mean and standard deviation
        self.mean = nn.Buffer(torch.zeros(leads, steps))
        self.components = nn.Buffer(torch.zeros(COMPONENTS, leads * steps))
        self.spread = nn.Buffer(torch.ones(COMPONENTS + 1))  # standard deviation along each component, and outside
        # What a lead has that the others do not tell, over its standard deviation. To begin with an identity would cost
        # a second: without memory, torch imports its compiler for it.
        self.from_others = nn.Buffer(torch.ones(leads, leads))
        self.faults = Trees(trees=TREES, nodes=nodes, depth=depth, pool=1, classes=2, samples=N_SIGNS)
        self.limits = nn.Buffer(torch.ones(4))

    def departure(self, unit: torch.Tensor) -> torch.Tensor:
        """Return the squared distance of beats at size 1 (... x 8 leads x steps) from the mean beat."""
        shape = (unit - self.mean).flatten(-2)
        along = shape @ self.components.T
        outside = (shape.square().sum(dim=-1) - along.square().sum(dim=-1)).clamp(min=0)
        return (along / self.spread[:-1]).square().sum(dim=-1) + outside / self.spread[-1] ** 2

    def departures(self, unit: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
        """Return n x h: `departure` of beats (n x 8 x steps) after each of h changes of leads (8 x 8), at size 1.

        From the products of the leads with the components, which are the same for all changes.
        """
        axes = torch.cat([self.components, self.mean.view(1, -1)])
        products = torch.einsum("kit,njt->nkij", axes.view(-1, *self.mean.shape), unit).flatten(2)
        power = (unit @ unit.mT).flatten(1) @ (changes.mT @ changes).flatten(1).T
        root_mean_square = (power / self.mean.numel()).clamp(min=0).sqrt().clamp(min=SMALL)
        found = (products @ changes.flatten(1).T) / root_mean_square[:, None]
        along = found[:, :-1] - (self.components @ self.mean.flatten())[:, None]
        whole = power / root_mean_square**2 - 2 * found[:, -1] + self.mean.square().sum()
        outside = (whole - along.square().sum(dim=1)).clamp(min=0)
        return (along / self.spread[:-1, None]).square().sum(dim=1) + outside / self.spread[-1] ** 2

    def signs(self, unit: torch.Tensor) -> torch.Tensor:
        """Return n x signs by which trees tell faults in beats at size 1 (n x 8 leads x steps).

        How much more likely the beat is when electrodes are exchanged back, a chest lead is turned, or a lead is what
        the others tell of it; how alike chest leads are; and how much longer the way from V1 to V6 is when two change
        places.
        """
        departures = self.departures(unit, self.repairs())
        departure = departures[:, :1]
        gain = departure - departures[:, 1:]
        gain = gain.sign() * gain.abs().log1p()
        chest = unit[:, CHEST]
        products = chest @ chest.mT / chest.shape[2]
        power = products.diagonal(dim1=1, dim2=2)
        apart = (power[:, :, None] + power[:, None] - 2 * products).clamp(min=0).sqrt()
        unlike = 1 - products / (power[:, :, None] * power[:, None]).sqrt().clamp(min=LEAST)
        ways = [table[:, ORDERS[:, :-1], ORDERS[:, 1:]].sum(dim=2) for table in (apart, unlike)]
        pairs = [(table[:, *TWO] + ALIKE).clamp(min=ALIKE).log() for table in (apart, unlike)]
        extremes = [gain.amax(dim=1, keepdim=True), *(table.amin(dim=1, keepdim=True) for table in pairs)]
        longer = [way[:, 1:] - way[:, :1] for way in ways]
        return torch.cat([departure.log1p(), gain, *pairs, *longer, *extremes], dim=1)

    def repairs(self) -> torch.Tensor:
        """Return the matrices (n x 8 x 8) that change nothing, undo a fault, or put what the others tell for a lead."""
        told = self.from_others / self.from_others.diagonal()[:, None]
        unchanged = torch.eye(len(told), device=told.device)
        undone = torch.from_numpy(UNDONE).to(unchanged)
        return torch.cat([unchanged[None], undone, unchanged - unchanged[:, :, None] * told[:, None]])

    def without_faults(self, unit: torch.Tensor, root_mean_square: torch.Tensor) -> torch.Tensor:
        """Return n x 3 distances, of size, shape and leads, of what `at_size_1` returns; 1 is no limit yet."""
        size = (root_mean_square.log() - self.size[0]).clamp(min=0) / self.size[1]
        alone = (self.from_others @ unit).square().mean(dim=2).sqrt().amax(dim=1)
        return torch.stack([size, self.departure(unit).sqrt(), alone], dim=1)

    def seen(self, beats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is seen of n x 12 leads x samples (mV): at size 1, n x 8 leads x steps, and the sizes."""
        if beats.shape[1] != len(LEADS):
            raise ValueError(f"beats have {beats.shape[1]} leads; allowed: {len(LEADS)}")
        return at_size_1(self.pool(beats[:, INDEPENDENT]))

    def parts(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x 4 distances, of size, shape, leads and faults, of n x 12 leads x samples (mV)."""
        unit, root_mean_square = self.seen(beats)
        faulty = self.faults(self.signs(unit)[:, None]).softmax(dim=1)[:, 1:]
        return torch.cat([self.without_faults(unit, root_mean_square), faulty], dim=1) / self.limits

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.parts(beats).amax(dim=1)


def at_size_1(beats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return beats (... x leads x steps, mV) divided by their root mean squares, and these."""
    root_mean_square = beats.square().mean(dim=(-2, -1)).sqrt().clamp(min=SMALL)
    return beats / root_mean_square[..., None, None], root_mean_square


@torch.no_grad()
def learn(pool: int, train: np.ndarray, seed: int) -> Novelty:
    """Return the distance from train beats (n x 12 x samples, mV), all limits 1."""
    pooled = nn.AvgPool1d(pool)(torch.from_numpy(np.ascontiguousarray(train[:, INDEPENDENT]))).double()
    unit, size = (values.numpy() for values in at_size_1(pooled))
    mean = unit.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((unit - mean).reshape(len(unit), -1), rowvar=False, bias=True))
    variances, axes = values[::-1].clip(min=LEAST), vectors[:, ::-1].T
    covariance = np.einsum("nit,njt->ij", unit, unit) / (len(unit) * unit.shape[2])
    precision = np.linalg.inv(covariance + RIDGE * np.linalg.eigvalsh(covariance)[-1] * np.eye(len(covariance)))
    spread = np.append(variances[:COMPONENTS], variances[COMPONENTS:].mean())
    fitted = {
        "size": np.array([np.log(size).mean(), max(np.log(size).std(), 1e-3)]),
        "mean": mean,
        "components": axes[:COMPONENTS].copy(),
        "spread": np.sqrt(spread),
        # A row of the precision over the root of its diagonal: the residual of a lead's regression on the others, over
        # its standard deviation.
        "from_others": precision / np.sqrt(np.diag(precision))[:, None],
    }
    model = Novelty(pool=pool, samples=train.shape[2])
    for name, array in fitted.items():
        getattr(model, name).copy_(torch.from_numpy(array))

    chosen = pooled[evenly(len(pooled), BEATS)].numpy()
    both = np.concatenate([chosen, with_faults(chosen, TIMES, np.random.default_rng(seed))])
    signs = in_batches(lambda beats: model.signs(at_size_1(beats)[0]), both).numpy()
    is_faulty = (np.arange(len(both)) >= len(chosen)).astype(int)
    model.faults = fit_trees(TREES, 1, signs[:, None], is_faulty, seed, max_features=FEATURES)
    return model


# Sums must not depend on how many threads there are.
@threadpool_limits.wrap(limits=1)
@torch.no_grad()
def fit_novelty(pool: int, train: np.ndarray, patients: np.ndarray, val: np.ndarray, seed: int) -> Novelty:
    """Return the distance from train beats (n x 12 x samples, mV) of these patients.

    Its limits are set on beats that it has not seen: those of val, and of train each part by what is learnt alike from
    the others, since the hundred beats of a small val would leave it to one or two of them.
    """
    model = learn(pool, train, seed)
    distances = [in_batches(model.parts, val)]
    chosen = evenly(len(train), BEATS)
    part = np.unique(patients, return_inverse=True)[1][chosen] % PARTS
    for number in np.unique(part):
        others, left_out = chosen[part != number], chosen[part == number]
        distances.append(in_batches(learn(pool, train[others], seed).parts, train[left_out]))
    unseen = torch.cat(distances)
    far = [torch.quantile(unseen[:, i], 1 - share, interpolation="higher") for i, share in enumerate(FAR)]
    sure = torch.where((unseen[:, : len(FAR)] > torch.stack(far)).any(dim=1), torch.inf, unseen[:, len(FAR)])
    limits = [*far, torch.quantile(sure, 1 - BEYOND, interpolation="lower")]
    model.limits.copy_(torch.stack(limits).clamp(min=1e-3))
    return model


def in_batches(function: Callable[[torch.Tensor], torch.Tensor], beats: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return what a function says of beats, in memory that does not grow with their number."""
    return torch.cat([function(batch.float()) for batch in torch.as_tensor(beats).split(BATCH)])


def first_bytes(hashes: Iterable[str]) -> np.ndarray:
    """Return the first 8 bytes of each SHA-256 (hex) as whole numbers, int64, sorted, each once."""
    return np.unique(np.array([int(text[:16], 16) for text in hashes], dtype=np.uint64)).view(np.int64)
