"""Table IV: variance of the embeddings within and between people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.evaluation.variance import FORMS, class_variance
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml.alpha_sweep import alpha_sweep_jobs
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, digits, percent, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
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


def found(artefact: Artefact) -> str:
    """What the table says: the ratio with the branch and without, what both variances did, and people unseen."""
    plain, branch = _by_loss(artefact, "ratio", "training")
    plain_unseen, branch_unseen = _by_loss(artefact, "ratio", "test")
    differ, seen, unseen = apart(branch, plain), plain and branch, plain_unseen and branch_unseen
    shrunk = all(apart(*_by_loss(artefact, metric, "training")) > 0 for metric in ("intra", "inter"))
    given = {"plain": plain, "branch": branch, "plain_unseen": plain_unseen, "branch_unseen": branch_unseen}
    seeds = {"seeds": counted(min(len(one.per_seed) for one in (plain, branch)), "seed")} if plain and branch else {}
    return say(
        seeds | {name: digits(one.mean) for name, one in given.items() if one},
        (seen, "On training people the variance between people is {branch} times that within a person with the"),
        (seen, "transformer's loss, and {plain} times with the standard loss:"),
        (seen and differ > 0, "its clusters are tighter for their distance."),
        (seen and differ < 0, "its clusters are looser for their distance."),
        (seen and not differ, "no difference that these seeds can tell from chance."),
        (seen and differ, "So says Student's t over {seeds} of each, uncorrected; the verdict decides."),
        (shrunk, "Both variances fall, so it shrinks all embeddings as well, which recognises nobody better."),
        (unseen, "On people it has never seen the two ratios are {branch_unseen} and {plain_unseen}."),
    )


def _by_loss(artefact: Artefact, metric: str, people: str) -> list[Measured | None]:
    """A number of raw embeddings with each loss, the standard one first."""
    return [measured(artefact.rows, metric, {"form": "raw", "people": people, "loss": loss}) for loss in LOSSES]


def spread_frames(spreads: Sequence[float]) -> tuple[list[str], list[str]]:
    """For a slider over the spread within a person: five invented people in a plane, and what is measured of them."""
    rng = np.random.default_rng(4)
    people = np.repeat(np.arange(5), 40)
    turns = 2 * np.pi * np.arange(5) / 5
    centres, noise = 4 * np.stack([np.cos(turns), np.sin(turns)], axis=1), rng.normal(0, 1, (200, 2))
    frames, labels = [], []
    for spread in spreads:
        cloud = centres[people] + spread * noise
        figure, axis = plt.subplots(figsize=(4.6, 4.2))
        for person in range(5):
            x, y = cloud[people == person].T
            axis.scatter(x, y, s=8, color=plots.PALETTE[person])
        axis.set(xlim=(-9, 9), ylim=(-9, 9), xlabel="first coordinate", ylabel="second coordinate")
        frames.append(plots.svg(figure))
        means = np.stack([cloud[people == person].mean(0) for person in range(5)])
        nearest = np.linalg.norm(cloud[:, None] - means, axis=2).argmin(1)
        one = class_variance(cloud, people)
        labels.append(
            f"intra {one.intra:.2f}, inter {one.inter:.2f}, ratio {one.ratio:.2f}: "
            f"{percent((nearest != people).mean())} lie nearer to somebody else"
        )
    return frames, labels


TABLE4 = Experiment(
    "tml_table4",
    variance_jobs,
    variance_rows,
    lambda artefact, _: variance_figure(artefact),
    found=found,
    shape=Shape(
        down=("loss",),
        across=(METRIC,),
        only={"form": "raw", "people": "training"},
        names={"intra": "intra", "inter": "inter", "ratio": "inter / intra"},
    ),
)
