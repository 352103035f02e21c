"""AAD Tables II to VI: students trained in several ways, beside their teacher and the paper's numbers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad.known import STUDENTS, step_by_step
from aifr_lib.experiments.aad.students import Key, ledger, student_job, teacher_job, values
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import METRICS, Measured, Row, in_words
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.aad import Aad
from aifr_lib.settings.presets import Preset

TEACHER = "teacher"
# How the paper calls our students, and the columns of Table II that our sets stand in for.
PRINTED = {"mobilenetv1": "MV1", "mobilenetv2": "MV2", "mobilefacenet": "MFN", "mobilefacenet-r": "MFNR",
           "iresnet90": "R90"}  # fmt: skip
STUDENT, ACROSS = "mobilefacenet", "relief-agedb"
COLUMNS = {"relief-lfw": "LFW", "relief-agedb": "AgeDB", "relief-logiface": "LogiFace", "relief-loo": "FGNET_LOO",
           "relief-mf1": "FGNET_MF1", "fgnet": "FGNET_LOO"}  # fmt: skip
RATES: dict[bool | int | float | str, str] = {
    f"relief-ijb, FAR {far:g}": f"{100 * far:g} % of strangers accepted" for far in (0.1, 0.01, 0.001, 0.0001)
}
ACROSS_AT_MOST = 3  # pictures beside each other: more would be too small to read on a page
RANKED = ("relief-loo", "relief-logiface", "relief-mf1", "relief-crowd")


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Key, Job]:
    """The teacher and the students in the order of the ledger; each run trains and scores on everything."""
    aad = preset.aad
    made = {(aad.teacher.backbone, TEACHER, aad.teacher.seed): teacher_job(aad.teacher, aad.protocols, device)}
    return made | {key: student_job(config, aad.protocols, device) for key, config in ledger(aad, seeds).items()}


def table2_rows(preset: Preset, runs: Mapping[Key, Run]) -> Iterator[Row]:
    """By backbone and variant: accuracy and log-odds of the AUC on each list of pairs, rank-1 by set, all of them on
    photographs, and how the training went.
    """
    aad, summaries = preset.aad, by_student(runs)
    for (backbone, variant), name in product(students(aad), aad.train.relief.pair_lists):
        found = summaries.get((backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant, "set": name}
        measured = recognise.over_seeds(found, name)
        yield Row(keys=keys, metric="accuracy", measured=measured, **printed(backbone, variant, name))
        areas = values(found, "gaps", name, "all", "auc")
        yield Row(keys=keys, metric="logit_auc", measured=logit_auc(areas, aad.train.relief.pairs))
    for (backbone, variant), place in product(students(aad), RANKED):
        found = summaries.get((backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant, "set": place}
        measured = over(values(found, "rank1", place))
        yield Row(keys=keys, metric="rank1", measured=measured, **printed(backbone, variant, place))
    for backbone, name in product(dict.fromkeys(one for one, _ in students(aad)[1:]), aad.train.relief.pair_lists):
        taught, alone = (values(summaries.get((backbone, one), {}), "accuracy", name) for one in ("aad", "self"))
        gained = {seed: taught[seed] - alone[seed] for seed in taught.keys() & alone.keys()}
        keys = {"backbone": backbone, "set": name, "gain_of": "aad over self"}
        yield Row(keys=keys, metric="gain", measured=over(gained))
    for (backbone, variant), photographed in product(students(aad), aad.protocols.photographs):
        yield from photograph_rows(backbone, variant, photographed, summaries.get((backbone, variant), {}))
    for backbone, variant in students(aad):
        found = summaries.get((backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant}
        for metric, measured in stability(found).items():
            yield Row(keys=keys, metric=metric, measured=measured)


def photograph_rows(backbone: str, variant: str, name: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """Photographs, which the networks have never seen: verification of all genuine pairs, and leave-one-out."""
    keys = {"backbone": backbone, "variant": variant, "set": name}
    numbers = {metric: values(found, "photographs", name, "pairs", "all", metric) for metric in ("accuracy", "auc")}
    yield Row(keys=keys, metric="accuracy", measured=over(numbers["accuracy"]))
    pairs = values(found, "photographs", name, "pairs", "all", "pairs")
    yield Row(keys=keys, metric="logit_auc", measured=logit_auc(numbers["auc"], int(max(pairs.values(), default=2))))
    ranked = over(values(found, "photographs", name, "rank1"))
    yield Row(keys=keys, metric="rank1", measured=ranked, **printed(backbone, variant, name))


def stability(found: Mapping[int, Mapping[str, Any]]) -> dict[str, Measured | None]:
    """How a training went, over seeds: the largest loss of all steps, trainings that diverged in %, and the largest
    slope of the loss at the embedding over its median, of those that were logged.
    """
    logged = {seed: summary["curves"] for seed, summary in found.items() if summary.get("curves")}
    spikes = {seed: spike(curves) for seed, curves in logged.items()}
    lost = {seed: 100.0 * (summary["diverged"] is not None) for seed, summary in found.items() if "diverged" in summary}
    return {"largest_loss": over(values(found, "largest_loss")), "diverged": over(lost), "spike": over(spikes)}


def spike(curves: Mapping[str, Sequence[float | None]]) -> float:
    """The largest of the logged norms of the gradient of all terms together over their median.

    >>> spike({"slope_identity": [3.0, 3.0, 0.0], "slope_last": [4.0, 4.0, 50.0]})
    10.0
    """
    terms = [np.asarray(curve, dtype=np.float64) for name, curve in curves.items() if name.startswith("slope_")]
    norms = np.sqrt(np.square(terms).sum(0))
    return float(np.nanmax(norms) / np.nanmedian(norms))


def logit_auc(areas: Mapping[int, float], pairs: int) -> Measured | None:
    """log(AUC / (1 − AUC)) over seeds: unlike accuracy it does not saturate where nearly all pairs are told apart.

    pairs: how many there are, half of them genuine. None of no seed.

    >>> logit_auc({0: 0.5}, 100).mean
    0.0
    """
    least = 0.5 / (pairs / 2) ** 2  # half of one pair of pairs, where none is wrong
    return over({seed: math.log(max(area, least) / max(1 - area, least)) for seed, area in areas.items()})


THIRD = {"relief-loo": "FGNET_LOO", "relief-mf1": "FGNET_MF1", "fgnet": "FGNET_LOO"}


def table3_rows(preset: Preset, runs: Mapping[Key, Run]) -> Iterator[Row]:
    """Students with AAD, and the teacher, by rank-1: alone and among distractors (methods made for age are printed)."""
    for row in table2_rows(preset, runs):
        if row.metric == "rank1" and row.keys["variant"] in (TEACHER, "aad") and row.keys["set"] in THIRD:
            column = THIRD[str(row.keys["set"])]
            beside = printed_in("aad_table3", row, column, "Table III")
            yield Row(
                keys={"method": method(row), "set": row.keys["set"]}, metric="rank1", measured=row.measured, **beside
            )


def table4_rows(preset: Preset, runs: Mapping[Key, Run]) -> Iterator[Row]:
    """Students with AAD, and the teacher, on relief-lfw."""
    for row in table2_rows(preset, runs):
        wanted = row.metric == "accuracy" and row.keys["set"] == "relief-lfw"
        if wanted and row.keys["variant"] in (TEACHER, "aad"):
            beside = printed_in("aad_table4", row, "LFW", "Table IV, where AAD's rows are those of AD in Table II")
            keys = {"method": method(row), "set": row.keys["set"]}
            yield Row(keys=keys, metric="accuracy", measured=row.measured, **beside)


def table5_rows(preset: Preset, runs: Mapping[Key, Run]) -> Iterator[Row]:
    """Rank-1 of test people among distractors, by backbone and variant."""
    for row in table2_rows(preset, runs):
        if row.metric == "rank1" and row.keys["set"] == "relief-crowd":
            keys = {name: row.keys[name] for name in ("backbone", "variant")}
            beside = printed_in("aad_table5", row, "rank1", "Table V")
            yield Row(keys=keys, metric="rank1", measured=row.measured, **beside)


def table6_rows(preset: Preset, runs: Mapping[Key, Run]) -> Iterator[Row]:
    """True acceptance rate of templates at each rate that the impostor pairs can show, by backbone and variant."""
    summaries = by_student(runs)
    for backbone, variant in students(preset.aad):
        found = summaries.get((backbone, variant), {})
        for far in sorted({far for summary in found.values() for far in summary["tar"]}, key=float) or [""]:
            keys = {"backbone": backbone, "variant": variant, "set": f"relief-ijb, FAR {far}" if far else "relief-ijb"}
            yield Row(keys=keys, metric="tar", measured=over(values(found, "tar", far)))


def students(aad: Aad) -> list[tuple[str, str]]:
    """Backbone and variant of every row: the teacher, then the ledger's."""
    return [(aad.teacher.backbone, TEACHER), *dict.fromkeys(key[:2] for key in ledger(aad))]


