"""ComFace's Table H: does it help to learn from the people with the best pictures alone, or from fewer people at all?

The paper keeps identities whose SER-FIQ score lies above a bound. Here nobody reaches its bound, so the best half and
quarter are kept, by that score and by one that others trained; beside them stands a half and a quarter drawn by lot,
which the paper lacks: without these rows nobody knows whether quality or number did it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import change_sources
from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface import quality
from aifr_lib.experiments.comface.expression import linear_job
from aifr_lib.experiments.comface.frozen import frozen_job
from aifr_lib.experiments.comface.measured import FINE, WORDS
from aifr_lib.experiments.comface.runs import PEOPLE, Start, own_setting, starts, transfer_job
from aifr_lib.experiments.comface.weight import COLUMNS, NOTE, SAID, TASKS
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.relief import convergence
from aifr_lib.files import atomic_write
from aifr_lib.models.judges import qualityface
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Quality, Source
from aifr_lib.settings.presets import Preset
from aifr_lib.training import comface as pretraining
from aifr_lib.training import recognition

SCORES, SCORES_VERSION = "comface_people", 1
ALL = "all"
SPLIT: dict[Key, str] = {
    ALL: "all people", "ser-fiq": "best by SER-FIQ", "outside": "best by an outside score", "random": "drawn by lot",
    "bound": "SER-FIQ above a bound", "by": "people",
}  # fmt: skip
KEPT = "kept"  # features that are kept: ridge, and linear layers for action units
RunKey = tuple[str, float, str, str, int]


def scores_job(preset: Preset, source: Source, by: Quality, device: str | None = None) -> Job:
    """A score of each person of a source, from one picture without edits. scores: ``score`` [P], larger is better.

    It leaves them as a file, by the order of people's numbers. SER-FIQ's score has few levels, so people are ordered by
    the distance that it is made of.
    """
    settings, whole = preset.comface_quality, source.model_copy(update={"kept": None})
    network = convergence.job(settings.train, device)
    values: dict[str, Any] = {"source": whole.model_dump(mode="json"), "by": by}
    if by == "ser-fiq":
        values |= {"passes": settings.passes, "network": network.spec.key}
    else:
        values |= {"judge": qualityface.SHA256[:16]}
    data = DataId(name=source.kind, version=change_sources.version(whole), hash=change_sources.digest(whole))
    spec = RunSpec(recipe=SCORES, recipe_version=SCORES_VERSION, seed=0, values=values, data=data)

    def compute(folder: Path, network: Path | None = None) -> Result:
        started = time.perf_counter()
        pixels = pretraining.unedited(whole).pixels
        if network is None:
            score = quality.outside(np.asarray(pixels))
        else:
            judge, _ = recognition.load(network / "weights.safetensors")
            score = -quality.by_ser_fiq(judge, np.asarray(pixels), settings, device).distance
        with atomic_write(folder / PEOPLE) as path, path.open("wb") as file:
            np.save(file, score.astype(np.float64))
        return Result({"score": score}, {"people": len(score)}, "cpu", time.perf_counter() - started)

    def lacking() -> str | None:
        return change_sources.missing(whole) or (qualityface.missing() if by == "outside" else None)

    return Job(spec, compute, lacking, {"network": network} if by == "ser-fiq" else {}, leaves=(PEOPLE,))


def subset_starts(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> list[Start]:
    """The pre-training on all people at the first seed, then those on fewer, in the order of the ledger."""
    settings = preset.comface
    whole = [one for one, _ in starts(settings) if one.name == "comface"][:1]
    fewer = []
    for one, _ in starts(settings, ledger=settings.subsets):
        if one.config is not None and (kept := one.config.source.kept) is not None:
            scores = None if kept.by == "random" else scores_job(preset, one.config.source, kept.by, device)
            fewer.append(replace(one, scores=scores))
    return [one for one in [*whole, *fewer] if seeds is None or one.seed in seeds]


def part_of(one: Start) -> tuple[str, float]:
    """By what people are kept, and how many per cent."""
    kept = None if one.config is None else one.config.source.kept
    return (ALL, 100.0) if kept is None else (kept.by, round(100 * kept.share, 1))


def subsets_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """For each subset what its features say as they are, then the fine-tunings of the ledger."""
    settings = preset.comface
    tuned = {
        (one.name, task)
        for task in TASKS
        for one, setting in starts(settings, task, ledger=(*settings.ledger, *settings.subsets))
        if setting == own_setting(one)
    }
    jobs: dict[RunKey, Job] = {}
    for one in subset_starts(preset, seeds, device):
        by, share = part_of(one)
        jobs[by, share, KEPT, "age", one.seed] = frozen_job(settings, "age", one, device)
        jobs[by, share, KEPT, "weight", one.seed] = frozen_job(settings, "weight", one, device)
        jobs[by, share, KEPT, "expression", one.seed] = linear_job(settings, one, "a", device)
        for task in TASKS:
            if (one.name, task) in tuned:
                jobs[by, share, FINE, task, one.seed] = transfer_job(settings, task, one, own_setting(one), device)
    return jobs


GROUP = {"age": "age", "edema-a": "weight", "edema-b": "weight", "au6": "expression", "au12": "expression"}


def subsets_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Each subset and task, fine-tuned and kept; then the paper's bounds, which nobody here reaches."""
    theirs = {row["score_min"]: row for row in papers.load("comface_tableH").rows}
    parts = dict.fromkeys(part_of(one) for one in subset_starts(preset))
    for by, share in parts:
        for task in TASKS:
            metric, column = COLUMNS[task]
            beside = {metric: theirs[0.0][column]} if by == ALL else {}
            for how in (FINE, KEPT):
                place = (by, share, how, task if how == FINE else GROUP[task])
                read = shown.said if how == FINE else lambda run, task=task: shown.read(run, task)
                said = {key[4]: read(run) for key, run in runs.items() if key[:4] == place}
                yield from shown.rows(
                    {"by": by, "share": share, "task": task, "how": how}, said, dict.fromkeys((metric, "mae")),
                    beside if how == FINE else None, f"Table H, v ≥ 0: {NOTE}",
                )  # fmt: skip
    for bound, row in theirs.items():
        for task in TASKS if bound else ():
            metric, column = COLUMNS[task]
            yield Row(
                keys={"by": "bound", "share": f"v ≥ {bound:g}", "task": task, "how": FINE}, metric=metric,
                paper=float(str(row[column])), paper_source=f"Table H: {NOTE}",
            )  # fmt: skip


