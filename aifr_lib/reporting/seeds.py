"""What a handful of seeds can say: Student's t, pairs, Holm's correction, the smallest visible difference.

A bootstrap over three seeds covers 74–85 % where it says 95 %; Student's t keeps its promise where the spread
is roughly normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from aifr_lib.reporting.rows import Measured


@dataclass(frozen=True)
class Paired:
    """Differences a − b over the seeds that both have, with Student's t.

    ``ci95`` and ``sd`` are None with one seed; ``p_above`` and ``p_below`` are one-sided (for a mean > 0, < 0
    """

    seeds: tuple[int, ...]
    mean: float
    sd: float | None
    ci95: tuple[float, float] | None
    p_above: float
    p_below: float

    @property
    def p(self) -> float:
        """Two-sided: how surprising this difference would be if there were none."""
        return min(1.0, 2 * min(self.p_above, self.p_below))


def student_t(values: Mapping[int, float]) -> Measured:
    """Mean and 95 % interval of one value per seed (``{seed: value}``); with one seed there is no interval.

    Errors: ValueError for no values at all.
    """
    if not values:
        raise ValueError("no seeds: a mean needs at least one value")
    numbers = np.array(list(values.values()), dtype=float)
    interval = _interval(numbers)
    return Measured(
        mean=float(numbers.mean()),
        ci95=interval,
        interval="seeds" if interval else None,
        per_seed={int(seed): float(value) for seed, value in values.items()},
    )


def paired(a: Mapping[int, float], b: Mapping[int, float]) -> Paired:
    """Compare two methods seed by seed; seeds that only one side has are left out.

    Errors: ValueError where they share no seed.
    """
    seeds = tuple(sorted(set(a) & set(b)))
    if not seeds:
        raise ValueError(f"no seed in common: {sorted(a)} and {sorted(b)}")
    return one_sample({seed: a[seed] - b[seed] for seed in seeds})


def one_sample(values: Mapping[int, float]) -> Paired:
    """Student's t of one number per seed against 0."""
    numbers = np.array(list(values.values()), dtype=float)
    mean, n = float(numbers.mean()), len(numbers)
    if n < 2:
        return Paired(tuple(values), mean, None, None, 1.0, 1.0)
    sd = float(numbers.std(ddof=1))
    # Differences of decimal numbers that should be equal differ in the last bits; that is no spread.
    if sd <= 1e-12 * max(1.0, float(np.abs(numbers).max())):
        above, below = (0.5, 0.5) if mean == 0 else (float(mean < 0), float(mean > 0))
        return Paired(tuple(values), mean, 0.0, (mean, mean), above, below)
    t = mean / (sd / math.sqrt(n))
    return Paired(
        tuple(values), mean, sd, _interval(numbers), float(stats.t.sf(t, n - 1)), float(stats.t.cdf(t, n - 1))
    )


def holm(p: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's step-down adjustment, in the order given; compared with .05, it bounds the family's error.

    family: how many tests are planned (None: these), of which the others count as p = 1 until they are done: a later
    one can then make none of these weaker.
    """
    size = len(p) if family is None else family
    adjusted = [0.0] * len(p)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        running = max(running, min(1.0, (size - rank) * p[index]))
        adjusted[index] = running
    return adjusted


def smallest_detectable(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The true difference that ``n`` paired seeds of spread ``sd`` show with that power (two-sided t-test).

    From the noncentral t distribution: a normal approximation would promise half of it at three seeds.
    Errors: ValueError with fewer than two seeds, where no spread is known.
    """
    if n < 2:
        raise ValueError("the smallest detectable difference needs at least two seeds")
    critical = stats.t.isf(alpha / 2, n - 1)

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, n - 1, shift)) - power

    high = critical
    while missing(high) < 0:
        high *= 2
    return float(optimize.brentq(missing, 0.0, high)) * sd / math.sqrt(n)


def _interval(numbers: np.ndarray) -> tuple[float, float] | None:
    n = len(numbers)
    if n < 2:
        return None
    mean = float(numbers.mean())
    half = float(stats.t.isf(0.025, n - 1) * numbers.std(ddof=1) / math.sqrt(n))
    return mean - half, mean + half
