"""Recognition by MTLFace: how its map is split, with the adversary and without, and what either part holds.

Each run trains one recogniser and scores it at once: lists of pairs, the age told, linear probes of X_age and X_id.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aifr_lib.data.images import Images
from aifr_lib.data.loader import check_columns, to_input
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.probes import age_probe, identity_probe
from aifr_lib.experiments import recognise
from aifr_lib.experiments.age_estimate import told
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.curves import curves
from aifr_lib.models.mtlface import Recogniser
from aifr_lib.reporting.runs import Result, RunSpec
from aifr_lib.settings.mtlface import Mtlface, MultiTask, Reading
from aifr_lib.settings.presets import Preset
from aifr_lib.training import mtlface
from aifr_lib.training.engine import LOG, accelerator_for
from aifr_lib.training.sheets import across

PARTS = ("identity", "age")  # X_id, X_age
MASKED = 6  # faces of which a run keeps the mask
MAIN = "both"
Place = tuple[str, int]  # variant, seed


def config_of(asked: Mtlface, reading: Reading, seed: int) -> MultiTask:
    """The training of one variant: the recognising half of ``train``, changed as the variant says."""
    changes: dict[str, Any] = {"afd": reading.afd}
    if not reading.adversary:
        changes["adversary_weight"] = 0.0
    recognition = asked.train.recognition
    train = recognition.train.model_copy(update={"seed": seed})
    return MultiTask(recognition=recognition.model_copy(update={"train": train, **changes}), synthesis=None)


def jobs_of(readings: Mapping[str, Reading], asked: Mtlface, seeds: Sequence[int] | None, device: str | None) -> Any:
    """The runs by (variant, seed), seed by seed, so that what is compared grows together."""
    planned = {name: one.seeds if seeds is None else tuple(seeds) for name, one in readings.items()}
    every = sorted({seed for own in planned.values() for seed in own})
    return {
        (name, seed): job(config_of(asked, one, seed), device)
        for seed in every
        for name, one in readings.items()
        if seed in planned[name]
    }


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """With the adversary and without, split and not split."""
    return jobs_of(preset.mtlface.readings, preset.mtlface, seeds, device)


def attention_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """Both masks, beside each of them alone."""
    asked = preset.mtlface
    both = {MAIN: asked.readings[MAIN]} | asked.attentions
    return jobs_of(both, asked, seeds, device)


def job(config: MultiTask, device: str | None = None) -> Job:
    """The run of one recogniser."""
    return Job(spec(config), lambda folder: compute(config, folder, device))


def spec(config: MultiTask) -> RunSpec:
    """What names the run: every value but the seed, which stands apart, and the data."""
    train = config.recognition.train
    return RunSpec(
        recipe=mtlface.RECIPE,
        recipe_version=mtlface.RECIPE_VERSION,
        seed=train.seed,
        values=config.model_dump(mode="json", exclude={"recognition": {"train": {"seed"}}}),
        data=recognise.spec(train).data,
    )


def compute(config: MultiTask, folder: Path, device: str | None = None) -> Result:
    """Train into ``folder``; score on the lists of pairs as ``recognise.compute`` does; then look into the parts.

    summary, besides: ``age`` (mae in years of the age head on test people), ``probes`` by part (``mae`` and ``r`` of a
    linear probe of the age, fitted to validation people; ``rank1`` in % of one of who it is, fitted to all pictures but
    the last of each test person), ``curves``.
    """
    train = config.recognition.train
    check_columns((0, train.relief.size, train.relief.size, 3), train.input_hw)
    trained = mtlface.train(config, folder, device=device)
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    reader = trained.network.recogniser.to(where).eval()
    scores, summary = recognise.score(reader, train, str(where))
    _, validation = recognise.score(reader, train, str(where), split="validation")
    log = (folder / LOG).read_text(encoding="utf-8").splitlines()
    return Result(
        scores=scores | masks_of(reader, chosen.faces(train.relief), where),
        summary={
            **summary,
            "validation": validation,
            **parts_of(reader, chosen.faces(train.relief, "validation"), chosen.faces(train.relief), where),
            "checksum": trained.checksum,
            "images_per_s": trained.scalars["images_per_s"],
            "curves": curves(log),
        },
        device=str(where),
        wall_s=trained.scalars["seconds"] + time.perf_counter() - started,
        log_tail=log,
    )


def parts_of(reader: Recogniser, fitted: Images, tested: Images, where: torch.device | str) -> dict[str, Any]:
    """``age`` and ``probes`` of ``compute``: probes of the age are fitted to the people ``fitted``."""
    before, after = features(reader, fitted, where), features(reader, tested, where)
    ages, others = (one.labels["age"].to_numpy(np.float64) for one in (tested, fitted))
    identity = tested.labels["identity"].to_numpy()
    last = np.append(identity[1:] != identity[:-1], True)  # pictures are grouped by person
    probes = {}
    for part in PARTS:
        found = age_probe(before[part], others, after[part])
        who = identity_probe(after[part][~last], identity[~last], after[part][last])
        probes[part] = {
            "mae": float(np.abs(found - ages).mean()),
            "r": float(np.corrcoef(found, ages)[0, 1]),
            "rank1": 100 * float((who == identity[last]).mean()),
        }
    head = told(reader.estimated_age, np.asarray(tested.pixels), where)
    return {"age": {"mae": float(np.abs(head - ages).mean())}, "probes": probes}


def features(reader: Recogniser, images: Images, where: torch.device | str) -> dict[str, np.ndarray]:
    """X_id and X_age of pictures, flattened: float32 [N, C h w] each."""
    found: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            x = to_input(torch.from_numpy(np.array(images.pixels[start : start + 256])).to(where))
            seen = reader.look(x)
            for part, values in zip(PARTS, (seen.identity, seen.age), strict=True):
                found[part].append(values.flatten(1).float().cpu().numpy())
    return {part: np.concatenate(values) for part, values in found.items()}


def masks_of(reader: Recogniser, images: Images, where: torch.device | str) -> dict[str, np.ndarray]:
    """``masked`` uint8 [6, H, W, 3], test faces of ages spread evenly, and ``mask`` [6, h, w], the mean of σ over the
    channels on each; empty where nothing is split.
    """
    rows = across(images.labels["age"].to_numpy(np.float64), MASKED)
    pixels = np.stack([np.asarray(images.pixels[row]) for row in rows])
    share = share_of_age(reader, to_input(torch.from_numpy(pixels).to(where)))
    return {} if share is None else {"masked": pixels, "mask": share.cpu().numpy()}


def share_of_age(reader: Recogniser, x: Tensor) -> Tensor | None:
    """σ of faces [B, 3, H, W], the mean over the channels, [B, h, w]; None where nothing is split."""
    with torch.inference_mode():
        seen = reader.look(x)
        whole = seen.identity + seen.age
        mask = reader.decompose.mask(whole)
    return None if mask is None else mask.expand_as(whole).mean(1).float()
