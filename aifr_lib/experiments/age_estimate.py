"""One run of an age estimator: train it, and say how many years it errs on people it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aifr_lib.data.images import Images
from aifr_lib.data.loader import to_input
from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Job
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.reporting.runs import Result, RunSpec
from aifr_lib.settings.aad import AgeEstimation
from aifr_lib.training import age_estimation
from aifr_lib.training.engine import LOG, accelerator_for


def job(config: AgeEstimation, device: str | None = None) -> Job:
    """An age estimator, and how many years it errs on people it has not seen."""
    return Job(spec(config), lambda folder: compute(config, folder, device))


def spec(config: AgeEstimation) -> RunSpec:
    """What names the run of an age estimator: every value but the seed, and its pictures."""
    named = recognise.spec(config.train)
    return RunSpec(
        recipe=age_estimation.RECIPE,
        recipe_version=age_estimation.RECIPE_VERSION,
        seed=config.train.seed,
        values=config.model_dump(mode="json", exclude={"train": {"seed"}}),
        data=named.data if config.ages is None else named.data.model_copy(update={"name": config.ages}),
    )


def compute(config: AgeEstimation, folder: Path, device: str | None = None) -> Result:
    """Train into ``folder``; then, on validation and test people, ``mae`` of the expected age and of a constant.

    scores: ``age`` and ``expected`` of the test pictures, years.
    """
    trained = age_estimation.train(config, folder, device=device)
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    summary: dict[str, Any] = {"checksum": trained.checksum, "loss": trained.scalars.get("loss")}
    scores = {}
    for split in ("validation", "test"):
        images = chosen.faces(config.train.relief, split)
        ages, read = images.labels["age"].to_numpy(np.float64), read_ages(trained.network, images, where)
        constant = np.abs(ages - np.median(ages)).mean()
        summary[split] = {"mae": float(np.abs(read - ages).mean()), "mae_of_a_constant": float(constant)}
        scores = {"age": ages.astype(np.float32), "expected": read.astype(np.float32)}
    wall_s = trained.scalars["seconds"] + time.perf_counter() - started
    return Result(scores, summary, str(where), wall_s, (folder / LOG).read_text(encoding="utf-8").splitlines())


def read_ages(network: AgeEstimator, images: Images, where: torch.device | str = "cpu") -> np.ndarray:
    """The expected age of each picture, years [N]: the mean of the picture's and of its mirror image's."""
    network.to(where).eval()
    return told(lambda x: expected_age(network(x)), np.asarray(images.pixels), where)


def told(ages: Callable[[Tensor], Tensor], pixels: np.ndarray, where: torch.device | str = "cpu") -> np.ndarray:
    """What ``ages`` says of pictures uint8 [N, H, W, 3], years [N]: the mean over each picture and its mirror image."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(pixels), 256):
            x = to_input(torch.from_numpy(np.array(pixels[start : start + 256])).to(where))
            found.append((ages(x) + ages(x.flip(-1))).cpu().numpy() / 2)
    return np.concatenate(found)
