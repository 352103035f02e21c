"""What an embedding is, and what a cosine measures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.prose import signs
from drawn.faces import embedded
from drawn.still import still

PEOPLE = 4


def faces_as_points() -> str:
    faces, embeddings = embedded()
    identity = faces.labels["identity"].to_numpy()
    shown = np.flatnonzero(np.isin(identity, np.unique(identity)[:PEOPLE]))
    centred = embeddings[shown] - embeddings[shown].mean(axis=0)
    places = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T  # the plane in which they spread most
    figure, axis = plt.subplots(figsize=(5.6, 4.2))
    for row, place in zip(shown, places, strict=True):
        person = np.searchsorted(np.unique(identity), identity[row])
        frame = {"edgecolor": plots.PALETTE[person], "linewidth": 3, "boxstyle": "square,pad=0.1"}
        axis.add_artist(AnnotationBbox(OffsetImage(faces.pixels[row], zoom=0.62), place, bboxprops=frame, pad=0.1))
    axis.set(xlim=_around(places[:, 0]), ylim=_around(places[:, 1]), xticks=[], yticks=[])
    return still(figure, f"Relief faces of {PEOPLE} people, framed in one colour a person, laid out by embedding")


def angle() -> str:
    degrees = range(0, 181, 15)
    frames, labels = [], []
    for degree in degrees:
        theta = np.radians(degree)
        cosine = np.cos(theta)
        figure, axis = plt.subplots(figsize=(4.4, 3.6))
        circle(axis)
        for turn, colour in ((0.0, plots.SAME), (theta, plots.DIFFERENT)):
            axis.annotate(
                "", (np.cos(turn), np.sin(turn)), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.5}
            )
        arc = np.linspace(0, theta, 60)
        axis.plot(0.3 * np.cos(arc), 0.3 * np.sin(arc), color="0.3")
        axis.plot([np.cos(theta)] * 2, [np.sin(theta), 0], color="0.6", linestyle=":")
        axis.plot([0, cosine], [0, 0], color="0.2", linewidth=5, solid_capstyle="butt")
        frames.append(plots.svg(figure))
        labels.append(signs(f"angle {degree}°: cosine {cosine:+.2f}, squared distance {2 - 2 * cosine:.2f}"))
    return slider.range_player(
        frames, labels, "Two embeddings of length 1", "two arrows from the centre of a circle", start=3
    )


def circle(axis: Axes) -> None:
    """The unit circle, without axes."""
    turn = np.linspace(0, 2 * np.pi, 200)
    axis.plot(np.cos(turn), np.sin(turn), color="0.8", linewidth=1)
    axis.set_aspect("equal")
    axis.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    axis.axis("off")


def _around(values: np.ndarray) -> tuple[float, float]:
    room = 0.12 * np.ptp(values)
    return values.min() - room, values.max() + room
