"""How much of a change a linear layer reads off features that are kept as they are: ridge regression of differences."""

from __future__ import annotations

import numpy as np

from aifr_lib.data.images import ChangePairs

PENALTIES = tuple(10.0**power for power in range(-3, 6))


def ridge_change(
    features: np.ndarray,
    learnt: ChangePairs,
    chosen_on: ChangePairs,
    penalties: tuple[float, ...] = PENALTIES,
) -> tuple[np.ndarray, float]:
    """(w [D], the penalty): d̂ = w · (f_b − f_a), least squares over ``learnt`` plus
    penalty · pairs · |w|², of the penalties the one with the least mean error on
    ``chosen_on``.

    features: [N, D], scaled here by their spread over the pictures that are learnt
    from. Without an intercept a pair and the same pair in the other order weigh alike.
    A feature that never varies is left out.
    Errors: ValueError for no pair to learn from or to choose on.
    """
    if not len(learnt) or not len(chosen_on):
        counts = f"{len(learnt)} pairs to learn from, {len(chosen_on)} to choose on"
        raise ValueError(f"{learnt.name}: {counts}")
    pictures = np.unique(np.concatenate([learnt.a, learnt.b]))
    spread = features[pictures].std(axis=0)
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
