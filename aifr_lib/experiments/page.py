"""What every notebook opens with: the settings of its size, how its experiments are computed, the look of its pictures.

    page = open_page("smoke")
    page.opening(FIG6)
    artefact = page.result(FIG6)
    page.table(FIG6)

A page opens with what was found. One that only shows has ``compute=False``.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from IPython.display import HTML, Markdown, display

from aifr_lib.experiments import folded
from aifr_lib.experiments.jobs import Experiment
from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts, claims, contents, pages, plots, tables
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import Preset, load_preset


@dataclass(frozen=True)
class Page:
    """A notebook's parameters: seeds None takes the preset's, device None the best there is, out None
    ``figures/<preset>``. seen: the artefacts that the page has shown, by id. said: what it has said was found.
    """

    settings: Preset
    seeds: Sequence[int] | None
    device: str | None
    out: str | Path | None
    compute: bool
    fresh: bool
    seen: dict[str, Artefact] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)

    def opening(self, *experiments: Experiment) -> None:
        """What the stored runs say, in sentences; of one experiment alone also its picture and its verdicts.

        ``result`` shows it again where it has computed more than stood here.
        """
        for experiment in experiments:
            self.seen[experiment.id] = self._stored(experiment)
        self._show(*experiments)

    def result(self, experiment: Experiment) -> Artefact:
        """The table or figure of an experiment: what is missing is computed, unless the page only shows."""
        before = self.seen.get(experiment.id)
        if not self.compute:
            return before or self._stored(experiment)
        artefact = experiment(
            self.settings, seeds=self.seeds, device=self.device, compute=True, fresh=self.fresh, out=self.out
        )
        self.seen[experiment.id] = artefact
        if before and before.runs != artefact.runs:
            self._show(experiment)
        return artefact

    def table(self, experiment: Experiment) -> None:
        """Its table in the paper's shape with every number folded below, and how it was made."""
        artefact = self.seen.get(experiment.id) or self._stored(experiment)
        if artefact.has_results:
            display(HTML(tables.artefact_table(artefact, experiment.shape) + pages.stamp(artefact)))
        else:
            display(Markdown(f"*{experiment.finding(artefact)}*"))

    def conclude(self, *said: str) -> None:
        """A paragraph for each that says something that the page has not said yet."""
        # A Markdown of nothing would be shown as an object.
        if text := "\n\n".join(one for one in said if one and one not in self.said):
            display(Markdown(text))

    def source(self, *shown: Callable[..., Any]) -> None:
        """Functions and classes of the library as they are written, a method at the left edge as a function is."""
        written = "\n\n".join(textwrap.dedent(inspect.getsource(one)) for one in shown)
        display(Markdown(f"```python\n{written}```"))

    def runs(self, experiment: Experiment) -> dict[Any, Run]:
        """The stored runs behind it, by the experiment's keys."""
        return experiment.stored(self.settings, self.seeds, self.out)

    def _stored(self, experiment: Experiment) -> Artefact:
        """Of the stored runs; as it was written, with the commit of that day, where it still says the same."""
        artefact = experiment(self.settings, seeds=self.seeds, compute=False, out=self.out)
        try:
            written = artefacts.load(experiment.id, self.settings.name, self.out)
        except (FileNotFoundError, ConfigError):
            return artefact
        return written if (written.runs, written.rows) == (artefact.runs, artefact.rows) else artefact

    def _show(self, *experiments: Experiment) -> None:
        shown = [self.seen[experiment.id] for experiment in experiments]
        found: dict[bool, list[str]] = {True: [], False: []}
        for experiment, artefact in zip(experiments, shown, strict=True):
            answer = experiment.answer(artefact)
            if said := answer or experiment.finding(artefact):
                found[bool(answer)].append(said)
                self.said.add(said)
        parts = [box(found[ran]) for ran, box in ((True, pages.found_box), (False, pages.not_run_box)) if found[ran]]
        if len(experiments) == 1 and shown[0].has_results:
            (experiment,), (artefact,) = experiments, shown
            if experiment.figure:
                drawn = experiment.figure(artefact, self.runs(experiment))
                parts.append(plots.image(drawn, contents.find(experiment.id).picture))
            parts.append(pages.claim_boxes(claims.judge_artefact(artefact, self.out)))
        display(HTML("".join(parts)))


def open_page(
    preset: str,
    *,
    seeds: int | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    compute: bool = True,
    fresh: bool = False,
) -> Page:
    """The page of a notebook from its parameters; ``seeds`` counts them. Sets the look of pictures that follow,
    and lets solutions fold what they show.

    A page of a size that is no evidence says so first.

    Errors: those of ``load_preset``.
    """
    settings = load_preset(preset)
    plots.style()
    folded.register()
    if said := pages.banner(settings.name):
        display(HTML(said))
    return Page(settings, None if seeds is None else range(seeds), device, out, compute, fresh)
