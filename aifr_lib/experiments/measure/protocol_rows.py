"""From the scores of the protocols to rows of numbers, each with its interval over people and by age gap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aifr_lib.evaluation.change import change
from aifr_lib.evaluation.intervals import Interval, clustered_bootstrap, mean_interval
from aifr_lib.evaluation.statistics import eer_statistic, tar_statistic
from aifr_lib.evaluation.templates import LEAST_ACCEPTS
from aifr_lib.evaluation.verification import roc, ten_fold
from aifr_lib.experiments.measure.photographs import gap_rows, row
from aifr_lib.reporting.rows import Key, Row

FARS = {"TAR@FAR=1e-1": 1e-1, "TAR@FAR=1e-2": 1e-2, "TAR@FAR=1e-3": 1e-3, "TAR@FAR=1e-4": 1e-4}
RANKS = (5, 10)
Scores = Mapping[str, np.ndarray]
Keys = Mapping[str, Key]


def accuracy_rows(scores: Scores, name: str, keys: Keys) -> list[Row]:
    """P1 on the list ``name``: ten-fold accuracy in %, and by age gap."""
    score, same, fold, a, b, gap = (scores[f"{name}_{part}"] for part in ("score", "same", "fold", "a", "b", "gap"))
    folds = ten_fold(score.astype(np.float64), same, fold, convention="cosine")
    overall = row(keys, "all", "accuracy", folds.accuracy, _percent(mean_interval(folds.correct, a, b)))
    return [overall, *gap_rows(keys, "accuracy", folds.correct, gap, a, b)]


def scored_pairs(scores: Scores, name: str) -> tuple[np.ndarray, ...]:
    """score (float64), same, a, b, gap of the pairs that the ROC of the list ``name`` is drawn from.

    Of photographs these are all genuine pairs and the random impostors, not those that match in age gap.
    """
    score, same, a, b, gap = (scores[f"{name}_{part}"] for part in ("score", "same", "a", "b", "gap"))
    if name == "pair":
        strangers = scores["impostor_score"]
        score, gap = np.append(score[same], strangers), np.append(gap[same], np.zeros(len(strangers)))
        a, b = np.append(a[same], scores["impostor_a"]), np.append(b[same], scores["impostor_b"])
        same = np.arange(len(score)) < same.sum()
    return score.astype(np.float64), same, a, b, gap


def curve_rows(scores: Scores, name: str, keys: Keys) -> list[Row]:
    """EER, and TAR at each rate that ten impostor pairs can show, in %; the TAR of genuine pairs by age gap."""
    score, same, a, b, gap = scored_pairs(scores, name)
    curve = roc(score, same)
    rows = [row(keys, "all", "EER", 100 * curve.eer, _percent(clustered_bootstrap(eer_statistic(score, same), a, b)))]
    for name, far in FARS.items():
        if (~same).sum() * far < LEAST_ACCEPTS:
            continue
        point = curve.at(far)
        accepted, people = score[same] >= point.threshold, a[same]
        spread = mean_interval(accepted, people)
        if accepted.any() and not accepted.all():
            spread = clustered_bootstrap(tar_statistic(score, same, far), a, b)
        rows.append(row(keys, "all", name, 100 * point.tar, _percent(spread)))
        rows += gap_rows(keys, name, accepted, gap[same], people)
    return rows


def rank_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P2: found within rank 5 and 10, in %; rank-1 stands with its age gaps in ``identification_rows``."""
    rank, people = scores["probe_rank"], scores["probe_identity"]
    return [
        row(keys, "all", f"rank-{k}", 100 * (rank <= k).mean(), _percent(mean_interval(rank <= k, people)))
        for k in RANKS
    ]


def crowd_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P3: rank-1 in % for each size of the crowd, and by age gap for the largest."""
    people = scores["crowd_identity"]
    rows = [
        row({**keys, "distractors": int(size)}, "all", "rank-1", 100 * hit.mean(), _percent(mean_interval(hit, people)))
        for size, hit in zip(scores["crowd_size"], scores["crowd_hit"], strict=True)
    ]
    largest = {**keys, "distractors": int(scores["crowd_size"][-1])}
    return rows + gap_rows(largest, "rank-1", scores["crowd_hit"][-1], scores["crowd_gap"], people)


def template_rows(scores: Scores, keys: Keys) -> list[Row]:
    """P4: TAR at the nearest FAR in %, of pooled templates and of one picture each; intervals at fixed threshold."""
    same = scores["same"]
    rows = []
    for pictures, name in (("all", "score"), ("one", "single_score")):
        score, named = scores[name].astype(np.float64), {**keys, "pictures": pictures}
        curve = roc(score, same)
        for metric, far in FARS.items():
            if (~same).sum() * far < LEAST_ACCEPTS:
                continue
            point = curve.at(far)
            accepted, people = score[same] >= point.threshold, scores["people"][same]
            rows.append(row(named, "all", metric, 100 * point.tar, _percent(mean_interval(accepted, people))))
            rows += gap_rows(named, metric, accepted, scores["gap"][same].astype(np.float64), people)
    return rows


def change_rows(scores: Scores, keys: Keys, unit: str, by_age: bool) -> list[Row]:
    """P5: mean absolute error, correlation, direction in %; averaged over folds. The error by age gap if asked.

    Correlation and direction are left out where a fold has nothing to tell them by.
    """
    predicted, true, subject, fold = (scores[f"change_{part}"] for part in ("predicted", "true", "subject", "fold"))
    # Where nothing changed there is no direction to be right about.
    found = change(predicted, true, subject, fold=fold, directed=true != 0)
    always_none = change(0 * predicted, true, subject, fold=fold)
    rows = [
        row(keys, "all", f"MAE, {unit}", found.mae, found.mae_interval),
        row(keys, "all", f"MAE of predicting no change, {unit}", always_none.mae, always_none.mae_interval),
    ]
    if np.isfinite(found.accuracy):
        rows.append(row(keys, "all", "direction", found.accuracy, found.accuracy_interval))
    if np.isfinite(found.corr):
        rows.insert(1, row(keys, "all", "correlation", found.corr, found.corr_interval))
    if by_age:
        rows += gap_rows(keys, f"MAE, {unit}", found.error, np.abs(true).astype(np.float64), subject, scale=1)
    return rows


def _percent(interval: Interval) -> tuple[float, float]:
    return 100 * interval.low, 100 * interval.high
