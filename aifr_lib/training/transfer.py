"""Transfer of ComFace, or of any encoder, to a change between two pictures: fine-tuning, subjects held out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from aifr_lib.data.augment import augmented, scaled
from aifr_lib.data.change_tasks import Task, both_orders, some, within
from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.loader import PairBatches, Rows
from aifr_lib.evaluation.change import Fold, subject_folds
from aifr_lib.files import atomic_write
from aifr_lib.models import weights
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import encoder, features
from aifr_lib.names import Strict
from aifr_lib.settings.comface import Transfer
from aifr_lib.training.engine import Plan, fit
from aifr_lib.training.objectives.change import Ages, Change
from aifr_lib.training.sgd import seen

RECIPE = "comface_transfer"
FOLDS_SEED = 0  # one division of the subjects for all methods and seeds
LOOKS, LAST = "looks.json", "last.npy"


@dataclass(frozen=True)
class Fine:
    """A fine-tuned fold. mae: by epoch, of validation subjects, in the task's unit; epoch: the best of them.

    best, last: d̂ of the test pairs in both orders, [2P], by the weights of that epoch and by those of the last.
    network: with the best weights, in eval mode; its layer's unit is ``scale`` of the task's.
    other: the same of all pairs of another set of the task (Edema A to B), by the best weights.
    """

    mae: dict[int, float]
    epoch: int
    best: np.ndarray
    last: np.ndarray
    network: Comparer
    scale: float
    other: np.ndarray | None = None


class Tuned(Strict):
    """What the file of a fine-tuned fold says of itself. scale: in the task's unit, one of the layer's."""

    task: str
    encoder: str
    side: int
    fuse: Literal["diff", "concat"]
    scale: float
    transfer: Transfer


def folds(config: Transfer, task: Task) -> list[Fold]:
    """The pictures of each fold; no subject is in two of its parts. Errors: ValueError for too few subjects."""
    found = subject_folds(task.subjects, folds=config.folds, validation=config.validation, seed=FOLDS_SEED)
    return list(found)


def tested_in(task: Task, folds: list[Fold]) -> Iterator[ChangePairs]:
    """The test pairs of each fold, in both orders."""
    for fold in folds:
        yield both_orders(some(task.tested, within(task.tested, fold.test)))


def layered(config: Transfer, comparer: Comparer, seed: int) -> Comparer:
    """A copy to be trained: its linear layer as pre-trained (b, d), or fresh (a, c)."""
    found = copy.deepcopy(comparer)
    found.requires_grad_(True)
    if not config.keeps_layer:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.linear.reset_parameters()
    return found


def spread(config: Transfer, task: Task, fold: Fold) -> float:
    """What targets are divided by: 1, or the standard deviation of the change over the pairs learnt from."""
    if config.target == "raw":
        return 1.0
    return float(both_orders(some(task.learnt, within(task.learnt, fold.train))).d.std())


def predict(comparer: Comparer, images: Images, pairs: ChangePairs) -> np.ndarray:
    """d̂ of each pair, float64 [P], in the layer's own unit: each picture is seen once."""
    used, place = np.unique(np.concatenate([pairs.a, pairs.b]), return_inverse=True)
    device = next(comparer.parameters()).device
    x = scaled(torch.from_numpy(np.ascontiguousarray(images.pixels[used])).to(device))
    h = features(comparer.encoder, x)
    a, b = torch.from_numpy(place).to(device).chunk(2)
    with torch.no_grad():
        return comparer.change(h[a], h[b]).double().cpu().numpy()


def rescaled(comparer: Comparer, task: Task, fold: Fold, scale: float) -> None:
    """Fit the unit of a pre-trained layer to the task's by least squares over the pairs learnt from, in place."""
    pairs = both_orders(some(task.learnt, within(task.learnt, fold.train)))
    said = predict(comparer, task.images, pairs)
    factor = float(said @ (pairs.d / scale) / max(float(said @ said), 1e-12))
    with torch.no_grad():
        for weight in comparer.linear.parameters():
            weight.mul_(factor)


