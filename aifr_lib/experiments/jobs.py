"""What an experiment is made of: jobs, each one run that can be named, computed, stored and shared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.reporting import artefacts, plots
from aifr_lib.reporting.artefacts import Artefact, Kind, Outcome
from aifr_lib.reporting.claims import outcome
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec, RunStore, git, total_wall, versions
from aifr_lib.settings.presets import Preset

LOG = logging.getLogger(__name__)
_MAY_COMPUTE = ContextVar("may_compute", default=True)
Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True)
class Job:
    """One run to be had: its name, and the function of a work folder that computes it (resuming what is there).

    lacking: why it cannot be computed here (a package, a data set), in one sentence; None where it can.
    """

    spec: RunSpec
    compute: Callable[[Path], Result]
    lacking: Callable[[], str | None] = lambda: None


@dataclass(frozen=True)
class Experiment:
    """``run(preset, seeds=, device=, compute=, fresh=, out=)`` → Artefact; ``jobs(preset, seeds, device)`` by place."""

    run: Callable[..., Artefact]
    jobs: Callable[[Preset, Sequence[int] | None, str | None], Mapping[Any, Job]]

    def specs(self, preset: Preset, seeds: Sequence[int] | None = None) -> list[RunSpec]:
        """The runs that the table or figure is a function of."""
        return [job.spec for job in self.jobs(preset, seeds, None).values()]


@contextmanager
def stored_only() -> Iterator[None]:
    """Inside, no run is computed: a table or figure is drawn, and written, from the runs that are there."""
    before = _MAY_COMPUTE.set(False)
    try:
        yield
    finally:
        _MAY_COMPUTE.reset(before)


def gather(store: RunStore, jobs: Mapping[Place, Job], *, compute: bool, fresh: bool) -> dict[Place, Run]:
    """The runs of ``jobs``: those stored, and with ``compute`` those that were missing; ``fresh`` computes all anew.

    A run that cannot be computed here is loaded where it is stored, else left out with a warning.
    """
    compute = compute and _MAY_COMPUTE.get()
    runs = {}
    for place, job in jobs.items():
        lacking = job.lacking() if compute else None
        able = compute and lacking is None
        run = store.load_or_compute(job.spec, job.compute if able else None, fresh=fresh and able)
        if run is not None:
            runs[place] = run
        elif lacking:
            what = " by ".join(map(str, place)) if isinstance(place, tuple) else place
            LOG.warning("%s is left out: %s", what, lacking)
    return runs


def stored(preset: Preset, jobs: Mapping[Place, Job], out: str | Path | None = None) -> dict[Place, Run]:
    """The runs of ``jobs`` that lie under ``out`` (default ``figures/<preset>``)."""
    return gather(RunStore(out or artefacts.figures_root(preset.name)), jobs, compute=False, fresh=False)


def together(ids: Sequence[DataId]) -> DataId:
    """Several data sets as one."""
    return DataId(
        name=", ".join(dict.fromkeys(one.name for one in ids)),
        version=", ".join(dict.fromkeys(one.version for one in ids)),
        hash="-".join(one.hash for one in ids),
    )


def assemble(
    id: str,
    preset: Preset,
    runs: Collection[Run],
    rows: Sequence[Row],
    *,
    seeds: Iterable[int],
    data: DataId,
    verdict: Outcome,
    kind: Kind = "experiment",
) -> Artefact:
    """The artefact of an experiment: its rows, where the runs behind them were computed, and with what it was drawn."""
    return Artefact(
        id=id,
        kind=kind,
        preset=preset.name,
        seeds=tuple(seeds),
        data=data,
        device=", ".join(sorted({run.device for run in runs})) or None,
        versions=versions(),
        git=git(),
        computed_at=tuple(sorted({run.git for run in runs}, key=str)),
        wall_s=total_wall(runs),
        runs=tuple(run.key for run in runs),
        rows=tuple(rows),
        verdict=verdict,
    )


def reproduce(
    id: str,
    preset: Preset,
    jobs: Mapping[Place, Job],
    rows: Callable[[Mapping[Place, Run]], Iterable[Row]],
    *,
    data: DataId,
    kind: Kind = "experiment",
    figure: Callable[[Artefact], Figure] | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: str | Path | None = None,
) -> Artefact:
    """A table or figure as a pure function of its runs: ``gather``, rows, verdict, and the files under ``out``.

    out: None is ``figures/<preset>``. Nothing is written without runs or with ``compute=False``.
    """
    root = Path(out) if out else artefacts.figures_root(preset.name)
    runs = gather(RunStore(root), jobs, compute=compute, fresh=fresh)
    made = tuple(rows(runs))
    seeds = sorted({run.spec.seed for run in runs.values()})
    verdict = outcome(id, preset.name, made, root)
    artefact = assemble(id, preset, runs.values(), made, seeds=seeds, data=data, verdict=verdict, kind=kind)
    if compute and runs:
        with plt.rc_context():
            plots.style()  # whoever calls: a picture of the repository has one look
            drawn = figure and figure(artefact)
            artefacts.save(artefact, root, drawn)
        if drawn is not None:
            plt.close(drawn)  # left open, it would be shown once more at the end of a notebook's cell
    return artefact
