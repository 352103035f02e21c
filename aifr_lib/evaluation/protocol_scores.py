"""From embeddings to the scores of each protocol: what the runs of the page of protocols keep."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.linear_model import Ridge

from aifr_lib.data.images import ChangePairs, Images, Pairs, Templates
from aifr_lib.data.photograph_pairs import GAP_NAMES, gap_bins, genuine_pairs, impostors, verification_list
from aifr_lib.evaluation.change import subject_folds
from aifr_lib.evaluation.checks import normalise
from aifr_lib.evaluation.distractors import among_distractors
from aifr_lib.evaluation.features import Features, open_features
from aifr_lib.evaluation.identification import leave_one_out
from aifr_lib.evaluation.templates import pool, verify_templates

Scores = dict[str, np.ndarray]
IMPOSTORS = 20_000
BLOCK = 1 << 16  # pairs at once
UNKNOWN_AGE = -1.0
PENALTIES = np.logspace(-3, 3, 13)  # of the ridge regression, chosen on validation subjects


def distractor_counts(most: int) -> list[int]:
    """10, 100, … below ``most``, and ``most`` itself: as on the curves of MegaFace."""
    return [*(10**k for k in range(1, 7) if 10**k < most), most]


def list_scores(images: Images, embeddings: np.ndarray, lists: Iterable[Pairs]) -> Scores:
    """P1 over lists of pairs: ``NAME_score`` (cosine), same, fold, a, b (identities), gap (years, or NaN)."""
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy(dtype=np.float64)
    unit = normalise(embeddings.astype(np.float64))
    scores: Scores = {}
    for pairs in lists:
        columns = {
            "score": _cosines(unit, pairs.a, pairs.b),
            "same": pairs.same,
            "fold": pairs.fold.astype(np.int8),
            "a": identity[pairs.a].astype(np.int64),
            "b": identity[pairs.b].astype(np.int64),
            "gap": np.abs(age[pairs.a] - age[pairs.b]),
        }
        scores |= {f"{pairs.name}_{name}": values for name, values in columns.items()}
    return scores


def rank_scores(images: Images, embeddings: np.ndarray) -> Scores:
    """P2: ``probe_rank`` [N], in the order of ``measure``."""
    found = leave_one_out(embeddings, images.labels["identity"].to_numpy())
    return {"probe_rank": found.rank.astype(np.int32)}


def distractor_scores(
    images: Images,
    embeddings: np.ndarray,
    distractors: Features,
    *,
    probes: np.ndarray | None = None,
    keep: np.ndarray | None = None,
) -> Scores:
    """P3: ``crowd_hit`` [K, Q] by number of distractors, ``crowd_size`` [K], identity and gap (−1 unknown) [Q].

    probes: bool [N], the pictures that take part. keep: bool [M], False for distractors that are passed over.
    """
    rows = slice(None) if probes is None else np.flatnonzero(probes)
    labels, embeddings = images.labels.iloc[rows], embeddings[rows]
    identity = labels["identity"].to_numpy()
    counts = distractor_counts(len(open_features(distractors)))
    if keep is not None:
        counts = [count for count in counts if keep[:count].any()]
    found = among_distractors(embeddings, identity, distractors, counts, ages=labels["age"].to_numpy(), keep=keep)
    return {
        "crowd_hit": found.hit,
        "crowd_size": found.counts,
        "crowd_identity": identity[found.probe].astype(np.int32),
        "crowd_gap": np.nan_to_num(found.gap, nan=UNKNOWN_AGE),
    }


def template_scores(
    images: Images, embeddings: np.ndarray, lists: Templates, *, weights: np.ndarray | None = None
) -> Scores:
    """P4 over the listed pairs of templates, [P] each: ``score`` pooled, ``single_score`` by one picture each.

    weights: [N], the detector's score of each picture, by which its embedding is multiplied (None: 1).
    same; people (of a genuine pair, −1 elsewhere); gap between the templates' mean ages in years.
    """
    scores = None if weights is None else weights[lists.row]
    pooled = pool(embeddings[lists.row], lists.template, lists.media, scores=scores)
    found = verify_templates(pooled, lists.a, lists.b, lists.same)
    ids, first, index = np.unique(lists.template, return_index=True, return_inverse=True)
    one = lists.row[first]
    single = verify_templates(pool(embeddings[one], ids, ids), lists.a, lists.b, lists.same)
    age = images.labels["age"].to_numpy(dtype=np.float64)[lists.row]
    mean_age = np.bincount(index, age) / np.bincount(index)
    return {
        "score": found.scores,
        "single_score": single.scores,
        "same": lists.same,
        "people": found.people.astype(np.int32),
        "gap": np.abs(mean_age[np.searchsorted(ids, lists.a)] - mean_age[np.searchsorted(ids, lists.b)]),
    }


def change_scores(images: Images, embeddings: np.ndarray, pairs: ChangePairs, *, seed: int = 0) -> Scores:
    """P5, cross-validated over subjects, [P] each: ``change_predicted``, true, subject, fold.

    The change is regressed on the difference of the two unit embeddings, linearly and without a constant: the
    way back is then minus the way there. The penalty is the best on held-out subjects of the training folds.
    """
    unit = normalise(embeddings.astype(np.float64))
    x, d = unit[pairs.b] - unit[pairs.a], pairs.d
    subject = images.labels["identity"].to_numpy()[pairs.a]
    predicted, fold = np.empty(len(d)), np.empty(len(d), dtype=np.int8)
    for number, (train, validation, test) in enumerate(subject_folds(subject, seed=seed)):
        fits = [Ridge(alpha=alpha, fit_intercept=False).fit(x[train], d[train]) for alpha in PENALTIES]
        best = min(fits, key=lambda fit: np.abs(fit.predict(x[validation]) - d[validation]).mean())
        predicted[test], fold[test] = best.predict(x[test]), number
    return {
        "change_predicted": predicted,
        "change_true": d,
        "change_subject": subject.astype(np.int64),
        "change_fold": fold,
    }


def measure(images: Images, embeddings: np.ndarray, *, seed: int = 0) -> Scores:
    """Scores of both protocols over photographs: ``photograph_pair_scores`` and ``probe_scores``."""
    return {**photograph_pair_scores(images, embeddings, seed=seed), **probe_scores(images, embeddings)}


def photograph_pair_scores(images: Images, embeddings: np.ndarray, *, seed: int = 0) -> Scores:
    """P1 of photographs; −1 stands for an unknown age or gap.

    ``pair_*`` [P], over ``verification_list``: score (cosine), same, fold, a, b (identities), gap (years).
    ``impostor_*`` [Q], over 20,000 impostor pairs: score, a, b, ages [Q, 2].
    """
    pairs = verification_list(images, seed=seed)
    a, b = impostors(images, count=IMPOSTORS, seed=seed)
    unit = normalise(embeddings.astype(np.float64))
    identity = images.labels["identity"].to_numpy()
    age = images.labels["age"].to_numpy(dtype=np.float64)
    gap = np.abs(age[pairs.a] - age[pairs.b])
    return {
        "pair_score": _cosines(unit, pairs.a, pairs.b).astype(np.float32),
        "pair_same": pairs.same,
        "pair_fold": pairs.fold.astype(np.int8),
        "pair_a": identity[pairs.a].astype(np.int32),
        "pair_b": identity[pairs.b].astype(np.int32),
        "pair_gap": np.where(np.isnan(gap), UNKNOWN_AGE, gap),
        "impostor_score": _cosines(unit, a, b).astype(np.float32),
        "impostor_a": identity[a].astype(np.int32),
        "impostor_b": identity[b].astype(np.int32),
        "impostor_ages": np.nan_to_num(np.column_stack([age[a], age[b]]), nan=UNKNOWN_AGE),
    }


def probe_scores(images: Images, embeddings: np.ndarray) -> Scores:
    """P2 of photographs: ``probe_*`` [N]: identity, hit, and gap_hit [N, 5]: found when, of the genuine pictures, only
    those at that age gap are enrolled; −1 where nobody is.
    """
    identity = images.labels["identity"].to_numpy()
    age = images.labels["age"].to_numpy(dtype=np.float64)
    loo = leave_one_out(embeddings, identity, age)
    a, b = genuine_pairs(identity)
    gap = np.abs(age[a] - age[b])
    score = _cosines(normalise(embeddings.astype(np.float64)), a, b).astype(np.float32)
    # Each genuine pair serves twice: either picture may be the probe.
    best = np.full((len(images), len(GAP_NAMES)), -np.inf, dtype=np.float32)
    known = ~np.isnan(gap)
    for probe in (a, b):
        np.maximum.at(best, (probe[known], gap_bins(gap)[known]), score[known])
    best = best[loo.probe]
    return {
        "probe_identity": identity[loo.probe].astype(np.int32),
        "probe_hit": loo.hit,
        "probe_gap_hit": np.where(np.isfinite(best), best > loo.impostor[:, None], -1).astype(np.int8),
    }


def _cosines(unit: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # In blocks: two copies of the embeddings of millions of pairs would not fit.
    blocks = (slice(start, start + BLOCK) for start in range(0, len(a), BLOCK))
    found = [np.einsum("pd,pd->p", unit[a[block]], unit[b[block]]) for block in blocks]
    return np.clip(np.concatenate(found), -1, 1)
