"""The teachers of AAD: T^A's run, and the weights of both, committed so that no machine trains them twice."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from aifr_lib.data.images import Images
from aifr_lib.data.loader import to_input
from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Job
from aifr_lib.files import repository_root
from aifr_lib.models import weights
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import Result, Run, RunSpec, RunStore
from aifr_lib.settings.aad import AgeEstimation
from aifr_lib.training import age_estimation, distillation
from aifr_lib.training.distillation import HEAD, WEIGHTS
from aifr_lib.training.engine import LOG as LOG_FILE
from aifr_lib.training.engine import accelerator_for

LOG = logging.getLogger(__name__)
SHELF = Path("figures") / "teachers"
TRAINED = "trained"  # in a header: digest of the weights that a run ended with, before they were rounded


def age_teacher_job(config: AgeEstimation, device: str | None = None) -> Job:
    """T^A, and how many years it errs on people it has not seen; its weights are committed."""
    return Job(age_spec(config), lambda folder: compute_ages(config, folder, device), shelved=shelved)


def age_spec(config: AgeEstimation) -> RunSpec:
    """What names the run of an age estimator: every value but the seed, and its pictures."""
    named = recognise.spec(config.train)
    return RunSpec(
        recipe=age_estimation.RECIPE,
        recipe_version=age_estimation.RECIPE_VERSION,
        seed=config.train.seed,
        values=config.model_dump(mode="json", exclude={"train": {"seed"}}),
        data=named.data if config.ages is None else named.data.model_copy(update={"name": config.ages}),
    )


def compute_ages(config: AgeEstimation, folder: Path, device: str | None = None) -> Result:
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
    return Result(scores, summary, str(where), wall_s, (folder / LOG_FILE).read_text(encoding="utf-8").splitlines())


def read_ages(network: AgeEstimator, images: Images, where: torch.device | str = "cpu") -> np.ndarray:
    """The expected age of each picture, years [N]: the mean of the picture's and of its mirror image's."""
    network.to(where).eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            x = to_input(torch.from_numpy(np.array(images.pixels[start : start + 256])).to(where))
            found.append((expected_age(network(x)) + expected_age(network(x.flip(-1)))).cpu().numpy() / 2)
    return np.concatenate(found)


def shelved(run: Run) -> Path | None:
    """The committed folder with the weights of a run; None where there is none, or it is of another training.

    It is known by the key of the run, and by the digest of the weights that the run ended with.
    """
    try:
        folder = repository_root() / SHELF / run.key
    except FileNotFoundError:
        return None
    if not (folder / WEIGHTS).is_file():
        return None
    if weights.read_metadata(folder / WEIGHTS).get(TRAINED) != run.summary["checksum"]:
        LOG.warning("%s holds the weights of another training than the stored run: 'aifr keep' renews it", folder)
        return None
    return folder


def keep(store: RunStore, key: str, head: bool = False) -> Path:
    """Put the weights of a run, of a teacher or a student, among the committed files: in half precision. Returns where.

    head: that of its classes too, from the checkpoint of its training: kd asks it of a teacher.
    Errors: ConfigError where the run is not stored, or its weights are not on this machine.
    """
    run, work = store.load(key), store.work_folder(key)
    if run is None or not (work / WEIGHTS).is_file():
        lacks = "it is not stored" if run is None else f"its weights are not here ({work / WEIGHTS})"
        raise ConfigError(f"{key} cannot be kept: {lacks}. 'aifr run {key}' computes it")
    header = weights.read_metadata(work / WEIGHTS)
    ages = age_estimation.RECIPE in header
    network: nn.Module = (age_estimation if ages else distillation).load(work / WEIGHTS)[0]
    if weights.digest(network.state_dict()) != run.summary["checksum"]:
        raise ConfigError(f"{work} holds the weights of another training than {key}: delete it and run it again")
    folder = repository_root() / SHELF / key
    if head:
        weights.save_weights(distillation.head_of(work).half(), folder / HEAD)
    distillation.rounded(network, work)
    # Last: a folder with these is whole.
    weights.save_weights(network.half(), folder / WEIGHTS, {**header, TRAINED: run.summary["checksum"]})
    return folder
