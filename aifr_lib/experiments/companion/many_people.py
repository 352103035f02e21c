"""Memory and time of the margin head by the number of people, whole in each process or shared out (ours)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure import sharded_step
from aifr_lib.experiments.measure.sizes import NOTHING
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.companion import ManyPeople
from aifr_lib.settings.presets import Preset

RECIPE, RECIPE_VERSION = "sharded_step", 1
# How the head lies: over how many processes, and which share of the people is in a step's softmax.
WAYS = {"whole": (1, 1.0), "shared out": (2, 1.0), "shared out, a tenth sampled": (2, 0.1)}
HERE, THERE = "two processes of this machine", "eight V100, a whole training (insightface)"
# insightface, recognition/arcface_torch: megabytes of a GPU and pictures a second, by people and way; None: no number.
PRINTED = {
    125_000: ((7358, 5306, 4868), (4681, 4824, 5004)),
    1_400_000: ((32252, 11178, 6056), (1672, 3043, 4738)),
    29_000_000: ((None, None, None), (None, None, 1855)),
}
SOURCE = "insightface, recognition/arcface_torch"


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[tuple[int, str], Job]:
    """A run for each number of people and way."""
    asked = preset.many_people
    return {(people, way): _job(asked, people, way) for people in asked.people for way in WAYS}


def _job(asked: ManyPeople, people: int, way: str) -> Job:
    processes, sampled = WAYS[way]
    values = {
        "people": people,
        "processes": processes,
        "sampled": sampled,
        "embedding": asked.embedding,
        "batch": asked.batch,
    }
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=NOTHING)

    def compute(_: object) -> Result:
        began = time.perf_counter()
        found = sharded_step.measured(people, processes, sampled, asked.embedding, asked.batch)
        return Result({}, found, "cpu", time.perf_counter() - began)

    return Job(spec, compute, sharded_step.lacking, leaves=())


def rows(preset: Preset, runs: Mapping[tuple[int, str], Run]) -> Iterator[Row]:
    """By people and way: memory of a process, measured and on paper, CPU seconds of a step; then insightface's."""
    asked = preset.many_people
    for people in (*asked.people, *asked.on_paper):
        for way, (processes, _) in WAYS.items():
            keys = {"where": HERE, "people": f"{people:,}", "head": way}
            if people in asked.people:
                run = runs.get((people, way))
                for metric, name in (("memory_each", "gigabytes"), ("step_seconds", "seconds")):
                    yield Row(keys=keys, metric=metric, measured=Measured(mean=run.summary[name]) if run else None)
            paper = sharded_step.on_paper(people, processes, asked.embedding)
            yield Row(keys=keys, metric="memory_on_paper", measured=Measured(mean=paper) if runs else None)
    for people, printed in PRINTED.items():
        scales = {"memory_each": 1e-3, "pictures_per_s": 1.0}
        for (metric, scale), numbers in zip(scales.items(), printed, strict=True):
            for way, number in zip(WAYS, numbers, strict=True):
                if number is not None:
                    keys = {"where": THERE, "people": f"{people:,}", "head": way}
                    yield Row(keys=keys, metric=metric, paper=scale * number, paper_source=SOURCE)


def figure(artefact: Artefact) -> Figure:
    """Memory of a process by the number of people, measured and on paper; CPU seconds of a step of those measured."""
    drawn, (memory, seconds) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained", width_ratios=(5, 4))
    found = {(row.keys["head"], row.metric, int(str(row.keys["people"]).replace(",", ""))): row.measured.mean
             for row in artefact.rows if row.measured}  # fmt: skip
    there = sorted({people for _, metric, people in found if metric == "step_seconds"})
    for number, (colour, way) in enumerate(zip(plots.PALETTE, WAYS, strict=False)):
        # Sampled or not, the weights of a process are as many: the lines lie on one another.
        look = {"memory_on_paper": (0, (4, 4)) if WAYS[way][1] < 1 else "-", "memory_each": ""}
        for metric, line in look.items():
            points = sorted((people, y) for (head, name, people), y in found.items() if (head, name) == (way, metric))
            if points:
                marker = "" if line else plots.MARKERS[number]
                memory.plot(*zip(*points, strict=True), linestyle=line or "none", marker=marker, color=colour)
        for place, people in enumerate(there):
            if (value := found.get((way, "step_seconds", people))) is not None:
                height = place + 0.27 * (number - 1)
                seconds.barh(height, value, 0.25, color=colour)
                seconds.annotate(digits(value), (value, height), (3, 0), textcoords="offset points", va="center")
        memory.plot([], [], linestyle=look["memory_on_paper"], marker=plots.MARKERS[number], color=colour, label=way)
    memory.set(xscale="log", yscale="log", xlabel="people", ylabel=METRICS["memory_each"])
    memory.set_title("marks: measured; lines: W, gradient and momentum alone", fontsize=9)
    plots.plain(memory.xaxis)
    plots.plain(memory.yaxis)
    seconds.set_yticks(range(len(there)), [f"{people:,}" for people in there])
    seconds.set(xlabel=METRICS["step_seconds"], ylabel="people")
    seconds.margins(x=0.15)
    seconds.invert_yaxis()
    drawn.legend(*memory.get_legend_handles_labels(), loc="outside lower center", ncols=len(WAYS), title="head")
    return drawn


def found(artefact: Artefact) -> str:
    """What sharing out and sampling save, at the largest number of people that was measured."""
    here = [row for row in artefact.rows if row.keys["where"] == HERE and row.metric in ("memory_each", "step_seconds")]
    people = [row.keys["people"] for row in here if row.measured][-1:]

    def one(way: str, metric: str) -> Measured | None:
        return measured(here, metric, {"people": people[0], "head": way}) if people else None

    whole, shared = (one(way, "memory_each") for way in ("whole", "shared out"))
    every, few = (one(way, "step_seconds") for way in ("shared out", "shared out, a tenth sampled"))
    named = {"whole": whole, "shared": shared, "every": every, "few": few}
    told = {name: digits(value.mean) for name, value in named.items() if value} | {"people": "".join(map(str, people))}
    return say(
        told,
        (whole and shared, "With {people} people the head takes {whole} GB of a process that keeps all of it,"),
        (whole and shared, "and {shared} GB of each of two that share it out."),
        (every and few, "A step with all {people} people in the softmax takes {every} CPU seconds of each of two"),
        (every and few, "processes, and {few} with a tenth of them sampled."),
    )


MANY_PEOPLE = Experiment(
    "many_people",
    jobs,
    rows,
    lambda artefact, _: figure(artefact),
    found=found,
    shape=Shape(down=("people", "head"), across=(METRIC,), only={"where": HERE}),
)