def by_student(runs: Mapping[Key, Run]) -> dict[tuple[str, str], dict[int, Mapping[str, Any]]]:
    """The summaries of the runs by seed, by backbone and variant."""
    found: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for (backbone, variant, seed), run in runs.items():
        found.setdefault((backbone, variant), {})[seed] = run.summary
    return found


def over(by_seed: Mapping[int, float]) -> Measured | None:
    """Mean and Student's t over seeds; None of none."""
    return student_t(dict(by_seed)) if by_seed else None


def method(row: Row) -> str:
    """What Tables III and IV call a student: backbone and variant; the teacher by its role."""
    return TEACHER if row.keys["variant"] == TEACHER else f"{row.keys['backbone']}-{row.keys['variant']}"


def printed(backbone: str, variant: str, name: str) -> dict[str, Any]:
    """The number of Table II beside a row, and where it stands; empty where there is none."""
    row = {"backbone": PRINTED.get(backbone), "variant": variant}
    known = variant in ("self", "l2", "ad", "aad") or (variant, backbone) == (TEACHER, "iresnet90")
    if name not in COLUMNS or row["backbone"] is None or not known:
        return {}
    return {"paper": papers.value("aad_table2", row, COLUMNS[name]), "paper_source": f"Table II: {COLUMNS[name]}"}


