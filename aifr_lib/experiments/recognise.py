"""One recognition run: train a network, score it on pair lists. Tables and figures of TML are made of these."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from aifr_lib.data import edited, relief
from aifr_lib.data.loader import check_columns
from aifr_lib.data.relief.chosen import _counts, face_pairs, faces, lists_of
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.variance import FORMS, class_variance
from aifr_lib.evaluation.verification import verify
from aifr_lib.experiments.jobs import Job
from aifr_lib.reporting.rows import Measured
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.reporting.seeds import student_t
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief
from aifr_lib.training.engine import LOG, accelerator_for
from aifr_lib.training.recognition import RECIPE, RECIPE_VERSION, train, training_faces


def spec(
    config: Recognition, *, recipe: str = RECIPE, recipe_version: int | None = None, split: str = "test"
) -> RunSpec:
    """What names the run of ``config``: every value but the seed, which stands apart, and the data.

    split: whose people are scored; ``recipe`` names what is done with them (None: version of the training). A set that
    a user brings is named, not read: it may lie on another machine.
    """
    return RunSpec(
        recipe=recipe,
        recipe_version=RECIPE_VERSION if recipe_version is None else recipe_version,
        seed=config.seed,
        values=config.model_dump(mode="json", exclude={"seed"}),
        data=data_of(config.relief, config.data, split),
    )


@cache
def data_of(settings: Relief, data: str, split: str) -> DataId:
    """What a training sees and is scored on, named; kept, since hundreds of runs are named by the same faces."""
    trained = relief.digest(
        "train",
        size=settings.size,
        identities=settings.train_identities,
        per_identity=settings.train_per_identity,
        span=settings.span,
    )
    name = "relief faces"
    if data != "relief":
        trained, name = data, f"{data}, scored on relief faces"
    if data == edited.NARROW:
        trained = f"{data}-{edited.narrow_digest(settings.train_identities, settings.train_per_identity)}"
    scored = (relief.digest(split, **_counts(settings), view=view) for view in lists_of(settings, split))
    return DataId(name=name, version=relief.VERSION, hash="-".join((trained, *scored)))


def job(config: Recognition, device: str | None = None) -> Job:
    """The run of ``config`` on ``device`` (None: the best there is)."""
    return Job(spec(config), lambda folder: compute(config, folder, device))


def compute(config: Recognition, folder: Path, device: str | None = None) -> Result:
    """Train into ``folder`` (resuming what is there), then protocol P1 on each pair list, and the variance of Table IV.

    scores: ``LIST`` the cosine of each test pair (float16 [P]). summary: per list the accuracy in % and its 95 %
    interval from a bootstrap clustered by identity, the same under ``validation`` for people of the validation split
    (what may be tuned on), ``variance``, the checksum of the weights, images per second.
    Errors: ValueError, before anything is trained, where the faces to be scored do not fit the network's input.
    """
    check_columns((0, config.relief.size, config.relief.size, 3), config.input_hw)
    trained = train(config, folder, device=device)
    started = time.perf_counter()
    target = accelerator_for(device, "no").device
    scores, summary = score(trained.backbone, config, str(target))
    _, validation = score(trained.backbone, config, str(target), split="validation")
    return Result(
        scores=scores,
        summary={
            **summary,
            "validation": validation,
            "variance": variance(trained.backbone, config, str(target)),
            "checksum": trained.checksum,
            "loss": trained.scalars.get("loss"),
            "images_per_s": trained.scalars["images_per_s"],
        },
        device=str(target),
        wall_s=trained.scalars["seconds"] + time.perf_counter() - started,
        log_tail=(folder / LOG).read_text(encoding="utf-8").splitlines(),
    )


def score(
    network: nn.Module, config: Recognition, device: str, split: str = "test"
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Protocol P1 of one network on each pair list of a split: cosines by list, and the summary of ``compute``."""
    scores: dict[str, np.ndarray] = {}
    accuracy, interval = {}, {}
    for view, names in lists_of(config.relief, split).items():
        images = faces(config.relief, split, view)
        identities = images.labels["identity"].to_numpy()
        embeddings = embed(network, images, input_hw=config.input_hw, device=device, progress=True)
        for name in names:
            pairs = face_pairs(config.relief, name, split)
            result = verify(embeddings, pairs)
            scores[name], accuracy[name] = result.scores, result.accuracy
            ends = mean_interval(result.correct, identities[pairs.a], identities[pairs.b])
            interval[name] = [100 * end for end in ends]
    return scores, {"accuracy": accuracy, "interval": interval}


def variance(network: nn.Module, config: Recognition, device: str) -> dict[str, dict[str, dict[str, float]]]:
    """TML Table IV by people and form: intra, inter, ratio, on the training faces (as the paper) and on test faces."""
    measured: dict[str, dict[str, dict[str, float]]] = {}
    for people, images in {"training": training_faces(config), "test": faces(config.relief)}.items():
        embeddings = embed(network, images, flip=False, input_hw=config.input_hw, device=device, progress=True)
        found = {form: class_variance(embeddings, images.labels["identity"].to_numpy(), form) for form in FORMS}
        measured[people] = {
            form: {"intra": one.intra, "inter": one.inter, "ratio": one.ratio} for form, one in found.items()
        }
    return measured


def over_seeds(found: Mapping[int, Mapping[str, Any]], name: str) -> Measured | None:
    """Mean accuracy in % on a list over the seeds, with Student's t; with one seed, its interval over identities.

    found: by seed, what ``score`` says of its people: accuracy and interval by list.
    """
    if not found:
        return None
    measured = student_t({seed: scores["accuracy"][name] for seed, scores in found.items()})
    if len(found) > 1:
        return measured
    (scores,) = found.values()
    return measured.model_copy(update={"ci95": tuple(scores["interval"][name]), "interval": "identities"})
