"""Split-conformal intervals: how far a prediction may be off, from errors on people who taught the model nothing."""

from __future__ import annotations

import math

import numpy as np

from aifr_lib.evaluation.checks import finite, same_length


def half_width(error: np.ndarray, subjects: np.ndarray, level: float = 0.9) -> float:
    """q, so that d̂ ± q holds the truth for a pair of a new person with probability ``level`` or more.

    error: [P], |d̂ − d| of calibration pairs. subjects: [P], whose each is: pairs of one person are not independent, so
    each of m people weighs 1 / (m + 1), shared evenly by the person's pairs, and the rest is left to the new one:
    q = inf{t : Σ_s Σ_i 1[error_si ≤ t] / ((m + 1) n_s) ≥ level}.
    Infinite where people are too few: 9 at 90 %.
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


def coverage(error: np.ndarray, subjects: np.ndarray, half: float) -> float:
    """The share of truths within ± ``half``, each person weighing alike."""
    inside = np.asarray(error) <= half
    return float(np.mean([inside[subjects == one].mean() for one in np.unique(subjects)]))


def left_out_coverage(error: np.ndarray, subjects: np.ndarray, level: float = 0.9) -> float:
    """The share of a person's truths inside the interval that all others calibrate, the mean over people."""
    error, subjects = np.asarray(error, np.float64), np.asarray(subjects)
    found = []
    for one in np.unique(subjects):
        own = subjects == one
        found.append(float(np.mean(error[own] <= half_width(error[~own], subjects[~own], level))))
    return float(np.mean(found))
