"""The numbers that the supplement prints in its text beside those of the preset "paper"; the sizes of the networks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.sizes import NOTHING, count
from aifr_lib.models import build
from aifr_lib.models.mtlface import AgeHead, Decomposition, Recogniser
from aifr_lib.models.mtlface_synthesis import Decoder, IdentityConditional, OneHot, PatchCritic
from aifr_lib.reporting import papers
from aifr_lib.reporting.rows import UNDER, Measured, Row
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset, load_preset

RECIPE, RECIPE_VERSION = "mtlface_modules", 1
GROUPS, SIDE = 7, 112
PART = "parameters"


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run, of the published sizes, whatever the preset: nothing is trained."""
    values = {"groups": GROUPS, "side": SIDE}
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=NOTHING)
    return {"modules": Job(spec, lambda _: compute(), leaves=())}


def compute() -> Result:
    """summary: ``parameters`` of each part, and the cells a side of the critic's ``confidences``."""
    started = time.perf_counter()
    with torch.device("meta"):
        encoder = build("iresnet50", input_hw=(SIDE, SIDE), embedding=512)
        reader = Recogniser(encoder, GROUPS)
        channels, *cells = reader.map_shape
        critic = PatchCritic(GROUPS)
        parts = {
            "encoder": encoder,
            "decomposition, channels": Decomposition(channels, "channel"),
            "decomposition, cells": Decomposition(channels, "spatial"),
            "age head": AgeHead(channels, (cells[0], cells[1]), GROUPS),
            "identity conditional module": IdentityConditional(channels, GROUPS),
            "one-hot condition": OneHot(channels, GROUPS),
            "decoder": Decoder(channels, (256, 128, 64, 3)),
            "critic": critic,
        }
        confidences = critic(torch.zeros(1, 3, SIDE, SIDE), torch.zeros(1, dtype=torch.long)).shape[-1]
    found = {name: count(part) for name, part in parts.items()}
    return Result({}, {"parameters": found, "confidences": confidences}, "cpu", time.perf_counter() - started)


def rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Each printed number beside the preset's, and the parameters of each part (not printed)."""
    if "modules" not in runs:
        yield Row(keys={"setting": "image size"}, metric="value")
        return
    summary = runs["modules"].summary
    asked = load_preset("paper").mtlface
    small, large, drawing = asked.train, asked.large, asked.train.synthesis
    assert large is not None and drawing is not None
    train = small.recognition.train
    ours: dict[str, float] = {
        "image size": train.input_hw[0],
        "ICBs in ICM": drawing.blocks,
        "batch size": train.batch,
        "iterations LCAF": large.recognition.train.epochs,
        "iterations SCAF": train.epochs,
        "lambda_age AIFR": small.recognition.age_weight,
        "lambda_id AIFR": small.recognition.adversary_weight,
        "lambda_adv FAS": drawing.adversarial_weight,
        "lambda_id FAS": drawing.identity_weight,
        "lambda_age FAS": drawing.age_weight,
        "CosFace margin": train.m or 0.0,
        "CosFace scale": train.s,
    }
    printed = {str(row["name"]): row for row in papers.load("mtlface_intext").rows}
    for name, value in ours.items():
        line = printed[name]
        yield Row(
            keys={"setting": name},
            metric="value",
            measured=Measured(mean=float(value)),
            paper=float(str(line["value"])),
            paper_source=f"section {line['where']}",
        )
    yield Row(
        keys={"setting": "D_img output map, cells a side"},
        metric="value",
        measured=Measured(mean=float(summary["confidences"])),
        paper=7.0,
        paper_source="section B",
    )
    for part, number in summary["parameters"].items():
        yield Row(keys={"setting": part}, metric=PART, measured=Measured(mean=float(number)))


INTEXT = Experiment(
    "mtlface_intext",
    jobs,
    rows,
    kind="settings",
    shape=Shape(
        down=("setting",),
        across=(METRIC,),
        only={METRIC: "value"},
        names={**UNDER["setting"], "value": "ours at full size"},
    ),
)
PARTS = Shape(down=("setting",), across=(METRIC,), only={METRIC: PART}, names={"setting": "part"})
