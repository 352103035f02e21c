"""Protocol P3: rank-1 of one person's pictures among many distractors (MegaFace challenge 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aifr_lib.evaluation.checks import directed, known, listed, matrix, normalise, same_length
from aifr_lib.evaluation.features import Features, checked, open_features
from aifr_lib.progress import BAR_AFTER, tqdm

BLOCK = 16384  # distractors read at once
TILE = 512  # probes compared with them at once: 32 MB of similarities


@dataclass(frozen=True)
class AmongDistractors:
    """Result of P3 over Q ordered pairs of pictures of one person and K numbers of distractors.

    rank1: float64 [K], hits in % of the pairs. counts: int64 [K], how far the list of distractors was read;
    compared: int64 [K], how many of those are not listed as noise.
    probe, mate: int64 [Q], rows. hit: bool [K, Q]. genuine: float32 [Q], cosine of probe and mate.
    impostor: float32 [K, Q], the best cosine of the probe with a distractor.
    gap: float64 [Q], years between probe and mate (NaN if unknown).
    skipped: pictures whose person has no second picture.
    """

    rank1: np.ndarray
    counts: np.ndarray
    compared: np.ndarray
    probe: np.ndarray
    mate: np.ndarray
    hit: np.ndarray
    genuine: np.ndarray
    impostor: np.ndarray
    gap: np.ndarray
    skipped: int


def among_distractors(
    embeddings: np.ndarray,
    identities: np.ndarray,
    distractors: Features,
    counts: Sequence[int] | None = None,
    *,
    ages: np.ndarray | None = None,
    keep: np.ndarray | None = None,
    progress: bool = False,
) -> AmongDistractors:
    """Each ordered pair (i, j) of one person: i probes a gallery of j and D
    distractors; a hit: j is nearest.

    embeddings: [N, D] of the probe set (FaceScrub, FG-NET), normalised here.
        identities: [N].
    distractors: [M, D], or the path of a ``.npy`` file of that shape in float16,
        float32 or float64, of which a block at a time is in memory; normalised here.
    counts: numbers of distractors, each a prefix of the distractors in their order (10,
        100, …); None: all of them.
    ages: [N] in years, NaN if unknown. keep: bool [M], False for distractors listed as
        noise (see ``kept``): they are passed over, so of D distractors there are
        ``compared`` of them. Noisy probes are left out by the caller, rows and all.
    A tie (in float32) is no hit: constant embeddings score 0.
    Errors: ValueError for lengths or dimensions that differ, counts outside 1 … M, no
        person with two pictures, no distractors that are kept, and embeddings that are
        zero or not finite, by file and row.
    Source: Kemelmacher-Shlizerman et al. 2016, challenge 1; > in place of the devkit's
        ≥, so that a network that maps all faces to one point finds nobody. Noise lists:
        as MS-Celeb toolkits drop them.
    """
    embeddings, identities = np.asarray(embeddings), np.asarray(identities)
    if ages is None:
        ages = np.full(len(identities), np.nan)
    ages = np.asarray(ages, dtype=np.float64)
    same_length(embeddings=embeddings, identities=identities, ages=ages)
    matrix("embeddings", embeddings)
    probe, mate, skipped = ordered_pairs(identities)
    sizes = np.array(
        [len(open_features(distractors))] if counts is None else sorted(set(counts)),
        dtype=np.int64,
    )
    rows, index = np.unique(probe, return_inverse=True)
    own = embeddings[rows]
    nearest = nearest_distractor(own, distractors, sizes, keep=keep, progress=progress)
    unit = normalise(embeddings.astype(np.float64))
    # A pair at a time along the last axis: a cosine does not depend on its neighbours.
    genuine = np.einsum("qd,qd->q", unit[probe], unit[mate]).astype(np.float32)
    impostor = nearest[:, index]
    hit = genuine > impostor
    return AmongDistractors(
        rank1=100 * hit.mean(axis=1),
        counts=sizes,
        compared=sizes if keep is None else np.cumsum(keep)[sizes - 1],
        probe=probe,
        mate=mate,
        hit=hit,
        genuine=genuine,
        impostor=impostor,
        gap=np.abs(ages[probe] - ages[mate]),
        skipped=skipped,
    )


def ordered_pairs(identities: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """All ordered pairs of two pictures of one person: rows probe, mate int64 [Q]; and the pictures left over.

    Errors: ValueError where nobody has two pictures.
    """
    order = np.argsort(identities, kind="stable")
    people, counts = np.unique(identities, return_counts=True)
    pairs = []
    for members in np.split(order, np.cumsum(counts)[:-1]):
        first, second = np.nonzero(~np.eye(len(members), dtype=bool))
        pairs.append(np.stack([members[first], members[second]]))
    probe, mate = np.concatenate(pairs, axis=1)
    if not len(probe):
        raise ValueError(f"none of {len(people)} people has two pictures ({listed(people)}): nobody can be found")
    return probe, mate, int((counts == 1).sum())


def kept(records: Sequence[str], noisy: Sequence[str], what: str = "noise list") -> np.ndarray:
    """Which of ``records`` [M] a noise list leaves, bool [M].

    Errors: ValueError for a noisy record that is not among them.
    """
    known(what, noisy, records)
    return ~np.isin(records, noisy)


def nearest_distractor(
    probes: np.ndarray,
    distractors: Features,
    counts: np.ndarray,
    *,
    keep: np.ndarray | None = None,
    progress: bool = False,
) -> np.ndarray:
    """The best cosine of each probe [N, D] with the first ``counts`` [K] (rising) distractors, float32 [K, N].

    Blocks are compared in float32; only what may be a new best is compared again in double precision. So the
    result is that of double precision rounded once, whatever the size of a block.
    """
    unit = normalise(np.asarray(probes, dtype=np.float64))
    name = _check(distractors, unit.shape[1], counts, keep)
    rough = unit.astype(np.float32)
    # Twice the rounding error of a cosine in float32: of the product (Higham 2002, eq. 3.5) and of both lengths.
    slack = (2 * unit.shape[1] + 8) * 2.0**-23
    best = np.full(len(unit), -np.inf)
    nearest = np.empty((len(counts), len(unit)), dtype=np.float32)
    room = np.empty(min(TILE, len(unit)) * BLOCK, dtype=np.float32)
    for values, unit_rows, stop in _blocks(distractors, name, counts, keep, progress):
        for start in range(0, len(unit) if len(unit_rows) else 0, TILE):
            probed, so_far = rough[start : start + TILE], best[start : start + TILE]
            similarity = room[: len(probed) * len(unit_rows)].reshape(len(probed), len(unit_rows))
            np.matmul(probed, unit_rows.T, out=similarity)
            top = similarity.max(axis=1)
            rivals = np.flatnonzero(top + slack > so_far)
            if len(rivals):
                least = np.maximum(top, so_far)[rivals, None] - 2 * slack
                close = (similarity[rivals] >= least.astype(np.float32)).any(axis=0)
                exact = unit[start + rivals] @ normalise(values[close].astype(np.float64)).T
                so_far[rivals] = np.maximum(so_far[rivals], exact.max(axis=1))
        nearest[counts == stop] = best
    return nearest


def _blocks(
    distractors: Features, name: str, counts: np.ndarray, keep: np.ndarray | None, progress: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """[≤ BLOCK, D] distractors kept, as they are and as unit vectors float32; where in the list the block ends."""
    with tqdm(total=int(counts[-1]), desc="distractors", unit="face", delay=BAR_AFTER, disable=not progress) as bar:
        start, room = 0, np.empty((BLOCK, open_features(distractors).shape[1]), dtype=np.float32)
        for count in counts.tolist():
            while start < count:
                stop = min(start + BLOCK, count)
                # A map opened for one block only: pages of a file read before do not stay in memory.
                values = open_features(distractors)[start:stop]
                rows = np.arange(start, stop)
                if keep is not None:
                    values, rows = values[keep[start:stop]], rows[keep[start:stop]]
                unit_rows = values.astype(np.float32, copy=False)
                length = np.sqrt(np.einsum("nd,nd->n", unit_rows, unit_rows))
                directed(name, length, rows="rows of a block", name=rows.__getitem__)
                yield values, np.divide(unit_rows, length[:, None], out=room[: len(unit_rows)]), stop
                bar.update(stop - start)
                start = stop


def _check(distractors: Features, width: int, counts: np.ndarray, keep: np.ndarray | None) -> str:
    values, name = checked(distractors, "distractors", width)
    if not len(counts) or counts[0] < 1 or counts[-1] > len(values):
        raise ValueError(f"{name}: counts must be of 1 … {len(values)} distractors, got {counts.tolist()}")
    if keep is not None:
        same_length(distractors=values, keep=keep)
        if not keep[: counts[0]].any():
            raise ValueError(f"{name}: all of the first {counts[0]} distractors are listed as noise")
    return name
