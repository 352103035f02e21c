"""The recipe of ComFace's pre-training, and of its rivals' on the same pictures at an equal number of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aifr_lib.data import change_sources, edited
from aifr_lib.data.attribute_pairs import ANY, AttributeBatches, AttributePairs, TwiceBatches, disjoint, groups_of
from aifr_lib.data.augment import augment, augmented, scaled
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Batches, Rows
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.data.relief.cache import rendered
from aifr_lib.faces import align
from aifr_lib.faces.generators import sources
from aifr_lib.models import judges, weights
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import encoder
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import Kept, Pretraining, Source
from aifr_lib.settings.presets import Preset
from aifr_lib.training.engine import Plan, accelerator_for, fit
from aifr_lib.training.objectives.comface import METHODS, OF_VIEWS, Pretrainer, missing
from aifr_lib.training.sgd import Trained, finish, seen

RECIPE = "comface"
RECIPE_VERSION = 1  # raised by hand when the meaning of a Pretraining changes
LOOKED_AT = 512  # validation pairs, at most
LOT = 82  # seeds the order in which people are drawn by lot
FELL = 0.97  # a loss on people held out above this share of the untrained network's did not fall


@lru_cache(maxsize=1)
def pictures(source: Source, side: int, score: tuple[float, ...] | None = None) -> Images:
    """The pictures of a source at ``side`` pixels, drawn once; kept, since runs of one ledger share them.

    score: of each person, by which the best are kept where the source says so.
    Errors: those of the generator where it is missing; ConfigError for an attribute that the source cannot change, or
    the best people of a source without their scores.
    """
    if source.kind == "latent":
        drawn = _generated(source)
        changed = drawn.labels["attribute"].to_numpy() != ""
        images = edited.shrunk(drawn, side).take(np.flatnonzero(changed))
    elif source.kind == "relief-edits":
        images = rendered(change_sources.relief_edits(source.people, source.attributes, source.step), side)
    else:
        images = rendered(change_sources.relief_wide(source.people), side)
    if source.without is not None:
        images = images.take(np.flatnonzero(images.labels["attribute"].to_numpy() != source.without))
    return images if source.kept is None else best_people(images, source.kept, score)


def _generated(source: Source) -> Images:
    """The generator's people, each once without an edit (its attribute is "") and with each edit, 112×112."""
    everything = edited.edited(range(source.people), source.attributes, [0.0, *change_sources.strengths(source.step)])
    return edited.cached(everything, sources.open_source("latent"), estimate_age=judges.AgeJudge())


def unedited(source: Source) -> Images:
    """One picture of each person before any edit, 112×112, by their numbers: what a score of quality sees (spec of
    SER-FIQ's subsets: inferred). Of rendered people, who are all edited, the one that is edited least.
    """
    if source.kind == "latent":
        drawn = _generated(source)
        return drawn.take(np.flatnonzero(drawn.labels["attribute"].to_numpy() == ""))
    if source.kind == "relief-edits":
        plan = change_sources.relief_edits(source.people, source.attributes[:1], source.step)
    else:
        plan = change_sources.relief_wide(source.people)
    drawn = rendered(plan, align.SIDE)
    order = np.lexsort((drawn.labels["alpha"].abs(), drawn.labels["identity"]))
    return drawn.take(order[np.unique(drawn.labels["identity"].to_numpy()[order], return_index=True)[1]])


def best_people(images: Images, kept: Kept, score: tuple[float, ...] | None = None) -> Images:
    """The pictures of the people with the largest scores, a share of all; without regard to scores, by one lot.

    Lots are nested: who is among a quarter is among a half too.
    """
    people = np.unique(images.labels["identity"])
    if kept.by == "random":
        value = np.random.default_rng(LOT).permutation(len(people)).astype(float)
    elif score is None or len(score) != len(people):
        raise ConfigError(
            f"the best {kept.share:.0%} of the people by {kept.by} need a score of each of {len(people)}, "
            f"got {0 if score is None else len(score)}: such trainings belong to ComFace's Table H "
            "(aifr run-queue --paper comface)"
        )
    else:
        value = np.array(score)
    chosen = people[np.argsort(-value, kind="stable")[: max(1, round(kept.share * len(people)))]]
    return images.take(np.flatnonzero(np.isin(images.labels["identity"], chosen)))


def comparer(config: Pretraining) -> Comparer:
    """Encoder and linear layer of these settings, with fresh weights."""
    return Comparer(encoder(config.encoder, config.side), config.fuse)


def objective(config: Pretraining) -> Pretrainer:
    """The method of these settings. Errors: ImportError, with the command, where its loss needs a missing package."""
    if why := missing(config.method):
        raise ImportError(why)
    return METHODS[config.method](config, comparer(config))


