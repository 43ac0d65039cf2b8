"""A pacemaker's spikes."""

import numpy as np

from ecg.beats.windows import median_of, window_offsets

SPIKE_WIDTH = 4  # ms, at most
SPIKE = 400  # uV
SPIKE_OVER_REST = 10
CREST = 20  # ms, a period of mains hum: the rest is the highest in each, not what lies between
SEARCH = (-200, 40)  # ms from R, which may be the spike itself


def has_pacing_spikes(samples: np.ndarray, sampling_rate: float, r_peaks: np.ndarray) -> bool:
    """Say whether a pacemaker's spike stands at most R peaks (s) of samples (n x 12, int16, uV, as recorded).

    A spike is no wider than 4 ms, 0.4 mV high in two leads, and ten times the crests of what else stands out between
    200 ms before and 40 ms after R. Bipolar pacing leaves smaller ones, and under 250 Hz none can be seen: such
    recordings pass.
    """
    half = int(SPIKE_WIDTH * sampling_rate / 1000)
    search = window_offsets(*SEARCH, sampling_rate)
    reach = np.arange(search[0] - half, search[-1] + half + 1)
    centres = np.rint(r_peaks * sampling_rate).astype(int)
    centres = centres[(centres + reach[0] >= 0) & (centres + reach[-1] < len(samples))]
    if not half or not len(centres):
        return False
    near = samples[centres[:, None] + reach].astype(np.int32)
    # By how much a sample is above, or below, those on both sides of a spike's width.
    here, before, after = near[:, half:-half], near[:, : -2 * half], near[:, 2 * half :]
    above = np.maximum(here - np.maximum(before, after), np.minimum(before, after) - here)
    if above.max() <= SPIKE:
        return False
    second_lead = np.partition(np.maximum(above, 0), -2, axis=2)[:, :, -2]
    spike = median_of(second_lead.max(axis=1))
    width = round(CREST * sampling_rate / 1000)
    crests = np.maximum.reduceat(second_lead, np.arange(0, second_lead.shape[1], width), axis=1)
    return bool(spike > SPIKE and spike > SPIKE_OVER_REST * np.median(crests))
