"""AAD Tables II to VI: students trained in several ways, beside their teacher and the paper's numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.evaluation.statistics import auc_statistic
from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad.students import Key, ledger, protocol_job, student_job, teacher_job, values
from aifr_lib.experiments.aad.taught import STUDENTS, step_by_step
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import METRICS, Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.aad import Aad
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.relief import PairList, Relief

TEACHER = "teacher"
TRAINED, IDENTIFIED = "trained", "identified"
Place = tuple[str, str, str, int]  # what the run holds, backbone, variant, seed
# How the paper calls our students, and the columns of Table II that our sets stand in for.
PRINTED = {"mobilenetv1": "MV1", "mobilenetv2": "MV2", "mobilefacenet": "MFN", "mobilefacenet-r": "MFNR",
           "iresnet90": "R90"}  # fmt: skip
STUDENT, ACROSS = "mobilefacenet", "relief-agedb"
COLUMNS = {"relief-lfw": "LFW", "relief-agedb": "AgeDB", "relief-logiface": "LogiFace", "relief-loo": "FGNET_LOO",
           "relief-mf1": "FGNET_MF1"}  # fmt: skip
RATES: dict[bool | int | float | str, str] = {
    f"relief-ijb, FAR {far:g}": f"{100 * far:g} % of strangers accepted" for far in (0.1, 0.01, 0.001, 0.0001)
}
RANKED = ("relief-loo", "relief-mf1", "relief-crowd")


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """The teacher, the students in the order of the ledger, then all through the protocols of identification."""
    aad, faces = preset.aad, preset.aad.train.relief
    trained: dict[Key, Job] = {(aad.teacher.backbone, TEACHER, aad.teacher.seed): teacher_job(preset, device)}
    trained |= {key: student_job(config, device) for key, config in ledger(aad, seeds).items()}
    made: dict[Place, Job] = {(TRAINED, *key): job for key, job in trained.items()}
    identified = {
        (IDENTIFIED, *key): protocol_job(aad, job, faces, aad.train.input_hw, device) for key, job in trained.items()
    }
    return made | identified


def table2_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """By backbone and variant: accuracy and log-odds of the AUC on each list of pairs, rank-1 by set, largest loss."""
    aad, summaries = preset.aad, by_student(runs)
    for (backbone, variant), name in product(students(aad), aad.train.relief.pair_lists):
        found = summaries.get((TRAINED, backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant, "set": name}
        measured = recognise.over_seeds(found, name)
        yield Row(keys=keys, metric="accuracy", measured=measured, **printed(backbone, variant, name))
        held = (TRAINED, backbone, variant)
        scores = {place[3]: run.scores[name] for place, run in runs.items() if place[:3] == held}
        yield Row(keys=keys, metric="logit_auc", measured=logit_auc(aad.train.relief, name, scores))
    for (backbone, variant), place in product(students(aad), RANKED):
        found = summaries.get((IDENTIFIED, backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant, "set": place}
        measured = over(values(found, "rank1", place))
        yield Row(keys=keys, metric="rank1", measured=measured, **printed(backbone, variant, place))
    for backbone, variant in students(aad):
        found = summaries.get((TRAINED, backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant}
        for metric, measured in stability(found).items():
            yield Row(keys=keys, metric=metric, measured=measured)


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


def logit_auc(faces: Relief, name: PairList, scores: Mapping[int, np.ndarray]) -> Measured | None:
    """log(AUC / (1 − AUC)) over seeds: unlike accuracy it does not saturate where nearly all pairs are told apart."""
    view = relief.PAIR_LISTS[name].view
    if not scores:
        return None
    images = relief.labels_only("test", faces.test_identities, faces.test_per_identity, view=view)
    same = relief.pairs(images, name, count=faces.pairs).same
    least = 0.5 / (same.sum() * (~same).sum())  # half of one pair of pairs, where none is wrong
    areas = {seed: float(auc_statistic(one.astype(np.float64), same)(np.ones((1, len(same))))[0])
             for seed, one in scores.items()}  # fmt: skip
    return over({seed: math.log(max(area, least) / max(1 - area, least)) for seed, area in areas.items()})


def table3_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Students with AAD, and the teacher, by rank-1: alone and among distractors (methods made for age are printed)."""
    for row in table2_rows(preset, runs):
        if row.metric == "rank1" and row.keys["variant"] in (TEACHER, "aad") and row.keys["set"] != "relief-crowd":
            column = {"relief-loo": "FGNET_LOO", "relief-mf1": "FGNET_MF1"}[str(row.keys["set"])]
            beside = printed_in("aad_table3", row, column, "Table III")
            yield Row(
                keys={"method": method(row), "set": row.keys["set"]}, metric="rank1", measured=row.measured, **beside
            )


