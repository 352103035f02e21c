"""What the runs of ``latent_directions`` come to: rows of numbers, and the figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from aifr_lib.evaluation.statistics import correlation_statistic
from aifr_lib.experiments.generator.finding import ATTRIBUTES
from aifr_lib.experiments.measure.protocol_rows import mean_over_people, over_people, statistic_over_people
from aifr_lib.faces.generators.directions import STRONGEST
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Measured, Row, measured

UNKNOWN = -100.0  # of a reading, in runs
# direction → (what the second judge reads of it, in whose name, unit). For gender there is none here.
SECOND = {
    "age": ("second", "second age judge, years"),
    "smile": ("smile", "YuNet: width of the mouth"),
    "weight": ("width", "YuNet: width of the box over its height"),
    "yaw": ("yaw", "YuNet: yaw"),
    "light": ("light", "YuNet: light, left against right"),
}
# What a direction should leave alone → how it is read. Runs made before light was read have none of it.
OTHERS = {"age": "told", "smile": "smile", "weight": "width", "yaw": "yaw", "light": "light", "gender": "gender"}
# A direction is certified where the interval of EACH does not reach below this. This is the one place where it stands.
LEAST = 0.7
EACH, POOLED = "rank correlation with α, each person", "rank correlation with α, pooled"
CHANGED = "rank correlation with α, pooled, change from the person at α = 0"
SAME, LEVEL, ABOVE = "SFace similarity", "SFace similarity of other people", "above 99 % of other people, %"
DRAGGED = "change from α = −3 to 3, standard deviations"
FOUND = "correlation with the first judge, cross-validated"
ESTIMATED = "second judge, mean"
Scores = Mapping[str, np.ndarray]


def reading_rows(summary: Mapping[str, float]) -> Iterator[Row]:
    """How well codes predict each attribute's reading."""
    for name in ATTRIBUTES:
        yield _row(name, "all", FOUND, over_people(summary[name]))


def direction_rows(name: str, scores: Scores) -> Iterator[Row]:
    """The approval of one direction from its run."""
    if "fgnet_age" in scores:
        yield from _judge_rows(name, scores)
    second, person = scores[SECOND[name][0]].astype(np.float64), scores["person"]
    alpha = scores["alpha"].astype(np.float64)
    seen = second > UNKNOWN
    each = np.array([_spearman(alpha[rows], second[rows]) for rows in _by_person(person, seen)])
    people = np.unique(person[seen])
    yield _row(name, "all", EACH, mean_over_people(each, people))
    zero = _at_zero(second, alpha, person)
    for metric, values, known in ((POOLED, second, seen), (CHANGED, second - zero, seen & (zero > UNKNOWN))):
        statistic = correlation_statistic(rankdata(alpha[known]), rankdata(values[known]))
        yield _row(name, "all", metric, statistic_over_people(statistic, person[known]))
    for step in np.unique(alpha[seen]):
        at = seen & (alpha == step)
        yield _row(name, float(step), ESTIMATED, mean_over_people(second[at], person[at]))
    yield from similarity_rows(name, scores)
    for other, reading in OTHERS.items():
        change = _moved(scores[reading].astype(np.float64), alpha) if reading in scores else None
        if change is not None:
            yield _row(name, moves(other), DRAGGED, over_people(change))


def moves(other: str) -> str:
    """The place of a reading among the rows of DRAGGED."""
    return f"moves {other} by"


def certified(each: Measured | None) -> bool:
    """Whether the second judge's rank correlation with α within people is LEAST at least, by its interval."""
    return each is not None and each.ci95 is not None and each.ci95[0] >= LEAST


