"""What a table or figure rests on: each run's settings in words, its commit, device and cost, and what would be
computed again, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aifr_lib.experiments.jobs import Experiment, in_order
from aifr_lib.experiments.queue import expected_minutes
from aifr_lib.names import flattened
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import listed
from aifr_lib.reporting.rows import UNDER, in_words
from aifr_lib.reporting.runs import Run, RunSpec, RunStore
from aifr_lib.settings.presets import Preset

STORED, MISSING, UNUSED = "stored", "missing", "no longer used"
NEVER = "never computed"
KIN = 3  # a run that differs in more settings than this is another one, not an older one


@dataclass(frozen=True)
class Line:
    """One run. settings: those in which it differs from others beside it, and its seed. why: of a run that is missing
    or no longer used. minutes: what it took, of a missing one what is expected (None: not known).
    """

    key: str
    settings: str
    state: str
    why: str = ""
    commit: str = ""
    device: str = ""
    minutes: float | None = None


def lines(experiment: Experiment, preset: Preset, store: RunStore, artefact: Artefact | None) -> list[Line]:
    """Every run that the experiment asks for and those that its artefact rests on but nothing asks for any more."""
    wanted = {job.spec.key: job.spec for job in in_order(experiment.jobs(preset, None, None).values())}
    past = [run for folder in sorted((store.root / "_runs").glob("[!.]*")) if (run := store.load(folder.name))]
    runs = {run.key: run for run in past}
    old = [runs[key] for key in (artefact.runs if artefact else ()) if key in runs and key not in wanted]
    said = in_settings([*wanted.values(), *(run.spec for run in old)])
    found = []
    for key, spec in wanted.items():
        if run := runs.get(key):
            found.append(_line(run, said[key], STORED))
        else:
            before = closest(spec, [run.spec for run in past if run.key not in wanted], most=KIN)
            why = f"differs from {before.key} in {changes(before, spec)}" if before else NEVER
            found.append(Line(key, said[key], MISSING, why, minutes=expected_minutes(spec, past)))
    for run in old:
        now = closest(run.spec, list(wanted.values()))
        why = f"now asked for with {changes(run.spec, now)}" if now else "nothing of its kind is asked for"
        found.append(_line(run, said[run.key], UNUSED, why))
    return found


def in_settings(specs: Sequence[RunSpec]) -> dict[str, str]:
    """By key: the settings in which a run differs from another of its recipe among these, and its seed."""
    flat = {spec.key: flattened(spec.values) for spec in specs}
    found = {}
    for spec in specs:
        kin = [flat[one.key] for one in specs if one.recipe == spec.recipe]
        names = [name for name in dict.fromkeys(name for one in kin for name in one) if _differ(kin, name)]
        parts = [f"{_leaf(name)} {setting_in_words(flat[spec.key][name])}" for name in names if name in flat[spec.key]]
        found[spec.key] = ", ".join([*parts, f"seed {spec.seed}"])
    return found


def shared_settings(specs: Sequence[RunSpec]) -> dict[str, str]:
    """By recipe: the settings that all of its runs have, in words."""
    found = {}
    for recipe in dict.fromkeys(spec.recipe for spec in specs):
        kin = [flattened(spec.values) for spec in specs if spec.recipe == recipe]
        same = [name for name in kin[0] if not _differ(kin, name)]
        found[recipe] = ", ".join(f"{_leaf(name)} {setting_in_words(kin[0][name])}" for name in same)
    return found


def changes(before: RunSpec, after: RunSpec) -> str:
    """In what two runs differ, in words: "α 0.4 → 0.5 and seed 0 → 1"."""
    changed = _changed(before, after)
    return listed(
        [f"{_leaf(name)} {setting_in_words(old)} → {setting_in_words(new)}" for name, (old, new) in changed.items()]
    )


def closest(spec: RunSpec, others: Iterable[RunSpec], most: int | None = None) -> RunSpec | None:
    """Of those of its recipe the one that differs in the fewest settings, but in no more than ``most``; else None."""
    kin = {one.key: (len(_changed(one, spec)), one) for one in others if one.recipe == spec.recipe}
    count, nearest = min(kin.values(), key=lambda one: one[0], default=(0, None))
    return None if most is not None and count > most else nearest


def _changed(before: RunSpec, after: RunSpec) -> dict[str, tuple[Any, Any]]:
    old, new = ({**flattened(spec.values), **_rest(spec)} for spec in (before, after))
    names = (name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name))
    return {name: (old.get(name), new.get(name)) for name in names}


def _rest(spec: RunSpec) -> dict[str, Any]:
    """What names a run beside its values. A hash says nothing to a reader where the version says it."""
    data = f"{spec.data.name} {spec.data.version}"
    return {"seed": spec.seed, "version of the recipe": spec.recipe_version, "data": data}


def _line(run: Run, settings: str, state: str, why: str = "") -> Line:
    commit = (run.git.sha or "")[:10] + (" (changed)" if run.git.dirty else "")
    return Line(run.key, settings, state, why, commit, run.device, run.wall_s / 60)


def _differ(kin: Sequence[Mapping[str, Any]], name: str) -> bool:
    # Where a whole group is None, that is said once, not of each of its settings.
    there = [one.get(name, ...) for one in kin if not _without_group(one, name)]
    return any(value != there[0] for value in there)


def _without_group(one: Mapping[str, Any], name: str) -> bool:
    return name not in one and any(value is None and name.startswith(f"{above}.") for above, value in one.items())


def _leaf(name: str) -> str:
    return in_words(name.rsplit(".", 1)[-1])


def setting_in_words(value: Any, name: str = "") -> str:
    """The value of a setting as a reader sees it: "48/48", "none", "0.2"; in the words that it has under its name."""
    if isinstance(value, str) and value in UNDER.get(name, {}):
        return UNDER[name][value]
    if isinstance(value, Mapping):  # within a list: a step of a curriculum
        return " ".join(f"{in_words(name)} {setting_in_words(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return "/".join(map(setting_in_words, value)) or "none"
    return "none" if value is None else in_words(value)
