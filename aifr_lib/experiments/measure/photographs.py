"""Both protocols over photographs: scores of pairs and probes, and the rows of numbers that they give.

P1 and TAR@FAR over all genuine pairs and impostors that match them; P2, leave-one-out rank-1; both by the age
gap between the two photographs where ages are known.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aifr_lib.data.images import Images, Pairs
from aifr_lib.data.photograph_pairs import GAP_EDGES, GAP_NAMES
from aifr_lib.evaluation.embeddings import normalise
from aifr_lib.evaluation.intervals import by_gap, clustered_bootstrap, mean_interval
from aifr_lib.evaluation.protocol_scores import UNKNOWN_AGE, _cosines
from aifr_lib.evaluation.statistics import tar_statistic
from aifr_lib.evaluation.verification import tar_at_far, ten_fold
from aifr_lib.reporting.rows import Key, Measured, Row

FARS = {"TAR@FAR=1e-2": 1e-2, "TAR@FAR=1e-3": 1e-3}
# A false accept rate is told where it is at least ten of the impostor pairs at hand.
LEAST_ACCEPTS = 10
Scores = Mapping[str, np.ndarray]


def verification_rows(scores: Scores, keys: Mapping[str, Key]) -> list[Row]:
    """Accuracy (P1) and TAR@FAR in %, over all pairs and by age gap; intervals over people.

    The decisions behind a gap's numbers are those over all gaps: one threshold, as in use.
    """
    pair = {name: scores[f"pair_{name}"] for name in ("score", "same", "fold", "a", "b", "gap")}
    folds = ten_fold(pair["score"].astype(np.float64), pair["same"], pair["fold"], convention="cosine")
    interval = mean_interval(folds.correct, pair["a"], pair["b"])
    rows = [
        row(keys, "all", "accuracy", folds.accuracy, (100 * interval.low, 100 * interval.high)),
        row(keys, "all", "genuine pairs", int(pair["same"].sum())),
        row(keys, "all", "impostor pairs", len(scores["impostor_score"])),
        *gap_rows(keys, "accuracy", folds.correct, pair["gap"], pair["a"], pair["b"]),
    ]
    genuine = pair["same"]
    people = pair["a"][genuine]
    values = np.concatenate([pair["score"][genuine], scores["impostor_score"]]).astype(np.float64)
    same = np.arange(len(values)) < len(people)
    for name, far in FARS.items():
        if len(scores["impostor_score"]) * far < LEAST_ACCEPTS:
            continue
        point = tar_at_far(values, same, far)
        spread = clustered_bootstrap(
            tar_statistic(values, same, far),
            np.concatenate([people, scores["impostor_a"]]),
            np.concatenate([people, scores["impostor_b"]]),
        )
        accepted = pair["score"][genuine] >= point.threshold
        if accepted.all() or not accepted.any():
            # Resampling people who are all accepted shows no spread.
            spread = mean_interval(accepted, people)
        rows.append(row(keys, "all", name, 100 * point.tar, (100 * spread.low, 100 * spread.high)))
        rows += gap_rows(keys, name, accepted, pair["gap"][genuine], people)
    return rows


def identification_rows(scores: Scores, keys: Mapping[str, Key]) -> list[Row]:
    """Leave-one-out rank-1 (P2) in %, over all probes and by age gap; intervals over people."""
    hit, people = scores["probe_hit"], scores["probe_identity"]
    interval = mean_interval(hit, people)
    rows = [
        row(keys, "all", "rank-1", 100 * hit.mean(), (100 * interval.low, 100 * interval.high)),
        row(keys, "all", "probes", len(hit)),
    ]
    for name, hits in zip(GAP_NAMES, scores["probe_gap_hit"].T, strict=True):
        there = hits >= 0
        if there.any():
            interval = mean_interval(hits[there], people[there])
            ends = (100 * interval.low, 100 * interval.high)
            rows.append(row(keys, name, "rank-1", 100 * hits[there].mean(), ends))
            rows.append(row(keys, name, "probes", int(there.sum())))
    return rows


def list_rows(embeddings: np.ndarray, images: Images, pairs: Pairs, keys: Mapping[str, Key]) -> list[Row]:
    """Accuracy (P1) in % on one pair list of its own, under the list's name, and by age gap; intervals over people."""
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy(dtype=np.float64)
    unit = normalise(embeddings.astype(np.float64))
    folds = ten_fold(_cosines(unit, pairs.a, pairs.b), pairs.same, pairs.fold, convention="cosine")
    interval = mean_interval(folds.correct, identity[pairs.a], identity[pairs.b])
    named = {**keys, "data": pairs.name}
    gap = np.nan_to_num(np.abs(age[pairs.a] - age[pairs.b]), nan=UNKNOWN_AGE)
    return [
        row(named, "all", "accuracy", folds.accuracy, (100 * interval.low, 100 * interval.high)),
        row(named, "all", "pairs", len(pairs)),
        *gap_rows(named, "accuracy", folds.correct, gap, identity[pairs.a], identity[pairs.b]),
    ]


def gap_rows(
    keys: Mapping[str, Key],
    metric: str,
    values: np.ndarray,
    gaps: np.ndarray,
    a: np.ndarray,
    b: np.ndarray | None = None,
    *,
    scale: float = 100,
) -> list[Row]:
    """A row for each age gap that has entries: the mean of ``values`` times ``scale``, its interval over people.

    Gaps of −1 are unknown and left out.
    """
    known = gaps > UNKNOWN_AGE
    if not known.any():
        return []
    table = by_gap(values[known], gaps[known], GAP_EDGES, a[known], None if b is None else b[known])
    scaled = scale * table[["mean", "low", "high"]].to_numpy(dtype=np.float64)
    return [
        row(keys, name, metric, mean, (low, high))
        for name, (mean, low, high) in zip(GAP_NAMES, scaled, strict=True)
        if not np.isnan(mean)
    ]


def row(keys: Mapping[str, Key], gap: str, metric: str, value: float, ends: tuple[float, float] | None = None) -> Row:
    """A measured number, with both ends of its interval over people where they are known."""
    # One person alone in a bin cannot be resampled: the number stands without an interval.
    ends = None if ends is None or not np.isfinite(ends).all() else (float(ends[0]), float(ends[1]))
    measured = Measured(mean=float(value), ci95=ends, interval="identities" if ends else None)
    return Row(keys={**keys, "gap": gap}, metric=metric, measured=measured)