def split(images: Images, share: float) -> tuple[Images, Images]:
    """Training and validation people, the last ``share`` of the identities, one at least. Errors: ValueError for none
    or one that would be left to train."""
    people = np.unique(images.labels["identity"])
    held = max(1, round(share * len(people)))
    if len(people) - held < 2:
        raise ValueError(f"{images.name}: {len(people)} people leave {len(people) - held} to train on: two at least")
    validating = np.isin(images.labels["identity"], people[-held:])
    return images.take(np.flatnonzero(~validating)), images.take(np.flatnonzero(validating))


def batches_of(config: Pretraining, images: Images) -> Batches:
    """The order in which a method's pictures come: pairs under the curriculum, pairs, or each picture twice."""
    if config.method in OF_VIEWS:
        return TwiceBatches
    curriculum = config.curriculum if config.method == "comface" else ANY
    return partial(AttributeBatches, AttributePairs(images, curriculum, seed=config.seed))


def fell(untrained: float, best: float) -> bool:
    """Whether a method learnt what it asks of itself: one whose loss did not fall is no rival that was beaten."""
    return best < FELL * untrained


def rate(config: Pretraining, step: int) -> float:
    """The factor on the learning rate: a half after ``halved`` of the steps ("halved in 10 epochs" of 12, Table B)."""
    return 0.5 if step >= config.halved * config.steps else 1.0


def start(preset: Preset, asked: Mapping[str, Any]) -> Pretraining:
    """What ``aifr train comface`` starts from."""
    return preset.comface.pretraining


def train(
    config: Pretraining,
    out: Path,
    *,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
) -> Trained[Comparer]:
    """Pre-train one network into ``out``; run again with the same settings and folder, it goes on where it stopped.

    The weights are those of the lowest validation loss of its own (Table B's checkpoint), on fixed pairs of held-out
    people without any restriction of the change, so that losses compare over the curriculum.
    images: the pictures (None: those of ``config.source``).
    Errors, before anything is trained: ConfigError for a curriculum under which somebody has no partner; ValueError for
    too few people or a batch of one identity; ImportError for a package that is missing; what ``fit`` raises.
    """
    accelerator_for(device, config.precision)  # before a loss asks whether several processes train together
    torch.manual_seed(config.seed)
    module = objective(config)
    images = pictures(config.source, config.side) if images is None else images
    learning, validating = split(images, config.held_out)
    rows = Rows(learning, (config.side, config.side), more=("alpha",))
    plan = Plan(
        steps=config.steps,
        batch=config.batch,
        seed=config.seed,
        precision=config.precision,
        compile=compile,
        log_every=max(1, min(20, config.steps // 4)),
        evaluate_every=max(1, config.steps // config.looks),
        settings={
            "pictures": seen(images),
            "recipe": RECIPE,
            "recipe_version": RECIPE_VERSION,
            **config.model_dump(mode="json"),
        },
    )
    validation = Validation(config, validating, module)
    module.eval()
    with torch.no_grad():
        untrained = validation(0)
    module.train()
    optimised = [weight for weight in module.parameters() if weight.requires_grad]
    scalars = fit(
        module,
        torch.optim.Adam(optimised, lr=config.lr),
        partial(rate, config),
        rows,
        plan,
        out,
        records=learning.labels["record"].array,
        batches=batches_of(config, learning),
        inputs=augmented(config.augmentation),
        evaluate=validation,
        device=device,
        progress=progress,
    )
    scalars["untrained"] = untrained
    return finish(module.comparer, RECIPE, config, images, out, scalars)


class Validation:
    """The method's own loss on fixed pairs of people held out: called with a step, gives the loss. Of several processes
    each asks it of all pairs, and gets what a single one would.
    """

    def __init__(self, config: Pretraining, images: Images, module: Pretrainer) -> None:
        self.module = module
        rows = Rows(images, (config.side, config.side), more=("alpha",))
        views = config.method in OF_VIEWS
        listed = np.repeat(np.arange(len(images))[:, None], 2, axis=1) if views else _pairs(images)
        chosen = np.random.default_rng(0).permutation(listed)[:LOOKED_AT]
        batch = rows.__getitems__(chosen.tolist())
        self.batch = {name: column for name, column in batch.items() if name not in ("images", "row")}
        self.batch["images"] = _views(config, batch["images"]) if views else scaled(batch["images"])

    def __call__(self, step: int) -> float:
        device = next(self.module.parameters()).device
        batch = {name: column.to(device) for name, column in self.batch.items()}
        return float(self.module(batch, "all")["loss"])


def _pairs(images: Images) -> np.ndarray:
    """Pairs of one epoch without restriction; of one person alone too, whose contrast is then 0."""
    groups = groups_of(images)
    a, b = genuine_pairs(groups)
    return disjoint(a, b, len(images), np.random.default_rng(0))


def _views(config: Pretraining, pixels: Tensor) -> Tensor:
    """Two views of each picture, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return augment(config.augmentation, pixels)


def load(path: Path) -> tuple[Comparer, Pretraining]:
    """Encoder and linear layer that ``train`` wrote, in eval mode, and the settings.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    config = weights.read_settings(path, RECIPE, Pretraining, "pre-training of ComFace")
    found = comparer(config)
    weights.load_weights(found, path)
    return found.eval(), config
