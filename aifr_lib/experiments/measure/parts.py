"""Protocol P1 by parts of a list: one threshold for all pairs, as in use, and what it is worth on some of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aifr_lib.evaluation.verification import roc, ten_fold


def by_part(
    score: np.ndarray, same: np.ndarray, fold: np.ndarray, parts: Mapping[str, np.ndarray], least: int = 1
) -> dict[str, dict[str, float]]:
    """``accuracy`` in %, ``auc`` and number of ``pairs`` of each part, in cosines [P].

    parts: by name, which pairs belong to it, bool [P]. The decisions behind an accuracy are those over the whole list.
    A part with fewer than ``least`` pairs of either kind is left out.
    """
    score = score.astype(np.float64)
    correct = ten_fold(score, same, fold, convention="cosine").correct
    return {
        name: {
            "accuracy": 100 * float(correct[rows].mean()),
            "auc": roc(score[rows], same[rows]).auc,
            "pairs": int(rows.sum()),
        }
        for name, rows in parts.items()
        if min((same & rows).sum(), (~same & rows).sum()) >= least
    }
