"""AAD Figs. 1, 3 and 6: what an age estimator looks at, what it leaves, and people over the decades."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.data.loader import to_input
from aifr_lib.experiments.aad.protocols import LONGITUDINAL, followed
from aifr_lib.experiments.aad.teachers import age_teacher_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces.relief import render
from aifr_lib.losses.distillation import age_invariant_mask
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.aad import AgeEstimation, Attention
from aifr_lib.settings.presets import Preset
from aifr_lib.training import age_estimation
from aifr_lib.training.distillation import WEIGHTS

RECIPE, RECIPE_VERSION = "attention_maps", 1
DECADES = "decades"
AGES = (8, 25, 45, 65, 80)  # of the pictures of one person, else alike
IN_A_ROW = 7  # pictures of one person over the decades
MASKS = ("A_1", "A_2", "A_3", "A_4", "Â_3", "Â_4")


def maps_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """The one run, by the seed of the age estimator: the masks of the first people of the test split."""
    aad = preset.aad
    needed = age_teacher_job(aad.looked_at, device)
    spec = RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=needed.spec.seed,
        values={"age_teacher": needed.spec.key, "shown": aad.attention.shown, "ages": list(AGES)},
        data=DataId(name="relief faces", version=relief.VERSION, hash="test people"),
    )

    def compute(folder: Path, age_teacher: Path) -> Result:
        return masks(aad.looked_at, aad.attention, age_teacher)

    return {needed.spec.seed: Job(spec, compute, needs={"age_teacher": needed}, leaves=())}


def masks(config: AgeEstimation, asked: Attention, age_teacher: Path) -> Result:
    """scores: ``pixels`` uint8 [people, ages, S, S, 3]; ``A_1`` … ``A_4``, ``Â_3`` and ``Â_4`` [people, ages, h, w]."""
    started = time.perf_counter()
    pixels = render(relief.aged(asked.shown, AGES), config.train.input_hw[0], frame="aligned").numpy()
    estimator, _ = age_estimation.load(age_teacher / WEIGHTS)
    with torch.inference_mode():
        looked = estimator.masks(to_input(torch.from_numpy(pixels)))
        found = {f"A_{stage}": mask for stage, mask in enumerate(looked, 1)}
        found |= {f"Â_{stage}": age_invariant_mask(looked[0], looked[stage - 1]) for stage in (3, 4)}
    shape = (asked.shown, len(AGES))
    drawn = {name: mask[:, 0].numpy().reshape(*shape, *mask.shape[2:]) for name, mask in found.items()}
    kept = {"pixels": pixels.reshape(*shape, *pixels.shape[1:]), **drawn}
    return Result(kept, {}, "cpu", time.perf_counter() - started)


def decades_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run of Fig. 6: pictures alone, no network."""
    aad = preset.aad
    size, counts = aad.looked_at.train.relief.size, followed(max(4, aad.attention.shown))
    spec = RunSpec(
        recipe="attention_decades",
        recipe_version=1,
        seed=0,
        values={"shown": aad.attention.shown, "pictures": IN_A_ROW},
        data=DataId(name="relief faces", version=relief.VERSION,
                    hash=relief.set_digest(LONGITUDINAL, size=size, **counts)),
    )  # fmt: skip
    return {DECADES: Job(spec, lambda _: over_decades(size, counts, aad.attention.shown), leaves=())}


def over_decades(size: int, counts: Mapping[str, Any], shown: int) -> Result:
    """scores: ``pixels`` uint8 [subjects, pictures, S, S, 3] and ``ages``, of each subject evenly from its own."""
    started = time.perf_counter()
    images = relief.load_set(LONGITUDINAL, size=size, **counts)
    identity, age = (images.labels[name].to_numpy() for name in ("identity", "age"))
    rows = []
    for subject in np.unique(identity)[:shown]:
        own = np.flatnonzero(identity == subject)
        rows.append(own[np.argsort(age[own])][np.linspace(0, len(own) - 1, IN_A_ROW).round().astype(int)])
    chosen = np.stack(rows)
    pixels = np.array(images.pixels[chosen.ravel()]).reshape(*chosen.shape, size, size, 3)
    scores = {"pixels": pixels, "ages": age[chosen].astype(np.float32)}
    return Result(scores, {}, "cpu", time.perf_counter() - started)


def mask_rows(names: Sequence[str]) -> Callable[[Preset, Mapping[int, Run]], Iterator[Row]]:
    """Rows of a gallery of masks: by mask and age the mean over people of the largest and of the smallest cell."""

    def rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
        run = next(iter(runs.values()), None)
        for name, (place, age) in product(names, enumerate(AGES)):
            for metric in ("largest cell", "smallest cell"):
                value = None
                if run is not None:
                    cells = run.scores[name][:, place].astype(float)
                    value = float((cells.max((1, 2)) if metric == "largest cell" else cells.min((1, 2))).mean())
                measured = None if value is None else Measured(mean=value)
                yield Row(keys={"map": name, "age": age}, metric=metric, measured=measured)

    return rows


