"""Transformer-metric loss: one function for each table and figure of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.config import AlphaSweep, Preset, Recognition
from aifr_lib.evaluation.variance import FORMS
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Job, reproduce
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import METRICS, Artefact, Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t

# Fig. 6 prints no numbers; Table I has two of its points: (α, list) → its row, and what the number is.
PRINTED = {
    (0.0, "relief-lfw"): ("ArcFace [49]", "Table I: ArcFace on LFW, trained on CASIA-WebFace"),
    (0.4, "relief-lfw"): ("Transformer-ArcFace", "Table I: Transformer-ArcFace on LFW; its α is not printed"),
}

# Seeds of one α that lie further apart, in points, differ in whether the training went well.
UNSTABLE = 3.0
CLOSE = 12.0  # points below the best that a picture of the rates shows

# What the preset `paper` has to say and the paper does not.
GUESSED = ("embedding", "epochs", "feedforward", "pos_encoding", "precision")

# Table IV: our two losses and the α they have in the sweep, and the names of the paper's rows.
LOSSES = {"arcface": 0.0, "transformer-arcface": 0.4}
PRINTED_LOSSES = {"arcface": "Standard ArcFace Loss", "transformer-arcface": "Transformer ArcFace Loss"}


def training(sweep: AlphaSweep, alpha: float, seed: int, lr: float | None = None) -> Recognition:
    """The training of one point of the sweep; ``lr`` None takes the rate tuned for the nearest main α (ties: lower)."""
    tuned = sweep.lr[min(sorted(sweep.main), key=lambda main: abs(main - alpha))] if sweep.lr else sweep.train.lr
    return sweep.train.model_copy(update={"alpha": alpha, "seed": seed, "lr": lr or tuned})


def tuning_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, float, int], Job]:
    """The runs behind the rates by (α, lr, seed): every rate with the first seed, the finalists with all of them.

    What the argument ``seeds`` says does not matter here.
    """
    sweep = preset.alpha_sweep
    places = list(product(sweep.main, sweep.lrs, sweep.main_seeds[:1]))
    places += [(alpha, lr, seed) for alpha, rates in sweep.finals.items() for lr in rates for seed in sweep.seeds]
    return {
        (alpha, lr, seed): recognise.job(training(sweep, alpha, seed, lr), device)
        for alpha, lr, seed in dict.fromkeys(places)
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
    """The learning rates that were tried for each main α, scored on validation people.

    The same grid for every α is what makes their comparison fair: all rates with one seed, then the best of each α
    with more (``AlphaSweep.finals``), since one seed alone can hide that a rate is too high. Artefact ``tml_tuning``.
    """
    sweep = preset.alpha_sweep
    lists = recognise.lists_of(sweep.train.relief, "validation").get("everyday", [])

    def rows(runs: Mapping[tuple[float, float, int], Run]) -> Iterator[Row]:
        for alpha, lr, name in product(sweep.main, sweep.lrs, lists):
            found = {
                seed: run.summary["validation"] for (at, rate, seed), run in runs.items() if (at, rate) == (alpha, lr)
            }
            keys = {"alpha": alpha, "lr": lr, "set": f"{name}, validation"}
            yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))

    jobs = tuning_jobs(preset, seeds, device)
    data = recognise.spec(sweep.train).data
    return reproduce(
        "tml_tuning", preset, jobs, rows, data=data, figure=tuning_figure, compute=compute, fresh=fresh, out=out
    )


def tried(artefact: Artefact) -> dict[float, dict[float, Measured | None]]:
    """What decides on a rate: by main α and rate, the accuracy on validation people, mean of the lists, over seeds.

    None where a run is missing.
    """
    lists: dict[tuple[float, float], list[Measured | None]] = {}
    for row in artefact.rows:
        lists.setdefault((float(row.keys["alpha"]), float(row.keys["lr"])), []).append(row.measured)
    found: dict[float, dict[float, Measured | None]] = {}
    for (alpha, lr), measured in lists.items():
        on = [one.per_seed for one in measured if one]
        seeds = set.intersection(*map(set, on)) if len(on) == len(measured) else set()
        means = {seed: fmean(scores[seed] for scores in on) for seed in sorted(seeds)}
        found.setdefault(alpha, {})[lr] = student_t(means) if means else None
    return found


def finalists(artefact: Artefact, sweep: AlphaSweep) -> dict[float, tuple[float, ...]]:
    """By main α, as many of the best rates of the first seed as the preset has, in the order of the grid.

    An α of which a run is missing is left out, and all are where the preset has no second round.
    """
    first, best = sweep.main_seeds[0], {}
    for alpha, rates in tried(artefact).items():
        scores = {lr: one.per_seed[first] for lr, one in rates.items() if one and first in one.per_seed}
        if sweep.finals and len(scores) == len(rates):
            chosen = sorted(scores, key=scores.__getitem__, reverse=True)[: len(sweep.finals[alpha])]
            best[alpha] = tuple(lr for lr in rates if lr in chosen)
    return best


def best_rates(artefact: Artefact, sweep: AlphaSweep) -> dict[float, float]:
    """By main α, the rate with the highest mean among the finalists; without a second round among all rates.

    An α of which a run is missing, in either round, is left out.
    """
    seeds = set(sweep.seeds) if sweep.finals else set(sweep.main_seeds[:1])
    best = {}
    for alpha, rates in tried(artefact).items():
        finals = {lr: rates.get(lr) for lr in sweep.finals.get(alpha, sweep.lrs)}
        means = {lr: one.mean for lr, one in finals.items() if one and seeds <= set(one.per_seed)}
        if None not in rates.values() and len(means) == len(finals):
            best[alpha] = max(means, key=means.__getitem__)
    return best


def tuning_note(artefact: Artefact, sweep: AlphaSweep) -> str:
    """What a reader must know of ``tml_tuning``: the rates taken by main α, and what speaks against them."""
    best, lrs = best_rates(artefact, sweep), sorted({float(row.keys["lr"]) for row in artefact.rows})
    notes = [f"Taken: {', '.join(f'{lr:g} at α = {alpha:g}' for alpha, lr in sweep.lr.items())}."]
    if edge := [f"{alpha:g}" for alpha, lr in best.items() if lr in (lrs[0], lrs[-1])]:
        notes.append(f"At α = {', '.join(edge)} the best rate is the last one tried: a better one may lie beyond.")
    if unknown := [f"{alpha:g}" for alpha in sweep.lr if alpha not in best]:
        notes.append(f"At α = {', '.join(unknown)} not all rates were run: what is taken there is a guess.")
    for alpha, rates in tried(artefact).items():
        for lr, one in rates.items():
            if one and (spread := max(one.per_seed.values()) - min(one.per_seed.values())) > UNSTABLE:
                notes.append(
                    f"At α = {alpha:g} and a rate of {lr:g}, {len(one.per_seed)} seeds lie {spread:.1f} points apart: "
                    "not every training goes well there."
                )
    ends = [row.measured.ci95 for row in artefact.rows if row.measured and row.measured.interval == "identities"]
    if widths := [high - low for low, high in filter(None, ends)]:
        notes.append(
            f"Resampling people, a number of one seed on one list is known to ±{fmean(widths) / 2:.1f} points."
        )
    return " ".join(notes)


def tuning_figure(artefact: Artefact) -> Figure:
    """What decides on a rate, drawn: a curve for each main α, a dot for each seed; what lies far below is written."""
    rows = [
        Row(keys={"lr": lr, "loss": f"α = {alpha:g}"}, metric="accuracy", measured=measured)
        for alpha, rates in tried(artefact).items()
        for lr, measured in rates.items()
    ]
    figure = plots.parameter_figure(rows, x="lr", by="loss", xlabel="highest learning rate")
    (axis,) = figure.axes
    axis.set(xscale="log", ylabel="accuracy in %, validation people,\nmean of the lists")
    axis.set_xticks(lrs := sorted({float(row.keys["lr"]) for row in rows}), [f"{lr:g}" for lr in lrs])
    axis.minorticks_off()
    measured = [(row.keys, row.measured.mean) for row in rows if row.measured]
    bottom = max((mean for _, mean in measured), default=0) - CLOSE
    axis.set_ylim(bottom=bottom)
    names = list(dict.fromkeys(row.keys["loss"] for row in rows))
    for keys, mean in measured:
        if mean < bottom:
            colour = plots.PALETTE[names.index(keys["loss"])]
            axis.annotate(f"{mean:.1f} ↓", (float(keys["lr"]), bottom), xytext=(4, 4), textcoords="offset points",
                          fontsize=9, color=colour)  # fmt: skip
    return figure


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
            found = {seed: run.summary for (at, seed), run in runs.items() if at == alpha}
            measured = recognise.over_seeds(found, name)
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
            axis.set(title=f"{people} people", ylabel=f"{METRICS[metric]}\n({form} embeddings)")
    figure.tight_layout()
    return figure


def printed(alpha: float, name: str) -> dict[str, Any]:
    """The paper's number beside a point of the sweep, and where it stands; empty where there is none."""
    if (alpha, name) not in PRINTED:
        return {}
    loss, source = PRINTED[alpha, name]
    return {"paper": papers.value("tml_table1", {"loss": loss}, "LFW"), "paper_source": source}


def alpha_figure(artefact: Artefact) -> Figure:
    """Fig. 6 redrawn: a curve for each list, dots for seeds, intervals, the range that the paper calls good."""
    good = (0.4, 0.5, "good on LFW, says the paper")
    return plots.parameter_figure(
        artefact.rows, x="alpha", by="set", xlabel="loss balancing factor α (eq. 11)", band=good
    )
