"""Linear readers of coarse colour: how far what is no face verifies relief faces once it has been trained to.

The shortcuts (``shortcuts``) ask what untrained distances give away; a network is trained, so these are too: each
learns the directions in which coarse colours of the training people differ more between people than within one. A
control draws the same faces with one colouring of skin, eyes and hair for all: what is found there is form.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.relief.cache import rendered
from aifr_lib.data.relief.plan import Plan
from aifr_lib.evaluation.checks import normalise
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.verification import ten_fold
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.relief.shortcuts import CHANCE, Feature, blocks, border
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, in_words
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.relief import Relief

ID = "relief_readers"
RECIPE, RECIPE_VERSION = "readers", 1
LIMIT = 55.0  # % that a reader of colour or surroundings may reach
AS_DRAWN, ONE_COLOURING = "as drawn", "one colouring for all"
COLOURING = ("skin_tone", "skin_red", "eye_colour", "hair_colour", "hair_red", "freckles", "moles")
LEAST_SPREAD = 1e-6  # of a feature, under which it says nothing
SHRINKAGE = 1e-3  # of the covariance within people, of which few pictures would leave none


def mean_colour(pixels: np.ndarray) -> np.ndarray:
    """The mean colour of uint8 [B, H, W, 3]: float64 [B, 3]."""
    return pixels.mean((1, 2), dtype=np.float64)


def top_quarter(pixels: np.ndarray) -> np.ndarray:
    """The upper quarter in 2 × 8 blocks: float64 [B, 48]. Errors: ValueError for sides that are no multiples of 8."""
    return blocks(pixels[:, : pixels.shape[1] // 4], 2, 8)


READERS: dict[str, Feature] = {
    "mean colour": mean_colour,
    "outer ring": border,
    "top quarter": top_quarter,
    "8×8 colour": lambda pixels: blocks(pixels, 8, 8),
    "12×12 colour": lambda pixels: blocks(pixels, 12, 12),
}
SURROUNDINGS = ("mean colour", "outer ring", "top quarter")


def reader_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Accuracy (P1) of each reader on each list of test pairs, as drawn and with one colouring for all."""
    for drawn in (AS_DRAWN, ONE_COLOURING):
        for name in lists(preset.relief_card.calibration.train.relief):
            for reader in READERS:
                measured = None
                if run := runs.get(drawn):
                    accuracy, interval = (run.summary[part][name][reader] for part in ("accuracy", "interval"))
                    measured = Measured(mean=accuracy, ci95=tuple(interval), interval="identities")
                keys = {"faces": drawn, "set": name, "reader": reader}
                yield Row(keys=keys, metric="accuracy", measured=measured)


def reader_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """One run for the faces as drawn, one for those of one colouring; nothing in them is random."""
    settings = preset.relief_card.calibration.train.relief

    def job(drawn: str) -> Job:
        return Job(spec(settings, drawn), lambda _: compute_run(settings, drawn))

    return {drawn: job(drawn) for drawn in (AS_DRAWN, ONE_COLOURING)}


def lists(settings: Relief) -> list[str]:
    """The lists of pairs over everyday pictures that the trainings are scored on."""
    return [name for name in settings.pair_lists if relief.PAIR_LISTS[name].view == "everyday"]


def spec(settings: Relief, drawn: str) -> RunSpec:
    """What names a run: the pictures read and scored, the readers."""
    values = {"faces": drawn, "relief": settings.model_dump(mode="json"), "readers": sorted(READERS)}
    plan = plan_of(settings, "test", drawn)
    data = DataId(name="relief faces", version=relief.VERSION, hash=plan.digest(settings.size))
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data)


def plan_of(settings: Relief, split: str, drawn: str) -> Plan:
    """The training or test faces of these settings, as drawn or with the mean person's colouring."""
    part = "train" if split == "train" else "test"
    counts = (getattr(settings, f"{part}_identities"), getattr(settings, f"{part}_per_identity"))
    plan = relief.split_plan(split, *counts, span=settings.span)
    if drawn == AS_DRAWN:
        return plan
    mean = dict.fromkeys(COLOURING, torch.zeros(len(plan)))
    return replace(plan, name=f"{plan.name}, {ONE_COLOURING}", fixed={**plan.fixed, **mean})


