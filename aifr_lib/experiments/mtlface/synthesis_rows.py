"""What the judges' numbers of drawn faces come to: by method, by target age, with the source's own age and without."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.relief.wide import NAME
from aifr_lib.experiments.measure.protocol_rows import mean_over_people
from aifr_lib.experiments.mtlface import judges
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import METRICS, Key, Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.settings.mtlface import AgeJudging

OTHERS = f"{NAME}, other ages"  # targets that are not the source's own group
METRIC_OF = {
    "age_accuracy": "told",
    "age_accuracy_outside": "outside",
    "identity_preservation": "to_source",
    "identity_of_truth": "to_truth",
    "psnr": "psnr",
    "ssim": "ssim",
}


def group_names(bounds: Sequence[float]) -> list[str]:
    """What the age groups are called.

    >>> group_names((10, 60))
    ['0–10 years', '11–60 years', '61 years and more']
    """
    edges = [0, *(int(bound) + 1 for bound in bounds)]
    named = [f"{low}–{int(high)} years" for low, high in zip(edges, bounds, strict=False)]
    return [*named, f"{edges[-1]} years and more"]


NAMES: dict[Key, str] = {
    "mtlface": "MTLFace",
    "mtlface-without-icm": "MTLFace without ICM",
    "ipcgan": "IPCGAN",
    "caae": "CAAE",
    "copy": "a copy of the source",
    "truth": "the true faces",
    NAME: "all ages",
    OTHERS: "ages other than the source's",
    **{f"{NAME}, {group}": group for group in group_names(AgeJudging.model_fields["bounds"].default)},
}


def values_of(scores: Mapping[str, np.ndarray], metric: str, bounds: tuple[float, ...], prefix: str = "") -> np.ndarray:
    """One number of each drawn face, [N, G]; of the age accuracies 100 where it is told in its group, else 0."""
    values = scores[prefix + METRIC_OF[metric]].astype(np.float64)
    if metric.startswith("age_accuracy"):
        return 100.0 * (judges.groups(values, bounds) == np.arange(values.shape[1]))
    return values


def method_rows(
    method: str, runs: Mapping[int, Run], asked: AgeJudging, *, prefix: str = "", more: Mapping[str, Key] | None = None
) -> Iterator[Row]:
    """All numbers of one method, over its seeds; of one seed alone with an interval over people."""
    names = group_names(asked.bounds)
    for metric in METRIC_OF:
        for name in (NAME, OTHERS, *(f"{NAME}, {group}" for group in names)):
            keys = {"method": method, "set": name, **(more or {})}
            yield Row(keys=keys, metric=metric, measured=mean_of(runs, metric, name, names, asked, prefix))


def mean_of(
    runs: Mapping[int, Run], metric: str, name: str, names: Sequence[str], asked: AgeJudging, prefix: str
) -> Measured | None:
    """The mean over the drawn faces of a set, over seeds or people; None of no runs."""
    by_seed: dict[int, float] = {}
    alone: Measured | None = None
    for seed, run in runs.items():
        values = values_of(run.scores, metric, asked.bounds, prefix)
        chosen = np.ones(values.shape, dtype=bool)
        if name == OTHERS:
            chosen = run.scores[prefix + "group"][:, None] != np.arange(values.shape[1])
        elif name != NAME:
            chosen &= np.arange(values.shape[1]) == names.index(name.removeprefix(f"{NAME}, "))
        who = np.broadcast_to(run.scores[prefix + "identity"][:, None], values.shape)[chosen]
        by_seed[seed] = float(values[chosen].mean())
        if len(runs) == 1:
            alone = mean_over_people(values[chosen], who)
    if not by_seed:
        return None
    return student_t(by_seed) if alone is None else alone.model_copy(update={"per_seed": by_seed})


def tradeoff_figure(artefact: Artefact, methods: Sequence[str], by: str = "method") -> Figure:
    """Age accuracy against likeness, a point a method with its seeds: left by the judge trained here and SFace to the
    source, right by the outside judge and SFace to the true face.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    panels = (("age_accuracy", "identity_preservation"), ("age_accuracy_outside", "identity_of_truth"))
    for axis, (aged, kept) in zip(axes, panels, strict=True):
        for number, method in enumerate(methods):
            x, y = (measured(artefact.rows, metric, {by: method, "set": NAME}) for metric in (aged, kept))
            if x is None or y is None:
                continue
            colour, marker = plots.PALETTE[number % 10], plots.MARKERS[number % len(plots.MARKERS)]
            axis.plot(x.mean, y.mean, marker, color=colour, ms=10, label=NAMES.get(method, in_words(method)))
            if len(x.per_seed) > 1 and len(y.per_seed) > 1:
                axis.scatter(list(x.per_seed.values()), list(y.per_seed.values()), s=14, color=colour, alpha=0.5)
        axis.set(xlabel=METRICS[aged], ylabel=METRICS[kept])
    axes[0].legend(fontsize=8, loc="best")
    return figure


def group_figure(artefact: Artefact, methods: Sequence[str], bounds: Sequence[float], by: str = "method") -> Figure:
    """By target age, a line a method: age accuracy by both judges, likeness to the source and to the true face."""
    names = group_names(bounds)
    figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained", sharex=True)
    for axis, metric in zip(axes.flat, list(METRIC_OF)[:4], strict=True):
        for number, method in enumerate(methods):
            found = [measured(artefact.rows, metric, {by: method, "set": f"{NAME}, {group}"}) for group in names]
            if not any(found):
                continue
            colour, marker = plots.PALETTE[number % 10], plots.MARKERS[number % len(plots.MARKERS)]
            means = [one.mean if one else np.nan for one in found]
            axis.plot(range(len(names)), means, marker=marker, color=colour, label=NAMES.get(method, in_words(method)))
        axis.set_ylabel(textwrap.fill(METRICS[metric], 30))
        ticks = [name.replace(" years and more", "+").removesuffix(" years") for name in names]
        axis.set_xticks(range(len(names)), ticks, rotation=30, ha="right")
    for axis in axes[1]:
        axis.set_xlabel("age asked for, years")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    return figure
