"""TML's drawings, redrawn from its modules: boxes, and arrows between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from aifr_lib.reporting import plots
from aifr_lib.reporting.rows import Key

VARIANTS: dict[Key, str] = {
    "a": "(a) standard transformer",
    "b": "(b) with linear layer",
    "c": "(c) with margin head",
}
WIDE, HIGH, STEP = 1.65, 0.8, 1.95
Place = tuple[float, float]
SHARED, USUAL, BRANCH = plots.PALETTE[7], plots.PALETTE[0], plots.PALETTE[1]


def box(axis: Axes, at: Place, text: str, colour: tuple[float, float, float]) -> None:
    """A box about ``at`` with its text."""
    left = (at[0] - WIDE / 2, at[1] - HIGH / 2)
    axis.add_patch(FancyBboxPatch(left, WIDE, HIGH, boxstyle="round,pad=.04", fc=colour, alpha=0.3, linewidth=0))
    axis.text(*at, text, ha="center", va="center", fontsize=8.5)


def arrow(axis: Axes, start: Place, end: Place, colour: object = "0.35", style: str = "-", bend: float = 0.0) -> None:
    """From the right side of a box to the left of another; where both stand at one x, from bottom to top."""
    if start[0] == end[0]:
        turn = 1 if end[1] > start[1] else -1
        ends = (start[0], start[1] + turn * (HIGH / 2 + 0.05)), (end[0], end[1] - turn * (HIGH / 2 + 0.05))
    else:
        turn = 1 if end[0] > start[0] else -1
        ends = (start[0] + turn * (WIDE / 2 + 0.05), start[1]), (end[0] - turn * (WIDE / 2 + 0.05), end[1])
    axis.add_patch(
        FancyArrowPatch(*ends, arrowstyle="->", mutation_scale=11, color=colour, linestyle=style,
                        connectionstyle=f"arc3,rad={bend}")
    )  # fmt: skip


def canvas(width: float, height: float, right: float, top: float) -> tuple[Figure, Axes]:
    """An empty sheet, x from −1 to ``right``, y from −1 to ``top``."""
    figure, axis = plt.subplots(figsize=(width, height))
    axis.set(xlim=(-1, right), ylim=(-1, top))
    axis.axis("off")
    return figure, axis


def overview_figure(gradients: Mapping[str, Mapping[str, float]]) -> Figure:
    """TML Fig. 2: what runs forward in a step, and what each loss's gradient reaches on its way back (dashed)."""
    figure, axis = canvas(9, 4, 11.8, 3.6)
    places: dict[str, Place] = {
        "convolutions": (2.2, 1.3), "O_f": (4.4, 1.3),
        "embedding layer": (6.6, 2.5), "margin head": (8.8, 2.5), "encoder": (6.6, 0.1), "linear layer": (8.8, 0.1),
    }  # fmt: skip
    colours = {"convolutions": SHARED, "O_f": SHARED, "embedding layer": USUAL, "margin head": USUAL}
    box(axis, (0, 1.3), "face", SHARED)
    for name, at in places.items():
        box(axis, at, name.replace("O_f", "last map\n$O_f$").replace(" layer", "\nlayer"), colours.get(name, BRANCH))
    arrow(axis, (0, 1.3), places["convolutions"])
    paths = {"margin": ("margin head", "embedding layer"), "transformer": ("linear layer", "encoder")}
    for (loss, (last, first)), colour in zip(paths.items(), (USUAL, BRANCH), strict=True):
        way = ("convolutions", "O_f", first, last)
        for one, following in pairwise(way):
            arrow(axis, places[one], places[following])
            if gradients[loss][one] and gradients[loss][following]:
                arrow(axis, places[following], places[one], colour, "--", 0.35 if loss == "margin" else -0.35)
        end = places[last]
        axis.text(end[0] + 0.95, end[1], f"cross-entropy\nof the {loss} loss", fontsize=8.5, va="center", color=colour)
    axis.text(9.9, 1.3, "weighted sum,\neq. 11", fontsize=9, va="center", ha="center")
    axis.text(7.7, 3.2, "kept for recognition", fontsize=8.5, ha="center", color=USUAL)
    axis.text(7.7, -0.7, "thrown away after training", fontsize=8.5, ha="center", color=BRANCH)
    figure.tight_layout()
    return figure


def architecture_figure(shapes: Mapping[str, str]) -> Figure:
    """TML Fig. 5: every part with the shape of what it gives, for one face. shapes: by part, in walking order."""
    figure, axis = canvas(9, 4, 14.6, 3.6)
    shared = [part for part in shapes if part.startswith(("stage", "last"))]
    usual = [part for part in shapes if part.startswith(("embedding", "margin"))]
    branch = [part for part in shapes if part not in (*shared, *usual)]
    places: dict[str, Place] = {part: (STEP * number, 1.3) for number, part in enumerate(shared)}
    start = STEP * len(shared)
    places |= {part: (start + STEP * number, 2.5) for number, part in enumerate(usual)}
    places |= {part: (start + STEP * number, 0.1) for number, part in enumerate(branch)}
    for part, at in places.items():
        colour = SHARED if part in shared else USUAL if part in usual else BRANCH
        name = re.sub(r" ([OT])_(\w+)", r"\n$\1_{\2}$", part)  # a symbol has a line of its own
        box(axis, at, f"{name}\n{shapes[part]}", colour)
    for line in (shared, [shared[-1], *usual], [shared[-1], *branch]):
        for one, following in pairwise(line):
            arrow(axis, places[one], places[following])
    axis.text(start, 3.2, "branch 1: the usual network", fontsize=9, color=USUAL, ha="left")
    axis.text(start, -0.7, "branch 2: in training alone", fontsize=9, color=BRANCH, ha="left")
    figure.tight_layout()
    return figure


def variants_figure(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """TML Fig. 8: the three blocks, from the tokens at the bottom up, with their parameters."""
    figure, axis = canvas(9, 4.6, 9, 5.6)
    above = {"a": (), "b": ("mean", "linear layer"), "c": ("mean", "margin head")}
    for number, (variant, more) in enumerate(above.items()):
        x = 3.6 * number + 0.4
        line = ("tokens", "encoder", *more)
        for height, text in enumerate(line):
            box(axis, (x, 1.1 * height), text, SHARED if text == "tokens" else BRANCH)
            if height:
                arrow(axis, (x, 1.1 * (height - 1)), (x, 1.1 * height))
        each = counts[variant]["parameters_each"]
        said = f"{VARIANTS[variant]}\n{counts[variant]['parameters']:,} parameters"
        axis.text(x, 4.5, said + (f"\n+ {each:,} for each person" if each else ""), fontsize=8.5, ha="center")
    figure.tight_layout()
    return figure
