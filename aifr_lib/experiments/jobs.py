"""What an experiment is made of: jobs, each one run that can be named, computed, stored and shared.

    TABLE4 = Experiment("tml_table4", variance_jobs, variance_rows, lambda artefact, runs: variance_figure(artefact))
    artefact = TABLE4(load_preset("classroom"), compute=False)

A table or figure is a pure function of its runs, and each run is computed once for all that rest on it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.files import locked
from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts, contents, plots
from aifr_lib.reporting.artefacts import Artefact, Kind
from aifr_lib.reporting.claims import outcome
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import LOCK, DataId, Result, Run, RunSpec, RunStore, git, total_wall, versions
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset

LOG = logging.getLogger(__name__)
NOT_RUN = "not run yet at this size."
TOO_FEW = "too few of its numbers are in so far for an answer."
_MAY_COMPUTE = ContextVar("may_compute", default=True)
Key = TypeVar("Key")


@dataclass(frozen=True)
class Job:
    """One run to be had: its name, and the function of a work folder that computes it (resuming what is there).

    lacking: why it cannot be computed here (a package, a data set), in one sentence; None where it can.
    needs: by a name of their own, the jobs whose work folders ``compute`` gets under that name, beside its own:
    ``compute(folder, teacher=folder_of_the_teacher)``. Each is computed and stored first, its minutes its own, and is
    locked while its folder is read. leaves: the files that others find in this job's work folder. shelved: of its
    stored run, a committed folder that serves them as well; None where there is none.
    """

    spec: RunSpec
    compute: Callable[..., Result]
    lacking: Callable[[], str | None] = lambda: None
    needs: Mapping[str, Job] = field(default_factory=dict)
    leaves: tuple[str, ...] = ("weights.safetensors",)
    shelved: Callable[[Run], Path | None] = lambda run: None


@dataclass(frozen=True)
class Experiment:
    """A table or figure, declared once: the runs that it rests on, the rows that they give, the picture of these.

    jobs(preset, seeds, device): by a key of the experiment's own; None as seeds takes the preset's. rows(preset, runs):
    from those of the runs that are there. figure(artefact, runs): None draws none. found(artefact): what the rows say,
    in a sentence or two. shape: how a page lays its table out; None shows every row.
    """

    id: str
    jobs: Callable[[Preset, Sequence[int] | None, str | None], Mapping[Any, Job]]
    rows: Callable[[Preset, Mapping[Any, Run]], Iterable[Row]] = lambda preset, runs: ()
    figure: Callable[[Artefact, Mapping[Any, Run]], Figure] | None = None
    kind: Kind = "experiment"
    found: Callable[[Artefact], str] | None = None
    shape: Shape | None = None

    def answer(self, artefact: Artefact) -> str:
        """What was found, in a sentence or two; empty where nothing, or too little, was measured."""
        return self.found(artefact) if self.found and artefact.rows and artefact.has_results else ""

    def finding(self, artefact: Artefact) -> str:
        """The answer; where nothing was measured yet, or too little for one, that."""
        if not artefact.has_results:
            return _of(contents.find(self.id).title, NOT_RUN)
        if not (self.found and artefact.rows):
            return ""
        return self.answer(artefact) or _of(contents.find(self.id).title, TOO_FEW)

    def __call__(
        self,
        preset: Preset,
        *,
        seeds: Sequence[int] | None = None,
        device: str | None = None,
        compute: bool = True,
        fresh: bool = False,
        out: str | Path | None = None,
    ) -> Artefact:
        """The artefact, a pure function of its runs: those stored and, with ``compute``, those that were missing.

        Written under ``out`` (None: ``figures/<preset>``), but not without runs nor with ``compute=False``.
        """
        store = store_of(preset, out)
        jobs = self.jobs(preset, seeds, device)
        runs = gather(store, jobs, compute=compute, fresh=fresh)
        rows = tuple(self.rows(preset, runs))
        artefact = Artefact(
            id=self.id,
            kind=self.kind,
            preset=preset.name,
            seeds=tuple(sorted({run.spec.seed for run in runs.values()})),
            data=union(job.spec.data for job in jobs.values()),
            device=", ".join(sorted({run.device for run in runs.values()})) or None,
            versions=versions(),
            git=git(),
            computed_at=tuple(sorted({run.git for run in runs.values()}, key=str)),
            wall_s=total_wall(runs.values()),
            runs=tuple(run.key for run in runs.values()),
            rows=rows,
            verdict=outcome(self.id, preset.name, rows, store.root),
        )
        if compute and runs:
            with plt.rc_context():
                plots.style()  # whoever calls: a picture of the repository has one look
                drawn = self.figure(artefact, runs) if self.figure and artefact.has_results else None
                artefacts.save(artefact, store.root, drawn)
            if drawn is not None:
                plt.close(drawn)  # left open, it would be shown once more at the end of a notebook's cell
        return artefact

    def stored(
        self, preset: Preset, seeds: Sequence[int] | None = None, out: str | Path | None = None
    ) -> dict[Any, Run]:
        """The runs that are there, by the keys of ``jobs``."""
        return gather(store_of(preset, out), self.jobs(preset, seeds, None), compute=False, fresh=False)

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


def store_of(preset: Preset, out: str | Path | None = None) -> RunStore:
    """The store of a preset's runs under ``out``; None is ``figures/<preset>``."""
    return RunStore(out or artefacts.figures_root(preset.name))


