"""What each stage keeps of a face and where each layer of the branch attends, while the face ages (Figs. 3 and 4).

The faces are drawn, so nothing but their age changes from picture to picture. They are of the size that the network was
trained at, since a branch reads as many cells as it was built for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.nn import functional as F

from aifr_lib.data import relief
from aifr_lib.data.images import crop_columns
from aifr_lib.data.loader import to_input
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.protocol_rows import mean_over_people
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.attention import branch_of, learned, received
from aifr_lib.faces.relief import render, sensitivity
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training.engine import CHECKPOINT

RECIPE, RECIPE_VERSION = "attention_layers", 1
LIFE = "life"
AGES = (10, 20, 30, 40, 50, 60, 70, 80)
YOUNG, OLD = 0, len(AGES) - 1
ONE, TWO = "one person, young and old", "two people of one age"
MOVED = "attention_moved"
LAYER = "layer"
STILL = 0.1  # %: scores are kept in half precision, which moves a hundredth


def layer_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run: the first people of the test split through the network that the sweep trains with the branch."""
    sweep, people = preset.alpha_sweep, preset.feature_maps.people
    seed = seeds[0] if seeds else sweep.main_seeds[0]
    config = TransformerTraining(train=sweep.training(preset.verification.alpha, seed))
    network = replace(trained.job(preset, config, device), leaves=(CHECKPOINT,))
    values = {"network": network.spec.key, "people": people, "ages": list(AGES)}
    data = DataId(name="relief faces", version=relief.VERSION, hash="test people")
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=seed, values=values, data=data)
    return {
        LIFE: Job(spec, lambda folder, network: compute(config, people, network), needs={"network": network}, leaves=())
    }


def compute(config: TransformerTraining, people: int, folder: Path) -> Result:
    """Each of the first test people at all ages, through a trained network and its branch.

    scores: ``received`` [people, ages, layers, cells], the attention that a cell gets; of the first person ``pixels``
    uint8 [ages, H, W, 3], ``changes`` [ages, cells], what a year changes there, and ``stageN`` [ages, h, w], the
    channel means of a stage's map. summary: ``cells``, the height and width of the last map.
    """
    started = time.perf_counter()
    size, hw = config.train.relief.size, config.train.input_hw
    faces = relief.aged(people, AGES)
    pixels = crop_columns(render(faces, size, frame="aligned").numpy(), hw)
    changing = crop_columns(sensitivity(faces[: len(AGES)], "age", size, frame="aligned").numpy(), hw)
    module = learned(config, folder)
    with torch.inference_mode():
        x = to_input(torch.from_numpy(np.ascontiguousarray(pixels)))
        maps = module.backbone.features(x)
        got = received(branch_of(module), maps)
        stages = module.backbone.stage_maps(x[: len(AGES)])
    height, width = maps.shape[2:]
    changes = F.adaptive_avg_pool2d(torch.from_numpy(changing)[:, None], (height, width)).flatten(1)
    return Result(
        {
            "received": got.reshape(people, len(AGES), *got.shape[1:]),
            "pixels": pixels[: len(AGES)],
            "changes": changes.numpy(),
            **{f"stage{number}": one.mean(1).numpy() for number, one in enumerate(stages, 1)},
        },
        {"cells": [height, width]},
        "cpu",
        time.perf_counter() - started,
    )


def moved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much of the attention [..., cells] lies on other cells, in %: half the sum of the differences, [...].

    >>> moved(np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.25, 0.25])).item()
    25.0
    """
    return 50 * np.abs(one - other).sum(-1)


def layer_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By layer, the attention that moves as a person ages from the first age to the last, and what differs between two
    people, the mean over ages at which both are the same; intervals over people.
    """
    if not runs:
        return
    attention = runs[LIFE].scores["received"].astype(np.float64)
    person = np.arange(len(attention))
    following = np.roll(person, -1)
    for layer in range(attention.shape[2]):
        own = attention[:, :, layer]
        ageing, apart = moved(own[:, YOUNG], own[:, OLD]), moved(own, own[following]).mean(1)
        keys = {"layer": layer + 1}
        yield Row(keys={**keys, "pair": ONE}, metric=MOVED, measured=mean_over_people(ageing, person))
        yield Row(keys={**keys, "pair": TWO}, metric=MOVED, measured=mean_over_people(apart, person, following))


