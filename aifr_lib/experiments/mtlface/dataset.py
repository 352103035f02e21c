"""Fig. A.1 for sets that anyone can have: faces by age group, how many of each age and gender, all and balanced.

Of relief faces the true ages are known, so that here the labels themselves can be judged. Of the generator's faces, as
of the paper's, there is only what a judge says.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aifr_lib.data import edited, relief
from aifr_lib.data.images import Images
from aifr_lib.experiments.generator import drawing as generated
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.protocol_rows import mean_over_people
from aifr_lib.experiments.mtlface import building, judges
from aifr_lib.experiments.mtlface.synthesis_rows import group_names
from aifr_lib.faces.generators import sources
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.mtlface import Labelled
from aifr_lib.settings.presets import Preset

RECIPE, RECIPE_VERSION = "age_labels", 1
RELIEF, GENERATOR = "relief", "generator"
ALPHAS = (-4.0, 0.0, 4.0)  # of the generator's faces along its direction of age
SIZE = 112
EACH = 4  # pictures of each age group in the gallery
NAMES: dict[Key, str] = {RELIEF: "relief faces", GENERATOR: "generator faces", "data": "faces"}
THERE, TAKEN, SHARE = "pictures", "pictures taken", "labels in the wrong group, %"


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """Relief faces, and the generator's."""
    asked = preset.mtlface.labelled
    ids = {
        RELIEF: DataId(
            name="relief faces",
            version=relief.VERSION,
            hash=relief.digest("test", size=SIZE, identities=asked.people, per_identity=asked.each),
        ),
        GENERATOR: generated.source_id("latent", ("age",)),
    }

    def job(name: str) -> Job:
        values = {**asked.model_dump(mode="json"), "faces": name, "judges": judges.VERSIONS["age"]}
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=ids[name])
        return Job(spec, lambda _: compute(name, asked), lambda: missing(name), leaves=())

    return {name: job(name) for name in ids if name == RELIEF or asked.generated}


def missing(name: str) -> str | None:
    """Why these faces cannot be labelled here, in one sentence; None where they can."""
    return judges.missing() or (generated.missing("latent") if name == GENERATOR else None)


