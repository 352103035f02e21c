"""The score from which two pictures are called one person, for a false accept rate that is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifr_lib.evaluation.checks import both_classes, finite, same_length
from aifr_lib.evaluation.intervals import Interval, Statistic, clustered_bootstrap
from aifr_lib.evaluation.templates import LEAST_ACCEPTS


@dataclass(frozen=True)
class Threshold:
    """Accept a pair whose cosine is at least ``value``.

    far: the rate asked for; reached: the one on these pairs, at most ``far``. tar: share of genuine pairs accepted.
    interval, tar_interval: 95 %, people resampled and the threshold found anew each time.
    """

    far: float
    value: float
    interval: Interval
    reached: float
    tar: float
    tar_interval: Interval


def least_impostors(far: float) -> int:
    """Impostor pairs below which a rate is not shown: ten of them must be accepted."""
    return int(np.ceil(LEAST_ACCEPTS / far - 1e-9))


def threshold_at_far(
    scores: np.ndarray, same: np.ndarray, far: float, a: np.ndarray, b: np.ndarray, *, replicates: int = 1000
) -> Threshold:
    """The lowest threshold whose false accept rate on these pairs is at most ``far`` (a fraction).

    scores: [P], higher = more alike. same: bool [P]. a, b: [P], the people of each pair.
    ``tar_at_far`` takes the *nearest* rate, as the papers do; who sets a threshold wants not to exceed it.
    Errors: ValueError for a ``far`` outside (0, 1), for fewer impostor pairs than show that rate, and those of ``roc``.
    """
    scores, same = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=bool)
    same_length(scores=scores, same=same, a=a, b=b)
    finite("scores", scores)
    both_classes(same)
    if not 0 < far < 1:
        raise ValueError(f"a false accept rate lies between 0 and 1, got {far}")
    impostors = int((~same).sum())
    if impostors < (least := least_impostors(far)):
        raise ValueError(
            f"a false accept rate of {far:g} shows on {least:,} impostor pairs or more; here are {impostors:,}: "
            "hold out more people, or ask for a higher rate"
        )
    once = np.ones((1, len(scores)))
    statistic = threshold_statistic(scores, same, far)
    value = float(statistic(once)[0])
    accepted = scores >= value
    return Threshold(
        far,
        value,
        clustered_bootstrap(statistic, a, b, replicates=replicates),
        float(accepted[~same].mean()),
        float(accepted[same].mean()),
        clustered_bootstrap(accepted_statistic(scores[same], same, statistic), a, b, replicates=replicates),
    )


def threshold_statistic(scores: np.ndarray, same: np.ndarray, far: float) -> Statistic:
    """That threshold as a statistic of weights [R, P] of the pairs; NaN where no impostor pair has weight."""
    impostor = np.flatnonzero(~same)[np.argsort(-scores[~same], kind="stable")]
    last = np.append(np.flatnonzero(np.diff(scores[impostor])), len(impostor) - 1)  # equal scores are accepted together
    # From none accepted (just above the highest) to all.
    steps = np.append(np.nextafter(scores[impostor[0]], np.inf), scores[impostor[last]])

    def statistic(weights: np.ndarray) -> np.ndarray:
        accepted = weights[:, impostor].cumsum(axis=1)[:, last]
        total = accepted[:, -1]
        count = (accepted <= far * total[:, None] * (1 + 1e-12)).sum(axis=1)
        return np.where(total > 0, steps[count], np.nan)

    return statistic


def accepted_statistic(genuine: np.ndarray, same: np.ndarray, threshold: Statistic) -> Statistic:
    """Share of the genuine scores [G] accepted at the ``threshold`` of weights [R, P]; NaN where there is none."""
    order = np.argsort(-genuine, kind="stable")
    rows, falling = np.flatnonzero(same)[order], -genuine[order]

    def statistic(weights: np.ndarray) -> np.ndarray:
        found = np.pad(weights[:, rows].cumsum(axis=1), ((0, 0), (1, 0)))
        values = threshold(weights)
        accepted = found[np.arange(len(weights)), np.searchsorted(falling, -values, side="right")]
        good = (found[:, -1] > 0) & ~np.isnan(values)
        return np.divide(accepted, found[:, -1], out=np.full(len(weights), np.nan), where=good)

    return statistic
