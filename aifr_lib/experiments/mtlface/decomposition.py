"""What the split of a map and the adversary come to: recognition across ages, and what either part of a face holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment
from aifr_lib.experiments.mtlface.readings import MAIN, PARTS, Place, attention_jobs, jobs
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import METRICS, UNDER, Key, Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

PLAIN, ACROSS, GUESS = "none_without_adversary", "relief-agedb", "guess"
NAMES: dict[Key, str] = {
    **UNDER["variant"],
    GUESS: "a guess: one age for all, anyone",
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


def guess_rows(preset: Preset) -> Iterator[Row]:
    """What a probe finds in a part that holds nothing: it says the median age of those it was fitted to, and anyone."""
    asked = preset.mtlface.train.recognition.train.relief
    fitted, tested = (
        relief.split_plan(split, asked.test_identities, asked.test_per_identity).age for split in ("validation", "test")
    )
    chance = {"mae": float((tested - fitted.median()).abs().mean()), "rank1": 100 / asked.test_identities}
    for part in PARTS:
        for metric, value in chance.items():
            yield Row(keys={"variant": GUESS, "part": part}, metric=metric, measured=Measured(mean=value))


def decomposition_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The variants with and without split and adversary, and what nothing would come to."""
    yield from rows_of(list(preset.mtlface.readings), preset, runs)
    if runs:
        yield from guess_rows(preset)


