"""From scores to rows of numbers, each with its interval over people: P1 to P5, and by age gap where ages are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aifr_lib.data.photograph_pairs import GAP_EDGES, GAP_NAMES
from aifr_lib.evaluation.change import change
from aifr_lib.evaluation.intervals import Interval, Statistic, by_gap, clustered_bootstrap, mean_interval
from aifr_lib.evaluation.protocol_scores import UNKNOWN_AGE
from aifr_lib.evaluation.statistics import eer_statistic, tar_statistic
from aifr_lib.evaluation.templates import LEAST_ACCEPTS
from aifr_lib.evaluation.thresholds import threshold_at_far
from aifr_lib.evaluation.verification import Roc, roc, ten_fold
from aifr_lib.reporting.rows import Key, Measured, Row

FARS = {"TAR@FAR=1e-1": 1e-1, "TAR@FAR=1e-2": 1e-2, "TAR@FAR=1e-3": 1e-3, "TAR@FAR=1e-4": 1e-4}
PHOTOGRAPH_FARS = {name: FARS[name] for name in ("TAR@FAR=1e-2", "TAR@FAR=1e-3")}
RANKS = (5, 10)
Scores = Mapping[str, np.ndarray]
Keys = Mapping[str, Key]


def accuracy_rows(scores: Scores, name: str, keys: Keys, counts: Mapping[str, int] | None = None) -> list[Row]:
    """P1 on the list ``name``: ten-fold accuracy in %, ``counts`` of pairs, and the accuracy by age gap.

    The decisions behind a gap's numbers are those over all gaps: one threshold, as in use.
    """
    score, same, fold, a, b, gap = (scores[f"{name}_{part}"] for part in ("score", "same", "fold", "a", "b", "gap"))
    folds = ten_fold(score.astype(np.float64), same, fold, convention="cosine")
    return [
        row(keys, "all", "accuracy", over_people(folds.accuracy, _percent(mean_interval(folds.correct, a, b)))),
        *(row(keys, "all", what, over_people(count)) for what, count in (counts or {}).items()),
        *gap_rows(keys, "accuracy", folds.correct, gap, a, b),
    ]


def verification_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P1 of photographs: accuracy over all genuine pairs and impostors that match them, and TAR, in %."""
    counts = {"genuine pairs": int(scores["pair_same"].sum()), "impostor pairs": len(scores["impostor_score"])}
    score, same, a, b, gap = scored_pairs(scores, "pair")
    resampled = _tar_interval(score, same, a, b)
    return [
        *accuracy_rows(scores, "pair", keys, counts),
        *_tar_rows(roc(score, same), score, same, gap, a[same], keys, PHOTOGRAPH_FARS, resampled),
    ]


def scored_pairs(scores: Scores, name: str) -> tuple[np.ndarray, ...]:
    """score (float64), same, a, b, gap of the pairs that the ROC of the list ``name`` is drawn from.

    Of photographs these are all genuine pairs and the random impostors, not those that match in age gap.
    """
    score, same, a, b, gap = (scores[f"{name}_{part}"] for part in ("score", "same", "a", "b", "gap"))
    if name == "pair":
        impostors = scores["impostor_score"]
        score, gap = np.append(score[same], impostors), np.append(gap[same], np.zeros(len(impostors)))
        a, b = np.append(a[same], scores["impostor_a"]), np.append(b[same], scores["impostor_b"])
        same = np.arange(len(score)) < same.sum()
    return score.astype(np.float64), same, a, b, gap


def curve_rows(scores: Scores, name: str, keys: Keys) -> list[Row]:
    """EER, and TAR at each rate that ten impostor pairs can show, in %; the TAR of genuine pairs by age gap."""
    score, same, a, b, gap = scored_pairs(scores, name)
    curve = roc(score, same)
    spread = clustered_bootstrap(eer_statistic(score, same), a, b)
    return [
        row(keys, "all", "EER", over_people(100 * curve.eer, _percent(spread))),
        *_tar_rows(curve, score, same, gap, a[same], keys, FARS, _tar_interval(score, same, a, b)),
    ]


