"""The page that a training on one's own pictures ends with: one HTML file that needs nothing else. No face is on it."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from aifr_lib.evaluation.thresholds import least_impostors, threshold_statistic
from aifr_lib.evaluation.verification import roc
from aifr_lib.experiments.own_faces import PICTURES, REPORT, Own
from aifr_lib.files import atomic_write
from aifr_lib.reporting import plots
from aifr_lib.reporting.prose import counted, signs
from aifr_lib.settings.own_faces import FARS
from aifr_lib.training.engine import LOG

STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: left }
th, td { border-bottom: 1px solid #8886 } pre { background: #8882; padding: .8rem; overflow-x: auto }
img { background: #fff; border-radius: 4px; max-width: 100% }
.wide { overflow-x: auto }
"""


def write(own: Own) -> Path:
    """``report.html`` in the folder of the training."""
    plots.style()
    parts = [
        f"<h1>{escape(own.split.train.name)}: trained on your pictures</h1>",
        f"<p>{escape(_people(own))}</p>",
        f"<p><strong>{escape(said(own))}</strong></p>",
        "<h2>Thresholds</h2>",
        f"<div class=wide>{_thresholds(own)}</div>",
        *(f"<p>{escape(line)}</p>" for line in not_shown(own)),
        "<p>Two pictures are called one person where the cosine of their embeddings is at least the threshold. "
        "Intervals: people are resampled, and the threshold is found anew each time. They speak of people like those "
        "held out, photographed alike.</p>",
        f"<pre>{escape(command(own))}</pre>",
        "<h2>Pairs of people it never saw</h2>",
        plots.image(
            _histogram(own), "Shares of held-out pairs by cosine, of one person and of two, with the thresholds"
        ),
        plots.image(_roc(own), "True against false accept rate on held-out people, before and after the training"),
        "<h2>The training</h2>",
        plots.image(_curves(own), "Loss of the training, and error on the watched people after each epoch"),
        "<h2>Left out</h2>",
        _left_out(own),
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(own.split.train.name)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><body>{"".join(parts)}</body></html>'
    )
    with atomic_write(own.out / REPORT) as path:
        path.write_text(page, encoding="utf-8")
    return own.out / REPORT


def said(own: Own) -> str:
    """Whether the training helped people it never saw, in a sentence."""
    change, (low, high) = own.gain
    numbers = signs(f"by {abs(change):.2f} points (95 % interval of the change {low:+.2f} to {high:+.2f})")
    if low > 0:
        return f"The training helped: the area under the ROC curve of held-out people grew {numbers}."
    if high < 0:
        return (
            f"The training did harm: the area under the ROC curve of held-out people shrank {numbers}. "
            "Keep the weights it began with."
        )
    return (
        f"The held-out people do not show whether the training helped: the area under their ROC curve "
        f"{'grew' if change >= 0 else 'shrank'} {numbers}."
    )


def command(own: Own) -> str:
    """The command that scores two pictures by the trained weights."""
    return f"aifr compare ONE.jpg OTHER.jpg --weights {own.weights}"


def threshold_rows(own: Own) -> list[dict[str, str]]:
    """What is printed and shown of the thresholds: a row for each rate of ``FARS`` that the held-out people show."""
    rows = []
    for one in own.thresholds:
        low, high = one.tar_interval
        rows.append(
            {
                "false accept rate": f"{100 * one.far:g} %",
                "threshold": f"{one.value:.3f}",
                "95 % interval": signs(f"{one.interval.low:.3f} – {one.interval.high:.3f}"),
                "of one person accepted": f"{100 * one.tar:.1f} % ({100 * low:.1f} – {100 * high:.1f})",
                "before the training": f"{100 * _accepted_before(own, one.far):.1f} %",
            }
        )
    return rows


def not_shown(own: Own) -> list[str]:
    """A sentence for each rate of ``FARS`` that the held-out people are too few to show."""
    shown = [one.far for one in own.thresholds]
    count = int((~own.after.same).sum())
    return [
        f"No threshold at {100 * far:g} %: it needs {least_impostors(far):,} pairs of two people, here are {count:,}. "
        "Hold out more people."
        for far in FARS
        if far not in shown
    ]


def _accepted_before(own: Own, far: float) -> float:
    """Share of genuine pairs that the first network accepts at a threshold of its own, set in the same way."""
    once = np.ones((1, len(own.before.score)))
    value = threshold_statistic(own.before.score, own.before.same, far)(once)[0]
    return float((own.before.score[own.before.same] >= value).mean())


def _people(own: Own) -> str:
    split = own.split
    groups = ((split.train, "trained on"), (split.watched, "watched, to stop in time"), (split.held_out, "held out"))
    counts = "; ".join(
        f"{images.labels['identity'].nunique():,} people ({counted(len(images), 'picture')}) {what}"
        for images, what in groups
    )
    alone = f" {split.alone} of those trained on have one picture only and teach little." if split.alone else ""
    return f"Began with {own.about}. {counts}. Nobody is in two of these groups: {PICTURES} lists who is where.{alone}"


def _thresholds(own: Own) -> str:
    rows = threshold_rows(own)
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _left_out(own: Own) -> str:
    if not own.split.left_out:
        return "<p>Nothing.</p>"
    reasons = Counter(why.split(" as ")[0] for why in own.split.left_out.values())
    lines = "".join(f"<li>{escape(why)}: {count}</li>" for why, count in reasons.most_common())
    return f"<ul>{lines}</ul><p>{PICTURES} names each.</p>"


def _histogram(own: Own) -> plt.Figure:
    figure, axes = plt.subplots(2, 1, figsize=(7, 5.6), sharex=True)
    for axis, pairs, title in zip(axes, (own.before, own.after), ("before", "after"), strict=True):
        plots.score_histogram(axis, pairs.score[pairs.same], pairs.score[~pairs.same])
        axis.set_title(title, loc="left")
        axis.label_outer()
    for one, line in zip(own.thresholds, ("--", ":"), strict=False):
        name = f"threshold at {100 * one.far:g} %"
        axes[1].axvline(one.value, color="0.25", linestyle=line, linewidth=1.5, label=name)
    axes[1].legend(loc="upper left", fontsize=9)
    figure.tight_layout()
    return figure


def _roc(own: Own) -> plt.Figure:
    figure, axis = plt.subplots(figsize=(7, 3.8))
    for pairs, name in ((own.before, "before"), (own.after, "after")):
        curve = roc(pairs.score, pairs.same)
        plots.roc(axis, curve.far, curve.tar, name)
    figure.tight_layout()
    return figure


def _curves(own: Own) -> plt.Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    for name in ("head", "all"):
        path = own.out / name / LOG
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
        if lines:
            steps, losses = [line["step"] for line in lines], [line["loss"] for line in lines]
            left.plot(steps, losses, marker=".", label="head alone" if name == "head" else "all weights")
    left.set(xlabel="step", ylabel="loss (cross-entropy, nats)")
    left.legend()
    right.plot([line["step"] for line in own.watched], [line["error"] for line in own.watched], marker=".")
    if "best_step" in own.scalars:
        right.axvline(own.scalars["best_step"], color="0.25", linestyle="--", label="weights kept")
        right.legend()
    right.set(xlabel="step", ylabel="watched people:\n100 − area under the ROC, %")
    figure.tight_layout()
    return figure
