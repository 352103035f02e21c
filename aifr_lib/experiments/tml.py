"""Transformer-metric loss: one function for each table and figure of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from aifr_lib.config import Preset
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Job, assemble, gather
from aifr_lib.reporting import artefacts, papers, plots
from aifr_lib.reporting.artefacts import Artefact, Measured, Row
from aifr_lib.reporting.claims import outcome
from aifr_lib.reporting.runs import Run, RunStore
from aifr_lib.reporting.seeds import student_t

# Fig. 6 prints no numbers; Table I has two of its points: (α, list) → its row, and what the number is.
PRINTED = {
    (0.0, "relief-lfw"): ("ArcFace [49]", "Table I: ArcFace on LFW, trained on CASIA-WebFace"),
    (0.4, "relief-lfw"): ("Transformer-ArcFace", "Table I: Transformer-ArcFace on LFW; its α is not printed"),
}


def alpha_sweep_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Fig. 6 by (α, seed); their trainings differ in nothing else."""
    sweep = preset.alpha_sweep
    return {
        (alpha, seed): recognise.job(sweep.train.model_copy(update={"alpha": alpha, "seed": seed}), device)
        for alpha in sweep.alphas
        for seed in (sweep.seeds if seeds is None else seeds)
    }


def alpha_sweep(
    preset: Preset,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: Path | None = None,
) -> Artefact:
    """Fig. 6: verification accuracy against the loss balancing factor α of eq. 11.

    Loads the runs that are there and trains those that are not; ``compute=False`` leaves them out (their rows have no
    measured value). Writes the artefact ``tml_fig6`` under ``out`` (default ``figures/<preset>``) and returns it.
    """
    root = out or artefacts.figures_root(preset.name)
    runs = gather(RunStore(root), alpha_sweep_jobs(preset, seeds, device), compute=compute, fresh=fresh)
    rows = tuple(
        Row(
            keys={"alpha": alpha, "set": name},
            metric="accuracy",
            measured=over_seeds(runs, alpha, name),
            **printed(alpha, name),
        )
        for alpha in preset.alpha_sweep.alphas
        for name in preset.alpha_sweep.train.relief.pair_lists
    )
    artefact = assemble(
        "tml_fig6",
        preset,
        runs.values(),
        rows,
        seeds=sorted({seed for _, seed in runs}),
        data=recognise.spec(preset.alpha_sweep.train).data,
        verdict=outcome("tml_fig6", preset.name, rows),
    )
    if compute and runs:
        artefacts.save(artefact, root, alpha_figure(artefact))
    return artefact


def printed(alpha: float, name: str) -> dict[str, Any]:
    """The paper's number beside a point of the sweep, and where it stands; empty where there is none."""
    if (alpha, name) not in PRINTED:
        return {}
    loss, source = PRINTED[alpha, name]
    return {"paper": papers.value("tml_table1", {"loss": loss}, "LFW"), "paper_source": source}


def over_seeds(runs: Mapping[tuple[float, int], Run], alpha: float, name: str) -> Measured | None:
    """Mean accuracy in % over the seeds with Student's t; with one seed, its interval over test identities."""
    found = {seed: run for (at, seed), run in runs.items() if at == alpha}
    if not found:
        return None
    measured = student_t({seed: run.summary["accuracy"][name] for seed, run in found.items()})
    if len(found) > 1:
        return measured
    (run,) = found.values()
    interval = run.summary["interval"][name]
    return measured.model_copy(update={"ci95": tuple(interval), "interval": "identities"})


def alpha_figure(artefact: Artefact) -> Figure:
    """Fig. 6 redrawn: a curve for each list, dots for seeds, intervals, the range that the paper calls good."""
    good = (0.4, 0.5, "good on LFW, says the paper")
    return plots.parameter_figure(
        artefact.rows, x="alpha", by="set", xlabel="loss balancing factor α (eq. 11)", band=good
    )
