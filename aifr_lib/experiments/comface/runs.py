"""The runs of ComFace: pre-trainings, the choice of a rate, fine-tunings; what each starts from, and what it leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aifr_lib.data import change_sources, change_tasks
from aifr_lib.data.change_tasks import Task, both_orders
from aifr_lib.experiments.available import ALIGNING, missing_set
from aifr_lib.experiments.jobs import Job
from aifr_lib.faces import align
from aifr_lib.files import atomic_write
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import PACKAGES, PRETRAINED, encoder
from aifr_lib.packages import missing_package
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.settings.comface import Comface, Entry, Pretraining, Transfer
from aifr_lib.training import comface as pretraining
from aifr_lib.training import transfer
from aifr_lib.training.engine import LOG, accelerator_for
from aifr_lib.training.objectives.comface import missing as missing_loss
from aifr_lib.training.sgd import WEIGHTS

RATE, RATE_VERSION = "comface_rate", 1
TRANSFER, TRANSFER_VERSION = "comface_transfer", 1
CHOSEN = "rate.json"
PEOPLE = "people.npy"  # the score of each person of a source, in the order of their numbers
OTHER_WARD = {"edema-a": "edema-b"}  # the four models of the one are tested on all of the other
PLAIN = ("scratch", "imagenet")


@dataclass(frozen=True)
class Start:
    """What a transfer begins with. config: its pre-training; None of "scratch" and of "imagenet", which is a file.

    aside: in what it is not the preset's. scores: of people of whom the best alone are learnt from. ages: fine-tuned to
    tell the label of each picture by itself.
    """

    method: str
    seed: int
    encoder: str
    side: int
    config: Pretraining | None = None
    aside: str = ""
    scores: Job | None = field(default=None, compare=False)
    ages: bool = False

    @property
    def name(self) -> str:
        """The method, and in what it is not the preset's."""
        return self.method + self.aside

    def values(self) -> dict[str, Any]:
        """What names it in a run's key, without the seed."""
        named: dict[str, Any] = {"method": self.method, "encoder": self.encoder, "side": self.side}
        if self.config is not None:
            named["pretraining"] = self.config.model_dump(mode="json", exclude={"seed"})
        if self.scores is not None:
            named["scores"] = self.scores.spec.key
        return named

    def comparer(self, folder: Path | None = None) -> Comparer:
        """Encoder and linear layer in eval mode. folder: where the pre-training left its weights."""
        if self.config is not None:
            assert folder is not None
            return pretraining.load(folder / WEIGHTS)[0]
        torch.manual_seed(self.seed)
        return Comparer(encoder(self.encoder, self.side)).eval()

    def lacking(self) -> str | None:
        """Why it cannot be had here; a pre-training speaks for itself."""
        return missing_package(PACKAGES) if self.encoder == PRETRAINED else None


KEPT_BY = {"ser-fiq": "best {:g} % by SER-FIQ", "outside": "best {:g} % by an outside score",
           "random": "{:g} % drawn by lot"}  # fmt: skip


def start(settings: Comface, entry: Entry, seed: int) -> Start:
    """What an entry of the ledger begins with at a seed."""
    plain = settings.pretraining
    if entry.method in PLAIN:
        name = PRETRAINED if entry.method == "imagenet" else entry.encoder or plain.encoder
        aside = ", each age by itself" if entry.ages else ""
        return Start(entry.method, seed, name, plain.side, aside=aside, ages=bool(entry.ages))
    config = settings.training(entry, seed)
    return Start(entry.method, seed, config.encoder, config.side, config, _aside(plain, entry), ages=bool(entry.ages))


def _aside(plain: Pretraining, entry: Entry) -> str:
    """In words, in what an entry's pre-training is not the preset's. Its encoder is a column of its own."""
    said = []
    if (source := entry.source) is not None and source != plain.source:
        if source.kept is not None:
            said.append(f", {KEPT_BY[source.kept.by].format(round(100 * source.kept.share, 1))}")
        elif source.without:
            said.append(f" without {source.without}")
        else:
            said.append(f" on {source.kind}")
    if entry.pictures not in (None, plain.pictures):
        said.append(f", {entry.pictures} pictures")
    if entry.fuse not in (None, plain.fuse):
        said.append(", features side by side")
    if entry.ages:
        said.append(", each age by itself")
    return "".join(said)


