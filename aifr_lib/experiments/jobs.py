"""What an experiment is made of: jobs, each one run that can be named, computed, stored and shared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aifr_lib.config import Preset
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import Result, Run, RunSpec, RunStore

Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True)
class Job:
    """One run to be had: its name, and the function of a work folder that computes it (resuming what is there)."""

    spec: RunSpec
    compute: Callable[[Path], Result]


@dataclass(frozen=True)
class Experiment:
    """``run(preset, seeds=, device=, compute=, fresh=, out=)`` → Artefact; ``jobs(preset, seeds, device)``."""

    run: Callable[..., Artefact]
    jobs: Callable[[Preset, Sequence[int] | None, str | None], Sequence[Job]]

    def specs(self, preset: Preset, seeds: Sequence[int] | None = None) -> list[RunSpec]:
        """The runs that the table or figure is a function of."""
        return [job.spec for job in self.jobs(preset, seeds, None)]


def gather(store: RunStore, jobs: Mapping[Place, Job], *, compute: bool, fresh: bool) -> dict[Place, Run]:
    """The runs of ``jobs``: those stored, and with ``compute`` those that were missing; ``fresh`` computes all anew."""
    runs = {
        place: store.load_or_compute(job.spec, job.compute if compute else None, fresh=fresh and compute)
        for place, job in jobs.items()
    }
    return {place: run for place, run in runs.items() if run is not None}
