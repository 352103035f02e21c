"""The trainings there are, by name: what ``aifr train RECIPE`` starts. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aifr_lib.settings.aad import AgeEstimation, Distillation
from aifr_lib.settings.comface import Pretraining
from aifr_lib.settings.mtlface import AgeJudging, MultiTask
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.synthesis_rivals import Caae, Ipcgan
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import (
    age_estimation,
    age_judge,
    comface,
    distillation,
    mtlface,
    recognition,
    synthesis_rivals,
    transformer_metric,
)


@dataclass(frozen=True)
class Recipe:
    """settings: the type that checks what a user asks. start: those that a preset has, given what is asked besides.

    train(settings, out, device=…, compile=…): trains into the folder ``out`` and gives ``weights`` and ``checksum``.
    """

    settings: type[Any]
    start: Callable[[Preset, dict[str, Any]], Any]
    train: Callable[..., Any]


RECIPES: dict[str, Recipe] = {
    "recognition": Recipe(Recognition, recognition.start, recognition.train),
    "transformer_metric": Recipe(TransformerTraining, transformer_metric.start, transformer_metric.train),
    "age_estimation": Recipe(AgeEstimation, age_estimation.start, age_estimation.train),
    "distillation": Recipe(Distillation, distillation.start, distillation.train),
    "comface": Recipe(Pretraining, comface.start, comface.train),
    "mtlface": Recipe(MultiTask, mtlface.start, mtlface.train),
    "caae": Recipe(Caae, synthesis_rivals.start_caae, synthesis_rivals.train),
    "ipcgan": Recipe(Ipcgan, synthesis_rivals.start_ipcgan, synthesis_rivals.train),
    "age_judge": Recipe(AgeJudging, age_judge.start, age_judge.train),
}
