"""Beyond the paper: does it help recognition across ages to learn from faces drawn at other ages?

Training pictures of one person lie within a few years of each other. One training sees each of them once more at an age
that MTLFace drew; another, which no one could have, sees the same people truly photographed over all their life.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from aifr_lib.data.images import Images
from aifr_lib.data.loader import to_input
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.mtlface import drawing, judges
from aifr_lib.models.mtlface_synthesis import MtlFace
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Key, Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import mtlface, recognition
from aifr_lib.training.engine import LOG, accelerator_for
from aifr_lib.training.sgd import WEIGHTS
from aifr_lib.training.sheets import levels

RECIPE, RECIPE_VERSION = "recognition_of_drawn", 1
PLAIN, DRAWN, TRUE = "plain", "drawn", "true"
NAMES: dict[Key, str] = {
    PLAIN: "as they are",
    DRAWN: "and once more, drawn at another age",
    TRUE: "the same people over all their life",
    "arm": "training pictures",
}
ACROSS = "relief-agedb"
Place = tuple[str, int]


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """By training pictures and seed."""
    asked = preset.mtlface
    made: dict[Place, Job] = {}
    for seed in asked.beyond_seeds if seeds is None else seeds:
        train = asked.train.recognition.train.model_copy(update={"seed": seed})
        wide = train.model_copy(update={"relief": train.relief.model_copy(update={"span": "wide"})})
        drawer = drawing.job(asked, drawing.method_of(asked, "mtlface", seed), device)
        made[PLAIN, seed] = recognise.job(train, device)
        made[DRAWN, seed] = drawn_job(train, drawer, device)
        made[TRUE, seed] = recognise.job(wide, device)
    return made


def drawn_job(train: Recognition, drawer: Job, device: str | None = None) -> Job:
    """A training on the pictures and on what ``drawer`` makes of them."""
    named = recognise.spec(train)
    spec = RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=train.seed,
        values={"train": named.values, "recognition": named.recipe_version, "drawer": drawer.spec.key},
        data=named.data,
    )
    return Job(
        spec,
        lambda folder, drawer: compute(train, folder, drawer, device),
        judges.missing,
        {"drawer": drawer},
        leaves=(),
    )


def compute(train: Recognition, folder: Path, drawer: Path, device: str | None = None) -> Result:
    """Draw each training picture at another age, learn from both in as many steps, score as ``recognise.compute``."""
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    network, config = mtlface.load(drawer / WEIGHTS)
    images = recognition.training_faces(train)
    both = with_drawn(images, network.to(where), config.recognition.bounds, train.seed, where)
    spent = time.perf_counter() - started
    shorter = train.model_copy(update={"epochs": train.epochs * len(images) / len(both)})
    trained = recognition.train(shorter, folder, device=device, images=both)
    started = time.perf_counter()
    scores, summary = recognise.score(trained.backbone, train, str(where))
    _, validation = recognise.score(trained.backbone, train, str(where), split="validation")
    return Result(
        scores=scores,
        summary={**summary, "validation": validation, "checksum": trained.checksum, "pictures": len(both)},
        device=str(where),
        wall_s=spent + trained.scalars["seconds"] + time.perf_counter() - started,
        log_tail=(folder / LOG).read_text(encoding="utf-8").splitlines(),
    )


def with_drawn(
    images: Images,
    network: MtlFace,
    bounds: Sequence[float],
    seed: int,
    where: torch.device | str = "cpu",
    batch: int = 128,
) -> Images:
    """The pictures, then each of them at an age group that is not its own, drawn evenly
    from the others.

    Of the drawn ones the records end in "-drawn" and the age is not known (NaN).
    """
    assert network.generator is not None
    groups = len(bounds) + 1
    own = judges.groups(images.labels["age"].to_numpy(np.float64), tuple(bounds))
    further = np.random.default_rng((seed, 5)).integers(1, groups, len(own))
    target = (own + further) % groups
    made = np.empty_like(np.asarray(images.pixels))
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            part = slice(start, start + batch)
            x = to_input(torch.from_numpy(np.array(images.pixels[part])).to(where))
            wanted = torch.from_numpy(target[part]).to(where)
            faces = network.generator(x, network.recogniser.look(x), wanted)
            made[part] = levels(faces.clamp(-1, 1))
    drawn = images.labels.assign(record=images.labels["record"] + "-drawn", age=np.nan)
    return Images(
        f"{images.name}, and drawn",
        images.version,
        np.concatenate([np.asarray(images.pixels), made]),
        pd.concat([images.labels, drawn], ignore_index=True),
    )


def rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Accuracy by training pictures and list of pairs."""
    for arm in (PLAIN, DRAWN, TRUE):
        found = {seed: run.summary for (name, seed), run in runs.items() if name == arm}
        for pairs in preset.mtlface.train.recognition.train.relief.pair_lists:
            yield Row(keys={"arm": arm, "set": pairs}, metric="accuracy", measured=recognise.over_seeds(found, pairs))


def figure(artefact: Artefact) -> Figure:
    """Accuracy by list, a marker for each kind of training pictures."""
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in artefact.rows))
    drawn, axis = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for number, arm in enumerate((PLAIN, DRAWN, TRUE)):
        for place, name in enumerate(lists):
            one = measured(artefact.rows, "accuracy", {"arm": arm, "set": name})
            if one:
                x = place + 0.15 * (number - 1)
                label = NAMES[arm] if place == 0 else None
                axis.plot(x, one.mean, plots.MARKERS[number], color=plots.PALETTE[number], label=label)
                if one.ci95:
                    axis.vlines(x, *one.ci95, color=plots.PALETTE[number], alpha=0.6)
    words = {"relief-agedb": "30 years apart", "relief-lfw": "random", "relief-near": "near in age"}
    axis.set_xticks(range(len(lists)), [words.get(name, name) for name in lists])
    axis.set(xlabel="relief pairs", ylabel=METRICS["accuracy"])
    axis.legend(fontsize=8, loc="best", title="training pictures")
    return drawn


def found(artefact: Artefact) -> str:
    """What drawn ages are worth to recognition, beside what true ones are."""

    def one(arm: str) -> Measured | None:
        return measured(artefact.rows, "accuracy", {"arm": arm, "set": ACROSS})

    plain, drawn, true = one(PLAIN), one(DRAWN), one(TRUE)
    gained = apart(drawn, plain)
    return say(
        {name: digits(value.mean) for name, value in (("plain", plain), ("drawn", drawn), ("true", true)) if value},
        (plain, "A network that learned from the pictures as they are tells {plain} % of pairs thirty years apart."),
        (drawn, "One that saw each picture once more at a drawn age tells {drawn} %"),
        (drawn and not plain, "of pairs thirty years apart."),
        (plain and drawn and gained > 0, "of them: a gain."),
        (plain and drawn and gained < 0, "of them: a loss."),
        (plain and drawn and not gained, "of them: no difference that can be told from chance."),
        (true, "True pictures over all their life give {true} %."),
    )


BEYOND = Experiment(
    "mtlface_beyond",
    jobs,
    rows,
    lambda artefact, _: figure(artefact),
    found=found,
    shape=Shape(down=("arm",), across=("set",), names=NAMES),
)
