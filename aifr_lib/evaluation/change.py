"""Protocol P5: regression of a change between two pictures of one person (weight, age, expression); its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aifr_lib.evaluation.checks import finite, same_length
from aifr_lib.evaluation.intervals import Interval, Statistic, clustered_bootstrap, mean_interval, weighted_mean
from aifr_lib.evaluation.statistics import correlation_statistic

FOLDS = 4
UNKNOWN = (np.nan, Interval(np.nan, np.nan))
VALIDATION = 0.2  # of the subjects of the training folds


@dataclass(frozen=True)
class Change:
    """Result of P5 over P pairs, each number with its 95 % interval over subjects.

    mae: mean absolute error, in the units of the change. corr: Pearson's; NaN (both ends too) where the
    predictions or the truths of a fold are all equal. accuracy: % of pre/post pairs whose direction is right; NaN
    where a fold has none. error: float64 [P], |d̂ − d|. right: bool [P], sign(d̂) = sign(d).
    """

    mae: float
    mae_interval: Interval
    corr: float
    corr_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    error: np.ndarray
    right: np.ndarray


def change(
    predicted: np.ndarray,
    true: np.ndarray,
    subjects: np.ndarray,
    *,
    fold: np.ndarray | None = None,
    directed: np.ndarray | None = None,
) -> Change:
    """MAE = mean|d̂ − d|, Corr = Pearson(d̂, d), Acc = 100 · mean[sign(d̂) = sign(d)] on pre/post pairs.

    predicted, true: [P], d̂ and d. subjects: [P], whose pair it is.
    fold: [P], the fold in which a pair was tested: each measure is taken in each fold, then averaged. None: one.
    directed: bool [P], the pre/post pairs, on which alone the accuracy is measured; None: all.
    Errors: ValueError for an empty list, lengths that differ, NaN.
    Source: ComFace, metrics of change regression, averaged over the folds; Acc as in its appendix on oedema.
    """
    predicted, true = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    subjects = np.asarray(subjects)
    fold = np.zeros(len(true)) if fold is None else np.asarray(fold)
    directed = np.ones(len(true), dtype=bool) if directed is None else np.asarray(directed, dtype=bool)
    same_length(predicted=predicted, true=true, subjects=subjects, fold=fold, directed=directed)
    finite("predicted changes", predicted)
    finite("true changes", true)
    error, right = np.abs(predicted - true), np.sign(predicted) == np.sign(true)
    rows = [np.flatnonzero(fold == one) for one in np.unique(fold)]
    aimed = [one[directed[one]] for one in rows]

    mae, mae_interval = _estimate([(one, weighted_mean(error[one])) for one in rows], subjects)
    corr, corr_interval = UNKNOWN
    if all(np.ptp(predicted[one]) > 0 and np.ptp(true[one]) > 0 for one in rows):
        by_fold = [(one, correlation_statistic(predicted[one], true[one])) for one in rows]
        corr, corr_interval = _estimate(by_fold, subjects)
    accuracy, accuracy_interval = UNKNOWN
    if all(map(len, aimed)):
        accuracy, accuracy_interval = _estimate([(one, weighted_mean(right[one])) for one in aimed], subjects)
        if right[directed].all() or not right[directed].any():
            # Resampling subjects who are all judged rightly shows no spread.
            accuracy_interval = mean_interval(right[directed], subjects[directed])
    return Change(
        mae=mae,
        mae_interval=mae_interval,
        corr=corr,
        corr_interval=corr_interval,
        accuracy=100 * accuracy,
        accuracy_interval=Interval(100 * accuracy_interval.low, 100 * accuracy_interval.high),
        error=error,
        right=right,
    )


def averages(predicted: np.ndarray, true: np.ndarray, fold: np.ndarray) -> dict[str, float]:
    """``mae``, ``corr`` and ``accuracy`` as ``change`` gives them over all pairs, without intervals.

    Each in each fold [P], then averaged; corr is NaN where predictions or truths of a fold are all equal.
    """
    found: dict[str, list[float]] = {"mae": [], "corr": [], "accuracy": []}
    for one in np.unique(fold):
        said, wanted = predicted[fold == one].astype(np.float64), true[fold == one].astype(np.float64)
        found["mae"].append(float(np.abs(said - wanted).mean()))
        varied = np.ptp(said) > 0 and np.ptp(wanted) > 0
        found["corr"].append(float(np.corrcoef(said, wanted)[0, 1]) if varied else np.nan)
        found["accuracy"].append(100 * float((np.sign(said) == np.sign(wanted)).mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _estimate(by_fold: list[tuple[np.ndarray, Statistic]], subjects: np.ndarray) -> tuple[float, Interval]:
    """The mean over folds of a statistic of the rows of each, and its interval over subjects.

    Drawn anew, a fold counts as its rows do: one of which nobody was drawn does not count, and the others do more. With
    fewer than about ten subjects the interval is too narrow all the same.
    """

    def averaged(weights: np.ndarray) -> np.ndarray:
        values = np.stack([statistic(weights[:, rows]) for rows, statistic in by_fold])
        counts = np.stack([weights[:, rows].mean(axis=1) for rows, _ in by_fold]) * ~np.isnan(values)
        total = counts.sum(axis=0)
        weighted = (np.nan_to_num(values) * counts).sum(axis=0)
        return np.divide(weighted, total, out=np.full(len(total), np.nan), where=total > 0)

    return float(averaged(np.ones((1, len(subjects))))[0]), clustered_bootstrap(averaged, subjects)


class Fold(NamedTuple):
    """Rows (int64) of one fold of a cross-validation; no subject is in two of the three."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def subject_folds(
    subjects: np.ndarray, *, folds: int = FOLDS, validation: float = VALIDATION, seed: int = 0
) -> Iterator[Fold]:
    """Cross-validation over subjects: each subject is tested in one fold; a share of the others validates.

    subjects: [N], of pictures or of pairs within a subject. validation: share of the training subjects held
    out (.2 is inferred: ComFace says only that there is a validation set); 0: none.
    Errors: ValueError for fewer than two folds, a share outside [0, 1), or too few subjects to fill them.
    Source: ComFace, four-fold cross-validation over subjects.
    """
    people, member = np.unique(np.asarray(subjects), return_inverse=True)
    if folds < 2 or not 0 <= validation < 1:
        raise ValueError(f"{folds} folds with {validation:g} for validation: two folds or more and a share below 1")
    least = folds if validation == 0 else max(folds, 4)
    if len(people) < least:
        raise ValueError(f"{len(people)} subjects cannot fill {folds} folds: at least {least} are needed")
    random = np.random.default_rng(seed)
    for test in np.array_split(random.permutation(len(people)), folds):
        others = random.permutation(np.setdiff1d(np.arange(len(people)), test))
        held_out = int(np.ceil(validation * len(others)))
        part = np.zeros(len(people), dtype=np.int8)
        part[others[:held_out]] = 1
        part[test] = 2
        yield Fold(*(np.flatnonzero(part[member] == which) for which in (0, 1, 2)))


