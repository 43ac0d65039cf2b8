"""Faults of recordings that no other check sees, made on good beats, so that trees learn what they do."""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from ecg.leads import INDEPENDENT, LEADS

I, II = 0, 1  # noqa: E741 - the name of the lead
CHEST = [i for i, lead in enumerate(INDEPENDENT) if LEADS[lead].startswith("V")]
SINE_HZ, SINE_MV = (1.0, 8.0), (0.2, 1.5)
COPY_NOISE = 0.01  # mV, by which a copied lead differs


def swap_arms(beat: np.ndarray, rng: np.random.Generator) -> None:
    """Exchange the electrodes of both arms: I is upside down, II and III change places."""
    beat[II] -= beat[I]
    beat[I] *= -1


def swap_right_arm_and_leg(beat: np.ndarray, rng: np.random.Generator) -> None:
    """Exchange right arm and left leg: II is upside down, I is -III."""
    beat[I] -= beat[II]
    beat[II] *= -1


def swap_chest(beat: np.ndarray, rng: np.random.Generator) -> None:
    """Exchange two chest leads; those that neighbour one another as often as the others."""
    pairs = list(combinations(CHEST, 2))
    near = [pair for pair in pairs if pair[1] - pair[0] == 1]
    one, other = rng.choice(near if rng.random() < 0.5 else pairs)
    beat[[one, other]] = beat[[other, one]]


def copy_chest(beat: np.ndarray, rng: np.random.Generator) -> None:
    one, other = rng.choice(CHEST, 2, replace=False)
    beat[one] = beat[other] + COPY_NOISE * rng.normal(size=beat.shape[1])


def turn_chest(beat: np.ndarray, rng: np.random.Generator) -> None:
    beat[rng.choice(CHEST)] *= -1


def put_sine(beat: np.ndarray, rng: np.random.Generator) -> None:
    """Put a sine for a chest lead; the beat is 0.65 s long."""
    phase = 2 * np.pi * (rng.uniform(*SINE_HZ) * np.linspace(0, 0.65, beat.shape[1]) + rng.random())
    beat[rng.choice(CHEST)] = rng.uniform(*SINE_MV) * np.sin(phase)


FAULTS: tuple[Callable[[np.ndarray, np.random.Generator], None], ...] = (
    *(swap_arms, swap_right_arm_and_leg, swap_chest, swap_chest, copy_chest, turn_chest, put_sine),
)


def with_faults(beats: np.ndarray, times: int, rng: np.random.Generator) -> np.ndarray:
    """Return each of n beats (n x 8 independent leads x steps, mV) so many `times`, each time with another fault."""
    faulty = np.repeat(beats, times, axis=0)
    for i, beat in enumerate(faulty):
        FAULTS[(i % times + rng.integers(len(FAULTS))) % len(FAULTS)](beat, rng)
    return faulty
