"""The figure of the page of protocols: one panel for each question that a protocol asks."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.evaluation.identification import cmc
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.verification import roc, tar_at_far
from aifr_lib.experiments.measure.protocol_rows import FARS, scored_pairs
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import METRICS, Row, in_words
from aifr_lib.reporting.runs import Run

LONGEST = 20  # ranks drawn
Runs = Mapping[str, Run]


def protocol_figure(artefact: Artefact, runs: Runs) -> Figure:
    """Six panels: P1 ROC, P2 CMC, P3 by distractors, P4 ROC, P5 predicted against true, and by age gap."""
    figure, axes = plt.subplots(3, 2, figsize=(8.5, 12), layout="constrained")
    roc_panel(axes[0, 0], artefact, runs)
    cmc_panel(axes[0, 1], runs)
    distractor_panel(axes[1, 0], artefact)
    template_panel(axes[1, 1], artefact, runs)
    change_panel(axes[2, 0], runs)
    gap_panel(axes[2, 1], artefact)
    for axis in axes.ravel():
        if named := len(axis.get_legend_handles_labels()[0]):
            # Many names would lie on the curves.
            below = {"loc": "upper center", "bbox_to_anchor": (0.45, -0.2)} if named > 2 else {}
            axis.legend(fontsize=8.5, **below)
    return figure


def roc_panel(axis: Axes, artefact: Artefact, runs: Runs) -> None:
    """A curve for each list; bars are intervals over people at the rates of the table."""
    axis.set_title("P1: are these two one person?")
    for number, (name, key, prefix) in enumerate(lists(runs)):
        score, same, *_ = scored_pairs(runs[key].scores, prefix)
        curve = roc(score, same)
        _roc(axis, curve.far, curve.tar, in_words(name), number)
        _far_bars(axis, [row for row in artefact.rows if _is(row, "P1", name)], number)
    _rates(axis)


def det_figure(runs: Runs) -> Figure:
    """The same curves as errors, both axes logarithmic: the detection error trade-off; dots are the EER."""
    figure, axis = plt.subplots(figsize=(6, 4.6), layout="constrained")
    for number, (name, key, prefix) in enumerate(lists(runs)):
        score, same, *_ = scored_pairs(runs[key].scores, prefix)
        curve = roc(score, same)
        drawn = (curve.far > 0) & (curve.frr > 0)
        colour = plots.PALETTE[number]
        axis.plot(100 * curve.far[drawn], 100 * curve.frr[drawn], drawstyle="steps-post", color=colour,
                  label=in_words(name))  # fmt: skip
        axis.plot(100 * curve.eer, 100 * curve.eer, marker=plots.MARKERS[number], color=colour)
    axis.axline((1, 1), (10, 10), color="0.7", linewidth=1, zorder=0)
    axis.set(xscale="log", yscale="log", xlabel="false acceptance rate, %", ylabel="false rejection rate, %")
    plots.plain(axis.xaxis)
    plots.plain(axis.yaxis)
    axis.legend()
    return figure


def threshold_frames(runs: Runs) -> tuple[list[str], list[str], int]:
    """For a slider: P1's threshold on the set with ages, else the first. Starts where 1 % of two people pass.

    Nothing where no list of pairs was run.
    """
    found = lists(runs)
    if not found:
        return [], [], 0
    name, place, prefix = next((one for one in found if one[0] == "fgnet"), found[0])
    score, same, *_ = scored_pairs(runs[place].scores, prefix)
    start = round(tar_at_far(score, same, 0.01).threshold, 2)
    thresholds = np.union1d(np.round(np.quantile(score[same], np.linspace(0.02, 0.98, 13)), 2), start)
    frames, labels = plots.threshold_frames(score[same], score[~same], thresholds.tolist())
    labels = [f"{in_words(name)}, {label}" for label in labels]
    return frames, labels, int(np.searchsorted(thresholds, start))


def cmc_panel(axis: Axes, runs: Runs) -> None:
    """Found within the first k of the gallery, with the interval over people as a band."""
    axis.set(title="P2: who is this, of all the others?", xlabel="rank k", ylabel="found within rank k, %")
    for number, (key, run) in enumerate(runs.items()):
        if "probe_rank" not in run.scores:
            continue
        rank, people = run.scores["probe_rank"], run.scores["probe_identity"]
        k = np.arange(1, LONGEST + 1)
        bands = np.array([mean_interval(rank <= one, people, replicates=200) for one in k])
        axis.plot(k, cmc(rank, LONGEST), color=plots.PALETTE[number], label=in_words(key))
        axis.fill_between(k, *(100 * bands.T), color=plots.PALETTE[number], alpha=0.12, linewidth=0)
    axis.set_xticks([1, 5, 10, 15, 20])


def distractor_panel(axis: Axes, artefact: Artefact) -> None:
    """Rank-1 against the number of distractors."""
    axis.set(title="P3: and among so many strangers?", xlabel="distractors", ylabel="rank-1, %", xscale="log")
    plots.plain(axis.xaxis)
    rows = [row for row in artefact.rows if row.keys["protocol"] == "P3" and row.keys["gap"] == "all" and row.measured]
    for number, name in enumerate(dict.fromkeys(row.keys["data"] for row in rows)):
        there = [row for row in rows if row.keys["data"] == name]
        plots.parameter_curve(axis, there, "distractors", in_words(name), number)


def template_panel(axis: Axes, artefact: Artefact, runs: Runs) -> None:
    """Templates pooled, and one picture of each."""
    axis.set_title("P4: do two sets of pictures show one person?")
    run = runs.get("relief-ijb")
    for number, (label, name, pictures) in enumerate(
        (("all pictures, pooled", "score", "all"), ("one picture each", "single_score", "one"))
    ):
        if run is not None:
            curve = roc(run.scores[name].astype(np.float64), run.scores["same"])
            _roc(axis, curve.far, curve.tar, label, number)
            rows = [row for row in artefact.rows if _is(row, "P4", "relief-ijb") and row.keys["pictures"] == pictures]
            _far_bars(axis, rows, number)
    _rates(axis)


def change_panel(axis: Axes, runs: Runs) -> None:
    """Predicted against true change, of subjects that were not trained on."""
    axis.set(title="P5: what changed between the two?", xlabel="true change", ylabel="predicted change")
    units = {"relief-edema": "kg"}
    for number, (key, run) in enumerate(runs.items()):
        if "change_true" in run.scores:
            true, predicted = (run.scores[f"change_{part}"].astype(float) for part in ("true", "predicted"))
            shown = np.random.default_rng(0).permutation(len(true))[:1000]
            label = f"{in_words(key)}, {units.get(key, 'years')}"
            axis.scatter(true[shown], predicted[shown], s=6, alpha=0.4, color=plots.PALETTE[number], label=label)
    axis.axline((0, 0), slope=1, color="0.5", linewidth=1, linestyle="--")


def gap_panel(axis: Axes, artefact: Artefact) -> None:
    """What the years take, by protocol; the set of photographs with ages, else the pair lists."""
    axis.set(xlabel="years between the pictures", ylabel="%", ylim=(0, 105))
    wanted = (("P1", "TAR@FAR=1e-2"), ("P2", "rank-1"), ("P3", "rank-1"), ("P1", "accuracy"))
    aged = [row for row in artefact.rows if row.keys["gap"] in GAP_NAMES and row.measured]
    names = list(dict.fromkeys(row.keys["data"] for row in aged if row.keys["protocol"] in ("P1", "P2", "P3")))
    axis.set_title(f"and across the years? {in_words(names[0]) if names else ''}".rstrip())
    for number, (protocol, metric) in enumerate(wanted):
        found = [row for row in aged if names and _is(row, protocol, str(names[0])) and row.metric == metric]
        bars = [(GAP_NAMES.index(str(row.keys["gap"])) + 0.1 * (number - 1.5), row) for row in found]
        _bars(axis, bars, f"{protocol}, {METRICS[metric].removesuffix(', %')}" if found else None, number, line=True)
    axis.set(xticks=range(len(GAP_NAMES)), xticklabels=GAP_NAMES)


def lists(runs: Runs) -> list[tuple[str, str, str]]:
    """Name, key and prefix in its scores of each list of pairs that is here."""
    found = []
    for key, run in runs.items():
        for name in run.scores:
            if name.endswith("_fold") and not name.startswith("change"):
                prefix = name.removesuffix("_fold")
                found.append((key if prefix == "pair" else prefix, key, prefix))
    return found


def _is(row: Row, protocol: str, data: str) -> bool:
    return (row.keys["protocol"], row.keys["data"]) == (protocol, data) and row.measured is not None


def _roc(axis: Axes, far: np.ndarray, tar: np.ndarray, label: str, number: int) -> None:
    drawn = far > 0
    axis.plot(100 * far[drawn], 100 * tar[drawn], drawstyle="steps-post", color=plots.PALETTE[number], label=label)


def _far_bars(axis: Axes, rows: list[Row], number: int) -> None:
    there = [(100 * FARS[row.metric], row) for row in rows if row.metric in FARS and row.keys["gap"] == "all"]
    _bars(axis, there, None, number, line=False)


def _bars(axis: Axes, places: list[tuple[float, Row]], label: str | None, number: int, *, line: bool) -> None:
    """A marker with its interval for each measured row."""
    colour, marker = plots.PALETTE[number], plots.MARKERS[number]
    for x, row in places:
        if row.measured is not None:
            axis.plot(x, row.measured.mean, marker=marker, color=colour, markersize=5)
            axis.vlines(x, *(row.measured.ci95 or (row.measured.mean,) * 2), color=colour, linewidth=1.5)
    if line and places:
        means = [row.measured.mean for _, row in places if row.measured is not None]
        axis.plot([x for x, _ in places], means, color=colour, label=label)


def _rates(axis: Axes) -> None:
    axis.set(xscale="log", xlabel="false acceptance rate, %", ylabel="true acceptance rate, %", ylim=(0, 101))
    plots.plain(axis.xaxis)
