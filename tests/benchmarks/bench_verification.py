"""P1 of 6,000 pairs: the counting form against a plain loop over folds and thresholds; then all of it, with its
interval, against what the usual toolkit computes in its place, which has none. Seconds of processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from aifr_lib.data.images import Pairs
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.verification import THRESHOLDS, contiguous_folds, pair_cosines, ten_fold, verify

PAIRS, WIDTH, PEOPLE, WANTED = 6000, 512, 5749, 50


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


def toolkit(embeddings: np.ndarray, same: np.ndarray, fold: np.ndarray) -> float:
    """Normalised rows; accuracy and ROC of each fold at 400 thresholds; the rate at FAR .001 from 4,000 of them."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distances = ((unit[: len(same)] - unit[len(same) :]) ** 2).sum(axis=1)
    accuracy = reference(distances, same, fold)
    for k in range(fold.max() + 1):
        d, s = distances[fold == k], same[fold == k]
        for threshold in THRESHOLDS:
            np.sum(np.logical_and(d < threshold, s)), np.sum(np.logical_and(d < threshold, ~s))
        d, s = distances[fold != k], same[fold != k]
        fine = np.arange(0, 4, 0.001)
        far = np.array([np.sum(np.logical_and(d < threshold, ~s)) / np.sum(~s) for threshold in fine])
        np.sum(np.logical_and(distances[fold == k] < np.interp(0.001, far, fine), same[fold == k]))
    return float(accuracy.mean())


def best_of(repeats: int, call: Callable[[], object]) -> float:
    """Shortest of ``repeats`` runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
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
    people = random.integers(0, PEOPLE, PAIRS)
    others = np.where(same, people, (people + random.integers(1, PEOPLE, PAIRS)) % PEOPLE)
    pairs = Pairs("bench", np.arange(PAIRS), np.arange(PAIRS) + PAIRS, same, fold)
    whole = best_of(5, lambda: verify(unit, pairs))
    print(f"10-fold from {2 * PAIRS} embeddings × {WIDTH}: ours {whole * 1e3:.0f} ms")
    embeddings = unit.astype(np.float32)
    mean_interval(verify(embeddings, pairs).correct, people, others)  # resampled people are kept for the next list
    again = best_of(20, lambda: mean_interval(verify(embeddings, pairs).correct, people, others))
    bound = best_of(20, lambda: pair_cosines(embeddings, pairs.a, pairs.b))
    theirs = best_of(3, lambda: toolkit(embeddings, same, fold))
    print(
        f"the same with its interval over {PEOPLE} people: ours {again * 1e3:.1f} ms, the toolkit's way without one "
        f"{theirs * 1e3:.0f} ms, ratio {theirs / again:.0f} (wanted ≥ 100; cosines alone take "
        f"{bound * 1e3:.1f} ms)"
    )


if __name__ == "__main__":
    main()
