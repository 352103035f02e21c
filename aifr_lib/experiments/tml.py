"""Transformer-metric loss: one function for each table and figure of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aifr_lib.config import AlphaSweep, Preset, Recognition
from aifr_lib.evaluation.variance import FORMS
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Job, reproduce
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact, Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t

# Fig. 6 prints no numbers; Table I has two of its points: (α, list) → its row, and what the number is.
PRINTED = {
    (0.0, "relief-lfw"): ("ArcFace [49]", "Table I: ArcFace on LFW, trained on CASIA-WebFace"),
    (0.4, "relief-lfw"): ("Transformer-ArcFace", "Table I: Transformer-ArcFace on LFW; its α is not printed"),
}

# Table IV: our two losses and the α they have in the sweep, and the names of the paper's rows.
LOSSES = {"arcface": 0.0, "transformer-arcface": 0.4}
PRINTED_LOSSES = {"arcface": "Standard ArcFace Loss", "transformer-arcface": "Transformer ArcFace Loss"}


def training(sweep: AlphaSweep, alpha: float, seed: int, lr: float | None = None) -> Recognition:
    """The training of one point of the sweep; ``lr`` None takes the rate tuned for the nearest main α (ties: lower)."""
    tuned = sweep.lr[min(sorted(sweep.main), key=lambda main: abs(main - alpha))] if sweep.lr else sweep.train.lr
    return sweep.train.model_copy(update={"alpha": alpha, "seed": seed, "lr": lr or tuned})


def tuning_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, float], Job]:
    """The runs of the rate grid by (α, lr), each with the first seed: what ``seeds`` says does not matter here."""
    sweep = preset.alpha_sweep
    return {
        (alpha, lr): recognise.job(training(sweep, alpha, sweep.main_seeds[0], lr), device)
        for alpha in sweep.main
        for lr in sweep.lrs
    }


def tuning(
    preset: Preset,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: Path | None = None,
) -> Artefact:
    """The learning rates that were tried for each main α, scored on validation people; one seed.

    The same grid for every α is what makes their comparison fair. Artefact ``tml_tuning``.
    """
    sweep = preset.alpha_sweep
    lists = recognise.lists_of(sweep.train.relief, "validation").get("everyday", [])

    def rows(runs: Mapping[tuple[float, float], Run]) -> Iterator[Row]:
        for alpha, lr, name in product(sweep.main, sweep.lrs, lists):
            measured = None
            if run := runs.get((alpha, lr)):
                found = run.summary["validation"]
                measured = Measured(
                    mean=found["accuracy"][name], ci95=tuple(found["interval"][name]), interval="identities"
                )
            keys = {"alpha": alpha, "lr": lr, "set": f"{name}, validation"}
            yield Row(keys=keys, metric="accuracy", measured=measured)

    jobs = tuning_jobs(preset, seeds, device)
    data = recognise.spec(sweep.train).data
    return reproduce("tml_tuning", preset, jobs, rows, data=data, compute=compute, fresh=fresh, out=out)


def tried(artefact: Artefact) -> pd.DataFrame:
    """``tml_tuning`` as a page shows it: mean accuracy over the validation lists by α (rows) and rate (columns).

    NaN where a run is missing.
    """
    rows = [{**row.keys, "mean": row.measured.mean if row.measured else np.nan} for row in artefact.rows]
    table = pd.DataFrame(rows).groupby(["alpha", "lr"])["mean"].agg(lambda values: values.mean(skipna=False))
    return table.unstack("lr")


def best_rates(artefact: Artefact) -> dict[float, float]:
    """By main α, the rate of ``tml_tuning`` with the highest mean accuracy over the validation lists.

    An α of which a run is missing is left out.
    """
    scores: dict[float, dict[float, list[float]]] = {}
    missing = {row.keys["alpha"] for row in artefact.rows if row.measured is None}
    for row in artefact.rows:
        if row.measured is not None and row.keys["alpha"] not in missing:
            rates = scores.setdefault(float(row.keys["alpha"]), {})
            rates.setdefault(float(row.keys["lr"]), []).append(row.measured.mean)
    means = {alpha: {lr: fmean(found) for lr, found in rates.items()} for alpha, rates in scores.items()}
    return {alpha: max(rates, key=rates.__getitem__) for alpha, rates in means.items()}


def tuning_note(artefact: Artefact, taken: Mapping[float, float]) -> str:
    """What a reader must know of ``tml_tuning``: the rates taken by main α, and what speaks against them."""
    best, lrs = best_rates(artefact), sorted({float(row.keys["lr"]) for row in artefact.rows})
    notes = [f"Taken: {', '.join(f'{lr:g} at α = {alpha:g}' for alpha, lr in taken.items())}."]
    if edge := [f"{alpha:g}" for alpha, lr in best.items() if lr in (lrs[0], lrs[-1])]:
        notes.append(f"At α = {', '.join(edge)} the best rate is the last one tried: a better one may lie beyond.")
    if unknown := [f"{alpha:g}" for alpha in taken if alpha not in best]:
        notes.append(f"At α = {', '.join(unknown)} not all rates were run: what is taken there is a guess.")
    ends = [row.measured.ci95 for row in artefact.rows if row.measured and row.measured.ci95]
    if widths := [high - low for low, high in ends]:
        notes.append(f"Resampling people, a number on one list is known to ±{fmean(widths) / 2:.1f} points.")
    return " ".join(notes)


def alpha_sweep_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Fig. 6 by (α, seed), those that most rests on first; they differ in α, seed and tuned rate alone."""
    sweep = preset.alpha_sweep
    places = [(alpha, seed) for alpha in sweep.main for seed in (sweep.main_seeds if seeds is None else seeds)]
    places += [(alpha, seed) for alpha in sweep.alphas for seed in (sweep.seeds if seeds is None else seeds)]
    return {(alpha, seed): recognise.job(training(sweep, alpha, seed), device) for alpha, seed in dict.fromkeys(places)}


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
    sweep = preset.alpha_sweep

    def rows(runs: Mapping[tuple[float, int], Run]) -> Iterator[Row]:
        for alpha, name in product(sweep.alphas, sweep.train.relief.pair_lists):
            measured = over_seeds(runs, alpha, name)
            yield Row(keys={"alpha": alpha, "set": name}, metric="accuracy", measured=measured, **printed(alpha, name))

    jobs = alpha_sweep_jobs(preset, seeds, device)
    data = recognise.spec(sweep.train).data
    return reproduce(
        "tml_fig6", preset, jobs, rows, data=data, figure=alpha_figure, compute=compute, fresh=fresh, out=out
    )


