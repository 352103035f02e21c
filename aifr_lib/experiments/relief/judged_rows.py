"""What the outside judges' runs come to: rows of numbers, what relief faces must reach, the figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aifr_lib.evaluation.statistics import auc_statistic, correlation_statistic
from aifr_lib.experiments.measure.protocol_rows import mean_over_people, over_people, statistic_over_people
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, digits, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, measured

UNKNOWN = -1.0  # an age or a gap, in runs
GAPS = {"under 15 years": (0, 15), "15–29 years": (15, 30), "30 years and more": (30, np.inf)}
NEAR, FAR = "under 15 years", "30 years and more"
DECADES = {f"{low}–{low + 9} years": (low, low + 10) for low in range(0, 80, 10)}
LEAST_PAIRS = 10  # of either kind, for an AUC
FOUND, IN_PLACE, OFF = "faces found, %", "faces found in their place, %", "landmarks off, % of the eyes' distance"
PLACE = 0.25  # mean distance of the five landmarks from the true ones, in distances between the eyes: below, in place
AUC, FALL, ESTIMATED = "AUC", "AUC lost across age", "years told, mean"
# What relief faces must reach, (judge, over, metric) → lowest value. This is the one place where it stands.
WANTED = {
    ("MTCNN", "all", FOUND): 99.0,
    ("SFace", NEAR, AUC): 0.97,
    ("SFace", FAR, FALL): 0.03,
    ("age judge", "all", "corr"): 0.6,
}
NAMES = {
    "relief": "relief faces",
    "relief again": "relief faces, other people",
    "orl": "ORL",
    "fgnet": "FG-NET",
    "across ages": "generator, across ages",
}
Scores = Mapping[str, np.ndarray]


def judge_rows(scores: Scores, data: str) -> Iterator[Row]:
    """The numbers of one data set from its run; ages and gaps only where they are known."""
    found, identity = scores["picture_found"], scores["picture_identity"]
    yield _row(data, "MTCNN", "all", FOUND, mean_over_people(found, identity, scale=100))
    yield _row(data, "MTCNN", "all", "pictures", over_people(len(found)))
    yield from _place_rows(scores, data)
    yield from _pair_rows(scores, data)
    yield from _age_rows(scores, data)


def unmeasured(data: str) -> Iterator[Row]:
    """The rows that matter, for a data set that is not here."""
    for judge, over, metric in WANTED if data != "orl" else (("MTCNN", "all", FOUND), ("SFace", "all", AUC)):
        yield Row(keys={"data": NAMES[data], "judge": judge, "over": over}, metric=metric)


def unmet(rows: Sequence[Row]) -> list[Row]:
    """The rows of relief faces that lie below what is wanted of them (``WANTED``)."""
    drawn = {NAMES["relief"], NAMES["relief again"]}

    def short(row: Row) -> bool:
        key = (str(row.keys["judge"]), str(row.keys["over"]), row.metric)
        return row.keys["data"] in drawn and row.measured is not None and row.measured.mean < WANTED.get(key, -np.inf)

    return [row for row in rows if short(row)]


def _place_rows(scores: Scores, data: str) -> Iterator[Row]:
    """Whether what is found is the face; where its landmarks are known."""
    off, identity = scores.get("picture_off", np.array([UNKNOWN])), scores["picture_identity"]
    known = off > UNKNOWN
    if not known.any():
        return
    there = known & (off < PLACE)
    for metric, value, people in ((IN_PLACE, there, identity), (OFF, off[known], identity[known])):
        value = 100 * value.astype(np.float64)
        yield _row(data, "MTCNN", "all", metric, mean_over_people(value, people))


def _pair_rows(scores: Scores, data: str) -> Iterator[Row]:
    score, same, gap = scores["pair_score"].astype(np.float64), scores["pair_same"], scores["pair_gap"]
    people = scores["pair_a"], scores["pair_b"]
    bins = {name: (gap >= low) & (gap < high) for name, (low, high) in GAPS.items()}
    parts = {"all": np.ones(len(gap), dtype=bool), **bins}
    areas = {}
    for name, inside in parts.items():
        if min((inside & same).sum(), (inside & ~same).sum()) < LEAST_PAIRS:
            continue
        areas[name] = auc_statistic(score[inside], same[inside])
        measured = statistic_over_people(areas[name], people[0][inside], people[1][inside])
        yield _row(data, "SFace", name, AUC, measured)
        yield _row(data, "SFace", name, "genuine pairs", over_people(int((inside & same).sum())))
    if {NEAR, FAR} <= set(areas):

        def fall(weights: np.ndarray) -> np.ndarray:
            return areas[NEAR](weights[:, bins[NEAR]]) - areas[FAR](weights[:, bins[FAR]])

        yield _row(data, "SFace", FAR, FALL, statistic_over_people(fall, *people))


def _age_rows(scores: Scores, data: str) -> Iterator[Row]:
    known = (scores["picture_age"] > UNKNOWN) & (scores["picture_told"] > UNKNOWN)
    if known.sum() < LEAST_PAIRS:
        return
    age, estimated = (scores[f"picture_{name}"][known].astype(np.float64) for name in ("age", "told"))
    people = scores["picture_identity"][known]
    correlation = statistic_over_people(correlation_statistic(age, estimated), people)
    yield _row(data, "age judge", "all", "corr", correlation)
    yield _row(data, "age judge", "all", "mae", mean_over_people(np.abs(age - estimated), people))
    for name, (low, high) in DECADES.items():
        inside = (age >= low) & (age < high)
        if inside.sum() >= LEAST_PAIRS:
            yield _row(data, "age judge", name, ESTIMATED, mean_over_people(estimated[inside], people[inside]))


def judge_figure(artefact: Artefact) -> Figure:
    """Left: AUC of SFace against the age gap. Right: the years the age judge estimates against the decade of life."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    panels = (
        ("SFace", AUC, list(GAPS), "years between the pictures"),
        ("age judge", ESTIMATED, list(DECADES), "true age, years"),
    )
    for axis, (judge, metric, bins, label) in zip(axes, panels, strict=True):
        bin_panel(axis, artefact.rows, judge, metric, bins)
        axis.set(xlabel=label)
    axes[1].plot(range(len(DECADES)), [10 * k + 5 for k in range(len(DECADES))], color="0.6", linestyle=":", zorder=0)
    return figure


