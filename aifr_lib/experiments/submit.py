"""The missing runs of a ledger as jobs of a Slurm cluster, by submitit: an array for each level of needs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aifr_lib.experiments.plan import NOTICE, levels, limit
from aifr_lib.experiments.queue import Item
from aifr_lib.files import cache_dir, settle_folders
from aifr_lib.names import ConfigError

RESTARTS = 10  # times that a run which takes longer than its limit goes on


@dataclass(frozen=True)
class Task:
    """One run on a node of the cluster; told that its time ends, it queues up again and goes on from its checkpoint."""

    key: str
    preset: str
    device: str | None

    def __call__(self) -> str:
        from aifr_lib.experiments import EXPERIMENTS
        from aifr_lib.experiments.jobs import have, store_of
        from aifr_lib.experiments.queue import find
        from aifr_lib.settings.presets import load_preset

        preset = load_preset(self.preset)
        return have(store_of(preset), find(self.key, EXPERIMENTS, preset, self.device)).key

    def checkpoint(self) -> Any:
        """What submitit starts the next time: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Array:
    """A submitted array: Slurm's number of it, the runs in it, the minutes that each may take at a time."""

    job: str
    keys: tuple[str, ...]
    minutes: int


def submit(items: Sequence[Item], preset: str, options: Mapping[str, Any], device: str | None = None) -> list[Array]:
    """Submit the missing runs, what is needed first; returns at once. Needs no accounting in the cluster.

    options: of sbatch, by their long names ("partition", "gres", …), with submitit's array_parallelism among them.
    What jobs say lies in ``slurm`` of the cache folder.
    Errors: ImportError without submitit; ConfigError without sbatch, or with what sbatch says where it refuses.
    """
    try:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError
    except ImportError as error:
        raise ImportError("--submit needs submitit: in the repository, pip install -e '.[cluster]'") from error
    for program in ("sbatch", "srun"):
        if shutil.which(program) is None:
            raise ConfigError(f"there is no {program} here: submit on a machine from which the cluster takes jobs")
    settle_folders()
    own = SlurmExecutor._valid_parameters()
    named = {name.replace("-", "_"): value for name, value in options.items()}
    submitted: list[Array] = []
    for level in levels(items):
        minutes = max(map(limit, level))
        executor = SlurmExecutor(cache_dir() / "slurm", max_num_timeout=RESTARTS)
        others = {name: value for name, value in named.items() if name not in own} | {"requeue": True}
        if submitted:
            others["dependency"] = f"afterany:{submitted[-1].job}"
        ours = {name: value for name, value in named.items() if name in own}
        given = {"job_name": "aifr", "time": minutes, "signal_delay_s": NOTICE, "array_parallelism": len(level), **ours}
        executor.update_parameters(**given, additional_parameters=others)
        try:
            with executor.batch():
                jobs = [executor.submit(Task(item.key, preset, device)) for item in level]
        except FailedJobError as error:
            said = [line for line in str(error).splitlines() if "sbatch:" in line]
            raise ConfigError(f"the cluster takes no such jobs: {' '.join(said) or error}") from error
        submitted.append(Array(jobs[0].job_id.split("_")[0], tuple(item.key for item in level), given["time"]))
    return submitted
