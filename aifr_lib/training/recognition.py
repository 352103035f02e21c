"""The recognition recipe: a backbone under a margin loss, with or without TML's transformer branch, by SGD."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aifr_lib.data import edited, named, relief
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows
from aifr_lib.faces.generators import sources
from aifr_lib.losses import margins
from aifr_lib.losses.sharded import ShardedHead, ShardedLinear
from aifr_lib.models import BACKBONES, FourStages, build, judges, weights
from aifr_lib.models.transformer_branch import MeanBranch, TransformerBranch
from aifr_lib.names import ConfigError, choose, validate
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief
from aifr_lib.settings.tml import Branch
from aifr_lib.training.engine import accelerator_for
from aifr_lib.training.objectives.sharded_metric import ShardedMetric
from aifr_lib.training.objectives.transformer_metric import TransformerMetric
from aifr_lib.training.sgd import descend

RECIPE = "recognition"
# Raised by hand when the meaning of a Recognition changes: the key of every run that trains one changes with it.
RECIPE_VERSION = 1

LOG_EVERY = 50  # steps
MARGINS = {"softmax": 0.0, "cosface": 0.35, "arcface": 0.45, "adaface": 0.4}  # TML section IV-B


@dataclass(frozen=True)
class Trained:
    """A finished training: the backbone in eval mode, its weights on disk, their SHA-256, the last logged scalars."""

    backbone: nn.Module
    weights: Path
    checksum: str
    scalars: dict[str, float]


def backbone(config: Recognition) -> FourStages:
    """The network whose embedding is used at test time."""
    options: dict[str, Any] = {"input_hw": config.input_hw, "embedding": config.embedding, "width": config.width}
    if config.backbone.startswith("iresnet"):
        options["dropout"] = config.dropout
    choose("backbone", config.backbone, BACKBONES)
    return build(config.backbone, **options)


def options_of(config: Recognition) -> dict[str, float]:
    """Scale and margin of the head."""
    margin = choose("loss", config.loss, MARGINS) if config.m is None else config.m
    return {"s": config.s} if config.loss == "softmax" else {"s": config.s, "m": margin}


def objective(
    config: Recognition, classes: int, branch: Branch = "transformer", dropout: float = 0.1
) -> TransformerMetric:
    """Backbone, margin head and, for α > 0, the transformer branch: what TML Fig. 5 draws.

    branch, dropout: as of ``TransformerTraining``, whose controls stand in the branch's place.
    """
    network = backbone(config)
    # Before the branch, so that with one seed all α start from the same backbone and head.
    head = margins.build(config.loss, config.embedding, classes, **options_of(config))
    if config.alpha == 0 and config.combine == "weighted":  # a sum (eq. 12) has no α: its branch is always there
        return TransformerMetric(network, head)
    if branch == "none":
        return TransformerMetric(network, head, alpha=config.alpha, rescaled=True)
    return TransformerMetric(
        network,
        head,
        MeanBranch(network.feature_channels) if branch == "pooled" else transformer(config, network, branch, dropout),
        alpha=config.alpha,
        classifier=config.classifier,
        combine=config.combine,
    )


def sharded(config: Recognition, classes: int, sampled: float) -> ShardedMetric:
    """``objective`` with the people shared out over the processes that were launched together, from the same start.

    sampled: share of the people in each step's softmax. Errors: ConfigError for a combination that has none.
    """
    if config.combine == "sum":
        raise ConfigError("combine 'sum' adds two heads' logits: people are shared out where losses are weighted")
    network = backbone(config)
    head = ShardedHead(config.loss, config.embedding, classes, sampled=sampled, **options_of(config))
    if config.alpha == 0:
        return ShardedMetric(network, head)
    branch, width = transformer(config, network, "transformer", 0.1), network.feature_channels
    margin = config.classifier == "margin"
    classifier = head.like(width) if margin else ShardedLinear(width, classes, sampled=sampled)
    return ShardedMetric(network, head, branch, classifier, config.alpha)


def transformer(config: Recognition, network: FourStages, branch: Branch, dropout: float) -> TransformerBranch:
    """The branch over O_f of ``network``."""
    height, width = network.feature_hw
    made = TransformerBranch(
        network.feature_channels,
        layers=config.layers,
        heads=config.heads,
        feedforward=config.feedforward,
        dropout=dropout,
        tokens=height * width,
        pos_encoding=config.pos_encoding,
    )
    return made.freeze() if branch == "frozen" else made


@lru_cache(maxsize=1)
def relief_faces(settings: Relief) -> Images:
    """The relief training faces of these settings (kept: runs of one sweep share them)."""
    return relief.load(
        "train",
        size=settings.size,
        identities=settings.train_identities,
        per_identity=settings.train_per_identity,
        span=settings.span,
    )


@lru_cache(maxsize=1)
def generator_faces(people: int, per_identity: int, side: int) -> Images:
    """Photo-real training people who do not exist, each near an age of their own (``edited.narrow``), drawn once."""
    plan = edited.narrow(people, per_identity)
    images = edited.cached(plan, sources.open_source("latent"), estimate_age=judges.AgeJudge())
    return edited.shrunk(images, side)


def training_faces(config: Recognition) -> Images:
    """The pictures ``config`` trains on; of ``relief`` and ``generator-narrow`` as many people as ``relief`` says.

    Errors: FileNotFoundError where a data set that a user brings is not under ``AIFR_DATA``.
    """
    if config.data == "relief":
        return relief_faces(config.relief)
    if config.data == edited.NARROW:
        counts = config.relief.train_identities, config.relief.train_per_identity
        return generator_faces(*counts, config.input_hw[0])
    return named.load(config.data).images


def start(preset: Preset, asked: Mapping[str, Any]) -> Recognition:
    """What ``aifr train recognition`` starts from: a training of the preset's α sweep, at the rate tuned for its α.

    Errors: ConfigError for an α that is none.
    """
    sweep = preset.alpha_sweep
    alpha = {"alpha": asked.get("alpha", sweep.train.alpha)}
    first = validate(Recognition, sweep.train.model_dump() | alpha, "settings of the training")
    return sweep.training(first.alpha, first.seed)


def train(
    config: Recognition,
    out: Path,
    *,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
    look: Callable[[nn.Module, int], None] | None = None,
    looks: int = 1,
    make: Callable[[int], TransformerMetric | ShardedMetric] | None = None,
    asked: Mapping[str, Any] | None = None,
    sampled: float | None = None,
) -> Trained:
    """Train one network into ``out``: ``checkpoint.pt`` while it runs, ``log.jsonl``, then ``weights.safetensors``.

    Run again with the same settings and folder, it goes on where it stopped; finished, it returns at once.
    compile: whether ``torch.compile`` fuses the network, which changes the rounding and nothing else.
    images: the training faces (None: those ``config.data`` names).
    look(backbone, step): called ``looks`` times on the way (``sgd.descend``); the weights are those of a training that
    nobody looks at.
    make(classes): what is trained (None: ``objective``), and in ``asked`` what it was asked besides.
    sampled: shares the people out over the processes launched together, this share of them in each step's softmax (1:
    all); None keeps all in each process. Its checkpoints go on with any number of processes.
    The log has the slopes of the losses (``TransformerMetric.forward``).
    Errors: ValueError for a folder that holds a training of other settings, or on pictures of another name, version or
    list of records; what ``fit`` raises.
    """
    images = training_faces(config) if images is None else images
    rows = Rows(images, config.input_hw)
    if sampled is not None:
        if make is not None:
            raise ConfigError("people are shared out where recognition itself is trained")
        accelerator_for(device, config.precision)  # before the head asks which part of it is here
        make, asked = partial(sharded, config, sampled=sampled), {**(asked or {}), "sampled": sampled}
    torch.manual_seed(config.seed)
    module = make(rows.class_count) if make else objective(config, rows.class_count)
    margins.check_labels(rows.classes, module.head.classes)
    if isinstance(module, TransformerMetric):
        module.slopes_every = LOG_EVERY
    settings = {"recipe_version": RECIPE_VERSION, **config.model_dump(mode="json"), **(asked or {})}
    scalars = descend(
        module,
        config,
        images,
        rows,
        out,
        settings,
        look=None if look is None else lambda step: look(module.backbone, step),
        looks=looks,
        log_every=LOG_EVERY,
        device=device,
        compile=compile,
        progress=progress,
    )
    network = module.backbone.eval()
    path = out / "weights.safetensors"
    metadata = {"recognition": config.model_dump_json(), "data": f"{images.name} {images.version}"}
    weights.save_weights(network, path, metadata)
    return Trained(network, path, weights.digest(network.state_dict()), scalars)


def load(path: Path) -> tuple[nn.Module, Recognition]:
    """A network that ``train`` wrote, in eval mode, and the settings it was trained with.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    config = weights.read_settings(path, "recognition", Recognition, "recogniser")
    network = backbone(config)
    weights.load_weights(network, path)
    return network.eval(), config
