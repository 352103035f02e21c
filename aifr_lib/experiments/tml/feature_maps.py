"""TML Figs. 1, 3 and 4: people young and old, what each stage keeps of a face, how cells of the last map relate.

The convolutions take a picture of any size: they are those of the sweep, and ``side`` says how many cells they give.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.loader import to_input
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.models import FourStages
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.tml import FeatureMaps, TransformerTraining
from aifr_lib.training import recognition

RECIPE, RECIPE_VERSION = "feature_maps", 1
MAPS = "maps"
YOUNG, OLD = "young", "old"
TRAINED, UNTRAINED = "trained", "untrained"
SHOWN = 4  # people in the pictures


def maps_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run: the first people of the test split through the network that the sweep trains with the branch."""
    asked, sweep = preset.feature_maps, preset.alpha_sweep
    seed = seeds[0] if seeds else sweep.main_seeds[0]
    config = sweep.training(preset.verification.alpha, seed)
    needed = trained.job(preset, TransformerTraining(train=config), device)
    values = {"network": needed.spec.key, "people": asked.people, "side": asked.side}
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=seed, values=values, data=pictured(asked))
    return {
        MAPS: Job(spec, lambda folder, network: compute(config, asked, network), needs={"network": needed}, leaves=())
    }


def pictured(asked: FeatureMaps) -> DataId:
    """The faces, named."""
    digest = relief.digest("test", size=asked.side, identities=asked.people, per_identity=asked.pictures)
    return DataId(name="relief faces", version=relief.VERSION, hash=digest)


def young_and_old(images: Images) -> np.ndarray:
    """Of each person the rows of the youngest and of the oldest picture, int64 [people, 2]."""
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy(np.float64)
    rows = [np.flatnonzero(identity == one) for one in np.unique(identity)]
    return np.array([[own[age[own].argmin()], own[age[own].argmax()]] for own in rows])


def compute(config: Recognition, asked: FeatureMaps, folder: Path) -> Result:
    """The youngest and the oldest picture of each person, through a trained network and one as it starts.

    scores: ``pixels`` uint8 [people, 2, S, S, 3]; ``ages`` [people, 2]; ``stageN`` [people, 2, H, W], the channel means
    of the trained network's maps; ``cosines`` and ``cosines_untrained`` [people, 2, cells, cells], of its last map.
    """
    started = time.perf_counter()
    images = relief.load("test", size=asked.side, identities=asked.people, per_identity=asked.pictures)
    rows = young_and_old(images)
    pixels = np.array(images.pixels[rows.ravel()])
    network, _ = recognition.load(folder / "weights.safetensors")
    assert isinstance(network, FourStages)
    torch.manual_seed(config.seed)
    start = recognition.backbone(config).eval()
    faces, shape = to_input(torch.from_numpy(pixels)), rows.shape
    with torch.inference_mode():
        cells = list(network.features(faces[:1]).shape[2:])
        stages = {f"stage{number}": one.mean(1) for number, one in enumerate(network.stage_maps(faces), 1)}
        related = {
            name: cell_cosines(one.features(faces))
            for name, one in (("cosines", network), ("cosines_untrained", start))
        }
    found = {name: one.numpy().reshape(*shape, *one.shape[1:]) for name, one in (stages | related).items()}
    return Result(
        {
            "pixels": pixels.reshape(*shape, *pixels.shape[1:]),
            "ages": images.labels["age"].to_numpy(np.float64)[rows].astype(np.float32),
            **found,
        },
        {"cells": cells},
        "cpu",
        time.perf_counter() - started,
    )


def cell_cosines(maps: torch.Tensor) -> torch.Tensor:
    """Cosines of the vectors of O_f [B, C, H, W], row by row: [B, H·W, H·W].

    >>> cell_cosines(torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    tokens = F.normalize(maps.flatten(2), dim=1)
    return tokens.transpose(1, 2) @ tokens


def apart_by(cells: Sequence[int]) -> np.ndarray:
    """How far each two cells of a grid lie apart, in cells, the larger of both directions: int64 [H·W, H·W]."""
    y, x = (one.ravel() for one in np.mgrid[: cells[0], : cells[1]])
    return np.maximum(abs(y[:, None] - y), abs(x[:, None] - x))


def fig1_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """The ages of the pictures, by person."""
    ages = runs[MAPS].scores["ages"].astype(float) if runs else np.zeros((0, 2))
    for person, when in product(range(len(ages)), (YOUNG, OLD)):
        years = float(ages[person, (YOUNG, OLD).index(when)])
        yield Row(keys={"person": person + 1, "picture": when}, metric="age", measured=Measured(mean=years))


def fig3_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By stage, the correlation of two channel-mean maps over cells: of one person young and old, and of two people,
    both old. What is common to all faces, the mean map over people, is taken away first.
    """
    if not runs:
        return
    for stage in range(1, 5):
        maps = runs[MAPS].scores[f"stage{stage}"].astype(float)
        flat = (maps - maps.mean((0, 1))).reshape(len(maps), 2, -1)
        pairs = {"one person": zip(flat[:, 0], flat[:, 1], strict=True),
                 "two people": zip(flat[:, 0], np.roll(flat[:, 1], 1, 0), strict=True)}  # fmt: skip
        for who, compared in pairs.items():
            mean = float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in compared]))
            yield Row(keys={"stage": stage, "pair": who}, metric="corr", measured=Measured(mean=mean))


