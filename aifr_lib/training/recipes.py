"""The trainings there are, by name: what ``aifr train RECIPE`` starts. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aifr_lib.names import validate
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import recognition


@dataclass(frozen=True)
class Recipe:
    """settings: the type that checks what a user asks. start: those that a preset has, given what is asked besides.

    train(settings, out, device=…): trains into the folder ``out`` and gives ``weights`` and ``checksum``.
    """

    settings: type[Any]
    start: Callable[[Preset, dict[str, Any]], Any]
    train: Callable[..., Any]


def _sweep(preset: Preset, asked: dict[str, Any]) -> Recognition:
    """A training of the preset's α sweep, at the rate that was tuned for the α asked for."""
    sweep = preset.alpha_sweep
    alpha = {"alpha": asked.get("alpha", sweep.train.alpha)}
    start = validate(Recognition, sweep.train.model_dump() | alpha, "settings of the training")
    return sweep.training(start.alpha, start.seed)


RECIPES: dict[str, Recipe] = {
    "recognition": Recipe(Recognition, _sweep, lambda *given, **options: recognition.train(*given, **options)),
}