def threshold_rows(scores: Scores, name: str, keys: Keys, fars: Sequence[float]) -> list[Row]:
    """The lowest cosine at which at most each rate of ``fars`` of impostors is accepted, and the TAR there in %.

    The pairs are those of ``scored_pairs``. Errors: those of ``threshold_at_far``.
    """
    score, same, a, b, _ = scored_pairs(scores, name)
    rows = []
    for far in fars:
        found = threshold_at_far(score, same, far, a, b)
        rows.append(row(keys, "all", f"threshold at FAR {far:g}", over_people(found.value, found.interval)))
        tar = over_people(100 * found.tar, _percent(found.tar_interval))
        rows.append(row(keys, "all", f"accepted at that threshold (FAR {found.reached:.2g}), %", tar))
    return rows


def identification_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P2: leave-one-out rank-1 in %, over all probes and by age gap."""
    hit, people = scores["probe_hit"], scores["probe_identity"]
    rows = [
        row(keys, "all", "rank-1", mean_over_people(hit, people, scale=100)),
        row(keys, "all", "probes", over_people(len(hit))),
    ]
    for name, hits in zip(GAP_NAMES, scores["probe_gap_hit"].T, strict=True):
        there = hits >= 0
        if there.any():
            rows.append(row(keys, name, "rank-1", mean_over_people(hits[there], people[there], scale=100)))
            rows.append(row(keys, name, "probes", over_people(int(there.sum()))))
    return rows


def rank_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P2: found within rank 5 and 10, in %; rank-1 stands with its age gaps in ``identification_rows``."""
    rank, people = scores["probe_rank"], scores["probe_identity"]
    return [row(keys, "all", f"rank-{k}", mean_over_people(rank <= k, people, scale=100)) for k in RANKS]


def distractor_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P3: rank-1 in % for each number of distractors, and by age gap for the largest."""
    hits, counts, people = scores["crowd_hit"], scores["crowd_size"].tolist(), scores["crowd_identity"]
    rows = [
        row({**keys, "distractors": count}, "all", "rank-1", mean_over_people(hit, people, scale=100))
        for count, hit in zip(counts, hits, strict=True)
    ]
    return rows + gap_rows({**keys, "distractors": counts[-1]}, "rank-1", hits[-1], scores["crowd_gap"], people)


def template_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P4: TAR at the nearest FAR in %, of pooled templates and of one picture each.

    Intervals draw people anew at a fixed threshold: of millions of pairs it is known far better than which people the
    list happens to hold.
    """
    same, people, gap = scores["same"], scores["people"], scores["gap"].astype(np.float64)
    rows = []
    for pictures, name in (("all", "score"), ("one", "single_score")):
        score = scores[name].astype(np.float64)
        rows += _tar_rows(roc(score, same), score, same, gap, people[same], {**keys, "pictures": pictures}, FARS)
    return rows


def change_rows(scores: Scores, keys: Keys, unit: str, by_age: bool) -> list[Row]:
    """P5: mean absolute error, correlation, direction in %; averaged over folds. The error by age gap if asked.

    Correlation and direction are left out where a fold has nothing to show them by.
    """
    predicted, true, subject, fold = (scores[f"change_{part}"] for part in ("predicted", "true", "subject", "fold"))
    # Where nothing changed there is no direction to be right about.
    found = change(predicted, true, subject, fold=fold, directed=true != 0)
    always_none = change(0 * predicted, true, subject, fold=fold)
    measured = {
        f"MAE, {unit}": over_people(found.mae, found.mae_interval),
        "correlation": over_people(found.corr, found.corr_interval) if np.isfinite(found.corr) else None,
        f"MAE of predicting no change, {unit}": over_people(always_none.mae, always_none.mae_interval),
        "direction": over_people(found.accuracy, found.accuracy_interval) if np.isfinite(found.accuracy) else None,
    }
    rows = [row(keys, "all", metric, one) for metric, one in measured.items() if one]
    if by_age:
        rows += gap_rows(keys, f"MAE, {unit}", found.error, np.abs(true).astype(np.float64), subject, scale=1)
    return rows


