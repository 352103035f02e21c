"""One look for every figure, and the plots that many pages share. The same figure gives the same bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter
from PIL import Image

from aifr_lib.files import atomic_write
from aifr_lib.reporting.prose import percent, typeset
from aifr_lib.reporting.rows import INTERVALS, METRICS, Row, in_words

PALETTE = sns.color_palette("colorblind")
SAME, DIFFERENT, PAPER = PALETTE[0], PALETTE[1], PALETTE[7]
MARKERS = "osD^vPX"
PAGE, LEAST = 688 / 96, 8.0  # inches that a page of the book gives a figure on a desk; points that can be read there

# Text stays text: it is smaller than outlines, and where DejaVu is missing, Verdana has its widths.
_EXACT: dict[Any, Any] = {"svg.hashsalt": "aifr", "svg.fonttype": "none"}


def style() -> None:
    """Set the companion's look for all figures of this process."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        rc={
            "figure.figsize": (7, 4),
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "legend.frameon": False,
            "grid.alpha": 0.5,
            **_EXACT,
        },
    )


def readable(figure: Figure) -> None:
    """No text of a figure is smaller than ``LEAST`` once a page has made the figure as narrow as itself."""
    least = LEAST * max(1.0, figure.get_size_inches()[0] / PAGE)
    ticks = [one for axes in figure.axes for one in (axes.xaxis, axes.yaxis)]
    # The labels of an axis are made anew as it is drawn, of the size that the axis has for them.
    few = [one for one in ticks if any(text.get_fontsize() < least for text in one.get_ticklabels())]
    small = [text for text in figure.findobj(Text) if text.get_text() and text.get_fontsize() < least]
    for one in few:
        one.set_tick_params(labelsize=least)
    for text in small:
        text.set_fontsize(least)
    own = figure.get_layout_engine() is not None or any(axes.get_subplotspec() is None for axes in figure.axes)
    if (few or small) and not own:
        figure.tight_layout()


def save_figure(figure: Figure, stem: str | Path) -> None:
    """Write ``stem.svg`` and ``stem.png``, each whole or not at all; the same figure gives the same bytes."""
    stem = Path(stem)
    readable(figure)
    with mpl.rc_context(_EXACT):
        for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            with atomic_write(stem.with_name(f"{stem.name}.{suffix}")) as path:
                figure.savefig(path, format=suffix, bbox_inches="tight", metadata=metadata)


def svg(figure: Figure) -> str:
    """The figure as SVG text, a frame for a slider: not cropped, so that all are of one size. Closes it."""
    text = io.StringIO()
    readable(figure)
    figure.tight_layout()
    with mpl.rc_context(_EXACT):
        figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()


def picture(pixels: np.ndarray) -> bytes:
    """JPEG bytes of one picture (uint8 [H,W,3], RGB), a frame for a slider: a fifth of the size of PNG."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=90, subsampling=0)
    return content.getvalue()


def image(figure: Figure, alt: str) -> str:
    """The figure as an ``<img>`` that holds its own pixels. Closes it. alt: what it shows, for who cannot see it."""
    content = io.BytesIO()
    readable(figure)
    figure.savefig(content, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    wide = Image.open(content).width * figure.dpi / mpl.rcParams["savefig.dpi"]
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{typeset(alt)}" style="width:{wide:.0f}px;max-width:100%">'


def show(alt: str) -> None:
    """The figures drawn so far as the output of a cell, each with ``alt``, in place of ``pyplot.show``."""
    # Imported here: a batch job that draws needs no notebook machinery.
    from IPython.display import HTML, display

    for number in plt.get_fignums():
        display(HTML(image(plt.figure(number), alt)))


def show_pixels(pixels: np.ndarray, alt: str, width: int) -> None:
    """A picture uint8 [H, W, 3] as the output of a cell, ``width`` pixels of the page wide."""
    from IPython.display import HTML, display

    data = base64.b64encode(picture(pixels)).decode()
    style = f"width:{width}px;max-width:100%"
    display(HTML(f'<img src="data:image/jpeg;base64,{data}" alt="{typeset(alt)}" style="{style}">'))


def score_histogram(
    axis: Axes, same: np.ndarray, different: np.ndarray, threshold: float | None = None, bins: int = 60
) -> None:
    """Scores of pairs of one person and of two, in % of each kind; what a threshold gets wrong is darker."""
    low, high = min(np.min(same), np.min(different)), max(np.max(same), np.max(different))
    edges = np.linspace(float(low), float(high) + 1e-9, bins + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    for scores, colour, name in ((same, SAME, "one person"), (different, DIFFERENT, "two people")):
        share = 100 * np.histogram(scores, edges)[0] / len(scores)
        axis.stairs(share, edges, fill=True, color=colour, alpha=0.4, label=name)
        if threshold is not None:
            wrong = centres < threshold if name == "one person" else centres >= threshold
            axis.stairs(np.where(wrong, share, 0), edges, fill=True, color=colour)
    if threshold is not None:
        axis.axvline(threshold, color="0.25", linewidth=1.5, linestyle="--")
    axis.set(xlabel="cosine similarity of the two embeddings", ylabel="share of pairs, %")
    axis.legend(loc="upper left")


def threshold_frames(
    same: np.ndarray, different: np.ndarray, thresholds: Sequence[float]
) -> tuple[list[str], list[str]]:
    """For a slider over a threshold: the histogram cut there, and the shares of both kinds above it."""
    frames, labels = [], []
    for threshold in thresholds:
        figure, axis = plt.subplots(figsize=(7, 3.5))
        score_histogram(axis, same, different, threshold)
        frames.append(svg(figure))
        labels.append(
            f"threshold {threshold:+.2f}: {percent((same > threshold).mean())} of one person accepted, "
            f"{percent((different > threshold).mean(), 1)} of two people"
        )
    return frames, labels


class _Between(LogFormatter):
    """Labels between two powers of ten, where an axis has no two of these, as numbers too: 0.6 and not 6e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:,.10g}" if super().__call__(x, pos) else ""


