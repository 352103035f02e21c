"""The recipe of TML: a recogniser under a margin loss and a branch that only its training has, or a control of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aifr_lib.data.images import Images
from aifr_lib.names import validate
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import recognition
from aifr_lib.training.objectives.transformer_metric import TransformerMetric

RECIPE = "transformer_metric"
# Raised by hand when the meaning of a TransformerTraining changes; what recognition itself means has its own.
RECIPE_VERSION = 1


def objective(config: TransformerTraining, classes: int) -> TransformerMetric:
    """What is trained: backbone and head, with one seed those of every training of recognition, and the branch."""
    return recognition.objective(config.train, classes, config.branch, config.dropout)


def check(config: TransformerTraining) -> None:
    """Errors: ConfigError for settings of which no network can be made, before any face is drawn."""
    with torch.device("meta"):
        objective(config, 2)


def start(preset: Preset, asked: Mapping[str, Any]) -> TransformerTraining:
    """What ``aifr train transformer_metric`` starts from: the branch at the α of the tables, at the rate for it."""
    sweep, alpha = preset.alpha_sweep, preset.verification.alpha
    return validate(TransformerTraining, {"train": sweep.training(alpha, sweep.train.seed)}, "settings of the training")


def train(
    config: TransformerTraining,
    out: Path,
    *,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
    look: Callable[[nn.Module, int], None] | None = None,
    looks: int = 1,
) -> recognition.Trained:
    """Train one network into ``out``, as ``recognition.train`` does, whose arguments and errors these are.

    Errors besides: those of ``check``.
    """
    check(config)
    return recognition.train(
        config.train,
        out,
        device=device,
        compile=compile,
        progress=progress,
        images=images,
        look=look,
        looks=looks,
        make=partial(objective, config),
        asked={"recipe": RECIPE, "branch": config.branch, "dropout": config.dropout},
    )
