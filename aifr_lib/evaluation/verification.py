"""Protocol P1, 10-fold verification, and the measures over a list of scored pairs: ROC, AUC, TAR@FAR.

Two conventions name one rule. For unit vectors the squared distance is d = 2 − 2c with c the cosine, so
"d < t" and "c > 1 − t/2" accept the same pairs:

============  ===================  ============================  ============
convention    a pair's value       thresholds                    accepted
============  ===================  ============================  ============
squared_l2    d, 0 … 4             0, .01, …, 3.99               d < t
cosine        c, −1 … 1            1, .995, …, −.995             c > t
============  ===================  ============================  ============

The accuracies are therefore equal; only the thresholds are in other units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from aifr_lib.data.images import Pairs
from aifr_lib.evaluation.checks import both_classes, directed, finite, matrix, same_length
from aifr_lib.names import nearest

Convention = Literal["squared_l2", "cosine"]
CONVENTIONS = ("squared_l2", "cosine")
STEP = 0.01
THRESHOLDS = np.arange(0, 4, STEP)  # of the squared distance
NEXT_TO = 2e-5  # by what a squared distance in single precision may be wrong: some hundred roundings
FOLDS = 10
ROUNDING = 1e-4  # what float16 or float32 scores may exceed their range by


@dataclass(frozen=True)
class Verification:
    """Result of P1 over P pairs in F folds.

    accuracy, std: mean and population standard deviation over folds, in %.
    fold_accuracy: float64 [F], %. fold_threshold: float64 [F], in the units of ``convention``.
    correct: bool [P], whether the pair was decided rightly at its fold's threshold.
    scores: float32 [P], the cosine under either convention (higher = more alike): the input of ``roc``.
    """

    accuracy: float
    std: float
    fold_accuracy: np.ndarray
    fold_threshold: np.ndarray
    correct: np.ndarray
    scores: np.ndarray
    convention: Convention


def verify(embeddings: np.ndarray, pairs: Pairs, *, convention: Convention = "squared_l2") -> Verification:
    """P1 from embeddings [N, D] (normalised here) and a list of pairs of their rows, with the list's folds.

    Errors: ValueError for an empty list, rows that do not exist, embeddings that are not finite or are zero.
    """
    same_length(a=pairs.a, b=pairs.b, same=pairs.same, fold=pairs.fold)
    low, high = min(pairs.a.min(), pairs.b.min()), max(pairs.a.max(), pairs.b.max())
    if low < 0 or high >= len(embeddings):
        raise ValueError(
            f"pair list '{pairs.name}' names rows {low} … {high}, but there are {len(embeddings)} embeddings"
        )
    embeddings = np.asarray(embeddings)
    if embeddings.dtype != np.float32:
        embeddings = embeddings.astype(np.float64)
    cosines = pair_cosines(embeddings, pairs.a, pairs.b).astype(np.float64)
    if embeddings.dtype == np.float32:
        # In half the time. Whoever lies next to a threshold is computed again, so that each decision is that of double.
        steps = (2 - 2 * cosines) / STEP
        near = np.flatnonzero(np.abs(steps - steps.round()) * STEP < NEXT_TO)
        rows, at = np.unique(np.concatenate([pairs.a[near], pairs.b[near]]), return_inverse=True)
        if len(near):
            cosines[near] = pair_cosines(embeddings[rows].astype(np.float64), *np.split(at, 2))
    cosines = np.clip(cosines, -1, 1)
    values = cosines if convention == "cosine" else 2 - 2 * cosines
    return ten_fold(values, pairs.same, pairs.fold, convention=convention)


def pair_cosines(embeddings: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosines of pairs of rows of [N, D], without a normalised copy. Errors: those of ``normalise``."""
    matrix("embeddings", embeddings)
    lengths = np.sqrt(np.vecdot(embeddings, embeddings))
    directed("embeddings", lengths)
    return np.vecdot(_rows(embeddings, a), _rows(embeddings, b)) / (lengths[a] * lengths[b])


