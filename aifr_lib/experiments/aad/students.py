"""The runs of AAD: two teachers, students beside them, and every student through the protocols of identification."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.loader import check_columns
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.evaluation.templates import LEAST_ACCEPTS
from aifr_lib.evaluation.verification import roc
from aifr_lib.experiments import age_estimate, recognise
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.curves import curves
from aifr_lib.models import weights
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.settings.aad import Aad, AgeEstimation, Distillation, Entry
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.relief import Relief
from aifr_lib.training import age_estimation, distillation, recognition
from aifr_lib.training.engine import LOG, accelerator_for

PROTOCOLS, PROTOCOLS_VERSION = "student_protocols", 1
PROBES, CROWD, TEMPLATES = "relief-fgnet", "relief-megaface", "relief-ijb"
FARS = (1e-1, 1e-2, 1e-3, 1e-4)
Key = tuple[str, str, int]  # backbone, variant, seed


def teacher_job(preset: Preset, device: str | None = None) -> Job:
    """T^R: a run of recognition like any other."""
    return recognise.job(preset.aad.teacher, device)


def age_teacher_job(config: AgeEstimation, device: str | None = None) -> Job:
    """T^A, and how many years it errs on people it has not seen."""
    return age_estimate.job(config, device)


def student_job(config: Distillation, device: str | None = None) -> Job:
    """A student's run. One without teachers is a run of recognition, which others may have asked for."""
    if config.mode == "self":
        return recognise.job(config.train, device)
    needs = {}
    if config.teacher is not None:
        leaves = distillation.LEFT_FOR_KD if config.mode == "kd" else distillation.LEFT
        needs["teacher"] = replace(recognise.job(config.teacher, device), leaves=leaves)
    if config.age_teacher is not None:
        needs["age_teacher"] = age_teacher_job(config.age_teacher, device)
    return Job(spec(config), lambda folder, **at: compute(config, folder, device, **at), needs=needs)


def spec(config: Distillation) -> RunSpec:
    """What names a student's run: every value but its seed, those of its teachers too, and the data."""
    recipes = {"recognition": recognition.RECIPE_VERSION, "age_estimation": age_estimation.RECIPE_VERSION}
    return RunSpec(
        recipe=distillation.RECIPE,
        recipe_version=distillation.RECIPE_VERSION,
        seed=config.train.seed,
        values={**config.model_dump(mode="json", exclude={"train": {"seed"}}), "recipes": recipes},
        data=recognise.spec(config.train).data,
    )


def compute(
    config: Distillation,
    folder: Path,
    device: str | None = None,
    teacher: Path | None = None,
    age_teacher: Path | None = None,
) -> Result:
    """Train a student into ``folder`` and score it as ``recognise.compute`` scores a network.

    summary, besides: ``diverged`` (the step, or None: then it is the last good weights that were scored),
    ``largest_loss`` of all steps, ``curves`` (what was logged, by name and step).
    """
    check_columns((0, config.train.relief.size, config.train.relief.size, 3), config.train.input_hw)
    trained = distillation.train(config, folder, teacher=teacher, age_teacher=age_teacher, device=device)
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    scores, summary = recognise.score(trained.backbone, config.train, str(where))
    _, validation = recognise.score(trained.backbone, config.train, str(where), split="validation")
    log = (folder / LOG).read_text(encoding="utf-8").splitlines() if (folder / LOG).is_file() else []
    return Result(
        scores=scores,
        summary={
            **summary,
            "validation": validation,
            "checksum": trained.checksum,
            "loss": trained.scalars.get("loss"),
            "images_per_s": trained.scalars.get("images_per_s"),
            "diverged": trained.diverged,
            "largest_loss": trained.scalars.get("largest_loss"),
            "curves": curves(log),
        },
        device=str(where),
        wall_s=trained.scalars.get("seconds", 0.0) + time.perf_counter() - started,
        log_tail=log,
    )


def load(folder: Path) -> nn.Module:
    """The student, or the network of recognition, that a run left in its folder, in eval mode."""
    path = folder / distillation.WEIGHTS
    if "distillation" in weights.read_metadata(path):
        return distillation.load(path)[0]
    return recognition.load(path)[0]


