"""What there is: every table and figure of the papers, and whether its results still stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aifr_lib.experiments.kept_keys import Keys, kept_keys
from aifr_lib.names import ConfigError
from aifr_lib.packages import HEAVY
from aifr_lib.reporting import artefacts, claims, contents
from aifr_lib.reporting.artefacts import Artefact

# Whose verdict is shown: only the first two ever carry one.
WEIGHT = ("classroom", "paper", "lesson", "smoke")


@dataclass(frozen=True)
class Line:
    """One table or figure. results: preset → ok, partial, stale, damaged or unchecked. verdict: None without results.

    written: whether its notebook is there already.
    """

    id: str
    notebook: str
    written: bool
    kind: str
    results: dict[str, str]
    verdict: str | None


def inventory(presets: Sequence[str], paper: str | None = None) -> list[Line]:
    """One line for each table and figure (of one paper, "TML" …), with its results at these presets."""
    with kept_keys() as keys:
        return _lines(presets, paper, keys)


def _lines(presets: Sequence[str], paper: str | None, keys: Keys) -> list[Line]:
    lines = []
    judged = {preset: judge(preset) for preset in presets}
    for entry in contents.load():
        if paper not in (None, entry.part):
            continue
        results, verdicts = {}, {}
        for preset in presets:
            try:
                artefact = artefacts.load(entry.id, preset)
            except FileNotFoundError:
                continue
            except ConfigError:
                results[preset] = "damaged"
            else:
                results[preset], verdicts[preset] = (
                    state(artefact, keys),
                    judged[preset].get(entry.id, artefact.verdict),
                )
        verdict = next((verdicts[preset] for preset in WEIGHT if preset in verdicts), None)
        lines.append(Line(entry.id, entry.notebook, not entry.planned, entry.kind, results, verdict))
    return lines


def judge(preset: str) -> dict[str, str]:
    """The word for each table and figure, corrected over its paper; none where an artefact is damaged."""
    try:
        return dict(claims.outcomes(preset))
    except ConfigError:
        return {}


def state(artefact: Artefact, keys: Keys) -> str:
    """stale: it rests on a run its experiment would not make today; partial: a run is missing; else ok. unchecked:
    the experiments cannot be asked here, where torch is not installed.
    """
    try:
        named = keys(artefact.id, artefact.preset, artefact.seeds)
    except ImportError as error:
        if error.name not in HEAVY:
            raise
        return "unchecked"
    if named is None:
        return "ok"
    if artefacts.stale(artefact, named):
        return "stale"
    return "ok" if set(keys(artefact.id, artefact.preset, None) or ()) <= set(artefact.runs) else "partial"