def attention_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Both masks, and each alone, and what nothing would come to."""
    yield from rows_of([MAIN, *preset.mtlface.attentions], preset, runs)
    if runs:
        yield from guess_rows(preset)


def figure(artefact: Artefact) -> Figure:
    """Left: accuracy by list. Right: what probes find in each part, from nothing (a guess) to all."""
    variants = list(dict.fromkeys(str(row.keys["variant"]) for row in artefact.rows if row.keys["variant"] != GUESS))
    drawn, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    _accuracies(left, artefact.rows, variants)
    _contents(right, artefact.rows, variants)
    return drawn


def _accuracies(axis: Axes, rows: Sequence[Row], variants: Sequence[str]) -> None:
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in rows if "set" in row.keys))
    for number, variant in enumerate(variants):
        for place, name in enumerate(lists):
            one = measured(rows, "accuracy", {"variant": variant, "set": name})
            if one:
                x = place + 0.12 * (number - (len(variants) - 1) / 2)
                axis.plot(x, one.mean, plots.MARKERS[number], color=plots.PALETTE[number])
                if one.ci95:
                    axis.vlines(x, *one.ci95, color=plots.PALETTE[number], alpha=0.6)
    words = {"relief-agedb": "30 years apart", "relief-lfw": "random", "relief-near": "near in age"}
    axis.set_xticks(range(len(lists)), [words.get(name, name) for name in lists])
    axis.set(xlabel="relief pairs", ylabel=METRICS["accuracy"])


def _contents(axis: Axes, rows: Sequence[Row], variants: Sequence[str]) -> None:
    def place(variant: str, part: str) -> tuple[float, float] | None:
        mae, rank = (measured(rows, metric, {"variant": variant, "part": part}) for metric in ("mae", "rank1"))
        return (mae.mean, rank.mean) if mae and rank else None

    for number, variant in enumerate(variants):
        for part, filled in (("identity", "full"), ("age", "none")):
            if where := place(variant, part):
                label = str(NAMES.get(variant, variant)) if part == "identity" else None
                axis.plot(
                    *where, plots.MARKERS[number], color=plots.PALETTE[number], fillstyle=filled, ms=9, label=label
                )
    guess = place(GUESS, "identity")
    assert guess is not None, "what a guess comes to is computed, not run"
    axis.axvline(guess[0], color="grey", ls=":", lw=1.2)
    axis.axhline(guess[1], color="grey", ls=":", lw=1.2)
    axis.text(guess[0], 3, "one age for all ", ha="right", va="bottom", fontsize=8, color="grey")
    for words, x, y in (
        ("a clean $X_{id}$\nwould lie here", guess[0], 95),
        ("a clean $X_{age}$\nwould lie here", 0, 3),
    ):
        side = "right" if x else "left"
        axis.text(x + (-0.3 if x else 0.3), y, words, ha=side, va="top" if x else "bottom", fontsize=9, style="italic")
    axis.set(xlim=(0, guess[0] * 1.05), ylim=(-2, 100))
    axis.set(xlabel="probe of the age: mean error, years", ylabel="probe of the person: rank-1, %")
    axis.set_title("filled: $X_{id}$, hollow: $X_{age}$", fontsize=10)
    axis.legend(fontsize=8, loc="upper left")


def found(artefact: Artefact) -> str:
    """What either part holds; what the adversary takes out of X_id; what recognition across ages makes of it."""

    def one(variant: str, metric: str, **keys: str) -> Measured | None:
        return measured(artefact.rows, metric, {"variant": variant, **keys})

    with_, without = (one(name, "mae", part="identity") for name in (MAIN, "both_without_adversary"))
    both, plain = (one(name, "accuracy", set=ACROSS) for name in (MAIN, PLAIN))
    unlearned, gained = apart(with_, without), apart(both, plain)
    guess, anyone = one(GUESS, "mae", part="identity"), one(GUESS, "rank1", part="age")
    leaked = one(MAIN, "rank1", part="age")
    # A part is not empty where a line reads it at half the error of a guess, or ten times as often as one.
    full = with_ and leaked and guess and anyone and with_.mean < guess.mean / 2 and leaked.mean > 10 * anyone.mean
    aged, named = one(MAIN, "mae", part="age"), one(MAIN, "rank1", part="identity")
    said = {"with_": with_, "without": without, "both": both, "plain": plain, "guess": guess, "leaked": leaked,
            "aged": aged, "named": named}  # fmt: skip
    these = "these seeds" if with_ and len(with_.per_seed) > 1 else "one seed"
    return say(
        {"these": these, **{name: digits(value.mean) for name, value in said.items() if value}},
        (with_ and full, "The split of a face into age and identity empties neither part."),
        (with_ and aged and guess and named and leaked,
         "A linear probe reads the age from the identity part to {with_} years and from the age part to {aged} (a"
         " guess is {guess} off), and names the person from the identity part in {named} % of pictures and from the"
         " age part in {leaked} %."),
        (with_ and without, "Without the adversary the identity part gives the age away to {without} years:"),
        (with_ and without and unlearned > 0, "the adversary hides some of it."),
        (with_ and without and unlearned < 0, "with the adversary the age is easier to read."),
        (with_ and without and not unlearned, "no difference that {these} can tell from chance."),
        (both and plain, "Of pairs thirty years apart, {both} % are told rightly with split and adversary, and"
                         " {plain} % without either:"),
        (both and plain and gained > 0, "a gain."),
        (both and plain and gained < 0, "a loss."),
        (both and plain and not gained, "no difference that {these} can tell from chance."),
    )  # fmt: skip


def attention_found(artefact: Artefact) -> str:
    """Whether either attention alone does what both do: what X_id gives away of the age, and pairs across ages."""

    def one(variant: str, metric: str, **keys: str) -> Measured | None:
        return measured(artefact.rows, metric, {"variant": variant, **keys})

    words = {MAIN: "both masks", "channel": "the channel mask alone", "spatial": "the spatial mask alone"}
    both = {name: (one(name, "mae", part="identity"), one(name, "accuracy", set=ACROSS)) for name in words}
    there = {name: (told, right) for name, (told, right) in both.items() if told and right}
    others = [name for name in there if name != MAIN] if MAIN in there else []
    differ = [words[name] for name in others if any(map(apart, there[MAIN], there[name]))]
    return say(
        {
            "told": listed([f"{digits(told.mean)} with {words[name]}" for name, (told, _) in there.items()]),
            "right": listed([f"{digits(right.mean)} with {words[name]}" for name, (_, right) in there.items()]),
            "differ": listed(differ),
        },
        (others, "The years by which a line errs that reads the age from the identity part: {told}. Pairs thirty years"
                " apart that are told rightly, in percent: {right}."),
        (differ, "Apart from both masks beyond chance: {differ}."),
        (others and not differ, "No difference that these seeds can tell from chance."),
    )  # fmt: skip


SHAPE = Shape(down=("variant",), across=("part", "set", METRIC), names=NAMES)
DECOMPOSITION = Experiment(
    "mtlface_decomposition", jobs, decomposition_rows, lambda artefact, _: figure(artefact), found=found, shape=SHAPE
)
ATTENTION = Experiment(
    "mtlface_attention",
    attention_jobs,
    attention_rows,
    lambda artefact, _: figure(artefact),
    found=attention_found,
    shape=SHAPE,
)
