"""Does the attention of the branch rest on what is stable with age (section V-A)?

Of every cell of the last map two things are known: how much attention it receives from all cells, and, since the faces
are drawn, how much what it shows changes with age. If attention rests on age-stable regions, the two run against each
other, more than those of an encoder that has learned nothing, and more than a mere liking for the centre of a face.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from torch.nn import functional as F

from aifr_lib.data import relief
from aifr_lib.data.loader import crop_columns, to_input
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.faces.relief import sensitivity
from aifr_lib.models import TransformerBranch
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import say
from aifr_lib.reporting.rows import METRICS, Key, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import transformer_metric
from aifr_lib.training.engine import CHECKPOINT
from aifr_lib.training.objectives.transformer_metric import TransformerMetric

RECIPE, RECIPE_VERSION = "attention", 1
TRAINED, UNTRAINED, CENTRE = "trained", "untrained", "centre"
READERS: dict[Key, str] = {TRAINED: "trained encoder", UNTRAINED: "untrained encoder", CENTRE: "centre of the face"}


def attention_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """By seed, the networks that the sweep trains with the branch."""
    sweep = preset.alpha_sweep

    def job(seed: int) -> Job:
        config = TransformerTraining(train=sweep.training(preset.verification.alpha, seed))
        network = replace(trained.job(preset, config, device), leaves=(CHECKPOINT,))
        people = preset.feature_maps.faces
        values = {"network": network.spec.key, "faces": people}
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=seed, values=values, data=network.spec.data)
        return Job(spec, lambda _, network: compute(config, people, network), needs={"network": network}, leaves=())

    return {seed: job(seed) for seed in (sweep.main_seeds if seeds is None else seeds)}


def compute(config: TransformerTraining, people: int, folder: Path) -> Result:
    """A trained encoder and one as it starts, both over the trained network's last map, on a face of each person.

    scores: ``changes`` [people, cells], how much a cell changes with age; ``received`` and ``received_untrained``
    [people, layers, cells], the attention it gets. summary: ``cells``, and by reader ``corr``, the mean over faces of
    Spearman's correlation over cells; of the trained one also by layer (``layers``).
    """
    started = time.perf_counter()
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["objective"]
    torch.manual_seed(config.train.seed)
    module = transformer_metric.objective(config, len(state["head.weight"])).eval()
    start = module.branch
    after = learned(config, folder)
    assert isinstance(start, TransformerBranch)
    pixels, changing = seen(config, people)
    with torch.inference_mode():
        maps = after.backbone.features(to_input(torch.from_numpy(pixels)))
        got = {TRAINED: received(branch_of(after), maps), UNTRAINED: received(start, maps)}
    height, width = maps.shape[2:]
    changes = F.adaptive_avg_pool2d(changing[:, None], (height, width)).flatten(1).numpy()
    readers = {name: one.mean(1) for name, one in got.items()}
    readers[CENTRE] = np.broadcast_to(-away(height, width), changes.shape)
    return Result(
        {"changes": changes, "received": got[TRAINED], "received_untrained": got[UNTRAINED]},
        {
            "cells": [height, width],
            "corr": {name: against(one, changes) for name, one in readers.items()},
            "layers": [against(one, changes) for one in got[TRAINED].swapaxes(0, 1)],
        },
        "cpu",
        time.perf_counter() - started,
    )


def learned(config: TransformerTraining, folder: Path) -> TransformerMetric:
    """The network, its branch and its head of a finished training, in eval mode."""
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["objective"]
    module = transformer_metric.objective(config, len(state["head.weight"])).eval()
    module.load_state_dict(state)
    return module


def branch_of(module: TransformerMetric) -> TransformerBranch:
    """The branch that a training had."""
    assert isinstance(module.branch, TransformerBranch)
    return module.branch


def seen(config: TransformerTraining, people: int) -> tuple[np.ndarray, torch.Tensor]:
    """A face of each of the first test people, their ages in turn: pixels uint8 [people, H, W, 3], and how much each
    pixel changes with age, [people, H, W].
    """
    faces, hw = config.train.relief, config.train.input_hw
    each = faces.test_per_identity
    rows = torch.arange(people) * each + torch.arange(people) % each
    images = relief.load("test", size=faces.size, identities=people, per_identity=each)
    drawn = relief.split_faces("test", people, each)[rows]
    changing = sensitivity(drawn, "age", faces.size, frame="aligned")
    left = (faces.size - hw[1]) // 2
    return crop_columns(np.array(images.pixels[rows.numpy()]), hw), changing[:, :, left : left + hw[1]]


def received(branch: TransformerBranch, maps: torch.Tensor) -> np.ndarray:
    """The attention that each token gets, the mean over who gives it: [B, layers,
    tokens], 1 over tokens.
    """
    layers = [weights.mean(1) for weights in branch.attention(maps)]
    return torch.stack(layers, 1).numpy()


def against(values: np.ndarray, changes: np.ndarray) -> float:
    """The mean over faces of Spearman's correlation over cells [faces, cells]; 0 of a face whose cells are alike."""
    varies = [np.ptp(one) > 0 < np.ptp(other) for one, other in zip(values, changes, strict=True)]
    pairs = zip(values, changes, varies, strict=True)
    return float(np.mean([spearmanr(one, other).statistic if differ else 0.0 for one, other, differ in pairs]))


