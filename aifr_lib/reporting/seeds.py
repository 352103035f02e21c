"""What a handful of seeds can say: Student's t of a contrast of arms, its error pooled where the spreads agree,
Holm's correction, the smallest visible difference. scipy.stats, a second to load, is loaded where a number needs it.

A bootstrap over three seeds covers 74–85 % where it says 95 %; Student's t keeps its promise where the spread
is roughly normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from aifr_lib.reporting.rows import Measured

LEVEL = 0.05
# Arms whose spreads differ more than this chance allows are not pooled. Three to five seeds see unequal spreads
# badly, so the level is wider than that of the verdicts, and deviations are taken from the mean: from the median
# (Brown–Forsythe) the test of three seeds hardly ever rejects, and arms of twice the others' spread then differ by
# chance in 20 % of cases instead of 5 % (here in 11 %).
SPREADS_LEVEL = 0.1

Values = Mapping[int, float]


@dataclass(frozen=True)
class Estimate:
    """A contrast of arm means with its standard error and degrees of freedom (``df`` 0: no spread is known).

    ``error`` says where the standard error is from, ``seeds`` how many the smallest arm has, ``spreads_p`` is the
    Levene's, ``r`` the correlation by seed of the two sides (None where it is not known).
    """

    mean: float
    se: float
    df: float
    error: Literal["pooled", "separate", "paired"]
    seeds: int
    spreads_p: float | None = None
    r: float | None = None

    @property
    def p_above(self) -> float:
        """One-sided, for a mean above 0."""
        return _tail(self.mean, self.se, self.df)

    @property
    def p_below(self) -> float:
        """One-sided, for a mean below 0."""
        return _tail(-self.mean, self.se, self.df)

    @property
    def p(self) -> float:
        """Two-sided: how surprising this difference would be if there were none."""
        return min(1.0, 2 * min(self.p_above, self.p_below))

    def interval(self, alpha: float = LEVEL) -> tuple[float, float] | None:
        """That of coverage 1 − ``alpha``; None where no spread is known."""
        if not self.df:
            return None
        from scipy import stats

        half = float(stats.t.isf(alpha / 2, self.df)) * self.se
        return self.mean - half, self.mean + half

    def detectable(self, alpha: float = LEVEL, power: float = 0.8) -> float | None:
        """The true difference that a two-sided test at ``alpha`` shows with that power; None without a spread."""
        return smallest_detectable(self.se, self.df, power, alpha) if self.df else None

    def turned(self, sign: float, shift: float = 0.0) -> Estimate:
        """``sign`` × the contrast + ``shift``: the same error about another mean."""
        return replace(self, mean=sign * self.mean + shift)


def student_t(values: Values) -> Measured:
    """Mean and 95 % interval of one value per seed (``{seed: value}``); with one seed there is no interval.

    Errors: ValueError for no values at all.
    """
    if not values:
        raise ValueError("no seeds: a mean needs at least one value")
    interval = _one_sample(values).interval()
    return Measured(
        mean=float(np.mean(list(values.values()))),
        ci95=interval,
        interval="seeds" if interval else None,
        per_seed={int(seed): float(value) for seed, value in values.items()},
    )


def contrast(weights: Sequence[float], arms: Sequence[Values], others: Sequence[Values] = ()) -> Estimate:
    """Σ weight × mean of an arm, its arms taken as independent samples. ``others`` lend their spread alone.

    Where Levene's test of all arms (those of two seeds and more) stays above ``SPREADS_LEVEL``, the error is
    the variance within arms, pooled over all of them. Else it is that of the arms concerned alone, with Satterthwaite's
    degrees of freedom (Welch). The seeds of two arms are not paired: where they rise and fall together this errs to
    the safe side, and choosing by the correlation that was seen would not (see ``paired_contrast``).
    Errors: ValueError for an arm without values, or another number of weights than of arms.
    """
    if len(weights) != len(arms) or not all(arms):
        raise ValueError("each arm of a contrast needs one weight and at least one value")
    counts = np.array([len(arm) for arm in arms])
    shares = np.asarray(weights, dtype=float) ** 2 / counts
    mean = math.fsum(weight * _mean(arm) for weight, arm in zip(weights, arms, strict=True))
    fewest, r = int(counts.min()), _correlation(weights, arms)
    pool = [np.array(list(arm.values())) for arm in (*arms, *others) if len(arm) > 1]
    spreads_p = _spreads_agree(pool)
    if not pool or (spreads_p is not None and spreads_p < SPREADS_LEVEL and counts.min() < 2):
        return Estimate(mean, math.nan, 0, "separate", fewest, spreads_p, r)
    if spreads_p is None or spreads_p >= SPREADS_LEVEL:
        df = float(sum(len(arm) - 1 for arm in pool))
        variance = math.fsum(float(((arm - arm.mean()) ** 2).sum()) for arm in pool) / df
        return Estimate(mean, math.sqrt(variance * shares.sum()), df, "pooled", fewest, spreads_p, r)
    parts = shares * [np.var(list(arm.values()), ddof=1) for arm in arms]
    df = float(parts.sum() ** 2 / (parts**2 / (counts - 1)).sum() if parts.any() else (counts - 1).sum())
    return Estimate(mean, math.sqrt(parts.sum()), df, "separate", fewest, spreads_p, r)


def paired_contrast(weights: Sequence[float], arms: Sequence[Values]) -> Estimate:
    """The same, seed by seed, over the seeds that all arms have: Student's t of those differences against 0.

    For a claim that says so before its runs. A pairing chosen after the correlation is known takes the smaller of
    two errors, and finds differences that are not there more often than it says.
    Errors: ValueError where they share no seed.
    """
    shared = sorted(set.intersection(*(set(arm) for arm in arms)))
    if not shared:
        raise ValueError("no seed in common: " + " and ".join(str(sorted(arm)) for arm in arms))
    differences = {
        seed: math.fsum(weight * arm[seed] for weight, arm in zip(weights, arms, strict=True)) for seed in shared
    }
    return replace(_one_sample(differences), r=_correlation(weights, arms))


def apart(first: Measured | None, second: Measured | None, *, others: Sequence[Measured] = ()) -> int:
    """1 where the first is above the second beyond chance, −1 where it is below, 0 where that cannot be said.

    By Student's t over seeds (``contrast``) where both have several, else by intervals that do not overlap: for words
    on a page, which a verdict's corrected test may take back. ``others`` of the experiment lend their spread.
    """
    if first is None or second is None:
        return 0
    if min(len(first.per_seed), len(second.per_seed)) > 1:
        spread = [one.per_seed for one in others if one.per_seed]
        ends = contrast((1.0, -1.0), (first.per_seed, second.per_seed), spread).interval()
    elif first.ci95 and second.ci95:
        ends = (first.ci95[0] - second.ci95[1], first.ci95[1] - second.ci95[0])
    else:
        ends = None
    return 0 if ends is None else int(ends[0] > 0) - int(ends[1] < 0)


def holm_steps(p: Sequence[float], family: int | None = None) -> list[int]:
    """What Holm's step-down procedure multiplies each p by, in the order given: p × step < .05 is its decision.

    The smallest is multiplied by the size of the family, the next by one less, and from the first that stays at .05
    or above, all by what that one is: an interval of coverage 1 − .05 / step then excludes 0 just where the
    procedure rejects. family: how many tests are planned (None: these); one that is not done yet counts as p = 1, so
    that it can make none of these weaker later.
    """
    step = len(p) if family is None else family
    steps = [step] * len(p)
    for index in sorted(range(len(p)), key=lambda i: p[i]):
        steps[index] = step
        if p[index] * step < LEVEL:
            step -= 1
    return steps


def smallest_detectable(se: float, df: float, power: float = 0.8, alpha: float = LEVEL) -> float:
    """The true difference that an estimate of that standard error shows with that power (two-sided t-test).

    From the noncentral t distribution: a normal approximation would promise half of it at three seeds.
    Errors: ValueError without degrees of freedom, where no spread is known.
    """
    if df <= 0:
        raise ValueError("the smallest detectable difference needs at least two seeds")
    from scipy import optimize, stats

    critical = stats.t.isf(alpha / 2, df)

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, df, shift)) - power

    high = critical
    while missing(high) < 0:
        high *= 2
    return float(optimize.brentq(missing, 0.0, high)) * se


def _one_sample(values: Values) -> Estimate:
    numbers = np.array(list(values.values()), dtype=float)
    mean, n = float(numbers.mean()), len(numbers)
    if n < 2:
        return Estimate(mean, math.nan, 0, "paired", n)
    sd = float(numbers.std(ddof=1))
    # Differences of decimal numbers that should be equal differ in the last bits; that is no spread.
    if sd <= 1e-12 * max(1.0, float(np.abs(numbers).max())):
        sd = 0.0
    return Estimate(mean, sd / math.sqrt(n), n - 1, "paired", n)


def _tail(mean: float, se: float, df: float) -> float:
    if not df:
        return 1.0
    if se == 0:
        return 0.5 if mean == 0 else float(mean < 0)
    from scipy import stats

    return float(stats.t.sf(mean / se, df))


def _mean(arm: Values) -> float:
    return math.fsum(arm.values()) / len(arm)


def _spreads_agree(arms: Sequence[np.ndarray]) -> float | None:
    """p of Levene's test; None where there is nothing to compare."""
    deviations = [np.abs(arm - arm.mean()) for arm in arms]
    if len(arms) < 2 or all(np.ptp(deviation) < 1e-12 for deviation in deviations):
        return None
    from scipy import stats

    return float(stats.levene(*arms, center="mean").pvalue)


def _correlation(weights: Sequence[float], arms: Sequence[Values]) -> float | None:
    """Of the two sides by seed, over the seeds that all arms have; None below four or without a spread."""
    shared = set.intersection(*(set(arm) for arm in arms))
    sides = [
        [math.fsum(abs(w) * arm[seed] for w, arm in zip(weights, arms, strict=True) if w * sign > 0) for seed in shared]
        for sign in (1, -1)
    ]
    if len(shared) < 4 or min(map(np.ptp, sides)) < 1e-12:
        return None
    from scipy import stats

    return float(stats.pearsonr(*sides).statistic)
