"""The teachers of AAD: T^A's run, and the weights of both, committed so that no machine trains them twice."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from torch import nn

from aifr_lib.experiments import age_estimate
from aifr_lib.experiments.jobs import Job
from aifr_lib.files import repository_root
from aifr_lib.models import weights
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import Run, RunStore
from aifr_lib.settings.aad import AgeEstimation
from aifr_lib.training import age_estimation, distillation
from aifr_lib.training.distillation import HEAD, WEIGHTS

LOG = logging.getLogger(__name__)
SHELF = Path("figures") / "teachers"
TRAINED = "trained"  # in a header: digest of the weights that a run ended with, before they were rounded


def age_teacher_job(config: AgeEstimation, device: str | None = None) -> Job:
    """T^A, and how many years it errs on people it has not seen; its weights are committed."""
    return replace(age_estimate.job(config, device), shelved=shelved)


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
    if shelved(run) and (not head or (folder / HEAD).is_file()):
        return folder  # written anew, the same weights would have other bytes: a header has no order
    if head:
        weights.save_weights(distillation.head_of(work).half(), folder / HEAD)
    distillation.rounded(network, work)
    # Last: a folder with these is whole.
    weights.save_weights(network.half(), folder / WEIGHTS, {**header, TRAINED: run.summary["checksum"]})
    return folder
