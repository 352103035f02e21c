"""Protocol P4: templates, sets of pictures of one person pooled into one vector (IJB-B, IJB-C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from aifr_lib.evaluation.checks import both_classes, directed, finite, known, same_length
from aifr_lib.evaluation.features import Features, checked, open_features
from aifr_lib.evaluation.verification import Roc, roc
from aifr_lib.progress import BAR_AFTER, tqdm

BLOCK = 4096  # pictures, or pairs of templates, at once
FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
LEAST_ACCEPTS = 10  # a rate is given where it is at least ten of the impostor pairs at hand


@dataclass(frozen=True)
class Pooled:
    """Templates as vectors: ids [T], rising; vectors float32 [T, D] of length 1."""

    ids: np.ndarray
    vectors: np.ndarray


def pool(
    features: Features,
    templates: np.ndarray,
    media: np.ndarray,
    *,
    mirrored: Features | None = None,
    scores: np.ndarray | None = None,
    keep_norm: bool = True,
    progress: bool = False,
) -> Pooled:
    """One unit vector a template: mean over the pictures of a medium, sum over media,
    length 1.

    features: [N, D], or the path of a ``.npy`` file of that shape, of which a block at
        a time is in memory; f(x) + f(mirrored x) as ``embed`` gives it, or f(x) with
        ``mirrored`` [N, D] beside it to be added.
    templates, media: ids [N] of each picture. A medium is one photograph or one video;
        its frames count once in each template that holds them.
    scores: [N], the detector's; each picture is multiplied by its own. keep_norm: False
        scales each picture to length 1 first.
    Errors: ValueError for lengths or dimensions that differ, pictures (by row and
        template) and scores that are not finite, pictures without length where that is
        needed, and templates that sum to zero.
    Source: protocol of IJB-B/C as in insightface ``ijb_11.py``; Whitelam et al. 2017,
        Maze et al. 2018.
    """
    templates, media = np.asarray(templates), np.asarray(media)
    rows, name = checked(features, "features")
    same_length(features=rows, templates=templates, media=media, scores=scores)
    if mirrored is not None:
        same_length(
            features=rows,
            mirrored=checked(mirrored, "mirrored features", rows.shape[1])[0],
        )
    ids, template = np.unique(templates, return_inverse=True)
    _, medium = np.unique(media, return_inverse=True)
    shots = template * (medium.max() + 1) + medium
    _, shot, frames = np.unique(shots, return_inverse=True, return_counts=True)
    weights = np.ones(len(templates))
    if scores is not None:
        weights = np.asarray(scores, dtype=np.float64)
    finite("detector scores", weights)
    weights = weights / frames[shot]
    total = np.zeros((len(ids), rows.shape[1]))
    with tqdm(
        total=len(template),
        desc="templates",
        unit="face",
        delay=BAR_AFTER,
        disable=not progress,
    ) as bar:
        for start in range(0, len(template), BLOCK):
            part = slice(start, start + BLOCK)
            values = np.asarray(open_features(features)[part], dtype=np.float64)
            if mirrored is not None:
                values = values + open_features(mirrored)[part]
            length = np.linalg.norm(values, axis=1)
            numbered = enumerate(templates[part].tolist(), start)
            row_names = [f"{row} of template {one}" for row, one in numbered]
            directed(
                name,
                length,
                zero=keep_norm,
                rows="rows of a block",
                name=row_names.__getitem__,
            )
            weight = weights[part] if keep_norm else weights[part] / length
            # A block touches few templates: sum these, then add them to the whole.
            touched, where = np.unique(template[part], return_inverse=True)
            mix = csr_matrix(
                (weight, (where, np.arange(len(values)))),
                shape=(len(touched), len(values)),
            )
            total[touched] += mix @ values
            bar.update(len(values))
    length = np.linalg.norm(total, axis=1)
    directed("sums of pictures", length, rows="templates", name=ids.__getitem__)
    return Pooled(ids, (total / length[:, None]).astype(np.float32))


def score_pairs(pooled: Pooled, first: np.ndarray, second: np.ndarray, *, progress: bool = False) -> np.ndarray:
    """Cosine of each listed pair of template ids [P], float32 [P]; a block of pairs at a time.

    Errors: ValueError for an empty list, lengths that differ, and listed templates that hold no picture.
    """
    first, second = np.asarray(first), np.asarray(second)
    same_length(first=first, second=second)
    a, b = _places(pooled, first), _places(pooled, second)
    scores = np.empty(len(a), dtype=np.float32)
    with tqdm(total=len(a), desc="pairs of templates", unit="pair", delay=BAR_AFTER, disable=not progress) as bar:
        for start in range(0, len(a), BLOCK):
            part = slice(start, start + BLOCK)
            # A pair at a time along the last axis: a cosine does not depend on which pairs stand beside it.
            np.einsum("pd,pd->p", pooled.vectors[a[part]], pooled.vectors[b[part]], out=scores[part])
            bar.update(len(scores[part]))
    return scores


@dataclass(frozen=True)
class TemplateVerification:
    """Result of P4 over P pairs: the curve, and for each rate TAR, the FAR reached and the threshold.

    scores: float32 [P]. far (reached), tar, threshold: float64 [K]. wanted: the rates asked for, [K].
    people: int64 [P], the person of a genuine pair, −1 elsewhere: who is drawn anew for an interval.
    """

    scores: np.ndarray
    curve: Roc
    wanted: tuple[float, ...]
    tar: np.ndarray
    far: np.ndarray
    threshold: np.ndarray
    people: np.ndarray


def verify_templates(
    pooled: Pooled,
    first: np.ndarray,
    second: np.ndarray,
    same: np.ndarray,
    *,
    fars: Sequence[float] | None = None,
    progress: bool = False,
) -> TemplateVerification:
    """P4, 1:1: cosine of all listed pairs of templates, TAR at the operating point of the nearest FAR.

    first, second: template ids [P]. same: bool [P]. fars: fractions; None: those of 1e-6 … 1e-1 that are at
    least ten impostor pairs.
    Templates that genuine pairs join are one person, so no list of people is needed.
    Errors: as ``score_pairs``; ValueError for genuine pairs only or impostor pairs only.
    """
    first, second, same = np.asarray(first), np.asarray(second), np.asarray(same, dtype=bool)
    same_length(first=first, second=second, same=same)
    both_classes(same)
    scores = score_pairs(pooled, first, second, progress=progress)
    curve = roc(scores, same)
    impostors = int((~same).sum())
    wanted = tuple(far for far in FARS if far * impostors >= LEAST_ACCEPTS) if fars is None else tuple(fars)
    points = [curve.at(far) for far in wanted]
    people = np.full(len(same), -1)
    a, b = _places(pooled, first[same]), _places(pooled, second[same])
    joined = coo_matrix((np.ones(len(a), dtype=bool), (a, b)), shape=(len(pooled.ids),) * 2)
    people[same] = connected_components(joined, directed=False)[1][a]
    tar, far, threshold = np.array(points, dtype=np.float64).reshape(-1, 3).T
    return TemplateVerification(
        scores=scores,
        curve=curve,
        wanted=wanted,
        tar=tar,
        far=far,
        threshold=threshold,
        people=people,
    )


def _places(pooled: Pooled, listed_ids: np.ndarray) -> np.ndarray:
    places = np.minimum(np.searchsorted(pooled.ids, listed_ids), len(pooled.ids) - 1)
    if not np.array_equal(pooled.ids[places], listed_ids):
        known("pairs of templates: empty templates, no picture belongs to them", listed_ids, pooled.ids)
    return places
