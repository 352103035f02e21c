"""What there is: every table and figure of the papers, and whether its results still stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts, claims, contents
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.settings.presets import load_preset

# Whose verdict is shown: only the first two ever carry one.
WEIGHT = ("classroom", "paper", "lesson", "smoke")


@dataclass(frozen=True)
class Line:
    """One table or figure. results: preset → ok, partial, stale or damaged. verdict: None without results.

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
                    state(artefact),
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


def state(artefact: Artefact) -> str:
    """stale: it rests on a run its experiment would not make today; partial: a run is missing; else ok."""
    from aifr_lib.experiments import EXPERIMENTS

    experiment = EXPERIMENTS.get(artefact.id)
    if experiment is None:
        return "ok"
    preset = load_preset(artefact.preset)
    if artefacts.stale(artefact, [spec.key for spec in experiment.specs(preset, artefact.seeds)]):
        return "stale"
    wanted = {spec.key for spec in experiment.specs(preset)}
    return "ok" if wanted <= set(artefact.runs) else "partial"