def variance_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Table IV: those of Fig. 6 at α = 0 and with the branch."""
    return {
        (alpha, seed): job
        for (alpha, seed), job in alpha_sweep_jobs(preset, seeds, device).items()
        if alpha in LOSSES.values()
    }


def variance(
    preset: Preset,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: Path | None = None,
) -> Artefact:
    """Table IV: variance of the embeddings within and between people, with the branch and without.

    The paper measures its training set (people "training"); test people are beside, as what a user meets. Loads or
    trains runs as ``alpha_sweep`` does; artefact ``tml_table4``.
    """

    def rows(runs: Mapping[tuple[float, int], Run]) -> Iterator[Row]:
        for people, form, metric in product(("training", "test"), FORMS, ("intra", "inter", "ratio")):
            for loss, alpha in LOSSES.items():
                found = {
                    seed: run.summary["variance"][people][form][metric]
                    for (at, seed), run in runs.items()
                    if at == alpha
                }
                yield Row(
                    keys={"loss": loss, "form": form, "people": people},
                    metric=metric,
                    measured=student_t(found) if found else None,
                    **printed_variance(loss, form, people, metric),
                )

    jobs = variance_jobs(preset, seeds, device)
    data = recognise.spec(preset.alpha_sweep.train).data
    return reproduce(
        "tml_table4", preset, jobs, rows, data=data, figure=variance_figure, compute=compute, fresh=fresh, out=out
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
            axis.set(title=f"{people} people", ylabel=f"{metric}, {form} embeddings")
    figure.tight_layout()
    return figure


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