def fine_tune(
    config: Transfer,
    task: Task,
    fold: Fold,
    comparer: Comparer,
    out: Path,
    *,
    rate: float,
    seed: int,
    epochs: int | None = None,
    other: Task | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Fine:
    """Train a copy of ``comparer`` on one fold into ``out`` (c, d); it goes on where it stopped.

    Each training picture is once the first of a pair in an epoch, beside another of its subject drawn anew; the weights
    of the least error on validation subjects are tested, those of the last epoch beside them. epochs: None as config.
    Errors: ValueError for a fold without training or validation pairs; what ``fit`` raises.
    """
    learning = task.images.take(fold.train)
    validating = both_orders(some(task.tested, within(task.tested, fold.validation)))
    testing = both_orders(some(task.tested, within(task.tested, fold.test)))
    for what, pairs in (("validate on", validating), ("test on", testing)):
        if not len(pairs):
            raise ValueError(f"{task.images.name}: a fold has no pair to {what}: fewer folds, or more subjects")
    scale = spread(config, task, fold)
    module = change_objective(config, task, fold, layered(config, comparer, seed), scale)
    per_epoch = config.pairs_per_epoch or len(learning)
    steps = max(1, per_epoch // config.batch)
    total = steps * (config.epochs if epochs is None else epochs)
    rows = Rows(learning, (learning.pixels.shape[1], learning.pixels.shape[2]), more=(task.label,))
    plan = Plan(
        steps=total,
        batch=config.batch,
        seed=seed,
        precision=config.precision,
        evaluate_every=steps,
        log_every=steps,
        settings={"pictures": seen(learning), "task": task.name, "rate": rate, **config.model_dump(mode="json")},
    )
    out.mkdir(parents=True, exist_ok=True)

    def look(step: int) -> float:
        error = float(np.abs(scale * predict(module.comparer, task.images, validating) - validating.d).mean())
        _note(out / LOOKS, step // steps, error)
        if step == total:
            with atomic_write(out / LAST) as path:
                np.save(path, scale * predict(module.comparer, task.images, testing))
        return error

    scalars = fit(
        module,
        torch.optim.Adam(module.parameters(), lr=rate),
        lambda step: 1.0,
        rows,
        plan,
        out,
        records=learning.labels["record"].array,
        batches=partial(PairBatches, rows.classes),
        inputs=augmented(config.augmentation),
        evaluate=look,
        device=device,
        progress=progress,
    )
    module.eval()
    noted = json.loads((out / LOOKS).read_text(encoding="utf-8"))
    return Fine(
        mae={int(epoch): error for epoch, error in noted.items()},
        epoch=int(scalars["best_step"]) // steps,
        best=scale * predict(module.comparer, task.images, testing),
        last=np.load(out / LAST),
        network=module.comparer,
        scale=scale,
        other=None if other is None else scale * predict(module.comparer, other.images, both_orders(other.tested)),
    )


def change_objective(config: Transfer, task: Task, fold: Fold, comparer: Comparer, scale: float) -> Change:
    """The objective of a fold, its layer rescaled where that is asked for."""
    if config.linear_rescale and config.keeps_layer:
        rescaled(comparer, task, fold, scale)
    if config.ages:
        return Ages(comparer, task.label, scale, float(task.values[fold.train].mean()))
    return Change(comparer, task.label, scale)


def keep(part: Fine, encoder: str, config: Transfer, task: str, side: int, path: Path) -> None:
    """Write a fine-tuned fold's network with what it takes to use it."""
    about = Tuned(task=task, encoder=encoder, side=side, fuse=part.network.fuse, scale=part.scale, transfer=config)
    weights.save_weights(part.network, path, {RECIPE: about.model_dump_json()})


def load(path: Path) -> tuple[Comparer, Tuned]:
    """What ``keep`` wrote, in eval mode. Errors: ValueError for other weights; what ``weights.load_weights`` raises."""
    about = weights.read_settings(path, RECIPE, Tuned, "network fine-tuned to a change")
    with torch.random.fork_rng(devices=[]):
        found = Comparer(encoder(about.encoder, about.side), about.fuse)
    weights.load_weights(found, path)
    return found.eval(), about


def best_rate(
    config: Transfer,
    task: Task,
    comparer: Comparer,
    out: Path,
    *,
    seed: int = 0,
    fold: Fold | None = None,
    device: str | None = None,
    progress: bool = True,
) -> tuple[float, dict[float, float]]:
    """(the rate, by rate the least error on validation subjects) of short trainings on one fold, None: the first.

    No test subject is looked at. Errors: as ``fine_tune``.
    """
    first, errors = fold or folds(config, task)[0], {}
    for rate in config.rates:
        found = fine_tune(
            config, task, first, comparer, out / f"rate-{rate:g}", rate=rate, seed=seed,
            epochs=config.tuning_epochs, device=device, progress=progress,
        )  # fmt: skip
        errors[rate] = min(found.mae.values())
    return min(errors, key=errors.__getitem__), errors


def _note(path: Path, epoch: int, error: float) -> None:
    noted = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({**noted, str(epoch): error}), encoding="utf-8")
