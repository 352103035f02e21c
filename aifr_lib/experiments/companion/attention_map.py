"""The same faces through every network here that has a map of attention, beside what truly changes with age (ours).

AAD's age estimator and student, TML's encoder and MTLFace's split each say where they look. The faces are drawn, so
where a year shows is known. Each map keeps its own cells: the truth is averaged over them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from aifr_lib.data import relief
from aifr_lib.data.loader import to_input
from aifr_lib.experiments.aad.students import student_job
from aifr_lib.experiments.aad.teachers import age_teacher_job
from aifr_lib.experiments.aad.truth import spearman, to_grid, within
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.protocol_rows import mean_over_people
from aifr_lib.experiments.mtlface import readings
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.attention import branch_of, learned, received
from aifr_lib.faces.relief import regions, render, sensitivity
from aifr_lib.losses.distillation import age_invariant_mask
from aifr_lib.models.attention import Attended, attended
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import listed, say
from aifr_lib.reporting.rows import Key, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import age_estimation, distillation, mtlface
from aifr_lib.training.engine import CHECKPOINT

RECIPE, RECIPE_VERSION = "attention_map", 1
AGES = (10, 20, 30, 40, 50, 60, 70, 80)
TRUTH = "truth"
CELL = 4  # pixels a side of the truth's cells, as it is shown
# What a bright cell is said to be.
SOURCES: dict[str, str] = {
    TRUTH: "what a year changes, as drawn",
    "age_estimator": "AAD: where its age estimator looks (A₄)",
    "left": "AAD: what it leaves to a student (Â₄)",
    "student": "AAD: where the student looks (A₃)",
    "encoder": "TML: attention that a cell receives",
    "split": "MTLFace: share that goes to the age",
}
# The same maps in a sentence.
SAID: dict[str, str] = {
    "age_estimator": "where AAD's age estimator looks",
    "left": "what AAD leaves to a student",
    "student": "where the student looks",
    "encoder": "the attention in TML's encoder",
    "split": "what MTLFace gives to the age",
}
Maps = Callable[[Path, np.ndarray], np.ndarray]  # of a network's folder and pictures [N, S, S, 3]: [N, h, w]


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """A run for each map, of the first network that its paper's runs train; the truth needs none."""
    aad, sweep = preset.aad, preset.alpha_sweep
    estimator = age_teacher_job(aad.looked_at, device)
    first = aad.ledger[0]
    student = student_job(aad.student(first, "aad", first.seeds[0]), aad.protocols, device)
    branch = TransformerTraining(train=sweep.training(preset.verification.alpha, sweep.main_seeds[0]))
    encoder = replace(trained.job(preset, branch, device), leaves=(CHECKPOINT,))
    split = next(job for (name, _), job in readings.jobs(preset, None, device).items() if name == readings.MAIN)

    def made(source: str, size: int, needed: Job | None = None, maps: Maps | None = None) -> Job:
        values = {"source": source, "ages": list(AGES), "shown": aad.attention.shown, "size": size,
                  "network": needed and needed.spec.key}  # fmt: skip
        data = DataId(name="relief faces", version=relief.VERSION, hash="test people")
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data)

        def compute(folder: Path, network: Path | None = None) -> Result:
            if maps is None or network is None:
                return changed(aad.attention.shown, size)
            return looked(aad.attention.shown, size, partial(maps, network))

        return Job(spec, compute, needs={} if needed is None else {"network": needed}, leaves=())

    large, mtl = aad.looked_at.train.input_hw[0], preset.mtlface.train.recognition.train
    return {
        TRUTH: made(TRUTH, large),
        "age_estimator": made("age_estimator", large, estimator, lambda folder, x: estimated(folder, x)[0]),
        "left": made("left", large, estimator, lambda folder, x: estimated(folder, x)[1]),
        "student": made("student", aad.train.input_hw[0], student, of_student),
        "encoder": made("encoder", branch.train.input_hw[0], encoder, partial(of_encoder, branch)),
        "split": made("split", mtl.input_hw[0], split, of_split),
    }