def plain(axis: Axis) -> None:
    """The labels of a logarithmic axis as numbers, 0.01 and 1,000, whose powers would be too small to read."""
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_formatter(_Between(minor_thresholds=(1, 0.4)))


def roc(axis: Axes, far: np.ndarray, tar: np.ndarray, label: str | None = None) -> None:
    """True against false acceptance rate (fractions in, % drawn), the latter on a logarithmic axis."""
    drawn = far > 0
    axis.plot(100 * far[drawn], 100 * tar[drawn], drawstyle="steps-post", label=label)
    axis.set(xscale="log", xlabel="false acceptance rate, %", ylabel="true acceptance rate, %", ylim=(0, 101))
    plain(axis.xaxis)
    if label is not None:
        axis.legend(loc="lower right")


def parameter_curve(axis: Axes, rows: Sequence[Row], x: str, label: str, number: int = 0) -> None:
    """Mean against the key ``x``: line, 95 % interval, a dot for each seed. An unmeasured row breaks the line."""
    places = sorted(((float(row.keys[x]), row.measured) for row in rows), key=lambda place: place[0])
    colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    means = [one.mean if one else np.nan for _, one in places]
    axis.plot([place for place, _ in places], means, color=colour, marker=marker, label=label)
    for place, one in places:
        if one is None:
            continue
        if one.ci95 is not None:
            axis.vlines(place, *one.ci95, color=colour, linewidth=2, alpha=0.6)
        if len(one.per_seed) > 1:
            dots = list(one.per_seed.values())
            axis.scatter([place] * len(dots), dots, s=12, color=colour, alpha=0.5, linewidths=0, zorder=3)


def paired_by_seed(axis: Axes, rows: Sequence[Row], by: str) -> None:
    """What is paired by seed, side by side: a thin line a seed, the mean and its 95 % interval on top."""
    measured = [(in_words(row.keys[by]), row.measured) for row in rows if row.measured]
    seeds = set.intersection(*(set(one.per_seed) for _, one in measured)) if measured else set()
    for seed in sorted(seeds):
        axis.plot([one.per_seed[seed] for _, one in measured], color="0.7", linewidth=1, zorder=1)
    for place, (_, one) in enumerate(measured):
        axis.plot(place, one.mean, MARKERS[place], color=PALETTE[place], zorder=3)
        if one.ci95 is not None:
            axis.vlines(place, *one.ci95, color=PALETTE[place], linewidth=2, alpha=0.6, zorder=2)
    axis.set_xticks(range(len(measured)), [name.replace("-", "-\n") for name, _ in measured])
    axis.set_xlim(-0.5, len(measured) - 0.5)


def parameter_figure(
    rows: Sequence[Row],
    *,
    x: str,
    by: str,
    xlabel: str,
    band: tuple[float, float, str] | None = None,
) -> Figure:
    """A curve for each value of the key ``by`` against the key ``x``, with notes under it.

    The paper's numbers come from other data, so they stand in a note and never on our axis. ``band`` shades a
    range of ``x`` and names it.
    """
    figure, axis = plt.subplots(figsize=(7, 4.2))
    for number, name in enumerate(dict.fromkeys(row.keys[by] for row in rows)):
        parameter_curve(axis, [row for row in rows if row.keys[by] == name], x, in_words(name), number)
    if band is not None:
        axis.axvspan(band[0], band[1], color=PAPER, alpha=0.2, linewidth=0, label=band[2])
    metric = rows[0].metric
    axis.set(xlabel=xlabel, ylabel=METRICS.get(metric, metric))
    axis.legend(loc="best")
    figure.text(0.5, 0.0, "\n".join(_notes(rows, x)), ha="center", va="top", fontsize=8.5, color="0.35")
    figure.tight_layout()
    return figure


def _notes(rows: Sequence[Row], x: str) -> list[str]:
    kinds = dict.fromkeys(row.measured.interval for row in rows if row.measured and row.measured.interval)
    notes = [f"bars: 95 % interval, {INTERVALS[kind]}" for kind in kinds]
    if any(row.measured and len(row.measured.per_seed) > 1 for row in rows):
        notes.append("small dots: one for each seed")
    if missing := sum(row.measured is None and not row.undefined for row in rows):
        notes.append(f"not run: {missing} of {len(rows)} points")
    printed = dict.fromkeys(
        f"the paper, on its own data: {row.paper:g} at {in_words(x)} = {in_words(row.keys[x])} ({row.paper_source})"
        for row in rows
        if row.paper is not None
    )
    return [*notes, *printed]


def bare(axis: Axes, title: str) -> Axes:
    """An axis for a picture, with a title and nothing else."""
    axis.set_title(title, fontsize=9)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return axis


def strip(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Pictures [N, S, S, 3] side by side, ``columns`` to a row (None: all); white where the last row is short."""
    columns = columns or len(pictures)
    count, size = len(pictures), pictures.shape[1]
    rows = -(-count // columns)
    filled = np.full((rows * columns, size, size, 3), 255, dtype=np.uint8)
    filled[:count] = pictures
    return filled.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)