def fig1_figure(artefact: Artefact, runs: Mapping[int, Run]) -> Figure:
    """A row a person, a column an age: the face under Â_4, bright where no age shows."""
    (run,) = runs.values()
    pixels, cells = run.scores["pixels"], run.scores["Â_4"].astype(float)
    figure, axes = plt.subplots(*pixels.shape[:2], figsize=(1.7 * len(AGES), 1.75 * len(pixels) + 0.3), squeeze=False)
    for person, place in product(range(len(pixels)), range(len(AGES))):
        title = f"{AGES[place]} years" if person == 0 else ""
        heated(plots.bare(axes[person, place], title), pixels[person, place], cells[person, place])
    figure.tight_layout()
    return figure


def fig3_figure(artefact: Artefact, runs: Mapping[int, Run]) -> Figure:
    """A row a person, in the middle of life: the face, A_1 … A_4, and what of the face they leave, Â_3 and Â_4."""
    (run,) = runs.values()
    pixels, place = run.scores["pixels"], len(AGES) // 2
    figure, axes = plt.subplots(len(pixels), 1 + len(MASKS), figsize=(10, 1.5 * len(pixels) + 0.4), squeeze=False)
    for person in range(len(pixels)):
        plots.bare(axes[person, 0], "face" if person == 0 else "").imshow(pixels[person, place])
        for column, name in enumerate(MASKS, 1):
            one = run.scores[name][person, place].astype(float)
            title = f"{name.replace('_', '')}: {one.shape[0]}×{one.shape[1]}" if person == 0 else ""
            plots.bare(axes[person, column], title).imshow(one, cmap="viridis")
    figure.tight_layout()
    return figure


def fig6_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """A row a subject, in order of age."""
    scores = runs[DECADES].scores
    pixels, ages = scores["pixels"], scores["ages"].astype(float)
    figure, axes = plt.subplots(*pixels.shape[:2], figsize=(10, 1.65 * len(pixels)), squeeze=False)
    for subject, place in product(range(len(pixels)), range(IN_A_ROW)):
        plots.bare(axes[subject, place], f"{ages[subject, place]:.0f} years").imshow(pixels[subject, place])
    figure.tight_layout()
    return figure


def fig6_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """The ages of the pictures, by subject."""
    ages = runs[DECADES].scores["ages"].astype(float) if runs else np.zeros((0, IN_A_ROW))
    for subject, place in product(range(len(ages)), range(IN_A_ROW)):
        keys = {"subject": subject + 1, "picture": place + 1}
        yield Row(keys=keys, metric="age", measured=Measured(mean=float(ages[subject, place])))


def heated(axis: Axes, face: np.ndarray, cells: np.ndarray) -> None:
    """A face under a mask, smoothed and stretched over its own range, as the paper draws it."""
    side = face.shape[0]
    axis.imshow(face.mean(-1), cmap="gray", vmin=0, vmax=255, extent=(0, side, side, 0))
    axis.imshow(cells, cmap="inferno", alpha=0.55, interpolation="bilinear", extent=(0, side, side, 0))


def age_frames(run: Run, person: int = 0) -> tuple[list[str], list[str]]:
    """For a slider over the ages of one person: the face, the last mask, and what of the face it leaves."""
    frames, labels = [], []
    for place, age in enumerate(AGES):
        figure, axes = plt.subplots(1, 3, figsize=(7, 2.7))
        face = run.scores["pixels"][person, place]
        plots.bare(axes[0], "face").imshow(face)
        for axis, name, title in ((axes[1], "A_4", "where age shows, A4"), (axes[2], "Â_4", "what it leaves, Â4")):
            heated(plots.bare(axis, title), face, run.scores[name][person, place].astype(float))
        frames.append(plots.svg(figure))
        labels.append(f"{age} years")
    return frames, labels


LAID_OUT = Shape(down=("map", "metric"), across=("age",))
FIG1 = Experiment("aad_fig1", maps_jobs, mask_rows(("Â_4",)), fig1_figure, kind="gallery", shape=LAID_OUT)
FIG3 = Experiment("aad_fig3", maps_jobs, mask_rows(MASKS), fig3_figure, kind="gallery", shape=LAID_OUT)
FIG6 = Experiment(
    "aad_fig6",
    decades_jobs,
    fig6_rows,
    fig6_figure,
    kind="gallery",
    shape=Shape(down=("subject",), across=("picture",)),
)
