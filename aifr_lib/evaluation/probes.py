"""Linear probes: how much of a person's age, or of who it is, can be read off features by one matrix.

Both are ridge regressions on standardised features, so that what they find is there to be found at once, and nothing
is trained.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV

PENALTIES = tuple(10.0**power for power in range(-1, 6))


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


def _standardised(features: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    train, test = np.asarray(features, np.float64), np.asarray(others, np.float64)
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        raise ValueError(f"probes read features [N, D] and [M, D], got {train.shape} and {test.shape}")
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        raise ValueError("a probe was given features that are not finite")
    mean, spread = train.mean(0), train.std(0)
    spread = np.where(spread > 1e-9 * max(1.0, float(np.abs(mean).max())), spread, np.inf)
    return (train - mean) / spread, (test - mean) / spread
