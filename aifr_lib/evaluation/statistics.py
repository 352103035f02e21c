"""Measures over scored pairs as statistics of weights, for ``clustered_bootstrap``.

Thresholds are found anew under each weighting, so their uncertainty is part of the interval.
"""

from __future__ import annotations

import numpy as np

from aifr_lib.evaluation.intervals import Statistic


def tar_statistic(scores: np.ndarray, same: np.ndarray, far: float) -> Statistic:
    """TAR (a fraction) at the FAR nearest to ``far`` (``Roc.at``), as a statistic of weights [R, P] of the pairs."""
    order = np.argsort(-scores, kind="stable")
    genuine, impostor = order[same[order]], order[~same[order]]
    last = np.append(np.flatnonzero(np.diff(scores[impostor])), len(impostor) - 1)  # equal scores are accepted together
    # How many genuine pairs are accepted with the first 0, 1, … groups of impostors: all who score above the next.
    above = np.append(np.searchsorted(-scores[genuine], -scores[impostor[last]], side="left"), len(genuine))

    def statistic(weights: np.ndarray) -> np.ndarray:
        accepted = np.pad(weights[:, impostor].cumsum(axis=1)[:, last], ((0, 0), (1, 0)))
        rate = accepted / np.maximum(accepted[:, -1:], np.finfo(float).tiny)
        groups = len(last) - np.abs(rate - far)[:, ::-1].argmin(axis=1)  # of equally near ones the highest TAR
        found = np.pad(weights[:, genuine].cumsum(axis=1), ((0, 0), (1, 0)))
        total = found[:, -1]
        tar = found[np.arange(len(weights)), above[groups]]
        good = (total > 0) & (accepted[:, -1] > 0)
        return np.divide(tar, total, out=np.full(len(total), np.nan), where=good)

    return statistic


def eer_statistic(scores: np.ndarray, same: np.ndarray) -> Statistic:
    """The equal error rate (``Roc.eer``) as a statistic of weights [R, P]; NaN where one kind weighs nothing."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # equal scores are accepted together
    genuine = same[order]

    def statistic(weights: np.ndarray) -> np.ndarray:
        weights = weights[:, order]
        accepted = np.stack([(weights * genuine).cumsum(axis=1), (weights * ~genuine).cumsum(axis=1)])
        total = accepted[:, :, -1:]
        rates = np.divide(accepted[:, :, last], total, out=np.zeros_like(accepted[:, :, last]), where=total > 0)
        tar, far = np.pad(rates, ((0, 0), (0, 0), (1, 0)))
        excess = far - (1 - tar)
        rows, after = np.arange(len(weights)), np.argmax(excess >= 0, axis=1)
        before = np.maximum(after - 1, 0)
        low, high = -excess[rows, before], excess[rows, after]
        share = np.divide(low, low + high, out=np.zeros(len(rows)), where=low + high > 0)
        eer = far[rows, before] + (far[rows, after] - far[rows, before]) * share
        return np.where((total[..., 0] > 0).all(axis=0), eer, np.nan)

    return statistic


def auc_statistic(scores: np.ndarray, same: np.ndarray) -> Statistic:
    """Area under the ROC of scores [P] as a statistic of weights [R, P] of the pairs; ties count one half.

    NaN where one kind has no weight.
    """
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
    impostor = impostor[np.argsort(scores[impostor], kind="stable")]
    below, upto = (np.searchsorted(scores[impostor], scores[genuine], side) for side in ("left", "right"))

    def statistic(weights: np.ndarray) -> np.ndarray:
        lower = np.pad(weights[:, impostor].cumsum(axis=1), ((0, 0), (1, 0)))
        won = (weights[:, genuine] * (lower[:, below] + lower[:, upto]) / 2).sum(axis=1)
        total = weights[:, genuine].sum(axis=1) * lower[:, -1]
        return np.divide(won, total, out=np.full(len(total), np.nan), where=total > 0)

    return statistic


def correlation_statistic(x: np.ndarray, y: np.ndarray) -> Statistic:
    """Pearson's correlation of x and y [P] as a statistic of weights [R, P]; NaN where either does not vary."""
    # Centred and scaled first, so that the differences of sums below lose no digits.
    x, y = ((values - values.mean()) / (values.std() or 1.0) for values in (x, y))

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1, keepdims=True)
        share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        mean_x, mean_y = share @ x, share @ y
        covariance = share @ (x * y) - mean_x * mean_y
        spread = (share @ x**2 - mean_x**2) * (share @ y**2 - mean_y**2)
        return np.divide(covariance, np.sqrt(spread), out=np.full(len(spread), np.nan), where=spread > 1e-18)

    return statistic