def compute_run(settings: Relief, drawn: str) -> Result:
    """Train each reader on the training people, verify the test lists.

    scores: by list and reader, which pairs were decided rightly (bool [P]).
    """
    started = time.perf_counter()
    learnt, seen = (rendered(plan_of(settings, split, drawn), settings.size) for split in ("train", "test"))
    scores: dict[str, np.ndarray] = {}
    summary: dict[str, dict[str, dict[str, object]]] = {"accuracy": {}, "interval": {}}
    embedded = {name: read(feature, learnt, seen) for name, feature in READERS.items()}
    identity = seen.labels["identity"].to_numpy()
    for name in lists(settings):
        pairs = relief.pairs(seen, name, count=settings.pairs)
        accuracy: dict[str, object] = {}
        interval: dict[str, object] = {}
        for reader, unit in embedded.items():
            cosines = np.einsum("pd,pd->p", unit[pairs.a], unit[pairs.b])
            result = ten_fold(cosines, pairs.same, pairs.fold, convention="cosine")
            scores[f"{name} {reader}"] = result.correct
            accuracy[reader] = result.accuracy
            low, high = mean_interval(result.correct, identity[pairs.a], identity[pairs.b])
            interval[reader] = (100 * low, 100 * high)
        summary["accuracy"][name], summary["interval"][name] = accuracy, interval
    return Result(scores, summary, device="cpu", wall_s=time.perf_counter() - started)


def read(feature: Feature, learnt: Images, seen: Images) -> np.ndarray:
    """Unit rows [N, d] of the pictures seen: linear discriminants of the feature, learnt from other people."""
    before, now = feature(learnt.pixels), feature(seen.pixels)
    mean, spread = before.mean(0), before.std(0)
    told = spread > LEAST_SPREAD
    before, now = ((one - mean)[:, told] / spread[told] for one in (before, now))
    reader = LinearDiscriminantAnalysis(solver="eigen", shrinkage=SHRINKAGE)
    return normalise(reader.fit(before, learnt.labels["identity"]).transform(now))


def reader_figure(artefact: Artefact) -> Figure:
    """Accuracy of each reader, a panel a list: as drawn, and with one colouring for all; chance and the limit."""
    names = list(dict.fromkeys(str(row.keys["set"]) for row in artefact.rows))
    figure, axes = plt.subplots(1, len(names), figsize=(8.5, 3.2), sharey=True, squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        for number, drawn in enumerate((AS_DRAWN, ONE_COLOURING)):
            found = [row for row in artefact.rows if (row.keys["set"], row.keys["faces"]) == (name, drawn)]
            for place, row in enumerate(found):
                if row.measured and row.measured.ci95:
                    height = place + 0.2 * (number - 0.5)
                    colour, marker = plots.PALETTE[number], plots.MARKERS[number]
                    axis.hlines(height, *row.measured.ci95, color=colour, alpha=0.6)
                    axis.plot(row.measured.mean, height, marker, color=colour, label=drawn if place == 0 else None)
        axis.axvline(CHANCE, color="0.6", linestyle=":")
        axis.axvline(LIMIT, color="0.3", linestyle="--")
        axis.set(title=in_words(name), xlabel=METRICS["accuracy"])
        axis.set_yticks(range(len(READERS)), list(READERS))
    axes[0][0].invert_yaxis()
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def found(artefact: Artefact) -> str:
    """What colour and surroundings give away to a trained reader, and how much of the rest is form."""
    best: dict[tuple[str, bool], float] = {}
    for row in artefact.rows:
        if row.measured:
            key = str(row.keys["faces"]), row.keys["reader"] in SURROUNDINGS
            best[key] = max(best.get(key, 0.0), row.measured.mean)
    around, coarse, form = (best.get(key) for key in ((AS_DRAWN, True), (AS_DRAWN, False), (ONE_COLOURING, False)))
    mostly_form = coarse and form and 2 * (form - CHANCE) > coarse - CHANCE
    return say(
        {
            "around": around and digits(around),
            "coarse": coarse and digits(coarse),
            "form": form and digits(form),
            "limit": LIMIT,
            "chance": CHANCE,
        },
        (
            around,
            "Trained on colour and surroundings alone, a linear reader is right on {around} % of pairs at best",
        ),
        (around, "(chance is {chance:.0f} %),"),
        (around and around <= LIMIT, "inside the limit of {limit:.0f} %."),
        (around and around > LIMIT, "above the limit of {limit:.0f} %."),
        (coarse and not form, "From coarse pixels of the whole crop it reaches {coarse} %."),
        (
            coarse and form,
            "From coarse pixels of the whole crop it reaches {coarse} %, and {form} % where all people have",
        ),
        (coarse and form and mostly_form, "one colouring: most of what it reads there is form."),
        (coarse and form and not mostly_form, "one colouring: most of what it reads there is colour."),
    )


READER_TABLE = Experiment(
    ID,
    reader_jobs,
    reader_rows,
    lambda artefact, _: reader_figure(artefact),
    found=found,
    shape=Shape(down=("reader",), across=("set", "faces")),
)
