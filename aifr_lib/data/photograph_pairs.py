"""Pair lists over photographs that come without any: all genuine pairs, impostor pairs that match them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from aifr_lib.data.images import FOLDS, Images, Pairs

# Years between two photographs: 0–4, 5–9, 10–19, 20–29, 30 and more.
GAP_EDGES = (0, 5, 10, 20, 30, np.inf)
GAP_NAMES = ("0–4", "5–9", "10–19", "20–29", "30+")
LISTED = 5_000  # pictures of which all pairs are listed; of more, impostors are drawn
DRAWN, ROUNDS = 1 << 18, 200  # pairs drawn at once, and how often at most


def gap_bins(gaps: np.ndarray) -> np.ndarray:
    """The bin of GAP_EDGES for each gap in years [P], int64; −1 where the gap is NaN."""
    bins = np.searchsorted(GAP_EDGES, gaps, side="right") - 1
    return np.where(np.isnan(gaps), -1, bins)


def all_pairs(images: Images) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of pictures once, [P] each: rows a < b, same, and gap in years (NaN unknown).

    N pictures have N (N − 1) / 2: for sets of thousands.
    """
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy(dtype=np.float64)
    a, b = np.triu_indices(len(images), k=1)
    return a, b, identity[a] == identity[b], np.abs(age[a] - age[b])