def table4_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Students with AAD, and the teacher, on relief-lfw."""
    for row in table2_rows(preset, runs):
        wanted = row.metric == "accuracy" and row.keys["set"] == "relief-lfw"
        if wanted and row.keys["variant"] in (TEACHER, "aad"):
            beside = printed_in("aad_table4", row, "LFW", "Table IV, where AAD's rows are those of AD in Table II")
            keys = {"method": method(row), "set": row.keys["set"]}
            yield Row(keys=keys, metric="accuracy", measured=row.measured, **beside)


def table5_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Rank-1 of test people among distractors, by backbone and variant."""
    for row in table2_rows(preset, runs):
        if row.metric == "rank1" and row.keys["set"] == "relief-crowd":
            keys = {name: row.keys[name] for name in ("backbone", "variant")}
            beside = printed_in("aad_table5", row, "rank1", "Table V")
            yield Row(keys=keys, metric="rank1", measured=row.measured, **beside)


def table6_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """True acceptance rate of templates at each rate that the impostor pairs can show, by backbone and variant."""
    summaries = by_student(runs)
    for backbone, variant in students(preset.aad):
        found = summaries.get((IDENTIFIED, backbone, variant), {})
        for far in sorted({far for summary in found.values() for far in summary["tar"]}, key=float) or [""]:
            keys = {"backbone": backbone, "variant": variant, "set": f"relief-ijb, FAR {far}" if far else "relief-ijb"}
            yield Row(keys=keys, metric="tar", measured=over(values(found, "tar", far)))


def students(aad: Aad) -> list[tuple[str, str]]:
    """Backbone and variant of every row: the teacher, then the ledger's."""
    return [(aad.teacher.backbone, TEACHER), *dict.fromkeys(key[:2] for key in ledger(aad))]


def by_student(runs: Mapping[Place, Run]) -> dict[tuple[str, str, str], dict[int, Mapping[str, Any]]]:
    """The summaries of the runs by seed, by what they hold, backbone and variant."""
    found: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
    for (held, backbone, variant, seed), run in runs.items():
        found.setdefault((held, backbone, variant), {})[seed] = run.summary
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
    """The variants of each backbone side by side, by set: means, intervals, a dot a seed."""
    rows = [row for row in artefact.rows if row.metric == metric]
    by = {name: list(dict.fromkeys(str(row.keys.get(name, "")) for row in rows)) for name in ("set", "backbone")}
    names = list(dict.fromkeys(named(row) for row in rows))
    count = len(by["set"])
    figure, axes = plt.subplots(
        1, count, figsize=(3.1 * count + 1.5, 0.32 * len(names) + 1.6), sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], by["set"], strict=True):
        for row in (row for row in rows if str(row.keys.get("set", "")) == name and row.measured):
            assert row.measured is not None
            place = names.index(named(row))
            colour = plots.PALETTE[by["backbone"].index(str(row.keys.get("backbone", ""))) % len(plots.PALETTE)]
            axis.plot(row.measured.mean, place, "o", color=colour)
            if row.measured.ci95:
                axis.hlines(place, *row.measured.ci95, color=colour, linewidth=2, alpha=0.6)
            axis.scatter(list(row.measured.per_seed.values()), [place] * len(row.measured.per_seed), s=10, color=colour,
                         alpha=0.5, linewidths=0)  # fmt: skip
        axis.set(title=name, xlabel=METRICS.get(metric, metric))
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    figure.tight_layout()
    return figure


def named(row: Row) -> str:
    """What a line of a figure is called: a method, or backbone and variant."""
    if "method" in row.keys:
        return str(row.keys["method"])
    return f"{row.keys['backbone']}, {row.keys['variant']}"


def found(artefact: Artefact) -> str:
    """What each way of teaching adds across ages."""
    alone = "Alone MobileFaceNet is right about {alone} % of relief pairs thirty years apart."
    return step_by_step(artefact.rows, "accuracy", STUDENT, {"set": ACROSS}, alone)


def table5_found(artefact: Artefact) -> str:
    """What each way of teaching adds among distractors."""
    alone = "Alone MobileFaceNet finds {alone} % of its test people first among strangers."
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
