"""Verification lists over relief faces: folds disjoint in identity, negatives matched to positives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aifr_lib.data.images import FOLDS, Images, Pairs
from aifr_lib.names import choose

LABELS = ("identity", "age", "gender", "skin_tone", "yaw")
# What a mismatch costs when a negative is matched: per year of age, per standard score of tone, per degree of yaw.
COSTS = {"age": 1.0, "skin_tone": 10.0, "yaw": 0.2}

Fits = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
GROWN_UP, NEAR = 16, 5  # years


@dataclass(frozen=True)
class PairList:
    """view: the pictures a list is drawn from, as ``relief.load`` takes it.

    fits: which pairs may stand in it, from the gap in years, the younger age and the two yaws in degrees; arrays of one
    shape.
    """

    view: str
    fits: Fits


def _any(gap: np.ndarray, younger: np.ndarray, yaw_a: np.ndarray, yaw_b: np.ndarray) -> np.ndarray:
    return gap >= 0


def _near(gap: np.ndarray, younger: np.ndarray, yaw_a: np.ndarray, yaw_b: np.ndarray) -> np.ndarray:
    return gap <= NEAR


def _aged(gap: np.ndarray, younger: np.ndarray, yaw_a: np.ndarray, yaw_b: np.ndarray) -> np.ndarray:
    return (gap >= 30) & (younger >= GROWN_UP)


def _older(gap: np.ndarray, younger: np.ndarray, yaw_a: np.ndarray, yaw_b: np.ndarray) -> np.ndarray:
    return (gap >= 10) & (gap < 30)


def _frontal_profile(gap: np.ndarray, younger: np.ndarray, yaw_a: np.ndarray, yaw_b: np.ndarray) -> np.ndarray:
    a, b = np.abs(yaw_a), np.abs(yaw_b)
    return (np.minimum(a, b) <= 10) & (np.maximum(a, b) >= 40)


def _turned(gap: np.ndarray, younger: np.ndarray, yaw_a: np.ndarray, yaw_b: np.ndarray) -> np.ndarray:
    return (np.minimum(np.abs(yaw_a), np.abs(yaw_b)) >= 15) & (np.abs(yaw_a - yaw_b) >= 40)


PAIR_LISTS = {
    "relief-lfw": PairList("everyday", _any),
    "relief-agedb": PairList("everyday", _aged),
    "relief-calfw": PairList("everyday", _older),
    "relief-cfpfp": PairList("pose", _frontal_profile),
    "relief-cplfw": PairList("pose", _turned),
    "relief-near": PairList("near", _near),
}


def pairs(images: Images, name: str, *, count: int = 6000, seed: int = 0) -> Pairs:
    """A verification list: ten folds disjoint in identity, count / 10 pairs each, half of them positive.

    relief-lfw: any two pictures. relief-near: ≤ 5 years apart, negatives too, so that only who it is differs.
    relief-agedb: of the age of 16 and more, ≥ 30 years apart, as in AgeDB-30, which has hardly a child.
    relief-calfw: 10 to 30 years apart
    (CALFW's positives: 16.6 years in the mean). relief-cfpfp: one frontal (|yaw| ≤ 10°), one profile (≥ 40°).
    relief-cplfw: both turned by ≥ 15°, ≥ 40° between them (inferred). ``PAIR_LISTS[name].view`` says which pictures
    of ``relief.load`` a list is drawn from.
    Positives are drawn at random. Each negative keeps one picture of a positive and replaces the other by one of
    another person in the same fold, of the same gender, nearest in skin tone, age and yaw, that fits the same rule:
    so nothing of these tells a negative from a positive. No pair stands twice.
    Errors: ConfigError for an unknown list; ValueError where the images have too few such pairs, with the numbers.
    """
    fits = choose("pair list", name, PAIR_LISTS).fits
    if count < 2 * FOLDS or count % (2 * FOLDS):
        raise ValueError(f"count {count}: must be a positive multiple of {2 * FOLDS} (ten folds, half positive)")
    if missing := set(LABELS) - set(images.labels):
        raise ValueError(f"{images.name}: labels lack {', '.join(sorted(missing))}, which {name} matches negatives by")
    rng = np.random.default_rng([seed, list(PAIR_LISTS).index(name)])
    label = {column: images.labels[column].to_numpy() for column in LABELS}
    label["gender"] = label["gender"] > 0.5
    fold_of = _folds(label["identity"], label["gender"], rng, images.name)
    half = count // (2 * FOLDS)
    chosen = []
    for fold in range(FOLDS):
        rows = np.flatnonzero(fold_of == fold)
        within = {column: values[rows] for column, values in label.items()}
        found = _draw(within, fits, half, rng)
        if len(found) < half:
            people = len(np.unique(within["identity"]))
            raise ValueError(
                f"{name}, fold {fold} of {images.name}: {half} positives with a matched negative wanted, {len(found)} "
                f"exist among {len(rows)} pictures of {people} people; ask for fewer pairs, or load more people or "
                f"more pictures of each (view='{PAIR_LISTS[name].view}')"
            )
        keep, positive, negative = rows[found].T
        chosen += [np.stack([keep, positive], 1), np.stack([keep, negative], 1)]
    a, b = np.concatenate(chosen).T
    same = np.tile(np.repeat([True, False], half), FOLDS)
    return Pairs(name, a, b, same, np.repeat(np.arange(FOLDS), 2 * half))


def _folds(identity: np.ndarray, gender: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
    """The fold of each row. People are dealt in twos of one gender (an odd one out makes a three).

    So even a fold of two people has negatives of the same gender.
    """
    people, first = np.unique(identity, return_index=True)
    couples: list[np.ndarray] = []
    for members in (rng.permutation(np.flatnonzero(gender[first] == g)) for g in np.unique(gender)):
        couples += np.array_split(members, max(1, len(members) // 2))
    if len(couples) < FOLDS:
        raise ValueError(f"{name}: {len(people)} people cannot fill {FOLDS} folds with two of one gender each")
    fold = np.empty(len(people), dtype=np.int64)
    for number, couple in enumerate(rng.permutation(len(couples))):
        fold[couples[couple]] = number % FOLDS
    return fold[np.searchsorted(people, identity)]


def _draw(label: dict[str, np.ndarray], fits: Fits, half: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [≤ half, 3]: a picture, another of the same person, one of a matched other person."""
    identity, age, yaw = label["identity"], label["age"], label["yaw"]
    i, j = np.triu_indices(len(identity), 1)
    positive = (identity[i] == identity[j]) & fits(np.abs(age[i] - age[j]), np.minimum(age[i], age[j]), yaw[i], yaw[j])
    candidates = rng.permuted(rng.permutation(np.stack([i, j], 1)[positive]), axis=1)
    free = np.ones((len(identity), len(identity)), dtype=bool)
    found: list[tuple[int, int, int]] = []
    for start in range(0, len(candidates), max(1, half)):
        block = candidates[start : start + half]
        cost = _costs(label, fits, block)
        for row, (keep, replaced) in enumerate(block.tolist()):
            left = np.where(free[keep], cost[row], np.inf)
            other = int(left.argmin())
            if left[other] < np.inf:
                free[keep, other] = free[other, keep] = False
                found.append((keep, replaced, other))
            if len(found) == half:
                return np.array(found)
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _costs(label: dict[str, np.ndarray], fits: Fits, positives: np.ndarray) -> np.ndarray:
    """float64 [len(positives), N]: how ill each picture would replace the second of a positive; inf: it may not."""
    keep, replaced = positives.T[..., None]
    gap = np.abs(label["age"] - label["age"][keep])
    younger = np.minimum(label["age"], label["age"][keep])
    allowed = fits(gap, younger, label["yaw"][keep], np.broadcast_to(label["yaw"], gap.shape))
    for column, alike in (("identity", False), ("gender", True)):
        allowed &= (label[column] == label[column][keep]) == alike
    cost = sum(weight * np.abs(label[name] - label[name][replaced]) for name, weight in COSTS.items())
    return np.where(allowed, cost, np.inf)