def gap_rows(
    keys: Keys,
    metric: str,
    values: np.ndarray,
    gaps: np.ndarray,
    a: np.ndarray,
    b: np.ndarray | None = None,
    *,
    scale: float = 100,
) -> list[Row]:
    """A row for each age gap that has entries: the mean of ``values`` times ``scale``, its interval over people.

    Gaps of −1 or NaN are unknown and left out.
    """
    known = gaps > UNKNOWN_AGE
    if not known.any():
        return []
    table = by_gap(values[known], gaps[known], GAP_EDGES, a[known], None if b is None else b[known])
    scaled = scale * table[["mean", "low", "high"]].to_numpy(dtype=np.float64)
    return [
        row(keys, name, metric, over_people(mean, (low, high)))
        for name, (mean, low, high) in zip(GAP_NAMES, scaled, strict=True)
        if not np.isnan(mean)
    ]


def row(keys: Keys, gap: str, metric: str, measured: Measured) -> Row:
    """A measured number of the protocols, over all age gaps ("all") or in one."""
    return Row(keys={**keys, "gap": gap}, metric=metric, measured=measured)


def over_people(value: float, ends: Sequence[float] | None = None) -> Measured:
    """A number, with both ends of its interval over people where they are known."""
    # One person alone cannot be resampled: the number stands without an interval.
    known = None if ends is None or not np.isfinite(ends).all() else (float(ends[0]), float(ends[1]))
    return Measured(mean=float(value), ci95=known, interval="identities" if known else None)


def mean_over_people(values: np.ndarray, a: np.ndarray, b: np.ndarray | None = None, *, scale: float = 1) -> Measured:
    """The mean of ``values`` [P] times ``scale`` and its interval over the people a (and b) [P]."""
    low, high = mean_interval(values, a, b)
    return over_people(scale * values.mean(), (scale * low, scale * high))


def statistic_over_people(statistic: Statistic, a: np.ndarray, b: np.ndarray | None = None) -> Measured:
    """A statistic where each of P entries weighs the same, and its interval over the people a (and b) [P]."""
    return over_people(float(statistic(np.ones((1, len(a))))[0]), clustered_bootstrap(statistic, a, b))


def _tar_rows(
    curve: Roc,
    score: np.ndarray,
    same: np.ndarray,
    gap: np.ndarray,
    people: np.ndarray,
    keys: Keys,
    fars: Mapping[str, float],
    resampled: Callable[[float], Interval] | None = None,
) -> list[Row]:
    """TAR in %, at each rate that ten impostor pairs can show; of genuine pairs, whose ``people`` are [G], by age gap.

    resampled: the interval at a rate, its threshold found anew in each sample; None holds the threshold fixed.
    """
    rows = []
    for metric, far in fars.items():
        if (~same).sum() * far < LEAST_ACCEPTS:
            continue
        point = curve.at(far)
        accepted = score[same] >= point.threshold
        # Resampling people who are all accepted shows no spread.
        varied = accepted.any() and not accepted.all()
        spread = resampled(far) if resampled and varied else mean_interval(accepted, people)
        rows.append(row(keys, "all", metric, over_people(100 * point.tar, _percent(spread))))
        rows += gap_rows(keys, metric, accepted, gap[same], people)
    return rows


def _tar_interval(score: np.ndarray, same: np.ndarray, a: np.ndarray, b: np.ndarray) -> Callable[[float], Interval]:
    return lambda far: clustered_bootstrap(tar_statistic(score, same, far), a, b)


def _percent(interval: Interval) -> Interval:
    return Interval(100 * interval.low, 100 * interval.high)