def own_setting(one: Start) -> str:
    """The setting of a method's row in the tables: the linear layer pre-trained where there is one."""
    return "d" if one.method in ("comface", "both", "intra") else "c"


def starts(
    settings: Comface,
    task: str | None = None,
    setting: str | None = None,
    ledger: Sequence[Entry] | None = None,
) -> Iterator[tuple[Start, str]]:
    """(what a fine-tuning of the ledger begins with, its setting); of ``task`` None all pre-trainings.

    ledger: None is that of the paper's tables.
    """
    for entry in settings.ledger if ledger is None else ledger:
        if task is not None and task not in entry.tasks:
            continue
        for seed in entry.seeds:
            one = start(settings, entry, seed)
            for chosen in entry.settings or (own_setting(one),):
                if setting in (None, chosen):
                    yield one, chosen


def pretraining_job(config: Pretraining, device: str | None = None, scores: Job | None = None) -> Job:
    """One pre-training. summary: ``untrained`` and ``best`` loss on people held out, ``fell``, ``losses``.

    scores: of the people of a source of which the best alone are kept.
    """
    data = DataId(
        name=config.source.kind,
        version=change_sources.version(config.source),
        hash=change_sources.digest(config.source),
    )
    spec = RunSpec(
        recipe=pretraining.RECIPE,
        recipe_version=pretraining.RECIPE_VERSION,
        seed=config.seed,
        values=config.model_dump(mode="json", exclude={"seed"})
        | ({} if scores is None else {"scores": scores.spec.key}),
        data=data,
    )

    def compute(folder: Path, scores: Path | None = None) -> Result:
        score = None if scores is None else np.load(scores / PEOPLE)
        images = pretraining.pictures(config.source, config.side, None if score is None else tuple(score.tolist()))
        trained = pretraining.train(config, folder, device=device, images=images)
        log = (folder / LOG).read_text(encoding="utf-8").splitlines()
        found = {name: trained.scalars[name] for name in ("loss", "untrained", "best", "best_step", "images_per_s")}
        summary = {
            **found,
            "fell": pretraining.fell(found["untrained"], found["best"]),
            "checksum": trained.checksum,
            "losses": losses_of(log),
        }
        return Result({}, summary, str(accelerator_for(device, "no").device), trained.scalars["seconds"], log)

    needs = {} if scores is None else {"scores": scores}
    return Job(spec, compute, lambda: missing_loss(config.method) or change_sources.missing(config.source), needs)


def losses_of(log: Sequence[str]) -> dict[str, list[float]]:
    """The scalars of a log by name, "step" among them."""
    lines = [json.loads(line) for line in log]
    return {name: [line[name] for line in lines] for name in (lines[0] if lines else ()) if name != "images_per_s"}


def task_id(task: str, settings: Comface) -> DataId:
    """What names the pictures of a task."""
    return DataId(**change_tasks.identified(task, settings.tasks, settings.pretraining.side))


def missing_task(task: str, settings: Comface) -> str | None:
    """Why a task's pictures cannot be had here, in one sentence; None where they can."""
    photographs = task == change_tasks.AGE and settings.tasks.ages == "fgnet"
    return (missing_set("fgnet") or missing_package(ALIGNING)) if photographs else None


def pretraining_of(one: Start, device: str | None = None) -> dict[str, Job]:
    """The pre-training that a start needs, under that name; none of one from scratch or from a file."""
    return {} if one.config is None else {"pretraining": pretraining_job(one.config, device, one.scores)}


def _values(settings: Comface, task: str, config: Transfer, one: Start) -> dict[str, Any]:
    named = {"task": task, "start": one.values(), "transfer": config.model_dump(mode="json")}
    if task == change_tasks.AGE:
        return named | {"people": settings.tasks.people, "alignment": align.VERSION}
    return named | {"frame_pairs": settings.tasks.frame_pairs}