def compute(name: str, asked: Labelled) -> Result:
    """Estimate and balance a pile of faces.

    scores, [N]: ``told`` (years), ``doubt``, ``male`` (as told), ``age`` and ``gender`` (true; −1 unknown),
    ``identity``, ``taken``; ``shown`` uint8 [7, 4, H, W, 3], pictures of each group as told (white where there are
    fewer).
    """
    started = time.perf_counter()
    images = pile(name, asked)
    table = building.estimated(images)
    rows, _ = building.chosen(table, asked.per_cell)
    labels = images.labels
    known, unknown = name == RELIEF, np.full(len(table), -1)
    taken = np.zeros(len(table), dtype=bool)
    taken[rows] = True
    return Result(
        scores={
            "told": table["age"].to_numpy(np.float32),
            "doubt": table["doubt"].to_numpy(np.float32),
            "male": (table["gender"] == "male").to_numpy(),
            "age": (labels["age"].to_numpy() if known else unknown).astype(np.float32),
            "gender": ((labels["gender"] > 0.5).to_numpy() if known else unknown).astype(np.int8),
            "identity": labels["identity"].to_numpy(),
            "taken": taken,
            "shown": gallery(images, table),
        },
        summary={"pictures": len(table), "taken": len(rows)},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def pile(name: str, asked: Labelled) -> Images:
    """The faces to be labelled, as aligned crops of 112 pixels."""
    if name == RELIEF:
        return relief.load("test", size=SIZE, identities=asked.people, per_identity=asked.each)
    return edited.cached(edited.edited(range(asked.generated), ("age",), ALPHAS), sources.open_source("latent"))


def gallery(images: Images, table: pd.DataFrame) -> np.ndarray:
    """The first pictures of each age group as told, at half size: uint8 [7, 4, 56, 56, 3]."""
    group = judges.groups(table["age"].to_numpy(), building.BOUNDS)
    shown = np.full((len(building.BOUNDS) + 1, EACH, SIZE // 2, SIZE // 2, 3), 255, dtype=np.uint8)
    for one in range(len(shown)):
        rows = np.flatnonzero(group == one)
        for place, row in enumerate(rows[np.linspace(0, len(rows) - 1, min(EACH, len(rows))).astype(int)]):
            crop = building.pictures(images, [int(row)])[0]
            shown[one, place] = crop.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean((1, 3)).astype(np.uint8)
    return shown


def rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By faces, age group and gender as told: pictures there and taken; of relief faces the share of wrong labels."""
    names = group_names(building.BOUNDS)
    for name in jobs(preset):
        scores = runs[name].scores if name in runs else None
        for one, group in enumerate(names):
            for male, gender in enumerate(building.GENDERS):
                inside = None if scores is None else cell(scores, one, male)
                keys = {"data": name, "age": group, "gender": gender}
                counted = None if scores is None or inside is None else (inside.sum(), scores["taken"][inside].sum())
                for metric, number in zip((THERE, TAKEN), counted or (None, None), strict=True):
                    yield Row(
                        keys=keys, metric=metric, measured=None if number is None else Measured(mean=float(number))
                    )
        if name == RELIEF:
            yield from truth_rows(scores, names)


def truth_rows(scores: Mapping[str, np.ndarray] | None, names: Sequence[str]) -> Iterator[Row]:
    """Of faces whose age is known, by true age group: labels in the wrong group in %, and their error in years."""
    for one, group in enumerate(("all", *names)):
        keys = {"data": RELIEF, "true age": group}
        found: dict[str, Measured | None] = {SHARE: None, "mae": None}
        if scores is not None:
            true, told = scores["age"].astype(np.float64), scores["told"].astype(np.float64)
            groups = judges.groups(true, building.BOUNDS)
            inside = np.ones(len(true), dtype=bool) if one == 0 else groups == one - 1
            if inside.any():
                wrong = 100.0 * (judges.groups(told, building.BOUNDS) != groups)
                people = scores["identity"][inside]
                found = {
                    SHARE: mean_over_people(wrong[inside], people),
                    "mae": mean_over_people(np.abs(told - true)[inside], people),
                }
        for metric, value in found.items():
            yield Row(keys=keys, metric=metric, measured=value)


def cell(scores: Mapping[str, np.ndarray], group: int, male: int) -> np.ndarray:
    """Which pictures are told to be of an age group and gender, bool [N]."""
    return (judges.groups(scores["told"].astype(np.float64), building.BOUNDS) == group) & (scores["male"] == bool(male))


def figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """(a) faces by age group as told, (b) pictures by age group and gender, before and after balancing, of one set."""
    name = RELIEF if RELIEF in runs else next(iter(runs))
    scores, names = runs[name].scores, group_names(building.BOUNDS)
    drawn, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained", width_ratios=(1, 1.7))
    left.imshow(plots.strip(scores["shown"].reshape(-1, *scores["shown"].shape[2:]), EACH))
    side = scores["shown"].shape[2]
    left.set_yticks([side * (one + 0.5) for one in range(len(names))], names)
    left.set_xticks([])
    left.grid(False)
    left.set_title(f"{NAMES[name]} by age as told", fontsize=10)
    for male, gender in enumerate(building.GENDERS):
        before = [cell(scores, one, male).sum() for one in range(len(names))]
        after = [scores["taken"][cell(scores, one, male)].sum() for one in range(len(names))]
        x = np.arange(len(names)) + 0.4 * (male - 0.5)
        right.bar(x, before, 0.38, color=plots.PALETTE[male], alpha=0.35, label=f"{gender}, all")
        right.bar(x, after, 0.38, color=plots.PALETTE[male], label=f"{gender}, balanced")
    right.set_xticks(range(len(names)), [one.replace(" years", "") for one in names], rotation=30, ha="right")
    right.set(xlabel="age as told, years", ylabel="pictures")
    right.legend(fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, frameon=False)
    return drawn


def found(artefact: Artefact) -> str:
    """What labels from a judge are worth."""
    wrong = measured(artefact.rows, SHARE, {"data": RELIEF, "true age": "all"})
    young = measured(artefact.rows, SHARE, {"data": RELIEF, "true age": group_names(building.BOUNDS)[1]})
    away = measured(artefact.rows, "mae", {"data": RELIEF, "true age": "all"})
    return say(
        {
            "wrong": wrong and digits(wrong.mean),
            "young": young and digits(young.mean),
            "away": away and digits(away.mean),
        },
        (wrong and away, "Of relief faces, whose ages are known, an outside judge puts {wrong} % into the wrong age "
                         "group; it errs by {away} years."),
        (wrong and young, "Between 11 and 20 years, where the paper corrected by hand, it is {young} %."),
    )  # fmt: skip


FIGA1 = Experiment(
    "mtlface_figA1",
    jobs,
    rows,
    figure,
    kind="gallery",
    found=found,
    shape=Shape(down=("data", "age"), across=("gender", METRIC), only={METRIC: (THERE, TAKEN)}, names=NAMES),
)
WRONG = Shape(down=("true age",), across=(METRIC,), only={METRIC: (SHARE, "mae"), "data": RELIEF}, names=NAMES)
