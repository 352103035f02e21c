"""What the split of a map and the adversary come to: recognition across ages, and what either part of a face holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment
from aifr_lib.experiments.mtlface.readings import MAIN, PARTS, Place, attention_jobs, jobs
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Key, Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

PLAIN, ACROSS = "none_without_adversary", "relief-agedb"
NAMES: dict[Key, str] = {
    "both": "both masks, adversary",
    "both_without_adversary": "both masks",
    "none": "no split, adversary",
    "none_without_adversary": "no split",
    "channel": "channel mask, adversary",
    "spatial": "spatial mask, adversary",
    "identity": "X_id",
    "age": "X_age",
}


def with_masks(runs: Mapping[Place, Run]) -> dict[str, Run]:
    """The first run of each variant that splits."""
    found: dict[str, Run] = {}
    for (name, _), run in runs.items():
        if "mask" in run.scores:
            found.setdefault(name, run)
    return found


def mask_figure(runs: Mapping[Place, Run]) -> Figure:
    """σ over faces: the faces, then a line a variant; what is bright goes to the age."""
    there = with_masks(runs)
    pixels = next(iter(there.values())).scores["masked"]
    drawn, axes = plt.subplots(1 + len(there), len(pixels), figsize=(1.5 * len(pixels), 1.6 * (1 + len(there))))
    for axis, picture in zip(axes[0], pixels, strict=True):
        axis.imshow(picture)
    for line, (name, run) in zip(axes[1:], there.items(), strict=True):
        for axis, picture, mask in zip(line, run.scores["masked"], run.scores["mask"], strict=True):
            height, width = picture.shape[:2]
            axis.imshow(picture)
            shown = axis.imshow(mask.astype(np.float32), extent=(0, width, height, 0), cmap="cividis", alpha=0.75,
                                vmin=0, vmax=1, interpolation="bilinear")  # fmt: skip
        line[0].set_title(str(NAMES.get(name, name)), fontsize=9, loc="left")
    for axis in axes.flat:
        axis.axis("off")
    drawn.colorbar(shown, ax=axes, fraction=0.02, label="share of a cell that goes to the age")
    return drawn


def rows_of(names: Sequence[str], preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """By variant: accuracy on each list; years that the age head errs; what linear probes find in each part."""
    for name in names:
        found = {seed: run.summary for (variant, seed), run in runs.items() if variant == name}
        for pairs in preset.mtlface.train.recognition.train.relief.pair_lists:
            keys = {"variant": name, "set": pairs}
            yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, pairs))
        yield Row(keys={"variant": name, "part": "age head"}, metric="mae", measured=over(found, "age", "mae"))
        for part in PARTS:
            for metric, value in {"mae": "mae", "corr": "r", "rank1": "rank1"}.items():
                keys = {"variant": name, "part": part}
                yield Row(keys=keys, metric=metric, measured=over(found, "probes", part, value))


def over(found: Mapping[int, Mapping[str, Any]], *path: str) -> Measured | None:
    """The number at ``path`` of each seed's summary: mean and Student's t; None of none."""
    picked: dict[int, float] = {}
    for seed, summary in found.items():
        node: Any = summary
        for name in path:
            node = node[name]
        picked[seed] = float(node)
    return student_t(picked) if picked else None


def decomposition_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The variants with and without split and adversary."""
    yield from rows_of(list(preset.mtlface.readings), preset, runs)


def attention_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Both masks, and each alone."""
    yield from rows_of([MAIN, *preset.mtlface.attentions], preset, runs)


def figure(artefact: Artefact) -> Figure:
    """Left: accuracy by list. Right: what probes find in each part, the age's years against the person's rank-1."""
    variants = list(dict.fromkeys(str(row.keys["variant"]) for row in artefact.rows))
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in artefact.rows if "set" in row.keys))
    drawn, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, variant in enumerate(variants):
        colour, marker = plots.PALETTE[number], plots.MARKERS[number]
        for place, name in enumerate(lists):
            one = measured(artefact.rows, "accuracy", {"variant": variant, "set": name})
            if one:
                x = place + 0.12 * (number - (len(variants) - 1) / 2)
                label = NAMES.get(variant, variant) if place == 0 else None
                left.plot(x, one.mean, marker, color=colour, label=label)
                if one.ci95:
                    left.vlines(x, *one.ci95, color=colour, alpha=0.6)
        for part, filled in (("identity", True), ("age", False)):
            mae, rank = (measured(artefact.rows, m, {"variant": variant, "part": part}) for m in ("mae", "rank1"))
            if mae and rank:
                right.plot(mae.mean, rank.mean, marker, color=colour, fillstyle="full" if filled else "none", ms=9)
    words = {"relief-agedb": "30 years apart", "relief-lfw": "random", "relief-near": "near in age"}
    left.set_xticks(range(len(lists)), [words.get(name, name) for name in lists])
    left.set(xlabel="relief pairs", ylabel=METRICS["accuracy"])
    left.legend(fontsize=8, loc="best")
    right.set(xlabel="probe of the age: mean error, years", ylabel="probe of the person: rank-1, %")
    right.set_title("filled: X_id, hollow: X_age", fontsize=10)
    return drawn


def found(artefact: Artefact) -> str:
    """What the adversary takes out of X_id, and what recognition across ages makes of it."""

    def one(variant: str, metric: str, **keys: str) -> Measured | None:
        return measured(artefact.rows, metric, {"variant": variant, **keys})

    with_, without = (one(name, "mae", part="identity") for name in (MAIN, "both_without_adversary"))
    both, plain = (one(name, "accuracy", set=ACROSS) for name in (MAIN, PLAIN))
    unlearned, gained = apart(with_, without), apart(both, plain)
    numbers = {name: digits(value.mean) for name, value in (("with_", with_), ("without", without), ("both", both),
                                                            ("plain", plain)) if value}  # fmt: skip
    return say(
        numbers,
        (with_ and without, "A linear probe reads the age out of X_id to {without} years without the adversary and to"
                            " {with_} years with it:"),
        (with_ and without and unlearned > 0, "the adversary hides some of it."),
        (with_ and without and unlearned < 0, "with the adversary the age is easier to read."),
        (with_ and without and not unlearned, "no difference that these seeds can tell from chance."),
        (both and plain, "Of pairs thirty years apart, {both} % are told rightly with split and adversary, and"
                         " {plain} % without either:"),
        (both and plain and gained > 0, "a gain."),
        (both and plain and gained < 0, "a loss."),
        (both and plain and not gained, "no difference that these seeds can tell from chance."),
    )  # fmt: skip


SHAPE = Shape(down=("variant",), across=("part", "set", METRIC), names=NAMES)
DECOMPOSITION = Experiment(
    "mtlface_decomposition", jobs, decomposition_rows, lambda artefact, _: figure(artefact), found=found, shape=SHAPE
)
ATTENTION = Experiment(
    "mtlface_attention", attention_jobs, attention_rows, lambda artefact, _: figure(artefact), shape=SHAPE
)
