"""Table IV: variance of the embeddings within and between people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.evaluation.variance import FORMS
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml.alpha_sweep import alpha_sweep_jobs
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import METRICS, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.settings.presets import Preset

# Table IV: our two losses and the α they have in the sweep, and the names of the paper's rows.
LOSSES = {"arcface": 0.0, "transformer-arcface": 0.4}


PRINTED_LOSSES = {"arcface": "Standard ArcFace Loss", "transformer-arcface": "Transformer ArcFace Loss"}


def variance_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Table IV: those of Fig. 6 at α = 0 and with the branch."""
    return {
        (alpha, seed): job
        for (alpha, seed), job in alpha_sweep_jobs(preset, seeds, device).items()
        if alpha in LOSSES.values()
    }


def variance_rows(preset: Preset, runs: Mapping[tuple[float, int], Run]) -> Iterator[Row]:
    """Variance of the embeddings within and between people, with the branch and without.

    The paper measures its training set (people "training"); test people are beside, as what a user meets.
    """
    for people, form, metric in product(("training", "test"), FORMS, ("intra", "inter", "ratio")):
        for loss, alpha in LOSSES.items():
            found = {
                seed: run.summary["variance"][people][form][metric] for (at, seed), run in runs.items() if at == alpha
            }
            yield Row(
                keys={"loss": loss, "form": form, "people": people},
                metric=metric,
                measured=student_t(found) if found else None,
                **printed_variance(loss, form, people, metric),
            )


def printed_variance(loss: str, form: str, people: str, metric: str) -> dict[str, Any]:
    """The paper's number beside a row of Table IV: its training set, its undefined form set beside our raw one."""
    if (form, people) != ("raw", "training"):
        return {}
    row, column = PRINTED_LOSSES[loss], {"ratio": "inter_over_intra"}.get(metric, metric)
    return {"paper": papers.value("tml_table4", {"loss": row}, column), "paper_source": f"Table IV: {row}"}


def variance_figure(artefact: Artefact) -> Figure:
    """Table IV as a picture: the losses side by side, joined by seed, for training people and for test people."""
    shown = (("intra", "normalised"), ("inter", "raw"), ("ratio", "raw"))
    figure, axes = plt.subplots(2, 3, figsize=(9.5, 5.6))
    for line, people in zip(axes, ("training", "test"), strict=True):
        for axis, (metric, form) in zip(line, shown, strict=True):
            wanted = {"people": people, "form": form}
            rows = [row for row in artefact.rows if row.metric == metric and wanted.items() <= row.keys.items()]
            plots.paired_by_seed(axis, rows, by="loss")
            axis.set(title=f"{people} people", ylabel=f"{METRICS[metric]}\n({form} embeddings)")
    figure.tight_layout()
    return figure


TABLE4 = Experiment("tml_table4", variance_jobs, variance_rows, lambda artefact, _: variance_figure(artefact))
