"""Faults of recordings that no other check sees, made on good beats, so that trees learn what they do."""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from ecg.leads import INDEPENDENT, LEADS

I, II = 0, 1  # noqa: E741 - the name of the lead
CHEST = [i for i, lead in enumerate(INDEPENDENT) if LEADS[lead].startswith("V")]
PAIRS = list(combinations(CHEST, 2))
NEIGHBOURS = [pair for pair in PAIRS if pair[1] - pair[0] == 1]
SINE_HZ, SINE_MV = (1.0, 8.0), (0.2, 1.5)
# mV, by which a copied lead differs: what the median beat leaves of white noise of 0.02 mV.
COPY_NOISE = 0.005


def leads_from(changed: dict[int, dict[int, float]]) -> np.ndarray:
    """Return the 8 x 8 matrix that makes some leads sums of others, and leaves the rest."""
    matrix = np.eye(len(INDEPENDENT))
    for lead, terms in changed.items():
        matrix[lead] = 0
        for other, factor in terms.items():
            matrix[lead, other] = factor
    return matrix


# Electrodes that are exchanged. Both arms: I is upside down, II and III change places. Right arm and left leg: II is
# upside down, I is -III. Left arm and left leg: I and II change places.
ARMS = leads_from({I: {I: -1}, II: {II: 1, I: -1}})
RIGHT_ARM_AND_LEG = leads_from({I: {I: 1, II: -1}, II: {II: -1}})
LEFT_ARM_AND_LEG = leads_from({I: {II: 1}, II: {I: 1}})
SWAPPED = {pair: leads_from({pair[0]: {pair[1]: 1}, pair[1]: {pair[0]: 1}}) for pair in PAIRS}
UPSIDE_DOWN = [-np.eye(len(INDEPENDENT)), *(leads_from({lead: {lead: -1}}) for lead in CHEST)]  # all leads, or one
# Each undoes itself, but for the size of the beat.
EXCHANGES = np.stack([ARMS, RIGHT_ARM_AND_LEG, LEFT_ARM_AND_LEG, *SWAPPED.values(), *UPSIDE_DOWN])


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
    lambda beat, rng: ARMS @ beat,
    lambda beat, rng: RIGHT_ARM_AND_LEG @ beat,
    *2 * [lambda beat, rng: SWAPPED[any_pair(rng)] @ beat],
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
