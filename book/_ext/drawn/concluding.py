"""What a handful of seeds and people can say: intervals, Holm's correction, a gain that is excluded."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from aifr_lib.evaluation.intervals import mean_interval, wilson
from aifr_lib.reporting import claims, plots, slider
from aifr_lib.reporting.prose import signs
from aifr_lib.reporting.seeds import LEVEL, Estimate, holm_steps, student_t
from drawn.faces import verified
from drawn.still import still

REPEATS = 100
SHOWN = "classroom"
CHANCE = 1  # one of them is below 5 % by chance alone, and Holm's bar stops it


def seeds() -> str:
    truth, spread = 80.0, 1.0
    random = np.random.default_rng(1)
    values = random.normal(truth, spread, (REPEATS, 20))
    frames, labels = [], []
    for count in (2, 3, 5, 10, 20):
        ends = np.array([student_t(dict(enumerate(row[:count]))).ci95 for row in values])
        missed = (ends[:, 0] > truth) | (ends[:, 1] < truth)
        figure, axis = plt.subplots(figsize=(5.6, 3.4))
        axis.vlines(
            range(REPEATS), *ends.T, color=np.where(missed[:, None], plots.DIFFERENT, plots.SAME), linewidth=1.8
        )
        axis.axhline(truth, color="0.3", linewidth=1)
        axis.set(ylim=(truth - 6, truth + 6), xlabel="experiment, repeated", ylabel="accuracy, %", xticks=[])
        frames.append(plots.svg(figure))
        width = np.median(np.diff(ends, axis=1))
        labels.append(f"{count} seeds: {missed.sum()} of {REPEATS} intervals miss the truth; typical width {width:.1f}")
    return slider.range_player(
        frames, labels, "Intervals over seeds", f"{REPEATS} intervals around a known truth", start=1
    )


def people() -> str:
    result, _, a, b = verified()
    hits = result.correct
    over_pairs, over_people = wilson(int(hits.sum()), len(hits)), mean_interval(hits, a, b)
    figure, axis = plt.subplots(figsize=(5.6, 2.2))
    for place, ends in enumerate((over_pairs, over_people)):
        axis.hlines(place, *(100 * end for end in ends), linewidth=6, color=(plots.PAPER, plots.SAME)[place])
    axis.plot([100 * hits.mean()] * 2, [0, 1], "o", color="0.2")
    axis.set_yticks([0, 1], ["as if pairs were\nindependent", "people drawn anew"])
    axis.set(ylim=(-0.6, 1.6), xlabel="accuracy, % (95 % intervals)")
    return still(figure, "Two intervals around one accuracy: drawing people anew gives the wider one")


def holm() -> str:
    verdicts = [one for one in claims.judge_all(SHOWN) if one.claim.paper == "TML" and not one.claim.primary]
    tested = sorted(one.p for one in verdicts if one.p is not None)
    if tested:
        said = "These are the p values of the claims of TML that have been tested, as they stand in this book."
    else:
        said = f"No claim of TML is tested yet. Here are p values of {len(verdicts)} made-up methods that do nothing."
    shown = tested or sorted(np.random.default_rng(CHANCE).uniform(size=len(verdicts)))
    bars = [LEVEL / step for step in holm_steps(shown, len(verdicts))]
    figure, axis = plt.subplots(figsize=(5.6, 3.2))
    places = range(1, len(shown) + 1)
    axis.plot(places, bars, drawstyle="steps-mid", color="0.3", label="Holm's bar for each")
    axis.plot(places, [LEVEL] * len(shown), color=plots.PAPER, linestyle="--", label="5 % for each")
    for place, p, bar in zip(places, shown, bars, strict=True):
        axis.plot(place, p, "o", color=plots.SAME if p < bar else plots.DIFFERENT)
    axis.set(yscale="log", xlabel="claim, smallest p first", ylabel="p")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=9)
    return f"<p>{said}</p>" + still(figure, "p values, each against the bar that Holm's correction sets")


def verdicts() -> str:
    delta, frames, labels = 1.0, [], []
    for mean in np.arange(-1.5, 2.51, 0.5):
        figure, axis = plt.subplots(figsize=(5.8, 3.2))
        words = []
        for place, (se, count) in enumerate(((0.12, "many seeds"), (0.4, "some seeds"), (1.2, "few seeds"))):
            estimate = Estimate(mean, se, 8, "pooled", 5)
            verdict = _verdict(estimate, delta)
            words.append(f"{count}, {verdict}")
            axis.hlines(place, *estimate.interval(), color=plots.PALETTE[place], linewidth=6)
            axis.plot(mean, place, "o", color="0.2")
            axis.text(4.6, place, verdict, va="center", fontsize=10)
            axis.text(-4.9, place + 0.28, count, fontsize=9)
        axis.axvline(0, color="0.3", linewidth=1)
        axis.axvline(delta, color="0.3", linewidth=1, linestyle="--")
        axis.text(delta + 0.08, 2.6, "δ")
        axis.set(xlim=(-5, 8.5), ylim=(-0.5, 2.9), xticks=range(-4, 5, 2), yticks=[], xlabel="difference seen, points")
        frames.append(plots.svg(figure))
        labels.append(signs(f"difference {mean:+.1f}: {'; '.join(words[::-1])}"))
    return slider.range_player(
        frames, labels, "One difference, three designs", "three intervals against zero and δ", start=4
    )


def _verdict(estimate: Estimate, delta: float) -> str:
    """The rule of ``reporting.claims`` for a claim of one comparison without a correction."""
    if estimate.p < LEVEL:
        return "supported" if estimate.mean > 0 else "contradicted"
    return "no gain above δ" if estimate.turned(-1, delta).p_above < LEVEL / 2 else "inconclusive"
