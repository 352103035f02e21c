"""The age estimator T^A of angular distillation: pictures with ages in, a teacher of where age shows out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aifr_lib.data import named
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows
from aifr_lib.models import weights
from aifr_lib.models.age_estimator import AGES, AgeEstimator
from aifr_lib.settings.aad import AgeEstimation
from aifr_lib.settings.presets import Preset
from aifr_lib.training import recognition
from aifr_lib.training.objectives.age_estimation import AgeEstimation as Objective
from aifr_lib.training.sgd import Trained, descend, finish

RECIPE = "age_estimation"
RECIPE_VERSION = 1  # raised by hand when the meaning of an AgeEstimation changes


def network(config: AgeEstimation) -> AgeEstimator:
    """The network of these settings, with fresh weights."""
    return AgeEstimator(config.train.input_hw, config.train.width, config.attention, config.dropout)


def training_faces(config: AgeEstimation) -> Images:
    """The pictures with ages that ``config`` learns from.

    Errors: FileNotFoundError where a data set that a user brings is not under ``AIFR_DATA``.
    """
    return recognition.training_faces(config.train) if config.ages is None else named.load(config.ages).images


def check_ages(images: Images) -> None:
    """Errors: ValueError, naming a record, for an age that is not known or lies outside 0 … 100."""
    ages = images.labels["age"].to_numpy(dtype=np.float64)
    inside = (ages >= 0) & (ages < AGES - 0.5)
    if not inside.all():
        first = int(np.flatnonzero(~inside)[0])
        said = "unknown" if np.isnan(ages[first]) else f"{ages[first]:g}"
        raise ValueError(
            f"{images.name}: the age of {int((~inside).sum())} pictures is unknown or outside 0 … {AGES - 1}, such as "
            f"{images.labels['record'].iloc[first]} ({said}): an age estimator learns from pictures with known ages, "
            "leave these out"
        )


def start(preset: Preset, asked: Mapping[str, Any]) -> AgeEstimation:
    """What ``aifr train age_estimation`` starts from: the age teacher of the preset's distillation."""
    return preset.aad.age_teacher


def train(
    config: AgeEstimation,
    out: Path,
    *,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
) -> Trained[AgeEstimator]:
    """Train one age estimator into ``out``, as ``recognition.train`` does a recogniser.

    images: pictures with ages (None: those of ``config``). Errors: ValueError for ages that are unknown or outside
    0 … 100, before anything is trained; those of ``recognition.train``.
    """
    images = training_faces(config) if images is None else images
    check_ages(images)
    rows = Rows(images, config.train.input_hw, more=("age",))
    torch.manual_seed(config.train.seed)
    module = Objective(network(config), config.expectation)
    settings = {"recipe": RECIPE, "recipe_version": RECIPE_VERSION, **config.model_dump(mode="json")}
    scalars = descend(
        module, config.train, images, rows, out, settings, device=device, compile=compile, progress=progress
    )
    return finish(module.network, RECIPE, config, images, out, scalars)


def load(path: Path) -> tuple[AgeEstimator, AgeEstimation]:
    """A network that ``train`` wrote, in eval mode, and its settings.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    config = weights.read_settings(path, "age_estimation", AgeEstimation, "age estimator")
    found = network(config)
    weights.load_weights(found, path)
    return found.eval(), config
