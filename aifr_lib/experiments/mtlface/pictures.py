"""Pictures of drawn faces, out of the runs that keep them: sheets, frames for a slider, failures, training curves."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.reporting import plots
from aifr_lib.reporting.runs import Run
from aifr_lib.training.sheets import sheet

ACROSS_AT_MOST = 3  # curves beside each other: more would be too small to read on a page
CURVES = {
    "generator_loss_adversarial": "generator: adversarial loss",
    "generator_loss_identity": "generator: identity loss",
    "generator_loss_age": "generator: age loss",
    "critic_loss": "critic: loss",
    "generator_spread": "spread of ages told of drawn faces, years",
}


def sheets(runs: Mapping[str, Run], names: Sequence[str], titles: Mapping[str, str]) -> Figure:
    """What each of ``names`` draws, side by side: a line a person, the source first, then every age."""
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(5.6 * columns, 4.6 * lines), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        scores = runs[name].scores
        axis.imshow(sheet(scores["shown_source"], scores["shown"]))
        axis.set_title(titles.get(name, name), fontsize=10)
    figure.tight_layout()
    return figure


def age_frames(runs: Mapping[str, Run], names: Sequence[str], enlarged: int = 2) -> list[bytes]:
    """A frame for each age group: a line of sources, and below it a line for each of ``names``."""
    first = runs[names[0]].scores
    frames = []
    for group in range(first["shown"].shape[1]):
        lines = [first["shown_source"], *(runs[name].scores["shown"][:, group] for name in names)]
        whole = plots.strip(np.concatenate(lines), len(first["shown_source"]))
        frames.append(plots.picture(whole.repeat(enlarged, 0).repeat(enlarged, 1)))
    return frames


def failures(runs: Mapping[str, Run], names: Sequence[str], titles: Mapping[str, str]) -> Figure:
    """The faces least like the truth: a column each; source, drawn and true face from above."""
    figure, axes = plt.subplots(1, len(names), figsize=(4.4 * len(names), 2.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        worst = runs[name].scores["worst"]
        axis.imshow(plots.strip(worst.swapaxes(0, 1).reshape(-1, *worst.shape[2:]), len(worst)))
        axis.set_title(titles.get(name, name), fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    return figure


def training_curves(runs: Mapping[str, Run], names: Sequence[str], titles: Mapping[str, str]) -> Figure:
    """What the trainings logged, a panel a scalar, a curve a training; scalars that none logged are left out."""
    logs = {name: runs[name].summary["curves"] for name in names}
    there = [key for key in CURVES if any(key in log for log in logs.values())]
    columns = max(1, min(ACROSS_AT_MOST, len(there)))
    lines = max(1, math.ceil(len(there) / columns))
    figure, axes = plt.subplots(
        lines, columns, figsize=(3.4 * columns, 2.9 * lines + 0.4), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(there) :]:
        axis.set_visible(False)
    for axis, key in zip(axes.flat, there, strict=False):
        for number, (name, log) in enumerate(logs.items()):
            if key in log:
                values = [np.nan if one is None else one for one in log[key]]
                axis.plot(log["step"], values, marker="." if len(values) < 3 else None, label=titles.get(name, name),
                          color=plots.PALETTE[number % len(plots.PALETTE)])  # fmt: skip
        axis.set_xlabel("step")
        axis.set_title(textwrap.fill(CURVES[key], 28), fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    return figure