def rate_job(settings: Comface, task: str, config: Transfer, one: Start, device: str | None = None) -> Job:
    """The best of a method's rates by short trainings of one seed on the first fold's validation subjects."""
    values = _values(settings, task, config, one)
    spec = RunSpec(recipe=RATE, recipe_version=RATE_VERSION, seed=one.seed, values=values, data=task_id(task, settings))

    def compute(folder: Path, pretraining: Path | None = None) -> Result:
        started = time.perf_counter()
        data = change_tasks.load(task, settings.tasks, settings.pretraining.side)
        rate, errors = transfer.best_rate(config, data, one.comparer(pretraining), folder, device=device)
        with atomic_write(folder / CHOSEN) as path:
            path.write_text(json.dumps({"rate": rate}), encoding="utf-8")
        summary = {"rate": rate, "mae": {f"{lr:g}": error for lr, error in errors.items()}}
        return Result({}, summary, str(accelerator_for(device, "no").device), time.perf_counter() - started)

    return Job(
        spec,
        compute,
        lambda: missing_task(task, settings) or one.lacking(),
        pretraining_of(one, device),
        leaves=(CHOSEN,),
    )


def transfer_job(settings: Comface, task: str, one: Start, setting: str, device: str | None = None) -> Job:
    """One fine-tuning: every fold of a task by one method and seed. A method's rate is chosen once, at its first seed.

    scores: ``predicted`` and ``last`` (by the best and by the last epoch's weights), ``true``, ``subject`` and ``fold``
    of the test pairs in both orders; of a ward also what each fold's model says of the other ward, [folds, 2P].
    It leaves the weights of the first fold.
    """
    config = settings.transfer(task).model_copy(update={"setting": setting, "ages": one.ages or None})
    needs = {}
    if len(config.rates) > 1:
        alike = (other for other, _ in starts(settings, task, setting) if other.values() == one.values())
        first = next(alike, one)
        # Before the pre-training, which the choice of the rate locks for itself.
        needs["rate"] = rate_job(settings, task, config, first, device)
    needs |= pretraining_of(one, device)
    spec = RunSpec(
        recipe=TRANSFER,
        recipe_version=TRANSFER_VERSION,
        seed=one.seed,
        values=_values(settings, task, config, one),
        data=task_id(task, settings),
    )

    def compute(folder: Path, pretraining: Path | None = None, rate: Path | None = None) -> Result:
        started = time.perf_counter()
        side = settings.pretraining.side
        data = change_tasks.load(task, settings.tasks, side)
        other = change_tasks.load(OTHER_WARD[task], settings.tasks, side) if task in OTHER_WARD else None
        chosen = config.rates[0] if rate is None else json.loads((rate / CHOSEN).read_text(encoding="utf-8"))["rate"]
        begun = one.comparer(pretraining)
        parts = [
            transfer.fine_tune(
                config, data, fold, begun, folder / f"fold{k}", rate=chosen, seed=one.seed, other=other, device=device
            )
            for k, fold in enumerate(transfer.folds(config, data))
        ]
        pairs = list(transfer.tested_in(data, transfer.folds(config, data)))
        scores = scored(data, pairs, [part.best for part in parts]) | {
            "last": np.concatenate([part.last for part in parts]).astype(np.float32)
        }
        if other is not None:
            every = both_orders(other.tested)
            scores |= {
                "other_predicted": np.stack([part.other for part in parts if part.other is not None]).astype(
                    np.float32
                ),
                "other_true": every.d.astype(np.float32),
                "other_subject": other.subjects[every.a].astype(np.int32),
            }
        transfer.keep(parts[0], one.encoder, config, task, side, folder / WEIGHTS)
        summary = {
            "rate": chosen,
            "epoch": [part.epoch for part in parts],
            "validation": float(np.mean([part.mae[part.epoch] for part in parts])),
            "mae": [{str(epoch): error for epoch, error in part.mae.items()} for part in parts],
        }
        where = str(accelerator_for(device, "no").device)
        return Result(scores, summary, where, time.perf_counter() - started)

    return Job(spec, compute, lambda: missing_task(task, settings) or one.lacking(), needs)


def scored(task: Task, pairs: list[Any], predicted: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The test pairs of all folds, one after the other: predicted, true, subject, fold."""
    return {
        "predicted": np.concatenate(predicted).astype(np.float32),
        "true": np.concatenate([one.d for one in pairs]).astype(np.float32),
        "subject": np.concatenate([task.subjects[one.a] for one in pairs]).astype(np.int32),
        "fold": np.concatenate([np.full(len(one), k) for k, one in enumerate(pairs)]).astype(np.int8),
    }