def away(height: int, width: int) -> np.ndarray:
    """How far each cell of a grid lies from its centre, in cells, row by row."""
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - (height - 1) / 2, x - (width - 1) / 2).ravel()


def attention_rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
    """By reader, how its attention goes with what changes with age; of the trained encoder also by layer."""
    for reader in READERS:
        by_seed = {seed: run.summary["corr"][reader] for seed, run in runs.items()}
        yield Row(keys={"reader": reader}, metric="age_corr", measured=student_t(by_seed) if by_seed else None)
    layers = len(next(iter(runs.values())).summary["layers"]) if runs else 0
    for layer in range(layers):
        by_seed = {seed: run.summary["layers"][layer] for seed, run in runs.items()}
        yield Row(keys={"layer": layer + 1}, metric="age_corr_by_layer", measured=student_t(by_seed))


def attention_figure(artefact: Artefact, runs: Mapping[int, Run]) -> Figure:
    """Where faces change with age, where attention goes untrained and trained, and how the two go together."""
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.6), width_ratios=(1, 1, 1, 1.3), layout="constrained")
    shown = (
        ("changes", "changes with age"),
        ("received_untrained", "attention, untrained"),
        ("received", "attention, trained"),
    )
    for axis, (name, title) in zip(axes[:3], shown, strict=True):
        maps = [run.scores[name].astype(float) for run in runs.values()]
        means = np.mean([one.reshape(-1, one.shape[-1]).mean(0) for one in maps], 0)
        cells = next(iter(runs.values())).summary["cells"]
        plots.bare(axis, title).imshow(means.reshape(cells), cmap="viridis")
    rows = [row for row in artefact.rows if row.metric == "age_corr" and row.measured]
    for place, row in enumerate(rows):
        assert row.measured is not None
        if row.measured.ci95:
            axes[3].hlines(place, *row.measured.ci95, color=plots.PALETTE[place], linewidth=2, alpha=0.6)
        axes[3].plot(row.measured.mean, place, plots.MARKERS[place], color=plots.PALETTE[place])
    axes[3].axvline(0, color="0.6", linewidth=0.8)
    axes[3].set_yticks(range(len(rows)), [READERS[str(row.keys["reader"])] for row in rows])
    axes[3].set(xlabel=METRICS["age_corr"].replace(" with", "\nwith", 1), ylim=(len(rows) - 0.5, -0.5))
    return figure


def found(artefact: Artefact) -> str:
    """Whether attention avoids what changes with age, and whether an untrained encoder, or the centre, does too."""
    learned, start, centre = (measured(artefact.rows, "age_corr", {"reader": reader}) for reader in READERS)
    below, prior = apart(learned, start), apart(learned, centre)
    numbers = {"learned": learned, "start": start, "centre": centre}
    these = "these seeds" if learned and len(learned.per_seed) > 1 else "one seed"
    return say(
        {name: f"{one.mean:+.2f}" for name, one in numbers.items() if one},
        (learned, "The attention that a cell receives and how much it changes with age correlate by {learned}:"),
        (learned and learned.mean < 0, "attention lies more where faces change less."),
        (learned and learned.mean >= 0, "attention does not keep to what stays."),
        (start, "An encoder that has learned nothing stands at {start},"),
        (start and not below, "which " + these + " cannot tell from the trained one;"),
        (start and below < 0, "so training turned attention to what stays;"),
        (start and below > 0, "so training turned attention to what changes;"),
        (centre, "a mere liking for the centre of the face would give {centre}."),
        (learned and centre and prior < 0, "Attention keeps to what stays more than the centre does."),
    )


ATTENTION = Experiment(
    "tml_attention",
    attention_jobs,
    attention_rows,
    attention_figure,
    found=found,
    shape=Shape(down=("reader",), across=("metric",), only={"metric": "age_corr"}, names=READERS),
)