def fig4_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By network and distance on the grid, the mean cosine of two cells of one face's last map."""
    if not runs:
        return
    run = runs[MAPS]
    distance = apart_by(run.summary["cells"])
    for network, name in ((TRAINED, "cosines"), (UNTRAINED, "cosines_untrained")):
        cosines = run.scores[name].astype(float)
        for away in range(1, int(distance.max()) + 1):
            mean = float(cosines[..., distance == away].mean())
            yield Row(keys={"network": network, "apart": away}, metric="cell_cosine", measured=Measured(mean=mean))


def fig1_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """A column a person: young above, old below."""
    pixels, ages = (runs[MAPS].scores[name][:SHOWN] for name in ("pixels", "ages"))
    figure, axes = plt.subplots(2, len(pixels), figsize=(1.9 * len(pixels), 4.2), squeeze=False)
    for person, when in product(range(len(pixels)), range(2)):
        plots.bare(axes[when, person], f"{ages[person, when]:.0f} years").imshow(pixels[person, when])
    figure.tight_layout()
    return figure


def fig3_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """The first person young and old, and the channel means of the map after each stage."""
    scores = runs[MAPS].scores
    figure, axes = plt.subplots(2, 5, figsize=(9, 4.2))
    for when in range(2):
        plots.bare(axes[when, 0], f"{scores['ages'][0, when]:.0f} years").imshow(scores["pixels"][0, when])
        for stage in range(1, 5):
            one = scores[f"stage{stage}"][0, when].astype(float)
            plots.bare(axes[when, stage], f"stage {stage}: {one.shape[0]}×{one.shape[1]}").imshow(one, cmap="viridis")
    figure.tight_layout()
    return figure


def fig4_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """A face under the grid of its cells, and the cosines of all pairs of cells, untrained and trained."""
    run = runs[MAPS]
    face, (height, width) = run.scores["pixels"][0, 1], run.summary["cells"]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.6))
    plots.bare(axes[0], f"{height}×{width} cells").imshow(face)
    for number in range(1, height):
        axes[0].axhline(number * face.shape[0] / height - 0.5, color="white", linewidth=0.8)
    for number in range(1, width):
        axes[0].axvline(number * face.shape[1] / width - 0.5, color="white", linewidth=0.8)
    for axis, name, title in ((axes[1], "cosines_untrained", UNTRAINED), (axes[2], "cosines", TRAINED)):
        cosines = run.scores[name][0, 1].astype(float)
        shown = plots.bare(axis, f"{title}: cosines of cells").imshow(cosines, vmin=-1, vmax=1)
        figure.colorbar(shown, ax=axis, shrink=0.8)
    figure.tight_layout()
    return figure


def age_frames(run: Run) -> tuple[list[str], list[str]]:
    """For a slider over people: young and old beside the difference of what the last stage shows of them."""
    frames, labels = [], []
    pixels, ages, last = (run.scores[name] for name in ("pixels", "ages", "stage4"))
    for person in range(len(pixels)):
        figure, axes = plt.subplots(1, 3, figsize=(7, 2.8))
        for when, name in enumerate((YOUNG, OLD)):
            plots.bare(axes[when], name).imshow(pixels[person, when])
        change = np.abs(last[person, 1].astype(float) - last[person, 0].astype(float))
        plots.bare(axes[2], "change of the last stage").imshow(change, cmap="viridis")
        frames.append(plots.svg(figure))
        labels.append(f"person {person + 1}, {ages[person, 0]:.0f} and {ages[person, 1]:.0f} years")
    return frames, labels


def kept(artefact: Artefact) -> str:
    """What Fig. 3 says: whose maps are alike, at the first stage and at the last."""

    def one(stage: int, pair: str) -> Any:
        return measured(artefact.rows, "corr", {"stage": stage, "pair": pair})

    first, last, other = one(1, "one person"), one(4, "one person"), one(4, "two people")
    return say(
        {name: f"{value.mean:.2f}" for name, value in (("first", first), ("last", last), ("other", other)) if value},
        (first and last, "The map of a person young and that of the person old correlate by {first} after the first"),
        (first and last, "stage and by {last} after the last."),
        (last and other, "Those of two people correlate by {other} there."),
    )


def related(artefact: Artefact) -> str:
    """What Fig. 4 says: how alike neighbouring cells are, and cells far apart, trained and not."""
    by: dict[str, list[float]] = {}
    for row in artefact.rows:
        if row.measured:
            by.setdefault(str(row.keys["network"]), []).append(row.measured.mean)
    near, start = by.get(TRAINED, []), by.get(UNTRAINED, [])
    return say(
        {"near": digits(near[0]), "far": digits(near[-1])} if near else {},
        (near, "Two neighbouring cells of the last map have a cosine of {near}, two that lie furthest apart {far}."),
        (near and start and near[0] < start[0], "Training has made neighbours less alike than they started."),
        (near and start and near[0] > start[0], "Training has made neighbours more alike than they started."),
    )


FIG1 = Experiment("tml_fig1", maps_jobs, fig1_rows, fig1_figure, kind="gallery")
FIG3 = Experiment(
    "tml_fig3", maps_jobs, fig3_rows, fig3_figure, kind="gallery", found=kept,
    shape=Shape(down=("stage",), across=("pair",)),
)  # fmt: skip
FIG4 = Experiment(
    "tml_fig4", maps_jobs, fig4_rows, fig4_figure, kind="gallery", found=related,
    shape=Shape(down=("apart",), across=("network",)),
)  # fmt: skip