def union(ids: Iterable[DataId]) -> DataId | None:
    """Several data sets as one, each named once; None of none."""
    different = list(dict.fromkeys(ids))
    if len(different) <= 1:
        return different[0] if different else None
    return DataId(
        name=", ".join(dict.fromkeys(one.name for one in different)),
        version=", ".join(dict.fromkeys(one.version for one in different)),
        hash="-".join(dict.fromkeys(one.hash for one in different)),
    )


def gather(store: RunStore, jobs: Mapping[Key, Job], *, compute: bool, fresh: bool) -> dict[Key, Run]:
    """The runs of ``jobs``: those stored, and with ``compute`` those that were missing; ``fresh`` computes all anew.

    A run that cannot be computed here is loaded where it is stored, else left out with a warning.
    """
    compute = compute and _MAY_COMPUTE.get()
    if compute:
        in_order(jobs.values())  # a circle of needs is said before anything is computed
    runs = {}
    for key, job in jobs.items():
        why = lacking(store, job) if compute else None
        if compute and why is None:
            runs[key] = have(store, job, fresh=fresh)
        elif (run := store.load(job.spec.key)) is not None:
            runs[key] = run
        elif why:
            what = " by ".join(map(str, key)) if isinstance(key, tuple) else key
            LOG.warning("%s is left out: %s", what, why)
    return runs


def have(store: RunStore, job: Job, *, fresh: bool = False, wait: bool = True) -> Run:
    """The run of a job: the stored one, else computed with all that it needs; ``fresh`` computes it alone anew.

    Errors: ConfigError where what it needs cannot be computed here; filelock.Timeout, without ``wait``, where another
    process computes it or what it needs; whatever the computation raises.
    """

    run = store.load_or_compute(job.spec, lambda folder: _compute(store, job, folder, wait), fresh=fresh, wait=wait)
    assert run is not None
    return run


def _compute(store: RunStore, job: Job, folder: Path, wait: bool) -> Result:
    place = {needed.spec.key: number for number, needed in enumerate(in_order(job.needs.values()))}
    # What rests on another of them comes first: while it is made, that other must not be locked yet.
    needs = sorted(job.needs.items(), key=lambda item: place[item[1].spec.key], reverse=True)
    with ExitStack() as held:
        return job.compute(folder, **{name: held.enter_context(_left_by(store, each, wait)) for name, each in needs})


@contextmanager
def _left_by(store: RunStore, job: Job, wait: bool) -> Iterator[Path]:
    """The folder with all that a job leaves for others: committed, or its work folder, locked."""
    if not _left(store, job) and (why := lacking(store, job)):
        raise ConfigError(f"{job.spec.key} is needed, is not stored, and cannot be computed here: {why}")
    if store.load(job.spec.key) is None:
        have(store, job, wait=wait)
    if (shelf := _shelf(store, job)) is not None:
        yield shelf
        return
    folder = store.work_folder(job.spec.key)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, wait=wait):
        if not all((folder / name).is_file() for name in job.leaves):
            # Its run was stored on another machine, or the cache was emptied: the run stands, its files are made anew.
            _compute(store, job, folder, wait)
        yield folder


def lacking(store: RunStore, job: Job) -> str | None:
    """Why a job's run cannot be had here, in one sentence: for itself, or for what it needs; None where it can."""
    if why := job.lacking():
        return why
    for name, needed in job.needs.items():
        if (why := lacking(store, needed)) and not _left(store, needed):
            return f"its {name} cannot be computed: {why}"
    return None


def _left(store: RunStore, job: Job) -> bool:
    """Whether a job's run is stored and all that it leaves for others is here."""
    folder = store.work_folder(job.spec.key)
    if not store.folder(job.spec.key).is_dir():
        return False
    return _shelf(store, job) is not None or all((folder / name).is_file() for name in job.leaves)


def _shelf(store: RunStore, job: Job) -> Path | None:
    """The committed folder with what a job's stored run left."""
    run = store.load(job.spec.key)
    return None if run is None else job.shelved(run)


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """The jobs and all that they need, once each, what is needed first; else in the order given.

    Errors: ConfigError for needs that form a circle, with the keys along it.
    """
    ordered: dict[str, Job] = {}

    def visit(job: Job, above: tuple[str, ...]) -> None:
        key = job.spec.key
        if key in above:
            raise ConfigError(f"runs need each other in a circle: {' → '.join((*above[above.index(key) :], key))}")
        if key not in ordered:
            for needed in job.needs.values():
                visit(needed, (*above, key))
            ordered[key] = job

    for job in jobs:
        visit(job, ())
    return list(ordered.values())


def _of(title: str, words: str) -> str:
    """Words about what has a title; a title that is a question keeps its own mark."""
    return f"{title} {words.capitalize()}" if title.endswith("?") else f"{title}: {words}"
