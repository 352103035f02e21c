"""Verification lists over relief faces: folds disjoint in identity, negatives matched to positives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifr_lib.config import choose
from aifr_lib.data.images import Images, Pairs

PAIR_LISTS = ("relief-lfw", "relief-agedb")
FOLDS = 10
MIN_GAP = 30.0  # years between the members of a relief-agedb pair, as in AgeDB-30


def pairs(images: Images, name: str, *, count: int = 6000, seed: int = 0) -> Pairs:
    """A verification list: ten folds disjoint in identity, count / 10 pairs each, half of them positive.

    relief-lfw: positives and negatives drawn at random. relief-agedb: members of a positive are ≥ 30 years
    apart; each negative keeps one member of a positive and replaces the other by another person of the same
    gender, nearest in skin tone and age and also ≥ 30 years away.
    Errors: ConfigError for an unknown list; ValueError where the images have too few such pairs, with the
    numbers.
    """
    draw = choose("pair list", name, {"relief-lfw": _random_pairs, "relief-agedb": _aged_pairs})
    if count < 2 * FOLDS or count % (2 * FOLDS):
        raise ValueError(f"count {count}: must be a positive multiple of {2 * FOLDS} (ten folds, half positive)")
    if missing := {"identity", "age", "gender", "skin_tone"} - set(images.labels):
        raise ValueError(f"{images.name}: labels lack {', '.join(sorted(missing))}, which {name} matches negatives by")
    rng = np.random.default_rng([seed, PAIR_LISTS.index(name)])
    identity = images.labels["identity"].to_numpy()
    folds = _folds(identity, images.labels["gender"].to_numpy(), rng)
    half = count // (2 * FOLDS)
    a, b, same = [], [], []
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        positive, negative = draw(images.labels.iloc[rows], half, rng, f"{name}, fold {fold} of {images.name}")
        chosen = rows[np.concatenate([positive, negative])]
        a.append(chosen[:, 0])
        b.append(chosen[:, 1])
        same.append(np.repeat([True, False], half))
    fold_of = np.repeat(np.arange(FOLDS), 2 * half)
    return Pairs(name, np.concatenate(a), np.concatenate(b), np.concatenate(same), fold_of)


def _folds(identity: np.ndarray, gender: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The fold of each row. People are dealt in twos of one gender (an odd one out makes a three).

    So even a fold of two people has negatives of the same gender.
    """
    people, first = np.unique(identity, return_index=True)
    couples: list[np.ndarray] = []
    for members in (rng.permutation(np.flatnonzero(gender[first] == g)) for g in np.unique(gender)):
        couples += np.array_split(members, max(1, len(members) // 2))
    fold = np.empty(len(people), dtype=np.int64)
    for number, couple in enumerate(rng.permutation(len(couples))):
        fold[couples[couple]] = number % FOLDS
    return fold[np.searchsorted(people, identity)]


def _pick(candidates: np.ndarray, half: int, rng: np.random.Generator, what: str) -> np.ndarray:
    if len(candidates) < half:
        raise ValueError(
            f"{what}: {half} pairs wanted, {len(candidates)} exist; ask for fewer pairs or load more people"
        )
    return rng.permuted(candidates[rng.choice(len(candidates), half, replace=False)], axis=1)


def _random_pairs(
    labels: pd.DataFrame, half: int, rng: np.random.Generator, what: str
) -> tuple[np.ndarray, np.ndarray]:
    identity = labels["identity"].to_numpy()
    every = np.stack(np.triu_indices(len(labels), 1), -1)
    same = identity[every[:, 0]] == identity[every[:, 1]]
    return (
        _pick(every[same], half, rng, f"{what}: positives"),
        _pick(every[~same], half, rng, f"{what}: negatives"),
    )


def _aged_pairs(labels: pd.DataFrame, half: int, rng: np.random.Generator, what: str) -> tuple[np.ndarray, np.ndarray]:
    identity, age, gender, tone = (labels[c].to_numpy() for c in ("identity", "age", "gender", "skin_tone"))
    every = np.stack(np.triu_indices(len(labels), 1), -1)
    apart = np.abs(age[every[:, 0]] - age[every[:, 1]]) >= MIN_GAP
    same = identity[every[:, 0]] == identity[every[:, 1]]
    candidates = rng.permuted(rng.permutation(every[same & apart]), axis=1)
    positive: list[tuple[int, int]] = []
    negative: list[tuple[int, int]] = []
    used: set[frozenset[int]] = set()
    for keep, replaced in candidates.tolist():
        other = (identity != identity[keep]) & (gender == gender[keep]) & (np.abs(age - age[keep]) >= MIN_GAP)
        # A fifth of a standard score of skin tone weighs as much as one year.
        cost = np.abs(age - age[replaced]) + 5 * np.abs(tone - tone[replaced])
        order = np.argsort(np.where(other, cost, np.inf), kind="stable")[: other.sum()].tolist()
        choice = next((k for k in order if frozenset((keep, k)) not in used), None)
        if choice is not None:
            used.add(frozenset((keep, choice)))
            positive.append((keep, replaced))
            negative.append((keep, choice))
        if len(positive) == half:
            return np.array(positive), np.array(negative)
    raise ValueError(
        f"{what}: {half} pairs {MIN_GAP:g} years apart with a matched negative wanted, {len(positive)} "
        "exist; ask for fewer pairs or load more people"
    )