def similarity_rows(name: str, scores: Scores) -> Iterator[Row]:
    """For how long it is the same person to SFace: its similarity to α = 0, and that of different people.

    scores: alpha, person and same [P] over pictures (``UNKNOWN`` is left out), other over pairs of different people.
    """
    known = scores["same"] > UNKNOWN
    limit = float(np.quantile(scores["other"], 0.99))
    yield _row(name, "other people", LEVEL + ", mean", over_people(scores["other"].mean()))
    yield _row(name, "other people", LEVEL + ", 99 %", over_people(limit))
    for step in np.unique(scores["alpha"][known & (scores["alpha"] != 0)]):
        here = known & (scores["alpha"] == step)
        same, who = scores["same"][here].astype(np.float64), scores["person"][here]
        yield _row(name, float(step), SAME, mean_over_people(same, who))
        yield _row(name, float(step), ABOVE, mean_over_people(same > limit, who, scale=100))


def _at_zero(values: np.ndarray, alpha: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Each row's value of the same person at α = 0."""
    original = dict(zip(person[alpha == 0].tolist(), values[alpha == 0], strict=True))
    return np.array([original[who] for who in person.tolist()])


def _moved(values: np.ndarray, alpha: np.ndarray) -> float | None:
    """Change of the mean reading from α = −3 to 3, over the spread between people at α = 0; None where one of the
    three has no reading.
    """
    seen = values > UNKNOWN
    low, middle, high = (values[seen & (alpha == at)] for at in (-3, 0, 3))
    if not (len(low) and len(middle) and len(high)):
        return None
    return float((high.mean() - low.mean()) / (middle.std() or 1.0))


def _judge_rows(name: str, scores: Scores) -> Iterator[Row]:
    age, estimated, people = (scores[f"fgnet_{key}"] for key in ("age", "told", "identity"))
    statistic = correlation_statistic(age.astype(np.float64), estimated.astype(np.float64))
    yield _row(name, "FG-NET", "corr", statistic_over_people(statistic, people))
    yield _row(name, "FG-NET", "mae", mean_over_people(np.abs(age - estimated), people))


def _by_person(person: np.ndarray, seen: np.ndarray) -> Iterator[np.ndarray]:
    for who in np.unique(person[seen]):
        yield np.flatnonzero(seen & (person == who))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    """0 where nothing varies, so that a judge that sees no change speaks against the direction."""
    ranks_x, ranks_y = rankdata(x) - (len(x) + 1) / 2, rankdata(y) - (len(y) + 1) / 2
    size = np.sqrt((ranks_x**2).sum() * (ranks_y**2).sum())
    return float((ranks_x * ranks_y).sum() / size) if size else 0.0


def _row(name: str, at: str | float, metric: str, measured: Measured) -> Row:
    return Row(keys={"direction": name, "at": at}, metric=metric, measured=measured)


def direction_figure(artefact: Artefact) -> Figure:
    """Left: what the second age judge tells over α (else the first direction's second judge). Right: similarity of
    SFace to the person at α = 0, and the level that one in a hundred pairs of different people reaches."""
    names = list(dict.fromkeys(str(row.keys["direction"]) for row in artefact.rows if row.metric == ESTIMATED))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    if names:
        axes[0].errorbar(*_curve(artefact, names[0], ESTIMATED), **_style(0))
        axes[0].set(xlabel=f"strength α of {names[0]}", ylabel=SECOND[names[0]][1])
    similarity_panel(axes[1], artefact)
    return figure


def similarity_panel(axis: Axes, artefact: Artefact) -> None:
    """Similarity of SFace to the person at α = 0 for each direction, and the level of different people."""
    names = list(dict.fromkeys(str(row.keys["direction"]) for row in artefact.rows if row.metric == SAME))
    for number, name in enumerate(names):
        x, y, arms = _curve(artefact, name, SAME)
        middle = int(np.searchsorted(x, 0))
        x, y, arms = np.insert(x, middle, 0), np.insert(y, middle, 1), np.insert(arms, middle, 0, axis=1)
        axis.errorbar(x, y, arms, label=name, **_style(number))
    limits = [r.measured.mean for r in artefact.rows if r.metric == LEVEL + ", 99 %" and r.measured]
    if limits:
        axis.axhline(max(limits), color="0.5", linestyle=":", label="1 % of other people")
    axis.set(xlabel="strength α", ylabel=f"{SAME} to α = 0", ylim=(0, 1.02))
    if names:
        axis.legend()


def side_effects(artefact: Artefact) -> pd.DataFrame:
    """Rows: directions. Columns: readings, in the order of OTHERS. Values: DRAGGED; NaN where it was not read."""
    rows = [row for row in artefact.rows if row.metric == DRAGGED and row.measured]
    names = list(dict.fromkeys(str(row.keys["direction"]) for row in rows))
    found = {(row.keys["direction"], row.keys["at"]): row.measured.mean for row in rows if row.measured}
    values = [[found.get((name, moves(other)), np.nan) for other in OTHERS] for name in names]
    return pd.DataFrame(values, index=names, columns=list(OTHERS), dtype=float)


def side_effects_figure(artefact: Artefact) -> Figure:
    """``side_effects`` as a heat map: orange rises, purple falls, grey was not read; the diagonal was wanted."""
    table = side_effects(artefact).round(1) + 0.0  # without the sign of −0
    figure, axis = plt.subplots(figsize=(6.5, 1.2 + 0.45 * len(table)), layout="constrained")
    sns.heatmap(table, cmap="PuOr_r", center=0, annot=True, fmt="+.1f", linewidths=1, ax=axis,
                cbar_kws={"label": "standard deviations"})  # fmt: skip
    axis.set(xlabel="reading", ylabel="direction")
    axis.tick_params(length=0, labelrotation=0)
    axis.set_facecolor("0.85")
    axis.grid(False)
    return figure


def found(artefact: Artefact) -> str:
    """Which directions a second judge certifies, and which edit takes a person furthest from themselves."""
    each = {str(row.keys["direction"]): row.measured for row in artefact.rows if row.metric == EACH and row.measured}
    approved = [name for name, one in each.items() if certified(one)]
    refused = [name for name in each if name not in approved]
    there = dict.fromkeys(str(row.keys["direction"]) for row in artefact.rows if row.measured)
    unseen = [name for name in there if name not in each]
    ends = {
        name: min(one.mean for at in (-STRONGEST, STRONGEST) if (one := _same(artefact, name, at)))
        for name in there
        if _same(artefact, name, -STRONGEST) or _same(artefact, name, STRONGEST)
    }
    furthest = min(ends, key=ends.__getitem__, default="")
    return say(
        {
            "approved": listed(approved),
            "refused": listed(refused),
            "unseen": listed(unseen),
            "furthest": furthest,
            "same": digits(ends[furthest]) if furthest else "",
            "alpha": STRONGEST,
        },
        (approved, "Directions that do what they are called, by a second judge: {approved}."),
        (refused, "It does not certify {refused}."),
        (unseen, "No second judge has looked at {unseen}."),
        (furthest, "At α = ±{alpha:g}, {furthest} takes a person furthest from themselves:"),
        (furthest, "a recogniser's similarity falls from 1 to {same}."),
    )


def _same(artefact: Artefact, name: str, at: float) -> Measured | None:
    return measured(artefact.rows, SAME, {"direction": name, "at": at})


def _style(number: int) -> dict[str, Any]:
    return {"color": plots.PALETTE[number], "marker": plots.MARKERS[number], "capsize": 3}


def _curve(artefact: Artefact, name: str, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """α, mean, and the interval's two arms."""
    rows = [r for r in artefact.rows if r.metric == metric and r.keys["direction"] == name and r.measured]
    points = np.array([(r.keys["at"], r.measured.mean, *(r.measured.ci95 or (r.measured.mean,) * 2)) for r in rows])  # type: ignore[union-attr]
    x, y, low, high = points.T
    return x, y, np.stack([y - low, high - y])