def layer_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """The first person young above and old below: the face, what a year changes, and the attention of each layer."""
    run = runs[LIFE]
    shown = layer_maps(run)
    figure, axes = plt.subplots(2, 1 + len(shown), figsize=(1.75 * (1 + len(shown)), 4), squeeze=False)
    for row, at in zip(axes, (YOUNG, OLD), strict=True):
        plots.bare(row[0], f"{AGES[at]} years").imshow(run.scores["pixels"][at])
        for axis, (title, maps) in zip(row[1:], shown.items(), strict=True):
            mapped(plots.bare(axis, title if at == YOUNG else ""), title, maps, at)
    figure.tight_layout()
    return figure


def age_frames(run: Run) -> tuple[list[str], list[str]]:
    """For a slider over the ages of the first person: above the face and its stages, below what a year changes and the
    attention of each layer, every map on one scale for all ages.
    """
    stages = {f"stage {n}": run.scores[f"stage{n}"].astype(float) for n in range(1, 5)}
    layers = layer_maps(run)
    across = max(1 + len(stages), len(layers))
    frames = []
    for at in range(len(AGES)):
        figure, axes = plt.subplots(2, across, figsize=(1.75 * across, 4), squeeze=False)
        for axis in axes.ravel():
            axis.set_axis_off()
        plots.bare(axes[0, 0], "the face").imshow(run.scores["pixels"][at])
        for row, found in ((axes[0, 1:], stages), (axes[1], layers)):
            for axis, (title, maps) in zip(row, found.items(), strict=False):
                mapped(plots.bare(axis, title), title, maps, at)
        frames.append(plots.svg(figure))
    return frames, [f"{age} years" for age in AGES]


def layer_maps(run: Run) -> dict[str, np.ndarray]:
    """Of the first person what a year changes, and the attention of each layer, [ages, h, w] by what they show."""
    cells, attention = run.summary["cells"], run.scores["received"][0].astype(float)
    maps = {"changes with age": run.scores["changes"].astype(float)}
    maps |= {f"{LAYER} {number + 1}": attention[:, number] for number in range(attention.shape[1])}
    return {title: one.reshape(len(AGES), *cells) for title, one in maps.items()}


def mapped(axis: Axes, title: str, maps: np.ndarray, at: int) -> None:
    """One of the maps [ages, h, w], on the scale of all. That of attention begins at none and holds twice what a cell
    gets where all get the same, so that an even map is drawn even.
    """
    low, high = maps.min(), maps.max()
    if title.startswith(LAYER):
        low, high = 0.0, max(high, 2 / maps[0].size)
    axis.imshow(maps[at], cmap="cividis", vmin=low, vmax=high)


def found(artefact: Artefact) -> str:
    """By layer how much attention moves with a person's age, and how much from person to person."""
    sentences = []
    for layer in dict.fromkeys(int(row.keys["layer"]) for row in artefact.rows if row.measured):
        one, two = (measured(artefact.rows, MOVED, {"layer": layer, "pair": pair}) for pair in (ONE, TWO))
        if one and two:
            sentences.append(_said(layer, one, two))
    return " ".join([*sentences, "This is one network; another may attend elsewhere."])


def _said(layer: int, one: Measured, two: Measured) -> str:
    still = max(one.mean, two.mean) < STILL
    ageing, person = one.ci95, two.ci95
    return say(
        {"layer": layer, "one": digits(one.mean), "two": digits(two.mean), "from": AGES[YOUNG], "to": AGES[OLD]},
        (still, "Layer {layer} gives each cell the same attention whoever is seen, at any age."),
        (not still, "From {from} to {to} years, {one} % of the attention of layer {layer} moves to other cells of a "
                    "face; between two people of one age {two} % of it lies elsewhere."),
        (not still and ageing and person and ageing[0] > person[1], "It depends on the age more than on the person."),
        (not still and ageing and person and ageing[1] < person[0], "It depends on the person more than on the age."),
    )  # fmt: skip


LAYERS = Experiment(
    "tml_layers", layer_jobs, layer_rows, layer_figure, kind="gallery", found=found,
    shape=Shape(down=("layer",), across=("pair",)),
)  # fmt: skip
