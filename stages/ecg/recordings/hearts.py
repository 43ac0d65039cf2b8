"""Synthetic hearts by a dipole model: healthy, ischemic and others, each as waves in time.

The heart is one current dipole whose three coordinates are sums of Gaussians in time (McSharry et al. 2003, Sameni et
al. 2007). The Dower matrix (Dower et al. 1980), the one that Edenbrandt and Pahlm's inverse Dower matrix (1988)
inverts, projects it to the leads. Axes in mV: x to the left, y to the feet, z to the back. Amplitudes, spreads and
shares of diseases are near those of 1,225 recordings of PTB-XL (docs/experiment_log.md).
"""

import numpy as np
from scipy.spatial.transform import Rotation

from ecg.leads import limb_leads

# Leads I, II, V1 - V6 x axes.
DOWER_X = (0.632, 0.235, -0.515, 0.044, 0.882, 1.213, 1.125, 0.831)
DOWER_Y = (-0.235, 1.066, 0.157, 0.164, 0.098, 0.127, 0.127, 0.076)
DOWER_Z = (0.059, -0.132, -0.917, -1.387, -1.277, -0.601, -0.086, 0.230)
DOWER = np.column_stack([DOWER_X, DOWER_Y, DOWER_Z])
# Each wave: centre (ms from the R peak), width (ms, one standard deviation), x, y, z (mV). ST and T move with QT.
NORMAL = {
    "P": (-160, 22, 0.06, 0.10, 0.01),
    "Q": (-24, 7, -0.12, -0.06, -0.18),
    "R": (0, 11, 1.05, 0.60, 0.30),
    "S": (24, 10, 0.05, 0.05, 0.65),
    "ST": (110, 38, 0.01, 0.00, -0.06),
    "T1": (255, 48, 0.18, 0.09, -0.13),
    "T2": (285, 28, 0.18, 0.09, -0.13),
}
QRS, T = ("Q", "R", "S"), ("T1", "T2")
ST_T = ("ST", *T)
# From base to apex the left ventricle's free wall lies between its long axis, which points to the left, 27 degrees down
# and 38 to the front (Hoekema et al. 1999), and the left side.
FREE_WALL = np.array((0.87, 0.42, -0.25))
# Where ischemic and infarcted muscle lies, as seen from the dipole's origin.
TERRITORIES = {"anterior": (0.3, 0.1, -0.95), "inferior": (0.1, 0.95, 0.3), "lateral": (0.95, -0.1, 0.3)}


def twelve_leads(eight: np.ndarray) -> np.ndarray:
    """Return 12 leads (samples x 12) from I, II, V1 - V6 (samples x 8); noise too then obeys Einthoven's law."""
    return np.column_stack([*limb_leads(eight[:, 0], eight[:, 1]).values(), eight[:, 2:]])


def dipole(times: np.ndarray, waves: dict) -> np.ndarray:
    """Return the dipole (times x 3, mV) of one beat at times in ms from its R peak."""
    parameters = np.array(list(waves.values()))
    gaussians = np.exp(-0.5 * ((times[:, None] - parameters[:, 0]) / parameters[:, 1]) ** 2)
    return gaussians @ parameters[:, 2:]


def changed(waves: dict, names: tuple, vector=(0, 0, 0), *, scale=1.0, widen=1.0, later=0.0) -> dict:
    """Return waves; those of `names` are scaled (in all or each axis), shifted (mV), widened and delayed (ms)."""
    new = dict(waves)
    for name in names:
        centre, width, *own = waves[name]
        new[name] = (centre + later, width * widen, *(np.array(own) * scale + vector))
    return new


def healthy_heart(rng: np.random.Generator) -> dict:
    """Draw one patient's waves: amplitudes, widths, intervals and the heart's axis vary as between people."""
    # The anatomical axis varies by 5 to 9 degrees (Hoekema et al. 1999), the spread of activation by more.
    axis = Rotation.from_rotvec(rng.normal(0, 8, 3), degrees=True)
    size = rng.lognormal(0, 0.18)
    waves = {}
    for name, (centre, width, *vector) in NORMAL.items():
        own = vector + np.linalg.norm(vector) * rng.normal(0, 0.25 if name in QRS else 0.15, 3)
        own = size * rng.lognormal(0, 0.12) * axis.apply(own)
        waves[name] = (centre * rng.normal(1, 0.04), width * rng.lognormal(0, 0.08), *own)
    # T amplitude and the J point vary far more than the rest; early repolarisation lifts ST in some.
    waves = changed(waves, T, scale=rng.lognormal(-0.05, 0.28))
    waves = changed(waves, ("ST",), rng.normal(0, (0.022, 0.018, 0.03)))
    if rng.random() < 0.12:
        waves = changed(waves, ("ST",), rng.uniform(0.02, 0.06) * np.array((0.6, 0.4, -0.7)))
    return waves


