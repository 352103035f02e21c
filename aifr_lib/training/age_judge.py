"""The recipe of MTLFace's judge of age: it learns from 80 % of a set's people, and the others say how much it errs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows
from aifr_lib.models import weights
from aifr_lib.models.mtlface import AgeReader
from aifr_lib.settings.mtlface import AgeJudging
from aifr_lib.settings.presets import Preset
from aifr_lib.training import recognition
from aifr_lib.training.age_estimation import check_ages
from aifr_lib.training.objectives.age_judge import AgeJudge
from aifr_lib.training.sgd import Trained, descend, finish

RECIPE = "age_judge"
RECIPE_VERSION = 1  # raised by hand when the meaning of an AgeJudging changes


def network(config: AgeJudging) -> AgeReader:
    """The network of these settings, with fresh weights."""
    return AgeReader(recognition.backbone(config.train), len(config.bounds) + 1, config.train.embedding)


def learned_from(config: AgeJudging, images: Images) -> np.ndarray:
    """Which pictures the judge learns from, bool [N]: those of the first 80 % of the people, in rising order.

    Errors: ValueError where either part holds nobody.
    """
    people = np.unique(images.labels["identity"].to_numpy())
    taken = round(config.share * len(people))
    if not 0 < taken < len(people):
        raise ValueError(
            f"{images.name}: {config.share:.0%} of {len(people)} people leave nobody to learn from, or nobody to be "
            "held out: add people, or change share"
        )
    return images.labels["identity"].isin(people[:taken]).to_numpy()


def start(preset: Preset, asked: Mapping[str, Any]) -> AgeJudging:
    """What ``aifr train age_judge`` starts from."""
    return preset.mtlface.judge


def train(
    config: AgeJudging,
    out: Path,
    *,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
) -> Trained[AgeReader]:
    """Train one judge into ``out``, as ``recognition.train`` does a recogniser, on a part of the people of ``images``.

    Errors: ValueError for ages that are unknown or outside 0 … 100, before anything is trained; those of
    ``learned_from`` and of ``recognition.train``.
    """
    images = recognition.training_faces(config.train) if images is None else images
    check_ages(images)
    images = images.take(np.flatnonzero(learned_from(config, images)))
    rows = Rows(images, config.train.input_hw, more=("age",))
    torch.manual_seed(config.train.seed)
    module = AgeJudge(network(config), config.bounds)
    settings = {"recipe": RECIPE, "recipe_version": RECIPE_VERSION, **config.model_dump(mode="json")}
    scalars = descend(
        module, config.train, images, rows, out, settings, device=device, compile=compile, progress=progress
    )
    return finish(module.network, RECIPE, config, images, out, scalars)


def load(path: Path) -> tuple[AgeReader, AgeJudging]:
    """A judge that ``train`` wrote, in eval mode, and its settings.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    config = weights.read_settings(path, RECIPE, AgeJudging, "judge of age")
    found = network(config)
    weights.load_weights(found, path)
    return found.eval(), config