def printed_in(table: str, row: Row, column: str, source: str) -> dict[str, Any]:
    """The number of another table beside a student with AAD; empty for others."""
    name = PRINTED.get(str(row.keys["backbone"]))
    if name is None or row.keys["variant"] != "aad":
        return {}
    return {"paper": papers.value(table, {"method": f"{name}-AAD"}, column), "paper_source": source}


def table_figure(artefact: Artefact, metric: str) -> Figure:
    """The variants of each backbone that were run side by side, by set: means, intervals, a dot a seed."""
    rows = [row for row in artefact.rows if row.metric == metric and row.measured]
    by = {name: list(dict.fromkeys(str(row.keys.get(name, "")) for row in rows)) for name in ("set", "backbone")}
    names = list(dict.fromkeys(named(row) for row in rows))
    said = [textwrap.fill(name, 34) for name in names]
    count = max(1, len(by["set"]))
    lines = math.ceil(count / ACROSS_AT_MOST)
    columns = math.ceil(count / lines)
    size = (2.8 * max(2, columns) + 2.4, lines * (0.42 * len(names) + 1.4))  # the names stand left of the first set
    figure, axes = plt.subplots(lines, columns, figsize=size, sharey=True, squeeze=False)
    for axis in axes.flat[len(by["set"]) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, by["set"], strict=False):
        for row in (row for row in rows if str(row.keys.get("set", "")) == name):
            assert row.measured is not None
            place = names.index(named(row))
            colour = plots.PALETTE[by["backbone"].index(str(row.keys.get("backbone", ""))) % len(plots.PALETTE)]
            axis.plot(row.measured.mean, place, "o", color=colour)
            if row.measured.ci95:
                axis.hlines(place, *row.measured.ci95, color=colour, linewidth=2, alpha=0.6)
            axis.scatter(list(row.measured.per_seed.values()), [place] * len(row.measured.per_seed), s=10, color=colour,
                         alpha=0.5, linewidths=0)  # fmt: skip
        axis.set(title=textwrap.fill(in_words(name), 24), xlabel=METRICS.get(metric, metric))
        axis.set_xlim(right=min(axis.get_xlim()[1], 100.5))
    axes[0, 0].set_yticks(range(len(names)), said)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    figure.tight_layout()
    return figure


def named(row: Row) -> str:
    """What a line of a figure is called: a method, or backbone and variant."""
    if "method" in row.keys:
        return in_words(row.keys["method"])
    return f"{in_words(row.keys['backbone'])}, {in_words(row.keys['variant'])}"


def found(artefact: Artefact) -> str:
    """What each way of teaching adds across ages."""
    alone = "MobileFaceNet alone is right on {alone} % of relief pairs thirty years apart."
    return step_by_step(artefact.rows, "accuracy", STUDENT, {"set": ACROSS}, alone)


def table5_found(artefact: Artefact) -> str:
    """What each way of teaching adds among distractors."""
    alone = "MobileFaceNet alone finds {alone} % of its test people first among strangers."
    return step_by_step(artefact.rows, "rank1", STUDENT, {}, alone)


def table6_found(artefact: Artefact) -> str:
    """What each way of teaching adds on templates, at the lowest rate of false accepts that was measured."""
    measured = {str(row.keys["set"]) for row in artefact.rows if row.measured}
    place = next((place for place in reversed(RATES) if place in measured), "relief-ijb")
    rate = f", with {RATES[place]}" if place in RATES else ""
    alone = f"MobileFaceNet alone knows {{alone}} % of people by several pictures{rate}."
    return step_by_step(artefact.rows, "tar", STUDENT, {"set": place}, alone)


TABLE2 = Experiment(
    "aad_table2",
    jobs,
    table2_rows,
    lambda artefact, _: table_figure(artefact, "accuracy"),
    found=found,
    shape=Shape(down=("backbone", "variant"), across=("set", METRIC), only={METRIC: ("accuracy", "rank1")}),
)
METHODS = Shape(down=("method",), across=("set",))
TABLE3 = Experiment("aad_table3", jobs, table3_rows, lambda artefact, _: table_figure(artefact, "rank1"), shape=METHODS)
TABLE4 = Experiment(
    "aad_table4", jobs, table4_rows, lambda artefact, _: table_figure(artefact, "accuracy"), shape=METHODS
)
TABLE5 = Experiment(
    "aad_table5",
    jobs,
    table5_rows,
    lambda artefact, _: table_figure(artefact, "rank1"),
    found=table5_found,
    shape=STUDENTS,
)
TABLE6 = Experiment(
    "aad_table6",
    jobs,
    table6_rows,
    lambda artefact, _: table_figure(artefact, "tar"),
    found=table6_found,
    shape=Shape(down=("backbone", "variant"), across=("set",), names=RATES),
)
