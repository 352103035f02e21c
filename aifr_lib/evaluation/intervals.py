"""Intervals over test data. Pairs that share people are not independent, so people are resampled, not pairs.

Intervals over seeds are another thing (Student's t).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from aifr_lib.evaluation.checks import finite, same_length

Statistic = Callable[[np.ndarray], np.ndarray]
CELLS = 4_000_000  # weights held at once: 32 MB
KEPT = 48_000_000  # multiplicities kept of one resampling: 48 MB
ROWS = 256  # multiplicities below 256 whose sum fits 16 bits, and whose products' sum 32


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
    people, a, b = _numbered(identities_a, identities_b)
    if people < 2:
        return Interval(np.nan, np.nan)
    random = np.random.default_rng(seed)
    block = max(1, CELLS // len(a))
    parts = []
    for start in range(0, replicates, block):
        times = _multiplicities(random, min(block, replicates - start), people).astype(float)
        weights = times[:, a]
        weights[:, a != b] *= times[:, b[a != b]]
        parts.append(np.asarray(statistic(weights), dtype=np.float64))
    return _percentiles(np.concatenate(parts), level)


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
    """Clustered interval of the mean of ``values`` [P]: numbers, hits as bool or whole 0 and 1 for a proportion, or
    differences of hits as whole −1, 0 and 1.

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
    if values.dtype.kind in "biu" and np.isin(values, (-1, 0, 1)).all():
        return _whole_interval(values, identities_a, identities_b, replicates, level, seed)
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


def _whole_interval(
    values: np.ndarray,
    identities_a: np.ndarray,
    identities_b: np.ndarray | None,
    replicates: int,
    level: float,
    seed: int,
) -> Interval:
    """``clustered_bootstrap`` of the mean of a few whole numbers [P], to the same bits: they may be added in any order.
    All pairs are added up once, and beside them only those that differ from the commonest value.
    """
    people, a, b = _numbered(identities_a, identities_a if identities_b is None else identities_b)
    if people < 2:
        return Interval(np.nan, np.nan)
    kinds, counts = np.unique(values.astype(np.int64), return_counts=True)
    common = int(kinds[counts.argmax()])
    others = {int(kind) - common: values == kind for kind in kinds if kind != common}
    total, summed = np.zeros(replicates, dtype=np.int64), np.zeros(replicates, dtype=np.int64)
    for start, times in _in_blocks(people, replicates, seed):
        some = slice(start, start + times.shape[1])
        total[some] = _weight(times, a, b)
        summed[some] = common * total[some]
        for difference, there in others.items():
            summed[some] += difference * _weight(times, a[there], b[there])
    return _percentiles(np.divide(summed, total, out=np.full(replicates, np.nan), where=total > 0), level)


def _weight(times: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The weight of all pairs together in each replicate, int64 [R]; times: uint8 [people, R]."""
    one, total = a == b, np.zeros(times.shape[1], dtype=np.int64)
    same, a, b = a[one], a[~one], b[~one]
    # In the narrowest whole numbers that hold them, and pieces that stay in the cache: memory is what takes the time.
    for start in range(0, len(same), ROWS):
        total += times[same[start : start + ROWS]].sum(axis=0, dtype=np.uint16)
    for start in range(0, len(a), ROWS):
        some = slice(start, start + ROWS)
        products = times[a[some]].astype(np.uint16)
        products *= times[b[some]]
        total += products.sum(axis=0, dtype=np.uint32)
    return total


def _in_blocks(people: int, replicates: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """The number of the first replicate of each block, and its multiplicities [people, replicates of the block]."""
    if people * replicates <= KEPT:
        yield 0, _times(people, replicates, seed)
        return
    random, block = np.random.default_rng(seed), max(1, CELLS // people)
    for start in range(0, replicates, block):
        yield start, _multiplicities(random, min(block, replicates - start), people).T


@lru_cache(maxsize=4)
def _times(people: int, replicates: int, seed: int) -> np.ndarray:
    """``_multiplicities`` of a fresh generator, [people, replicates]: kept, as many tables have the same people."""
    return np.ascontiguousarray(_multiplicities(np.random.default_rng(seed), replicates, people).T)


def _multiplicities(random: np.random.Generator, replicates: int, people: int) -> np.ndarray:
    """How often each of ``people`` is drawn in each replicate, uint8 [replicates, people]: once on average, so that 256
    times has no chance worth a wider type (of a million people, 1 in 256!).
    """
    times = np.empty((replicates, people), dtype=np.uint8)
    for row, drawn in zip(times, random.integers(people, size=(replicates, people)), strict=True):
        row[:] = np.bincount(drawn, minlength=people)
    return times


def _numbered(identities_a: np.ndarray, identities_b: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """How many people there are, and the two of each pair as numbers from 0."""
    people, rows = np.unique(np.concatenate([identities_a, identities_b]), return_inverse=True)
    a, b = np.split(rows, 2)
    return len(people), a, b


def _percentiles(values: np.ndarray, level: float) -> Interval:
    """Errors: ValueError where all are NaN."""
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError(f"the statistic is undefined in all {len(values)} replicates")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
