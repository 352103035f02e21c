"""Intervals over test data. Pairs that share people are not independent, so people are resampled, not pairs.

Intervals over seeds are another thing (Student's t).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from aifr_lib.evaluation.checks import finite, same_length

Statistic = Callable[[np.ndarray], np.ndarray]
CELLS = 4_000_000  # weights held at once: 32 MB


class Interval(NamedTuple):
    """Both ends of a confidence interval, in the units of what was measured."""

    low: float
    high: float


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (fractions) over *independent* trials.

    Errors: ValueError where trials < 1 or successes are not within 0 … trials.
    Source: Wilson 1927; Newcombe 1998, method 3.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"a proportion needs 0 <= successes <= trials > 0, got {successes} of {trials}")
    low, high = binomtest(int(successes), int(trials)).proportion_ci(level, method="wilson")
    return Interval(float(low), float(high))


def clustered_bootstrap(
    statistic: Statistic,
    identities_a: np.ndarray,
    identities_b: np.ndarray | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic of pairs, resampling the people on both sides of the pairs.

    statistic: from weights [R, P] to values [R] (NaN where undefined); see ``weighted_mean``.
    identities_a, identities_b: [P], the people of each pair; without b, of each single probe.
    A replicate draws as many identities as there are, with replacement. A pair of two people weighs the
    product of their multiplicities; a genuine pair (one person on both sides) or a single probe weighs that
    one multiplicity. Replicates in which the statistic is undefined are left out. With fewer than two people
    there is nothing to resample: both ends are NaN.
    Spread that belongs to a pair alone, not to its people, is overstated (its variance up to threefold), so
    the interval errs on the wide side where pairs hardly depend on each other.
    Errors: ValueError for an empty list or lengths that differ, or a statistic undefined in every replicate.
    Source: pigeonhole bootstrap, Owen 2007; Owen & Eckles 2012.
    """
    identities_b = identities_a if identities_b is None else identities_b
    same_length(identities_a=identities_a, identities_b=identities_b)
    people, rows = np.unique(np.concatenate([identities_a, identities_b]), return_inverse=True)
    a, b = np.split(rows, 2)
    if len(people) < 2:
        return Interval(np.nan, np.nan)
    random = np.random.default_rng(seed)
    block = max(1, CELLS // len(a))
    parts = []
    for start in range(0, replicates, block):
        times = _multiplicities(random, min(block, replicates - start), len(people))
        weights = times[:, a]
        weights[:, a != b] *= times[:, b[a != b]]
        parts.append(np.asarray(statistic(weights), dtype=np.float64))
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    if not len(values):
        raise ValueError(f"the statistic is undefined in all {replicates} replicates")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def weighted_mean(values: np.ndarray) -> Statistic:
    """The mean of ``values`` [P] as a statistic of weights [R, P]; NaN where all weights are zero."""
    values = np.asarray(values, dtype=np.float64)

    def mean(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        return np.divide(weights @ values, total, out=np.full(len(total), np.nan), where=total > 0)

    return mean


def mean_interval(
    values: np.ndarray,
    identities_a: np.ndarray,
    identities_b: np.ndarray | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Clustered interval of the mean of ``values`` [P]: numbers, or hits as bool or whole 0 and 1 for a proportion.

    Where all are hits, or all misses, resampling shows no spread; then it is Wilson's interval with each
    person (or each pair, if those are fewer) as one trial.
    Errors: ValueError for an empty list, lengths that differ, NaN.
    """
    values = np.asarray(values)
    same_length(values=values, identities_a=identities_a, identities_b=identities_b)
    finite("values", values)
    if values.dtype.kind in "biu" and values.min() == values.max() and values[0] in (0, 1):
        people = np.union1d(identities_a, identities_a if identities_b is None else identities_b)
        trials = min(len(people), len(values))
        return wilson(trials * int(values[0]), trials, level)
    return clustered_bootstrap(
        weighted_mean(values), identities_a, identities_b, replicates=replicates, level=level, seed=seed
    )


def by_gap(
    values: np.ndarray,
    gaps: np.ndarray,
    edges: Sequence[float],
    identities_a: np.ndarray | None = None,
    identities_b: np.ndarray | None = None,
) -> pd.DataFrame:
    """Means of ``values`` [P] by age gap [P] in years: columns gap_from, gap_to, count, mean, low, high.

    values: numbers, or hits as bool for proportions.
    edges: rising, K + 1 for K bins [from, to); the last bin holds its upper edge too and may end at infinity.
    low, high: 95 % interval, clustered by the people of each pair or probe (``mean_interval``) if they are
        given; else Wilson's, for hits that are independent. An empty bin has count 0 and NaN.
    Errors: ValueError for lengths that differ, NaN, gaps outside the edges, edges that do not rise, and
        numbers other than 0 and 1 without identities.
    """
    values, gaps = np.asarray(values), np.asarray(gaps, dtype=np.float64)
    bounds = np.asarray(edges, dtype=np.float64)
    same_length(values=values, gaps=gaps, identities_a=identities_a, identities_b=identities_b)
    finite("values", values)
    finite("age gaps (leave out those of unknown age)", gaps)
    if len(bounds) < 2 or not np.all(np.diff(bounds) > 0):
        raise ValueError(f"edges must be two or more rising numbers, got {list(edges)}")
    outside = int(((gaps < bounds[0]) | (gaps > bounds[-1])).sum())
    if outside:
        raise ValueError(f"{outside} gaps lie outside the edges {bounds[0]:g} … {bounds[-1]:g}: widen them")
    if identities_a is None and not np.isin(values, (0, 1)).all():
        raise ValueError("numbers other than 0 and 1 have no Wilson interval: give the identities")
    bins = np.minimum(np.searchsorted(bounds, gaps, side="right") - 1, len(bounds) - 2)
    rows = []
    for k, (start, stop) in enumerate(pairwise(bounds)):
        inside = bins == k
        chosen = values[inside]
        interval = Interval(np.nan, np.nan)
        if len(chosen) and identities_a is not None:
            second = None if identities_b is None else np.asarray(identities_b)[inside]
            interval = mean_interval(chosen, np.asarray(identities_a)[inside], second)
        elif len(chosen):
            interval = wilson(int(chosen.sum()), len(chosen))
        rows.append((start, stop, len(chosen), chosen.mean() if len(chosen) else np.nan, *interval))
    return pd.DataFrame(rows, columns=["gap_from", "gap_to", "count", "mean", "low", "high"])


def _multiplicities(random: np.random.Generator, replicates: int, people: int) -> np.ndarray:
    """How often each of ``people`` is drawn in each replicate, float64 [replicates, people]."""
    drawn = random.integers(people, size=(replicates, people)) + people * np.arange(replicates)[:, None]
    return np.bincount(drawn.ravel(), minlength=replicates * people).reshape(replicates, people).astype(float)
