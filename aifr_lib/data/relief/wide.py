"""relief-wide: people of the test or validation split at one age, and the same picture of them at other ages.

What no photographs have: a face drawn at another age can be held against the true one. Pose, expression, light and
camera stay; age changes, and what goes with it (weight, hair, beard).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from aifr_lib.data.images import Images
from aifr_lib.data.relief.cache import rendered
from aifr_lib.data.relief.plan import AGES, MAX_PER_IDENTITY, Plan, between, people

NAME = "relief-wide"
OLDEST = 80.0  # years: the oldest group is shown in its middle up to here
PICTURE = MAX_PER_IDENTITY - 1  # a picture that no split has


@dataclass(frozen=True)
class Wide:
    """sources: N pictures, of ages spread evenly over 4 … 80 years. truth: uint8 [N, G, H, W, 3], the same picture at
    each of ``ages`` [G].
    """

    sources: Images
    truth: np.ndarray
    ages: tuple[float, ...]


def middles(bounds: Sequence[float]) -> tuple[float, ...]:
    """The age in the middle of each group, in years; bounds are the last years of all groups but the oldest.

    >>> middles((10, 20, 60))
    (5.0, 15.0, 40.0, 70.0)
    """
    edges = (0.0, *bounds, OLDEST)
    return tuple((low + high) / 2 for low, high in pairwise(edges))


def wide_plan(split: str, identities: int, ages: Sequence[float]) -> Plan:
    """What ``wide`` renders: for each person the source, then the same picture at each age."""
    numbers = people(split, identities)
    own = between(numbers, 27, *AGES)[:, None]
    others = torch.tensor(list(ages), dtype=own.dtype).expand(len(numbers), -1)
    every = torch.cat([own, others], 1)
    whose = numbers.repeat_interleave(every.shape[1])
    spec = {"split": split, "identities": identities, "ages": list(map(float, ages))}
    return Plan(NAME, spec, whose, every.flatten(), whose * MAX_PER_IDENTITY + PICTURE)


def wide(split: str, *, size: int, identities: int, ages: Sequence[float], progress: bool = True) -> Wide:
    """The first ``identities`` people of a split, rendered once and then memory-mapped.

    Errors: ConfigError for an unknown split; ValueError for counts, sizes or ages out of range.
    """
    images = rendered(wide_plan(split, identities, ages), size, progress=progress)
    lines = np.arange(len(images)).reshape(identities, 1 + len(ages))
    sources = images.take(lines[:, 0])
    truth = np.asarray(images.pixels[lines[:, 1:].ravel()]).reshape(identities, len(ages), size, size, 3)
    return Wide(sources, truth, tuple(ages))