def _rows(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``values[rows]``, not copied where the rows are equally far apart, as in every ``.bin`` (0, 2, …; 1, 3, …)."""
    step = int(rows[1] - rows[0]) if len(rows) > 1 else 0
    if step > 0 and (np.diff(rows) == step).all():
        return values[rows[0] : rows[-1] + 1 : step]
    return values[rows]


def ten_fold(
    values: np.ndarray,
    same: np.ndarray,
    fold: np.ndarray | None = None,
    *,
    convention: Convention = "squared_l2",
) -> Verification:
    """P1 from the values of pairs: each fold is judged at the threshold that is best on all other folds.

    values: [P], squared distances of unit vectors or cosines, as ``convention`` says. same: bool [P].
    fold: int [P], the fold of each pair; None: ten contiguous folds in list order.
    Among equally good thresholds the strictest is taken (the lowest distance), as the usual toolkits do.
    Errors: ValueError for an unknown convention, an empty list, one class or one fold only, lengths that
        differ, NaN, or values outside the range of the convention.
    Source: 10-fold protocol of LFW; grid, contiguous folds and population deviation of insightface
        ``verification.py``.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"unknown convention '{convention}'{nearest(convention, CONVENTIONS)}")
    values, same = np.asarray(values, dtype=np.float64), np.asarray(same, dtype=bool)
    fold = contiguous_folds(len(values)) if fold is None else np.asarray(fold)
    same_length(values=values, same=same, fold=fold)
    finite("values of pairs", values)
    both_classes(same)
    names, fold = np.unique(fold, return_inverse=True)
    if len(names) < 2:
        raise ValueError("all pairs are in one fold: its threshold has no other fold to come from")
    distances = _distances(values, convention)

    # A pair is accepted from the first threshold above its distance on, so counting pairs by that threshold
    # and summing up gives every fold × threshold table at once.
    steps = len(THRESHOLDS)
    first = np.searchsorted(THRESHOLDS, distances, side="right")
    cells = (2 * fold + same) * (steps + 1) + first
    counts = np.bincount(cells, minlength=2 * len(names) * (steps + 1)).reshape(len(names), 2, steps + 1)
    accepted = counts.cumsum(axis=2)
    impostors = accepted[:, 0, -1:]
    right = accepted[:, 1, :steps] + impostors - accepted[:, 0, :steps]
    best = (right.sum(axis=0) - right).argmax(axis=1)

    accuracy = 100 * right[np.arange(len(names)), best] / np.bincount(fold)
    return Verification(
        accuracy=float(accuracy.mean()),
        std=float(accuracy.std()),
        fold_accuracy=accuracy,
        fold_threshold=THRESHOLDS[best] if convention == "squared_l2" else 1 - THRESHOLDS[best] / 2,
        correct=(first <= best[fold]) == same,
        scores=(1 - distances / 2).astype(np.float32),
        convention=convention,
    )


def contiguous_folds(count: int, folds: int = FOLDS) -> np.ndarray:
    """Folds of a list in its own order, int64 [count]; the first ``count % folds`` hold one pair more."""
    sizes = np.full(folds, count // folds)
    sizes[: count % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def _distances(values: np.ndarray, convention: Convention) -> np.ndarray:
    low, high = (-1, 1) if convention == "cosine" else (0, 4)
    if values.min() < low - ROUNDING or values.max() > high + ROUNDING:
        raise ValueError(
            f"values of pairs run from {values.min():.4g} to {values.max():.4g}; convention '{convention}' "
            f"needs {low} … {high}: normalise the embeddings, or name the other convention"
        )
    return np.clip(2 - 2 * values if convention == "cosine" else values, 0, 4)


class OperatingPoint(NamedTuple):
    """A threshold with the rates it really has."""

    tar: float
    far: float
    threshold: float


@dataclass(frozen=True)
class Roc:
    """Operating points from the strictest to the laxest threshold, one for each distinct score, [K] each.

    A pair is accepted at ``threshold`` if its score is at least that; the first point accepts none (inf).
    far: false accept rate. tar: true accept rate. frr: 1 − tar, so (far, frr) is the DET curve.
    auc: area under the curve; ties between a genuine and an impostor score count one half.
    """

    threshold: np.ndarray
    far: np.ndarray
    tar: np.ndarray

    @property
    def frr(self) -> np.ndarray:
        return 1 - self.tar

    @property
    def auc(self) -> float:
        return float(np.trapezoid(self.tar, self.far))

    @property
    def eer(self) -> float:
        """The equal error rate: where FAR and FRR cross, on straight lines between the operating points."""
        after = int(np.argmax(self.far >= self.frr))
        before = after - 1  # the first point accepts none: FRR 1, FAR 0
        below = self.frr[before] - self.far[before]
        above = self.far[after] - self.frr[after]
        return float(self.far[before] + (self.far[after] - self.far[before]) * below / (below + above))

    def at(self, far: float) -> OperatingPoint:
        """The operating point whose false accept rate is nearest to ``far``: see ``tar_at_far``."""
        if not 0 <= far <= 1:
            raise ValueError(f"far must be a fraction from 0 to 1, got {far}")
        point = len(self.far) - 1 - int(np.abs(self.far - far)[::-1].argmin())
        return OperatingPoint(float(self.tar[point]), float(self.far[point]), float(self.threshold[point]))


def roc(scores: np.ndarray, same: np.ndarray) -> Roc:
    """The ROC of scores [P] (higher = more alike) against ``same`` [P], every operating point kept.

    Errors: ValueError for an empty list, lengths that differ, NaN, one class only.
    """
    scores, same = np.asarray(scores), np.asarray(same, dtype=bool)
    same_length(scores=scores, same=same)
    finite("scores", scores)
    both_classes(same)
    order = np.argsort(scores)[::-1]
    scores, same = scores[order], same[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # equal scores are accepted together
    genuine = np.cumsum(same)[last]
    impostor = last + 1 - genuine
    return Roc(
        threshold=np.append(np.inf, scores[last]),
        far=np.append(0.0, impostor / impostor[-1]),
        tar=np.append(0.0, genuine / genuine[-1]),
    )


def tar_at_far(scores: np.ndarray, same: np.ndarray, far: float) -> OperatingPoint:
    """The operating point whose false accept rate is nearest to ``far`` (a fraction: .01 % is 1e-4).

    The rate reached is returned beside it: with M impostor pairs, rates below 1/M do not exist.
    Where several points are equally near, the one with the highest TAR is taken.
    Errors: ValueError as for ``roc``, or for ``far`` outside 0 … 1.
    Source: protocol of IJB-B/C as in insightface ``ijb_11.py`` (nearest FAR).
    """
    return roc(scores, same).at(far)