def protocol_job(aad: Aad, student: Job, config: Relief, input_hw: tuple[int, int], device: str | None = None) -> Job:
    """Identification by a student's network: leave-one-out, among distractors, and templates; see ``identify``."""
    values = {
        "student": student.spec.key,
        "people": aad.people,
        "distractors": aad.distractors,
        "templates": aad.templates,
        "impostors": aad.impostors,
        "probes": [config.test_identities, config.test_per_identity],
    }
    named = RunSpec(
        recipe=PROTOCOLS,
        recipe_version=PROTOCOLS_VERSION,
        seed=student.spec.seed,
        values=values,
        data=sets_of(config.size, aad.people, aad.distractors, aad.templates),
    )
    return Job(
        named,
        lambda folder, student: identify(aad, load(student), config, input_hw, device),
        needs={"student": student},
        leaves=(),
    )


@cache
def sets_of(size: int, people: int, distractors: int, templates: int) -> DataId:
    """The sets of ``identify``, named; kept, since all students are sought in the same."""
    digests = (
        relief.set_digest(PROBES, size=size, **probed(people)),
        relief.set_digest(CROWD, size=size, count=distractors),
        relief.set_digest(TEMPLATES, size=size, identities=templates),
    )
    return DataId(name="relief faces", version=relief.VERSION, hash="-".join(digests))


def identify(
    aad: Aad, network: nn.Module, config: Relief, input_hw: tuple[int, int], device: str | None = None
) -> Result:
    """One network through P2, P3 and P4 on relief faces.

    summary: ``rank1`` in % by set: "relief-loo" (P2 on relief-fgnet), "relief-mf1" (relief-fgnet among the
    distractors), "relief-crowd" (test people among them, FaceScrub's place); ``tar`` in % by false acceptance rate on
    "relief-ijb". scores: hits of the probes, scores of the templates.
    """
    started = time.perf_counter()
    where = accelerator_for(device, "no").device

    def seen(images: Images) -> np.ndarray:
        # Of length 1 already: those of a training that diverged may be longer than single precision can square.
        embeddings = embed(network, images, input_hw=input_hw, device=where, progress=True)
        return normalise(embeddings.astype(np.float64)).astype(np.float32)

    probes = relief.load_set(PROBES, size=config.size, **probed(aad.people))
    people, embedded = chosen.faces(config), seen(probes)
    strangers = seen(relief.load_set(CROWD, size=config.size, count=aad.distractors))
    hits = {
        "relief-loo": protocol_scores.probe_scores(probes, embedded)["probe_hit"],
        "relief-mf1": protocol_scores.distractor_scores(probes, embedded, strangers)["crowd_hit"][-1],
        "relief-crowd": protocol_scores.distractor_scores(people, seen(people), strangers)["crowd_hit"][-1],
    }
    sets = relief.load_set(TEMPLATES, size=config.size, identities=aad.templates)
    listed = relief.templates(sets, impostors=aad.impostors)
    pairs = protocol_scores.template_scores(sets, seen(sets), listed)
    curve, strange = roc(pairs["score"].astype(np.float64), pairs["same"]), int((~pairs["same"]).sum())
    rates = {far: curve.at(far).tar for far in FARS if far * strange >= LEAST_ACCEPTS}
    return Result(
        scores={**hits, "templates": pairs["score"], "templates_same": pairs["same"]},
        summary={
            "rank1": {name: 100 * float(hit.mean()) for name, hit in hits.items()},
            "tar": {f"{far:g}": 100 * tar for far, tar in rates.items()},
        },
        device=str(where),
        wall_s=time.perf_counter() - started,
    )


def probed(people: int) -> dict[str, Any]:
    """The counts of relief-fgnet: of 82 people there are 1,002 pictures, of fewer as many each."""
    return {"people": people, "pictures": round(1002 * people / 82)}


def ledger(aad: Aad, seeds: Sequence[int] | None = None) -> dict[Key, Distillation]:
    """The students of the ledger in its order, by (backbone, variant, seed); ``seeds`` None takes each entry's."""
    return {
        (entry.backbone, variant, seed): aad.student(entry, variant, seed)
        for entry in aad.ledger
        for variant in entry.variants
        for seed in (entry.seeds if seeds is None else seeds)
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