def bin_panel(axis: Axes, rows: Sequence[Row], judge: str, metric: str, bins: Sequence[str]) -> None:
    """One number of a judge over bins of years, a colour for each data set of ``rows``."""
    for number, name in enumerate(dict.fromkeys(str(row.keys["data"]) for row in rows)):
        wanted = {"data": name, "judge": judge}
        chosen = [row for row in rows if row.metric == metric and wanted.items() <= row.keys.items()]
        points = [(bins.index(str(r.keys["over"])), r.measured) for r in chosen if r.keys["over"] in bins]
        there = [(x, one.mean, *(one.ci95 or (one.mean, one.mean))) for x, one in points if one]
        if there:
            x, y, low, high = np.array(there).T
            style = {"color": plots.PALETTE[number], "marker": plots.MARKERS[number], "capsize": 3}
            axis.errorbar(x + 0.06 * number, y, (y - low, high - y), label=name, **style)
    axis.set(ylabel=f"{judge}: {METRICS.get(metric, metric)}")
    short = [name.replace(" years", "").replace("30 and more", "30+") for name in bins]
    axis.set_xticks(range(len(bins)), short, fontsize=10, rotation=30 if len(bins) > 4 else 0)
    if axis.has_data():
        axis.legend()


def found(artefact: Artefact) -> str:
    """What the judges say of relief faces, beside photographs with ages where these were judged."""

    def told(data: str, judge: str, over: str, metric: str) -> Measured | None:
        return measured(artefact.rows, metric, {"data": NAMES[data], "judge": judge, "over": over})

    given = {
        "found": told("relief", "MTCNN", "all", FOUND),
        "near": told("relief", "SFace", NEAR, AUC),
        "far": told("relief", "SFace", FAR, AUC),
        "near_real": told("fgnet", "SFace", NEAR, AUC),
        "far_real": told("fgnet", "SFace", FAR, AUC),
        "age": told("relief", "age judge", "all", "corr"),
    }
    missed = len(unmet(artefact.rows))
    curve, real = given["near"] and given["far"], given["near_real"] and given["far_real"]
    return say(
        {name: digits(one.mean) for name, one in given.items() if one} | {"missed": counted(missed, "number")},
        (given["found"], "A detector made for photographs finds a face in {found} % of drawn portraits."),
        (curve, "A recogniser made for photographs tells drawn people apart with an area under the curve of {near}"),
        (curve and not real, "near in age and {far} thirty years apart."),
        (
            curve and real,
            "near in age and {far} thirty years apart (photographs of FG-NET: {near_real} and {far_real}).",
        ),
        (given["age"], "An age judge orders them by their years with a correlation of {age}."),
        (missed, "Below what is wanted of them: {missed}."),
    )


def _row(data: str, judge: str, over: str, metric: str, measured: Measured) -> Row:
    return Row(keys={"data": NAMES[data], "judge": judge, "over": over}, metric=metric, measured=measured)
