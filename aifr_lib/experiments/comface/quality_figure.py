"""Pictures of ComFace's Fig. D: the histogram, the outside score beside it, which faces a threshold keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.evaluation.ser_fiq import CENTRE
from aifr_lib.experiments.generator import drawing
from aifr_lib.reporting import plots
from aifr_lib.reporting.runs import Run

GOOD = 0.6  # section C.1
COLUMNS = 10
FADED = 0.15


def quality_figure(runs: Mapping[tuple[str, str], Run]) -> Figure:
    """Left: shares of identities by score v, with the paper's limit. Middle: the distance d̄ that v is made of.
    Right: the outside score against d̄.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained")
    sets = [name for name in drawing.NAMES if (name, "SER-FIQ") in runs]
    for name in sets:
        number = list(drawing.NAMES).index(name)
        scores, label = runs[name, "SER-FIQ"].scores, drawing.NAMES[name]
        weights = np.full(len(scores["score"]), 100 / len(scores["score"]))
        style = {"color": plots.PALETTE[number], "alpha": 0.5, "label": label, "weights": weights}
        axes[0].hist(scores["score"].astype(float), bins=np.linspace(0, 1, 21), **style)
        axes[1].hist(scores["distance"].astype(float), bins=20, **style)
        if (name, "outside judge") in runs:
            outside = runs[name, "outside judge"].scores["score"]
            axes[2].scatter(scores["distance"], outside, s=8, color=plots.PALETTE[number], alpha=0.5, label=label)
    axes[0].axvline(GOOD, color="0.25", linestyle="--", linewidth=1.5, label="good, says the paper")
    axes[0].set(xlabel="SER-FIQ score v", ylabel="share of identities, %", xlim=(0, 1))
    limit = np.log(2 / CENTRE - 1)  # where q = CENTRE, and so v = 1/2
    axes[1].axvline(limit, color="0.25", linestyle=":", linewidth=1.5, label="here v = .5")
    axes[1].set(xlabel="mean distance d̄ of the subnetworks", ylabel="share of identities, %")
    axes[2].set(xlabel="mean distance d̄ of the subnetworks", ylabel="outside score")
    for axis in axes:
        if axis.has_data():
            axis.legend(fontsize=8, frameon=True, framealpha=1, edgecolor="none")
    return figure


def threshold_frames(run: Run, thresholds: np.ndarray, shown: int = 60) -> tuple[list[bytes], list[str]]:
    """For a slider: at each threshold on v the faces that stay, the others faded, best first, and how many stay.

    ``shown`` faces are taken evenly from all by rank.
    """
    v = run.scores["score"].astype(np.float64)
    labels = []
    for least in thresholds:
        stay = int((v >= least).sum())
        labels.append(f"v ≥ {least:.2g}: {stay} of {len(v)} identities stay ({100 * stay / len(v):.0f} %)")
    return _frames(run, [v >= least for least in thresholds], shown), labels


def keep_frames(run: Run, shares: np.ndarray, shown: int = 60) -> tuple[list[bytes], list[str]]:
    """The same by rank: the best share (0 … 1) stays, wherever the score lies."""
    distance = run.scores["distance"].astype(np.float64)
    limits = np.quantile(distance, shares)
    ends = zip(shares, limits, strict=True)
    labels = [f"the best {100 * share:.0f} %: d̄ ≤ {limit:.3f}" for share, limit in ends]
    return _frames(run, [distance <= limit for limit in limits], shown), labels


def _frames(run: Run, stays: Sequence[np.ndarray], shown: int) -> list[bytes]:
    """Faces by rank, a picture for each choice (bool [N]) of those that stay."""
    order = np.argsort(run.scores["distance"], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(shown, len(order))).round().astype(int)]
    faces = drawing.unpacked(run.scores)[chosen]
    frames = []
    for stay in stays:
        weight = np.where(stay[chosen], 1.0, FADED)[:, None, None, None]
        drawn = (weight * faces + (1 - weight) * 255).round().astype(np.uint8)
        frames.append(plots.picture(plots.strip(drawn, COLUMNS)))
    return frames
