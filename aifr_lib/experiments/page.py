"""What every notebook opens with: the settings of its size, how its experiments are computed, the look of its pictures.

    page = open_page("smoke")
    artefact = page.result(FIG6)

A page that only shows has ``compute=False``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from aifr_lib.experiments.jobs import Experiment
from aifr_lib.reporting import pages, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import Preset, load_preset


@dataclass(frozen=True)
class Page:
    """A notebook's parameters: seeds None takes the preset's, device None the best there is, out None
    ``figures/<preset>``.
    """

    settings: Preset
    seeds: Sequence[int] | None
    device: str | None
    out: str | Path | None
    compute: bool
    fresh: bool

    def result(self, experiment: Experiment) -> Artefact:
        """The table or figure of an experiment: what is missing is computed, unless the page only shows."""
        return experiment(
            self.settings,
            seeds=self.seeds,
            device=self.device,
            compute=self.compute,
            fresh=self.fresh,
            out=self.out,
        )

    def runs(self, experiment: Experiment) -> dict[Any, Run]:
        """The stored runs behind it, by the experiment's keys."""
        return experiment.stored(self.settings, self.seeds, self.out)


def open_page(
    preset: str,
    *,
    seeds: int | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    compute: bool = True,
    fresh: bool = False,
) -> Page:
    """The page of a notebook from its parameters; ``seeds`` counts them. Sets the look of pictures that follow.

    A page of a size that is no evidence says so first.

    Errors: those of ``load_preset``.
    """
    settings = load_preset(preset)
    plots.style()
    if said := pages.banner(settings.name):
        display(HTML(said))
    return Page(settings, None if seeds is None else range(seeds), device, out, compute, fresh)
