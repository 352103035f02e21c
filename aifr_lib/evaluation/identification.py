"""Protocol P2: leave-one-out identification, rank-1 and the curve over ranks (CMC)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifr_lib.evaluation.checks import normalise, same_length

CELLS = 4_000_000  # similarities held at once: 32 MB


@dataclass(frozen=True)
class Identification:
    """Result of P2 over P probes, [P] each.

    rank1: hits in % of the probes. skipped: pictures whose identity has no second picture, not probed.
    probe: int64, the rows probed. hit: bool. genuine, impostor: float32, the best cosine of each kind.
    match: int64, the row of the best genuine picture. gap: float64 years between them (NaN if unknown).
    rank: int64, the place of that picture in the gallery, 1 for a hit; a tie with an impostor comes after it.
    """

    rank1: float
    skipped: int
    probe: np.ndarray
    hit: np.ndarray
    genuine: np.ndarray
    impostor: np.ndarray
    match: np.ndarray
    gap: np.ndarray
    rank: np.ndarray


def leave_one_out(embeddings: np.ndarray, identities: np.ndarray, ages: np.ndarray | None = None) -> Identification:
    """Each picture in turn is the probe, all others are the gallery; a hit: the nearest is genuine.

    embeddings: [N, D], normalised here. identities: [N]. ages: [N] in years, NaN if unknown.
    A tie of the best genuine and the best impostor score (in float32) is no hit: constant embeddings score 0.
    Errors: ValueError for lengths that differ, embeddings that are not finite or are zero, fewer than two
        identities, or none with two pictures.
    Source: AAD, leave-one-out on FG-NET; no fine-tuning on the gallery (inferred: the paper leaves it open).
    """
    embeddings, identities = np.asarray(embeddings), np.asarray(identities)
    ages = np.full(len(identities), np.nan) if ages is None else np.asarray(ages, dtype=np.float64)
    same_length(embeddings=embeddings, identities=identities, ages=ages)
    _, members, counts = np.unique(identities, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise ValueError(f"all {len(identities)} pictures are of one identity: there are no impostors")
    probe = np.flatnonzero(counts[members] > 1)
    if not len(probe):
        raise ValueError(f"none of {len(counts)} identities has two pictures: there is nothing to find")

    # In double precision and then rounded: equal pictures tie whichever way the product sums up.
    unit = normalise(embeddings.astype(np.float64))
    genuine, impostor = np.empty((2, len(probe)), dtype=np.float32)
    match, rank = np.empty((2, len(probe)), dtype=np.int64)
    block = max(1, CELLS // len(unit))
    for start in range(0, len(probe), block):
        part = slice(start, start + block)
        rows = probe[part]
        similarity = (unit[rows] @ unit.T).astype(np.float32)
        same = members[rows, None] == members
        impostor[part] = similarity.max(axis=1, where=~same, initial=-np.inf)
        mates = np.where(same, similarity, -np.inf)
        mates[np.arange(len(rows)), rows] = -np.inf
        match[part] = mates.argmax(axis=1)
        genuine[part] = mates.max(axis=1)
        rank[part] = 1 + ((similarity >= genuine[part, None]) & ~same).sum(axis=1)
    hit = genuine > impostor
    return Identification(
        rank1=float(100 * hit.mean()),
        skipped=len(identities) - len(probe),
        probe=probe,
        hit=hit,
        genuine=genuine,
        impostor=impostor,
        match=match,
        gap=np.abs(ages[probe] - ages[match]),
        rank=rank,
    )


def cmc(rank: np.ndarray, longest: int = 20) -> np.ndarray:
    """The cumulative match characteristic: % of probes of rank ≤ 1 … ``longest``.

    rank: int [P], as in ``Identification``; returned is float64 [longest].
    Errors: ValueError for no probe or ranks below 1.
    """
    rank = np.asarray(rank)
    if not len(rank) or rank.min() < 1:
        raise ValueError("a curve needs at least one probe, and ranks from 1")
    found = np.bincount(np.minimum(rank, longest + 1), minlength=longest + 2)
    return 100 * found[1 : longest + 1].cumsum() / len(rank)
