"""The runs of AAD: a student beside its teachers, and the teacher that recognises, which learns as they do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from aifr_lib.data.loader import check_columns
from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad import protocols, teachers
from aifr_lib.experiments.aad.protocols import Scores, Summary
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.curves import curves
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.settings.aad import Aad, Distillation, Entry, Protocols
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import age_estimation, distillation, recognition
from aifr_lib.training.engine import LOG, accelerator_for

TUNED = "distillation_tuning"
Key = tuple[str, str, int]  # backbone, variant, seed


def student_job(config: Distillation, asked: Protocols, device: str | None = None) -> Job:
    """A student's run: its training, with the teachers that it needs, and all that it is scored on."""
    named = spec(config, distillation.RECIPE, protocols.data_of(config.train, asked), asked)

    def scored(network: nn.Module, where: str) -> tuple[Scores, Summary]:
        return protocols.scored(network, config.train, asked, where)

    taught = needs(config, asked, device)
    return Job(
        named,
        lambda folder, **at: compute(config, scored, folder, device, **at),
        needs=taught,
        shelved=teachers.shelved,
    )


def tuning_job(config: Distillation, asked: Protocols, device: str | None = None) -> Job:
    """A training whose network is scored on validation people alone: settings are chosen by it."""
    named = spec(config, TUNED, recognise.spec(config.train, split="validation").data)

    def scored(network: nn.Module, where: str) -> tuple[Scores, Summary]:
        return {}, {"validation": recognise.score(network, config.train, where, split="validation")[1]}

    taught = needs(config, asked, device)
    return Job(named, lambda folder, **at: compute(config, scored, folder, device, **at), needs=taught)


def teacher_job(config: Recognition, asked: Protocols, device: str | None = None) -> Job:
    """T^R: a network that learns alone, as a self-studied student does; its weights are committed."""
    return student_job(Distillation(train=config, mode="self"), asked, device)


def needs(config: Distillation, asked: Protocols, device: str | None = None) -> dict[str, Job]:
    """The runs of the teachers."""
    found = {}
    if config.teacher is not None:
        leaves = distillation.LEFT_FOR_KD if config.mode == "kd" else distillation.LEFT
        found["teacher"] = replace(teacher_job(config.teacher, asked, device), leaves=leaves)
    if config.age_teacher is not None:
        found["age_teacher"] = teachers.age_teacher_job(config.age_teacher, device)
    return found


def spec(config: Distillation, recipe: str, data: DataId, asked: Protocols | None = None) -> RunSpec:
    """What names a student's run: every value but its seed, those of its teachers, the data, what it is scored on."""
    recipes = {"recognition": recognition.RECIPE_VERSION, "age_estimation": age_estimation.RECIPE_VERSION}
    values = {**config.model_dump(mode="json", exclude={"train": {"seed"}}), "recipes": recipes}
    if asked is not None:
        values["protocols"] = asked.model_dump(mode="json")
    return RunSpec(
        recipe=recipe, recipe_version=distillation.RECIPE_VERSION, seed=config.train.seed, values=values, data=data
    )


def compute(
    config: Distillation,
    scored: Callable[[nn.Module, str], tuple[Scores, Summary]],
    folder: Path,
    device: str | None = None,
    teacher: Path | None = None,
    age_teacher: Path | None = None,
) -> Result:
    """Train a student into ``folder``, beside teachers that lie in folders of their own, and have it ``scored``.

    summary, besides: ``checksum`` of the weights, ``diverged`` (the step, or None: then it is the last good weights
    that were scored), ``largest_loss`` of all steps, ``curves`` (what was logged, by name and step).
    """
    check_columns((0, config.train.relief.size, config.train.relief.size, 3), config.train.input_hw)
    trained = distillation.train(config, folder, teacher=teacher, age_teacher=age_teacher, device=device)
    started = time.perf_counter()
    where = str(accelerator_for(device, "no").device)
    scores, summary = scored(trained.backbone, where)
    log = (folder / LOG).read_text(encoding="utf-8").splitlines() if (folder / LOG).is_file() else []
    return Result(
        scores=scores,
        summary={
            **summary,
            "checksum": trained.checksum,
            "loss": trained.scalars.get("loss"),
            "images_per_s": trained.scalars.get("images_per_s"),
            "diverged": trained.diverged,
            "largest_loss": trained.scalars.get("largest_loss"),
            "curves": curves(log),
        },
        device=where,
        wall_s=trained.scalars.get("seconds", 0.0) + time.perf_counter() - started,
        log_tail=log,
    )


def ledger(aad: Aad, seeds: Sequence[int] | None = None) -> dict[Key, Distillation]:
    """The students by (backbone, variant, seed), in the order of the ledger and of an entry seed by seed.

    seeds: None takes each entry's.
    """
    return {
        (entry.backbone, variant, seed): aad.student(entry, variant, seed)
        for entry in aad.ledger
        for seed in (entry.seeds if seeds is None else seeds)
        for variant in entry.variants
    }


def entry_of(aad: Aad, backbone: str) -> Entry:
    """The first line of the ledger that trains a student of this backbone."""
    return next(entry for entry in aad.ledger if entry.backbone == backbone)


def values(found: Mapping[int, Mapping[str, Any]], *path: str) -> dict[int, float]:
    """By seed, the number at ``path`` in each run's summary, where there is one."""
    picked: dict[int, float] = {}
    for seed, summary in found.items():
        node: Any = summary
        for name in path:
            node = node.get(name) if isinstance(node, Mapping) else None
        if node is not None:
            picked[seed] = float(node)
    return picked
