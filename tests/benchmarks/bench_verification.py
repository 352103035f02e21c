"""P1 from the distances of 6,000 pairs: the counting form against a plain loop over folds and thresholds."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from aifr_lib.data.images import Pairs
from aifr_lib.evaluation.verification import THRESHOLDS, contiguous_folds, ten_fold, verify

PAIRS, WIDTH, WANTED = 6000, 512, 50


def reference(distances: np.ndarray, same: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Accuracy of each fold, with numpy masks over pairs for each fold and threshold, as toolkits do it."""
    accuracies = []
    for k in range(fold.max() + 1):
        train, test = fold != k, fold == k
        d, s = distances[train], same[train]
        accuracy = np.empty(len(THRESHOLDS))
        for i, threshold in enumerate(THRESHOLDS):
            accepted = d < threshold
            true_accepts = np.sum(np.logical_and(accepted, s))
            true_rejects = np.sum(np.logical_and(~accepted, ~s))
            accuracy[i] = (true_accepts + true_rejects) / len(d)
        chosen = THRESHOLDS[accuracy.argmax()]
        accuracies.append(100 * np.mean((distances[test] < chosen) == same[test]))
    return np.array(accuracies)


def best_of(repeats: int, call: Callable[[], object]) -> float:
    """Shortest of ``repeats`` runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    random = np.random.default_rng(0)
    same = np.arange(PAIRS) % 2 == 0
    a = random.standard_normal((PAIRS, WIDTH))
    b = np.where(same[:, None], a, 0) * 0.15 + random.standard_normal((PAIRS, WIDTH))
    unit = np.concatenate([a, b])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distances = ((unit[:PAIRS] - unit[PAIRS:]) ** 2).sum(axis=1)
    fold = contiguous_folds(PAIRS)

    found = ten_fold(distances, same, fold)
    np.testing.assert_allclose(found.fold_accuracy, reference(distances, same, fold))
    ours = best_of(20, lambda: ten_fold(distances, same, fold))
    plain = best_of(3, lambda: reference(distances, same, fold))
    print(
        f"10-fold, {PAIRS} pairs, same accuracy {found.accuracy:.2f}: ours {ours * 1e3:.2f} ms, "
        f"reference {plain * 1e3:.0f} ms, ratio {plain / ours:.0f} (wanted ≥ {WANTED})"
    )
    pairs = Pairs("bench", np.arange(PAIRS), np.arange(PAIRS) + PAIRS, same, fold)
    whole = best_of(5, lambda: verify(unit, pairs))
    print(f"10-fold from {2 * PAIRS} embeddings × {WIDTH}: ours {whole * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