def half_width(error: np.ndarray, subjects: np.ndarray, level: float = 0.9) -> float:
    """q, so that d̂ ± q holds the truth for a pair of a new person with probability ``level`` or more.

    error: [P], |d̂ − d| of calibration pairs. subjects: [P], whose each is: pairs of one person are not independent, so
    each of m people weighs 1 / (m + 1), shared evenly by the person's pairs, and the rest is left to the new one:
    q = inf{t : Σ_s Σ_i 1[error_si ≤ t] / ((m + 1) n_s) ≥ level}.
    Infinite where people are too few: at 90 % nine are needed.
    Source: Lee, Barber and Willett 2023, hierarchical conformal prediction (arXiv 2306.06342).
    Errors: ValueError for no pair, lengths that differ, NaN, or a level outside 0 … 1.
    """
    error, subjects = np.asarray(error, np.float64), np.asarray(subjects)
    same_length(error=error, subjects=subjects)
    finite("errors", error)
    if not 0 < level < 1:
        raise ValueError(f"an interval holds a share between 0 and 1 of the truths, got {level:g}")
    people, whose, count = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(error, kind="stable")
    held = np.cumsum(1 / ((len(people) + 1) * count[whose[order]]))
    enough = np.flatnonzero(held >= level - 1e-12)
    return float(error[order[enough[0]]]) if len(enough) else math.inf


def left_out_coverage(error: np.ndarray, subjects: np.ndarray, level: float = 0.9) -> float:
    """The share of a person's truths inside the interval that all others calibrate, the mean over people."""
    error, subjects = np.asarray(error, np.float64), np.asarray(subjects)
    found = []
    for one in np.unique(subjects):
        own = subjects == one
        found.append(float(np.mean(error[own] <= half_width(error[~own], subjects[~own], level))))
    return float(np.mean(found))
