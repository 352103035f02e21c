"""Verification and identification, on scores of the tour's network."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from aifr_lib.evaluation.identification import cmc, leave_one_out
from aifr_lib.evaluation.verification import roc
from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.prose import percent
from drawn.faces import embedded, verified
from drawn.still import still


def threshold() -> str:
    result, same, _, _ = verified()
    curve = roc(result.scores, same)
    frames, labels = [], []
    for cut in np.arange(0.0, 0.71, 0.05):
        tar, far = ((result.scores[kind] >= cut).mean() for kind in (same, ~same))
        figure, (left, right) = plt.subplots(2, 1, figsize=(5.4, 5.6))
        plots.score_histogram(left, result.scores[same], result.scores[~same], cut, bins=40)
        plots.roc(right, curve.far, curve.tar)
        right.plot(100 * max(far, curve.far[curve.far > 0].min()), 100 * tar, "o", color=plots.DIFFERENT, markersize=9)
        frames.append(plots.svg(figure))
        labels.append(f"threshold {cut:.2f}: TAR {percent(tar, 1)}, FAR {percent(far, 2)}")
    return slider.range_player(
        frames, labels, "One threshold, two errors", "histogram of scores above, ROC curve below", start=6
    )


def folds() -> str:
    result, *_ = verified()
    figure, axis = plt.subplots(figsize=(5.4, 3.2))
    axis.bar(range(1, len(result.fold_accuracy) + 1), result.fold_accuracy, color=plots.PAPER)
    axis.axhline(result.accuracy, color=plots.SAME, label=f"mean {result.accuracy:.1f} %")
    for place, (accuracy, cut) in enumerate(zip(result.fold_accuracy, result.fold_threshold, strict=True), 1):
        axis.annotate(f"{cut:.2f}", (place, accuracy), ha="center", va="bottom", fontsize=8.5)
    axis.set(
        xlabel="fold",
        ylabel="accuracy, %",
        ylim=(50, 112),
        yticks=range(50, 101, 10),
        xticks=range(1, len(result.fold_accuracy) + 1),
    )
    axis.legend(loc="upper center", fontsize=9)
    return still(figure, "Accuracy of ten folds, each with the threshold that was best on the other nine")


def nearest() -> str:
    faces, embeddings = embedded()
    found = leave_one_out(embeddings, faces.labels["identity"].to_numpy(), faces.labels["age"].to_numpy())
    probes = [found.probe[np.flatnonzero(found.hit)[40]], found.probe[np.flatnonzero(~found.hit & (found.rank < 5))[3]]]
    identity, age = (faces.labels[name].to_numpy() for name in ("identity", "age"))
    figure, axes = plt.subplots(2, 6, figsize=(5.8, 2.9))
    for line, probe in zip(axes, probes, strict=True):
        cosines = embeddings @ embeddings[probe]
        cosines[probe] = np.inf
        for axis, row in zip(line, np.argsort(-cosines)[:6], strict=True):
            axis.imshow(faces.pixels[row])
            axis.set(xticks=[], yticks=[])
            if row == probe:
                axis.set_title(f"probe, {age[row]:.0f}", fontsize=9)
                continue
            axis.set_title(f"{cosines[row]:.2f}", fontsize=9)
            mate = identity[row] == identity[probe]
            axis.spines[:].set(visible=True, color=plots.SAME if mate else plots.DIFFERENT, linewidth=3)
    return still(figure, "Two probes and their nearest gallery pictures: one is a hit at rank 1, one is not")


def gallery_size() -> str:
    faces, embeddings = embedded()
    identity = faces.labels["identity"].to_numpy()
    people = np.unique(identity)
    figure, axis = plt.subplots(figsize=(5.4, 3.4))
    for count, line in ((10, ":"), (50, "--"), (len(people), "-")):
        chosen = np.isin(identity, people[:count])
        found = leave_one_out(embeddings[chosen], identity[chosen])
        curve = cmc(found.rank)
        axis.plot(range(1, len(curve) + 1), curve, line, label=f"{count} people: rank-1 {found.rank1:.0f} %")
    axis.set(xlabel="rank k", ylabel="found among the first k, %", xticks=(1, 5, 10, 15, 20))
    axis.legend(loc="lower right")
    return still(figure, "Share of probes found by rank, for galleries of growing size: more people, fewer hits")