def territory(rng: np.random.Generator) -> np.ndarray:
    """Draw the direction (x, y, z) of ischemic or infarcted muscle."""
    return np.array(TERRITORIES[rng.choice(list(TERRITORIES), p=(0.3, 0.27, 0.43))]) + rng.normal(0, 0.15, 3)


def ischemic(waves: dict, rng: np.random.Generator) -> dict:
    """Depress ST away from the free wall (Li et al. 1998), or T away from the ischemic muscle, rarely both equally.

    ST elevation is a sign of infarction (Wagner et al. 2009); PTB-XL calls it injury, not ischemia.
    """
    severity, st = rng.gamma(2.2, 0.8), rng.beta(0.4, 0.4)  # st: share of ST; the rest is that of T
    wall = FREE_WALL + rng.normal(0, 0.15, 3)
    waves = changed(waves, ("ST",), -0.08 * severity * st * wall, widen=1.15)
    away = -severity * (0.105 - 0.055 * st) * territory(rng)
    left = np.exp(-0.3 * severity * rng.random())  # factor of T to the left and to the feet
    return changed(waves, T, away, scale=(left, left, 1), later=8 * severity)


def hypertrophy(waves: dict, rng: np.random.Generator) -> dict:
    """Raise QRS to the left and back, and turn ST and T against it: strain."""
    degree = rng.uniform(0.4, 1.2)
    waves = changed(waves, QRS, scale=1 + degree * np.array((0.4, 0.5, 1.4)), widen=1.1)
    waves = changed(waves, ("ST",), degree * np.array((-0.05, -0.03, -0.06)))
    return changed(waves, T, degree * np.array((-0.07, -0.03, -0.07)))


def block(waves: dict, rng: np.random.Generator) -> dict:
    """Activate the left or the right side late, and turn ST and T against it."""
    degree = rng.uniform(0.4, 1.2)
    late = degree * np.array(((0.7, 0.1, 0.5), (-0.5, -0.1, -0.5))[rng.integers(2)])
    waves = changed(waves, ("R", "S"), widen=1 + 0.5 * degree) | {"late": (35, 14, *late)}
    waves = changed(waves, ("ST",), -0.1 * late)
    return changed(waves, T, -0.25 * late, later=15)


def infarct(waves: dict, rng: np.random.Generator) -> dict:
    """Remove a territory from activation: Q grows, R shrinks; ST may stay elevated there, and T turn away."""
    degree, scar = rng.uniform(0.4, 1.2), -territory(rng)
    waves = changed(waves, ("Q",), 0.45 * degree * scar, widen=1.6)
    waves = changed(waves, ("R",), 0.4 * degree * scar)
    waves = changed(waves, ("ST",), -0.1 * degree * rng.uniform(0, 1) * scar)
    return changed(waves, T, 0.12 * degree * rng.uniform(0, 1) * scar)


def nonspecific(waves: dict, rng: np.random.Generator) -> dict:
    """Flatten T and depress ST by less than 0.1 mV, of any cause (Rautaharju et al. 2009)."""
    waves = changed(waves, ("ST",), -rng.uniform(0, 0.08) * (FREE_WALL + rng.normal(0, 0.3, 3)))
    return changed(waves, T, rng.normal(0, 0.05, 3), scale=rng.uniform(0.05, 0.6))


def left_axis(waves: dict, rng: np.random.Generator) -> dict:
    """Turn QRS up, to the left shoulder, as an anterior fascicular block does; ST and T stay."""
    axis = Rotation.from_rotvec((0, 0, -rng.uniform(35, 75)), degrees=True)
    return waves | {name: (*waves[name][:2], *axis.apply(waves[name][2:])) for name in QRS}


# Shares among PTB-XL's abnormal recordings without ischemia, and shares of other diseases among its ischemic ones.
OTHERS = {nonspecific: 0.34, block: 0.22, left_axis: 0.16, infarct: 0.21, hypertrophy: 0.07}
BESIDE = {hypertrophy: 0.5, infarct: 0.35}


def abnormal(waves: dict, rng: np.random.Generator) -> dict:
    """Give the heart a random disease other than ischemia; some diseases also change ST and T."""
    return list(OTHERS)[rng.choice(len(OTHERS), p=list(OTHERS.values()))](waves, rng)
