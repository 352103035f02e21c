"""How a person moves through embedding space with age: one picture, drawn again and again, only older (ours)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.experiments.aad.students import teacher_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces.relief import render
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import recognition
from aifr_lib.training.distillation import WEIGHTS

RECIPE, RECIPE_VERSION = "ageing_path", 1
AGES = tuple(range(5, 85, 5))
FROM = 40  # years, the picture that the others are compared with
SAME, OTHERS = "the same person", "other people of that age"
DRAWN = 6  # people in the picture


def ages_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """The one run, by the seed of the teacher that recognises."""
    aad = preset.aad
    needed = teacher_job(aad.teacher, aad.protocols, device)
    spec = RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=needed.spec.seed,
        values={"teacher": needed.spec.key, "people": aad.attention.followed, "ages": list(AGES)},
        data=DataId(name="relief faces", version=relief.VERSION, hash="test people"),
    )

    def compute(folder: Path, teacher: Path) -> Result:
        return path(aad.teacher, aad.attention.followed, teacher, device)

    return {needed.spec.seed: Job(spec, compute, needs={"teacher": needed}, leaves=())}


def path(config: Recognition, count: int, teacher: Path, device: str | None = None) -> Result:
    """scores: ``same`` [people, ages], cosines to the same person's picture at ``FROM``; ``others`` [people, ages], the
    mean cosine to the pictures of other people of that age; ``plane`` [people, ages, 2], the embeddings seen along the
    two directions in which they differ most. summary: ``shown``, how much of the differences these two hold, in %.
    """
    started = time.perf_counter()
    pixels = render(relief.aged(count, AGES), config.relief.size, frame="aligned").numpy()
    network, _ = recognition.load(teacher / WEIGHTS)
    embedded = embed(network, pixels, input_hw=config.input_hw, device=device)
    unit = normalise(embedded.astype(np.float64)).reshape(count, len(AGES), -1)
    origin = unit[:, AGES.index(FROM)]
    among = np.einsum("id,jad->ija", origin, unit)
    others = ~np.eye(count, dtype=bool)
    centred = unit - unit.mean((0, 1))
    _, sizes, directions = np.linalg.svd(centred.reshape(count * len(AGES), -1), full_matrices=False)
    scores = {
        "same": np.diagonal(among).T,
        "others": np.stack([among[one, others[one]].mean(0) for one in range(count)]),
        "plane": centred @ directions[:2].T,
    }
    shown = 100 * float((sizes[:2] ** 2).sum() / (sizes**2).sum())
    return Result(scores, {"shown": shown}, "cpu" if device is None else device, time.perf_counter() - started)


def ages_rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
    """By age, the mean cosine to a picture at forty: of the same person, and of other people of that age."""
    run = next(iter(runs.values()), None)
    for place, age in enumerate(AGES):
        for who, name in ((SAME, "same"), (OTHERS, "others")):
            found = None
            if run is not None:
                values = run.scores[name][:, place].astype(np.float64)
                low, high = mean_interval(values, np.arange(len(values)))
                found = Measured(mean=float(values.mean()), ci95=(low, high), interval="identities")
            yield Row(keys={"age": age, "who": who}, metric="cosine", measured=found)


def ages_figure(artefact: Artefact, runs: Mapping[int, Run]) -> Figure:
    """Left how alike a picture stays to the one at forty; right the way of some people, from child to old."""
    (run,) = runs.values()
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    for number, who in enumerate((SAME, OTHERS)):
        rows = [row for row in artefact.rows if row.keys["who"] == who]
        plots.parameter_curve(axes[0], rows, "age", who, number)
    axes[0].set(xlabel="age of the other picture, years", ylabel=f"cosine with the picture at {FROM}")
    axes[0].legend()
    plane = run.scores["plane"].astype(float)[:DRAWN]
    for person, way in enumerate(plane):
        colour = plots.PALETTE[person % len(plots.PALETTE)]
        axes[1].plot(*way.T, color=colour, linewidth=1)
        axes[1].scatter(*way.T, s=np.linspace(8, 60, len(AGES)), color=colour)
        for end in (0, -1):
            axes[1].annotate(f"{AGES[end]}", way[end], fontsize=8, color="0.3")
    axes[1].set(xlabel="first direction of difference", ylabel="second", aspect="equal")
    axes[1].set_title(f"{run.summary['shown']:.0f} % of all differences; larger dots: older", fontsize=9)
    figure.tight_layout()
    return figure


def found(artefact: Artefact) -> str:
    """How far a person moves, and how near others are."""
    ends = {age: measured(artefact.rows, "cosine", {"age": age, "who": SAME}) for age in (AGES[0], AGES[-1])}
    other = measured(artefact.rows, "cosine", {"age": FROM, "who": OTHERS})
    young, old = ends.values()
    if not (young and old and other):
        return ""
    return say(
        {"young": digits(young.mean), "old": digits(old.mean), "other": digits(other.mean)},
        (True, f"To the teacher a person of {AGES[-1]} years has a cosine of {{old}} with the same person at {FROM},"),
        (True, f"and of {{young}} at {AGES[0]} years; two people of {FROM} years have {{other}}."),
    )


PATH = Experiment(
    "aad_ages", ages_jobs, ages_rows, ages_figure, found=found, shape=Shape(down=("age",), across=("who",))
)