def subsets_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """The error on change of age over the share of people, by what they were chosen; fine-tuned and kept."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, how in zip(axes, (FINE, KEPT), strict=True):
        for number, by in enumerate(("ser-fiq", "outside", "random")):
            some = [
                row for row in artefact.rows
                if row.metric == "mae" and row.keys["task"] == "age" and row.keys["how"] == how
                and row.keys["by"] in (ALL, by) and row.measured
            ]  # fmt: skip
            points = sorted((float(str(row.keys["share"])), row.measured) for row in some if row.measured)
            shift = 1.5 * (number - 1)
            axis.plot([share + shift for share, _ in points], [one.mean for _, one in points],
                      marker=plots.MARKERS[number], color=plots.PALETTE[number], label=SPLIT[by])  # fmt: skip
            for share, one in points:
                if one.ci95:
                    axis.vlines(share + shift, *one.ci95, color=plots.PALETTE[number], alpha=0.5)
        axis.set(xlabel="people learnt from, % of all", ylabel="mean error on change of age, years", title=how)
    axes[0].legend(fontsize=8)
    return figure


def subsets_found(artefact: Artefact) -> str:
    """The best quarter beside a quarter by lot and beside all, on change of age."""

    def of(by: str, share: float, how: str) -> str | None:
        one = measured(artefact.rows, "mae", {"by": by, "share": share, "task": "age", "how": how})
        return digits(one.mean) if one else None

    for how, words in ((FINE, "Fine-tuned"), (KEPT, "Kept as they are, the features")):
        numbers = {"all": of(ALL, 100.0, how), "lot": of("random", 25.0, how), "best": of("ser-fiq", 25.0, how)}
        if all(numbers.values()):
            return say(
                numbers,
                (True, f"{words} of all people err by {{all}} years on a change of age," if how == KEPT else
                       f"{words}, the network that learnt from all people errs by {{all}} years on a change of age,"),
                (True, "those of the best quarter by {best} and those of a quarter drawn by lot by {lot}."),
            )  # fmt: skip
    return ""


TABLE_H = Experiment(
    "comface_tableH", subsets_jobs, subsets_rows, subsets_figure, found=subsets_found,
    shape=Shape(
        down=("by", "share", "how"), across=("task",), only={METRIC: ("corr", "accuracy")},
        names={**WORDS, **SAID, **SPLIT, KEPT: "features kept", "share": "% of people, or bound"},
    ),
)  # fmt: skip