def genuine_pairs(identity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of pictures of one person once: rows a < b, [P] each, in order."""
    order = np.argsort(identity, kind="stable")
    people = np.split(order, np.flatnonzero(np.diff(identity[order])) + 1)
    a, b = np.concatenate([members[np.stack(np.triu_indices(len(members), k=1))] for members in people], axis=1)
    place = np.lexsort((b, a))
    return a[place], b[place]


def verification_list(images: Images, *, seed: int = 0) -> Pairs:
    """All genuine pairs, and for each an impostor pair of the same fold and the same age-gap bin.

    Folds share no person. Ten of them, fewer where there are fewer than 20 people; people are dealt out so
    that the folds hold about equally many genuine pairs. Where a fold lacks impostors of a bin, it has fewer
    of them.
    Errors: ValueError with fewer than four people, or no person with two pictures.
    """
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy(dtype=np.float64)
    fold_of = _deal(images)
    a, b = genuine_pairs(identity)
    if not len(a):
        raise ValueError(f"{images.name}: nobody has two pictures, so there are no genuine pairs")

    def group(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return fold_of[a] * len(GAP_EDGES) + gap_bins(np.abs(age[a] - age[b])) + 1

    random = np.random.default_rng(seed)
    wanted = dict(zip(*np.unique(group(a, b), return_counts=True), strict=True))
    others_a, others_b = _others(identity, fold_of, wanted, group, random)
    groups = group(others_a, others_b)
    chosen = []
    for one, count in wanted.items():
        candidates = np.flatnonzero(groups == one)
        chosen.append(random.choice(candidates, min(count, len(candidates)), replace=False))
    rows = np.concatenate(chosen)
    a, b = np.concatenate([a, others_a[rows]]), np.concatenate([b, others_b[rows]])
    same = np.arange(len(a)) < len(a) - len(rows)
    order = np.argsort(fold_of[a], kind="stable")
    return Pairs(f"{images.name}-all-genuine", a[order], b[order], same[order], fold_of[a][order])


def _others(
    identity: np.ndarray,
    fold_of: np.ndarray,
    wanted: Mapping[int, int],
    group: Callable[[np.ndarray, np.ndarray], np.ndarray],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Impostor pairs within folds, rows a < b: all of them, or of large sets enough that each group has as many as
    are wanted."""
    if len(identity) <= LISTED:
        a, b = np.triu_indices(len(identity), k=1)
        fits = (identity[a] != identity[b]) & (fold_of[a] == fold_of[b])
        return a[fits], b[fits]
    parts = []
    for fold in np.unique(fold_of):
        mine = {one: count for one, count in wanted.items() if one // len(GAP_EDGES) == fold}

        def enough(a: np.ndarray, b: np.ndarray, mine: dict[int, int] = mine) -> bool:
            groups = group(a, b)
            return all((groups == one).sum() >= count for one, count in mine.items())

        parts.append(_drawn(identity, np.flatnonzero(fold_of == fold), enough, random))
    a, b = np.concatenate(parts, axis=1)
    return a, b


def _drawn(
    identity: np.ndarray,
    rows: np.ndarray,
    enough: Callable[[np.ndarray, np.ndarray], bool],
    random: np.random.Generator,
) -> np.ndarray:
    """Pairs of two people among ``rows``, each once, int64 [2, P]: drawn until they are enough, or for 200 rounds."""
    code = np.empty(0, dtype=np.int64)
    for _ in range(ROUNDS):
        a, b = np.sort(random.choice(rows, (2, DRAWN)), axis=0)
        code = np.union1d(code, (a * len(identity) + b)[identity[a] != identity[b]])
        a, b = np.divmod(code, len(identity))
        if enough(a, b):
            break
    return np.stack([a, b])


def far_apart(images: Images, *, years: int = 30, each: int = 300, seed: int = 0) -> Pairs:
    """Pairs exactly ``years`` apart, as AgeDB's protocol has them: in each fold as many of one person as of two.

    At most ``each`` of a kind in a fold. Folds share no person. The list is drawn; AgeDB-30 is another one.
    Errors: ValueError with fewer than four people, or where no fold has a pair of either kind.
    """
    random = np.random.default_rng(seed)
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy(dtype=np.float64)
    fold_of = _deal(images)
    parts = []
    for fold in range(fold_of.max() + 1):
        rows = np.flatnonzero(fold_of == fold)
        a, b = (rows[place] for place in np.triu_indices(len(rows), k=1))
        apart = np.abs(age[a] - age[b]) == years
        kinds = [
            np.flatnonzero(apart & (identity[a] == identity[b])),
            np.flatnonzero(apart & (identity[a] != identity[b])),
        ]
        count = min(each, *map(len, kinds))
        for same, kind in zip((True, False), kinds, strict=True):
            chosen = random.choice(kind, count, replace=False)
            parts.append((a[chosen], b[chosen], np.full(count, same), np.full(count, fold)))
    listed = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if not len(listed[0]):
        raise ValueError(f"{images.name}: no two pictures of one person and of two people are {years} years apart")
    return Pairs(f"{images.name}-{years}-years-drawn", *listed)


def impostors(images: Images, *, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """``count`` impostor pairs (or all, if fewer), drawn from the whole set: rows a, b, int64."""
    identity, random = images.labels["identity"].to_numpy(), np.random.default_rng(seed)
    if len(images) > LISTED:
        a, b = _drawn(identity, np.arange(len(images)), lambda a, b: len(a) >= count, random)
        others = np.arange(len(a))
    else:
        a, b, same, _ = all_pairs(images)
        others = np.flatnonzero(~same)
    rows = random.choice(others, min(count, len(others)), replace=False)
    rows.sort()
    return a[rows], b[rows]


def _deal(images: Images) -> np.ndarray:
    """The fold of each picture: in rounds, the people with most pairs go to the folds that have fewest."""
    people, members, counts = np.unique(images.labels["identity"].to_numpy(), return_inverse=True, return_counts=True)
    folds = min(FOLDS, len(people) // 2)
    if folds < 2:
        raise ValueError(f"{images.name}: {len(people)} people cannot fill two folds; at least four are needed")
    pairs = counts * (counts - 1) // 2
    fold = np.zeros(len(people), dtype=np.int64)
    load = np.zeros(folds, dtype=np.int64)
    heaviest = np.argsort(-pairs, kind="stable")
    # A round gives each fold one person: folds of few people would have too few impostors.
    for start in range(0, len(people), folds):
        dealt = heaviest[start : start + folds]
        fold[dealt] = np.argsort(load, kind="stable")[: len(dealt)]
        load[fold[dealt]] += pairs[dealt]
    return fold[members]
