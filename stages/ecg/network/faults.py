"""Faults of recordings that no other check sees, made on good beats, so that trees learn what they do."""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from ecg.leads import INDEPENDENT, LEADS

I, II = 0, 1  # noqa: E741 - the name of the lead
CHEST = [i for i, lead in enumerate(INDEPENDENT) if LEADS[lead].startswith("V")]
PAIRS = list(combinations(CHEST, 2))
NEIGHBOURS = [pair for pair in PAIRS if pair[1] - pair[0] == 1]
LIMBS = ("right arm", "left arm", "left leg")
ARMS, RIGHT_ARM_AND_LEG = LIMBS[:2], LIMBS[::2]
SINE_HZ, SINE_MV = (1.0, 8.0), (0.2, 1.5)
# mV, by which a copied lead differs: what the median beat leaves of white noise of 0.02 mV.
COPY_NOISE = 0.005


def exchanges() -> dict[tuple, np.ndarray]:
    """Return of any two of the nine electrodes, chest ones by their lead, the 8 x 8 matrix by which leads change.

    Chest leads are against the mean of the limbs (Wilson et al. 1934), which an exchange may change too.
    """
    electrodes, limbs = [*LIMBS, *CHEST], len(LIMBS)
    potentials = np.zeros((len(electrodes), len(INDEPENDENT)))  # against the right arm, as sums of leads
    potentials[1, I] = potentials[2, II] = 1
    potentials[limbs:] = potentials[:limbs].mean(axis=0)
    potentials[range(limbs, len(electrodes)), CHEST] += 1
    matrices = {}
    for one, other in combinations(range(len(electrodes)), 2):
        found = potentials.copy()
        found[[one, other]] = potentials[[other, one]]
        leads = [found[1:limbs] - found[0], found[limbs:] - found[:limbs].mean(axis=0)]
        matrices[electrodes[one], electrodes[other]] = np.concatenate(leads)
    return matrices


EXCHANGED = exchanges()
LIMB_AND_CHEST = [pair for pair in EXCHANGED if pair[0] in LIMBS and pair[1] in CHEST]
# All leads, or one chest lead.
UPSIDE_DOWN = [-np.eye(len(INDEPENDENT)), *(np.diag(1.0 - 2 * (np.arange(len(INDEPENDENT)) == i)) for i in CHEST)]
# Each undoes itself, but for the size of the beat.
UNDONE = np.stack([*EXCHANGED.values(), *UPSIDE_DOWN])


def any_pair(rng: np.random.Generator) -> tuple[int, int]:
    """Return two chest leads; neighbours as often as any."""
    pairs = NEIGHBOURS if rng.random() < 0.5 else PAIRS
    return pairs[rng.integers(len(pairs))]


def copy_chest(beat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a copy of a chest lead for another."""
    one, other = rng.permutation(any_pair(rng))
    beat = beat.copy()
    beat[one] = beat[other] + COPY_NOISE * rng.normal(size=beat.shape[1])
    return beat


def put_sine(beat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a sine for a chest lead; the beat is 0.65 s long."""
    phase = 2 * np.pi * (rng.uniform(*SINE_HZ) * np.linspace(0, 0.65, beat.shape[1]) + rng.random())
    beat = beat.copy()
    beat[rng.choice(CHEST)] = rng.uniform(*SINE_MV) * np.sin(phase)
    return beat


FAULTS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    lambda beat, rng: EXCHANGED[ARMS] @ beat,
    lambda beat, rng: EXCHANGED[RIGHT_ARM_AND_LEG] @ beat,
    *2 * [lambda beat, rng: EXCHANGED[any_pair(rng)] @ beat],
    lambda beat, rng: EXCHANGED[LIMB_AND_CHEST[rng.integers(len(LIMB_AND_CHEST))]] @ beat,
    lambda beat, rng: UPSIDE_DOWN[rng.integers(len(UPSIDE_DOWN))] @ beat,
    copy_chest,
    put_sine,
)


def with_faults(beats: np.ndarray, times: int, rng: np.random.Generator) -> np.ndarray:
    """Return each of n beats (n x 8 independent leads x steps, mV) so many `times`, each time with another fault."""
    faulty = np.repeat(beats, times, axis=0)
    for i, beat in enumerate(faulty):
        beat[:] = FAULTS[(i % times + rng.integers(len(FAULTS))) % len(FAULTS)](beat, rng)
    return faulty
