"""Linear probes: how much of an age, of who it is, or of a change can be read off features by one matrix.

All are ridge regressions on features that are kept as they are, so that what they find is there to be found at once.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV

from aifr_lib.data.images import ChangePairs

PENALTIES = tuple(10.0**power for power in range(-1, 6))
CHANGE_PENALTIES = tuple(10.0**power for power in range(-3, 6))


def age_probe(
    features: np.ndarray,
    ages: np.ndarray,
    others: np.ndarray,
    penalties: tuple[float, ...] = PENALTIES,
) -> np.ndarray:
    """The ages of ``others`` [M, D] in years, [M], by ridge regression on other people:
    features [N, D], ages [N].

    The penalty is the best by leaving one out. Errors: ValueError where lengths or
    widths differ, or a number is not finite.
    """
    train, test = _standardised(features, others)
    reader = RidgeCV(alphas=penalties).fit(train, np.asarray(ages, np.float64))
    return reader.predict(test)


def identity_probe(
    features: np.ndarray, identities: np.ndarray, others: np.ndarray, penalty: float = 100.0
) -> np.ndarray:
    """Whose ``others`` [M, D] are, [M]: of the people [N] of features [N, D] the one with the largest output of a ridge
    regression to one number a person.

    Errors: as ``age_probe``.
    """
    train, test = _standardised(features, others)
    people, whose = np.unique(identities, return_inverse=True)
    gram = train.T @ train + penalty * np.eye(train.shape[1])
    sums = np.zeros((len(people), train.shape[1]))
    np.add.at(sums, whose, train)
    return people[(test @ np.linalg.solve(gram, sums.T)).argmax(1)]


def ridge_change(
    features: np.ndarray,
    learnt: ChangePairs,
    chosen_on: ChangePairs,
    penalties: tuple[float, ...] = CHANGE_PENALTIES,
) -> tuple[np.ndarray, float]:
    """(w [D], the penalty): d̂ = w · (f_b − f_a), least squares over ``learnt`` plus
    penalty · pairs · |w|², of the penalties the one with the least mean error on
    ``chosen_on``.

    features: [N, D], scaled here by their spread over all pictures, of which no label
    is read for it: by that over a few people alone, a feature that hardly moves among
    them would be huge on others. One that never varies is left out.
    Without an intercept a pair and the same pair in the other order weigh alike.
    Errors: ValueError for no pair to learn from or to choose on.
    """
    if not len(learnt) or not len(chosen_on):
        counts = f"{len(learnt)} pairs to learn from, {len(chosen_on)} to choose on"
        raise ValueError(f"{learnt.name}: {counts}")
    spread = features.std(axis=0, dtype=np.float64)
    varies = spread > 1e-12
    scale = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
    scaled = features.astype(np.float64) * scale
    v = scaled[learnt.b] - scaled[learnt.a]
    values, vectors = np.linalg.eigh(v.T @ v / len(v))
    onto = vectors.T @ (v.T @ learnt.d / len(v))
    others = (scaled[chosen_on.b] - scaled[chosen_on.a]) @ vectors
    found = [others @ (onto / (values.clip(min=0) + penalty)) for penalty in penalties]
    errors = [np.abs(one - chosen_on.d).mean() for one in found]
    penalty = penalties[int(np.argmin(errors))]
    return scale * (vectors @ (onto / (values.clip(min=0) + penalty))), penalty


def _standardised(features: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    train, test = np.asarray(features, np.float64), np.asarray(others, np.float64)
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        raise ValueError(f"probes read features [N, D] and [M, D], got {train.shape} and {test.shape}")
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        raise ValueError("a probe was given features that are not finite")
    mean, spread = train.mean(0), train.std(0)
    spread = np.where(spread > 1e-9 * max(1.0, float(np.abs(mean).max())), spread, np.inf)
    return (train - mean) / spread, (test - mean) / spread