def changed(people: int, size: int) -> Result:
    """The first test people at all ages, in pictures that are else alike, and what a year changes there.

    scores: ``pixels`` uint8 [people, ages, S, S, 3]; ``map`` float [people, ages, S / 4, S / 4].
    """
    started = time.perf_counter()
    faces, shape = relief.aged(people, AGES), (people, len(AGES))
    pixels = render(faces, size, frame="aligned").numpy()
    drawn = to_grid(sensitivity(faces, "age", size, frame="aligned"), size // CELL).numpy()
    scores = {"map": drawn.reshape(*shape, *drawn.shape[1:]), "pixels": pixels.reshape(*shape, *pixels.shape[1:])}
    return Result(scores, {}, "cpu", time.perf_counter() - started)


def looked(people: int, size: int, maps: Callable[[np.ndarray], np.ndarray]) -> Result:
    """What a network looks at in the pictures of ``changed``.

    scores: ``map`` float [people, ages, h, w]; ``rank_corr`` [people, ages], with the truth over cells inside the face.
    """
    started = time.perf_counter()
    faces, shape = relief.aged(people, AGES), (people, len(AGES))
    found = maps(render(faces, size, frame="aligned").numpy())
    change = sensitivity(faces, "age", size, frame="aligned")
    truth = within(change, regions(faces, size, frame="aligned")["face"], found.shape[-1])
    pairs = zip(found, truth, ~np.isnan(truth), strict=True)
    matched = np.array([spearman(ours[at], theirs[at]) for ours, theirs, at in pairs])
    scores = {"map": found.reshape(*shape, *found.shape[1:]), "rank_corr": matched.reshape(shape)}
    return Result(scores, {}, "cpu", time.perf_counter() - started)


def estimated(folder: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A_4 of the age estimator, and Â_4, what of the face it leaves (AAD eqs. 3 and 4)."""
    network, _ = age_estimation.load(folder / distillation.WEIGHTS)
    with torch.inference_mode():
        first, *_, last = network.masks(_input(pixels))
        return last[:, 0].numpy(), age_invariant_mask(first, last)[:, 0].numpy()


def of_student(folder: Path, pixels: np.ndarray) -> np.ndarray:
    """A_3 of a student that multiplies its maps by its own masks."""
    network, config = distillation.load(folder / distillation.WEIGHTS)
    assert isinstance(network, Attended)
    norm = config.attention_norm
    with torch.inference_mode():
        _, (_, third, _) = attended(network.network, _input(pixels), "own", norm)
    return third[:, 0].numpy()


def of_encoder(
    config: TransformerTraining,
    folder: Path,
    pixels: np.ndarray,
) -> np.ndarray:
    """The attention that each cell of the last map receives: the mean over layers,
    heads and who gives it.
    """
    module = learned(config, folder)
    with torch.inference_mode():
        maps = module.backbone.features(_input(pixels))
        cells = received(branch_of(module), maps).mean(1)
    return cells.reshape(len(pixels), *maps.shape[2:])


def of_split(folder: Path, pixels: np.ndarray) -> np.ndarray:
    """σ, the share of each cell that goes to X_age, the mean over channels."""
    network, _ = mtlface.load(folder / mtlface.WEIGHTS)
    share = readings.share_of_age(network.recogniser, _input(pixels))
    assert share is not None, "the main variant splits its map"
    return share.numpy()


def _input(pixels: np.ndarray) -> Tensor:
    return to_input(torch.from_numpy(pixels))


def rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By map, its rank correlation with what a year changes, over cells inside the face; an interval over people."""
    for source in SOURCES:
        if source != TRUTH:
            found = None
            if source in runs:
                matched = runs[source].scores["rank_corr"].astype(np.float64)
                people = np.arange(len(matched)).repeat(matched.shape[1])
                found = mean_over_people(matched.ravel(), people)
            yield Row(keys={"source": source}, metric="rank_corr", measured=found)


def age_frames(runs: Mapping[str, Run]) -> tuple[list[str], list[str]]:
    """A frame an age and its label: the faces, and beside them a column for each map that is there."""
    return [plots.svg(at_age(runs, place)) for place in range(len(AGES))], [f"{age} years" for age in AGES]


def at_age(runs: Mapping[str, Run], place: int) -> Figure:
    """The faces at one age, and beside them a column for each map that is there, on one scale for all ages."""
    drawn = {words: runs[source].scores["map"] for source, words in SOURCES.items() if source in runs}
    if TRUTH in runs:
        drawn = {"the face": runs[TRUTH].scores["pixels"], **drawn}
    people = len(next(iter(drawn.values())))
    figure, axes = plt.subplots(people, len(drawn), figsize=(1.35 * len(drawn), 1.4 * people + 0.7), squeeze=False)
    for (words, maps), column in zip(drawn.items(), axes.T, strict=True):
        scale = {}
        if maps.ndim == 4:
            low, high = np.quantile(maps.astype(np.float32), (0.05, 0.95))
            scale = {"cmap": "cividis", "vmin": low, "vmax": high}
        for person, axis in enumerate(column):
            one = maps[person, place]
            plots.bare(axis, "" if person else fill(words, 16)).imshow(
                one.astype(np.float32) if scale else one, **scale
            )
    figure.tight_layout()
    return figure


def figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """The middle age; the page moves through all."""
    return at_age(runs, len(AGES) // 2)


def found(artefact: Artefact) -> str:
    """How each map goes with the truth, and of which the people shown cannot say whether it does."""
    numbers = {source: measured(artefact.rows, "rank_corr", {"source": source}) for source in SAID}
    there = {SAID[source]: one for source, one in numbers.items() if one}
    open_ = [words for words, one in there.items() if one.ci95 and one.ci95[0] <= 0 <= one.ci95[1]]
    return say(
        {"told": listed([f"{one.mean:+.2f} for {words}" for words, one in there.items()]), "open": listed(open_)},
        (there, "Rank correlation over the cells of a face with what a year changes there, 1 at best: {told}."),
        (open_, "Whether it is above 0 or below, these few people cannot tell for {open}."),
        (there, "One network each: nothing here is more than a look."),
    )


ATTENTION_MAP = Experiment(
    "attention_map", jobs, rows, figure, found=found,
    shape=Shape(down=("source",), across=("metric",), names=dict[Key, str](SOURCES.items())),
)  # fmt: skip
