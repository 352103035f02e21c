"""The run ledger of a preset, and a queue that works through it: resumable, and shared by several processes.

A run is had when it lies in the store, which lets one process compute it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from filelock import Timeout

from aifr_lib.experiments.jobs import Experiment, Job, have, in_order, lacking
from aifr_lib.names import ConfigError, nearest
from aifr_lib.reporting.runs import Run, RunSpec, RunStore
from aifr_lib.settings.presets import Preset


@dataclass(frozen=True)
class Item:
    """One run of the ledger. ids: the tables and figures that need it. minutes: expected, None if unknown."""

    job: Job
    ids: tuple[str, ...]
    stored: bool
    minutes: float | None

    @property
    def key(self) -> str:
        return self.job.spec.key


@dataclass
class Tally:
    """What a sitting came to, as keys of runs; ``failed`` with the reason.

    elsewhere: another process computes or computed it. left: no time for it, or its data is not here.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def ledger(
    experiments: Mapping[str, Experiment],
    preset: Preset,
    store: RunStore,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
) -> list[Item]:
    """Every run that the experiments rest on, once each, what is needed first, else in the order in which they ask.

    Errors: ConfigError for runs that need each other in a circle.
    """
    jobs: dict[str, Job] = {}
    ids: dict[str, list[str]] = {}
    for name, experiment in experiments.items():
        for job in in_order(experiment.jobs(preset, seeds, device).values()):
            jobs.setdefault(job.spec.key, job)
            if name not in ids.setdefault(job.spec.key, []):
                ids[job.spec.key].append(name)
    folders = sorted((store.root / "_runs").glob("[!.]*"))
    past = [run for folder in folders if (run := store.load(folder.name)) is not None]
    have = {run.key for run in past}
    return [Item(job, tuple(ids[key]), key in have, expected_minutes(job.spec, past)) for key, job in jobs.items()]


def find(key: str, experiments: Mapping[str, Experiment], preset: Preset, device: str | None = None) -> Job:
    """The job of a run, by its key or the beginning of one.

    Errors: ConfigError where no run of the preset, or more than one, begins so.
    """
    every = (job for experiment in experiments.values() for job in experiment.jobs(preset, None, device).values())
    jobs = {job.spec.key: job for job in in_order(every)}
    found = [name for name in jobs if name == key] or [name for name in jobs if name.startswith(key)]
    if len(found) != 1:
        why = nearest(key, jobs) if not found else f" (it begins {len(found)} keys, such as {', '.join(found[:3])})"
        raise ConfigError(f"no one run '{key}' at preset {preset.name}{why}")
    return jobs[found[0]]


def expected_minutes(spec: RunSpec, past: Sequence[Run]) -> float | None:
    """Median minutes of the stored runs that differ in the seed alone, else of those of the same recipe."""
    recipe = [run for run in past if run.spec.recipe == spec.recipe and run.spec.data == spec.data]
    alike = [run for run in recipe if run.spec.values == spec.values] or recipe
    return median(run.wall_s for run in alike) / 60 if alike else None


def work(
    items: Sequence[Item], store: RunStore, *, max_minutes: float | None = None, say: Callable[[str], None]
) -> Tally:
    """Compute the missing runs one after the other; ``say`` takes one line a run.

    A run that another process computes, or whose data is not here, is passed over; one that fails is noted.
    max_minutes: start no run that would end later by its estimate; one without an estimate is started before then.
    Errors: KeyboardInterrupt passes through; the run in hand keeps its last checkpoint.
    """
    tally, start = Tally(), time.monotonic()
    missing = [item for item in items if not item.stored]
    for number, item in enumerate(missing, 1):
        line = f"{number}/{len(missing)} {item.key}"
        elapsed = (time.monotonic() - start) / 60
        if max_minutes is not None and elapsed + (item.minutes or 0) >= max_minutes:
            tally.left.append(item.key)
            continue
        try:
            if store.load(item.key) is not None:
                say(f"{line}: there already")
                tally.elsewhere.append(item.key)
                continue
            unmade = sorted({one.spec.key for one in in_order([item.job])} & {*tally.failed, *tally.left})
            if why := f"it needs {unmade[0]}, which is not there" if unmade else lacking(store, item.job):
                say(f"{line}: cannot be computed here: {why}")
                tally.left.append(item.key)
                continue
            say(f"{line}: {minutes_text(item.minutes)}")
            began = time.monotonic()
            have(store, item.job, wait=False)
        except Timeout:
            say(f"{line}: another process is at it")
            tally.elsewhere.append(item.key)
        except (FileNotFoundError, ImportError) as error:
            say(f"{line}: cannot be computed here: {error}")
            tally.left.append(item.key)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            say(f"{line}: failed: {reason}")
            tally.failed[item.key] = reason
        else:
            say(f"{line}: done in {(time.monotonic() - began) / 60:.1f} min")
            tally.done.append(item.key)
    return tally


def minutes_text(minutes: float | None) -> str:
    """How a ledger writes an estimate."""
    return "minutes unknown" if minutes is None else f"about {minutes:.1f} min"
