"""Does the branch help across ages, and is it the branch? What the paper does not ask.

Two networks differ in the branch alone; others have something else in its place. All are trained with the same steps on
the same people, each at the best of the same rates, and scored across ages and near in age.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.scored import ADULT, CHILD, TEMPLATES
from aifr_lib.experiments.tml.trained import LISTS
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.comparisons import NO_GAIN
from aifr_lib.reporting.prose import digits, listed, say, signs
from aifr_lib.reporting.rows import UNDER, Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import Estimate, apart, contrast, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import Entry

WITHOUT, WITH = "without", "with"
ACROSS, NEAR, RANDOM = "relief-agedb", "relief-near", "relief-lfw"
NAMES = UNDER["arm"]
Place = tuple[str, float | None, int]  # arm, a rate that was tried (None: the arm's own), seed


def arm_jobs(
    preset: Preset, ledger: Sequence[Entry], seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[Place, Job]:
    """The runs of a ledger in its order: of an arm with a rate of its own first all rates, with the first seed."""
    beyond, sweep, alpha = preset.beyond, preset.alpha_sweep, preset.verification.alpha
    places: list[Place] = []
    for entry in ledger:
        own = entry.seeds if seeds is None else tuple(seeds)
        tried = [arm for arm in entry.arms if beyond.arms[arm].lr is not None]
        places += [(arm, lr, own[0]) for arm, lr in product(tried, beyond.lrs)]
        places += [(arm, None, seed) for seed, arm in product(own, entry.arms)]
    return {
        (arm, lr, seed): trained.job(preset, beyond.training(sweep, alpha, arm, seed, lr), device)
        for arm, lr, seed in places
    }


def beyond_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """With the branch and without, what stands in its place, and twice the steps."""
    return arm_jobs(preset, preset.beyond.ledger, seeds, device)


def variant_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """Other branches, and maps of more cells."""
    return arm_jobs(preset, preset.beyond.variants, seeds, device)


def of_arm(runs: Mapping[Place, Run], arm: str, lr: float | None = None) -> dict[int, Run]:
    """The runs of one arm by seed, at its own rate or at one that was tried."""
    return {seed: run for (name, rate, seed), run in runs.items() if (name, rate) == (arm, lr)}


def beyond_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """By arm: accuracy and AUC on every set, on random pairs also by the years between the pictures, by whether one
    shows a child, and how much ten years more cost; how hard the branch pulls; and the rates that were tried.
    """
    yield from ledger_rows(preset, preset.beyond.ledger, runs)


def variant_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The same of other branches."""
    yield from ledger_rows(preset, preset.beyond.variants, runs)


def ledger_rows(preset: Preset, ledger: Sequence[Entry], runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The rows of every arm of a ledger."""
    for arm in dict.fromkeys(arm for entry in ledger for arm in entry.arms):
        found = {seed: run.summary for seed, run in of_arm(runs, arm).items()}
        yield from set_rows(arm, found)
        yield from age_rows(arm, found)
        yield from pull_rows(arm, found)
        if preset.beyond.arms[arm].lr is not None:
            yield from rate_rows(preset, arm, runs)


def set_rows(arm: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """Accuracy and AUC by set."""
    for name in (*LISTS, TEMPLATES):
        keys = {"arm": arm, "set": name}
        yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))
        yield Row(keys=keys, metric="auc", measured=over({seed: one["auc"][name] for seed, one in found.items()}))


def age_rows(arm: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """On random pairs, what depends on age."""
    seen = {seed: one["by_age"][RANDOM] for seed, one in found.items()}
    for what, parts in (("gap", GAP_NAMES), ("people", (CHILD, ADULT))):
        for part in parts:
            by_seed = {seed: one[what][part]["accuracy"] for seed, one in seen.items() if part in one[what]}
            keys = {"arm": arm, "set": RANDOM, what: part}
            yield Row(keys=keys, metric=f"accuracy_by_{what}", measured=over(by_seed))
    by_seed = {seed: one["slope"] for seed, one in seen.items()}
    yield Row(keys={"arm": arm, "set": RANDOM}, metric="slope", measured=over(by_seed))


def pull_rows(arm: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """How hard the branch pulls at O_f, in % of the margin loss's pull, in the first and in the last tenth of training;
    nothing of an arm without a branch.
    """
    for when in ("first", "last"):
        shares = {seed: trained.pull(one["slopes"], when) for seed, one in found.items()}
        by_seed = {seed: share for seed, share in shares.items() if share is not None}
        if by_seed:
            yield Row(keys={"arm": arm, "tenth": when}, metric="pull", measured=over(by_seed))


def rate_rows(preset: Preset, arm: str, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Accuracy on validation people at each rate that was tried for an arm; no test person is looked at."""
    lists = chosen.lists_of(preset.alpha_sweep.train.relief, "validation").get("everyday", [])
    for lr, name in product(preset.beyond.lrs, lists):
        found = {seed: run.summary["validation"] for seed, run in of_arm(runs, arm, lr).items()}
        keys = {"arm": arm, "lr": lr, "set": name}
        yield Row(keys=keys, metric="on_the_way", measured=recognise.over_seeds(found, name))


def over(by_seed: Mapping[int, float]) -> Measured | None:
    """Mean and Student's t over seeds; None of none."""
    return student_t(by_seed) if by_seed else None


def base_of(arm: str, arms: Container[str]) -> str:
    """The arm without a branch that is trained as long and on as many cells.

    >>> base_of("with_longer", {"without", "without_longer"}), base_of("pooled", {"without"})
    ('without_longer', 'without')
    """
    alike = arm.replace("with_", "without_", 1) if arm.startswith("with_") else WITHOUT
    return alike if alike in arms else WITHOUT


def gain(artefact: Artefact, arm: str, place: str) -> Estimate | None:
    """Points of accuracy that an arm has above its base on a set; None where either was not run."""
    arms = {str(row.keys["arm"]) for row in artefact.rows}
    both = [measured(artefact.rows, "accuracy", {"arm": one, "set": place}) for one in (arm, base_of(arm, arms))]
    first, base = both
    return None if first is None or base is None else contrast((1.0, -1.0), (first.per_seed, base.per_seed))


def gains(axis: Axes, artefact: Artefact) -> None:
    """What each arm has above its base, across ages and near in age, with intervals."""
    arms = list(dict.fromkeys(str(row.keys["arm"]) for row in artefact.rows))
    shown = [arm for arm in arms if not arm.startswith(WITHOUT)]
    for number, place in enumerate((ACROSS, NEAR)):
        colour, labelled = plots.PALETTE[number], False
        for row, arm in enumerate(shown):
            found = gain(artefact, arm, place)
            if found is None:
                continue
            at = row + 0.2 * number - 0.1
            if ends := found.interval():
                axis.hlines(at, *ends, color=colour, linewidth=2, alpha=0.6)
            label = None if labelled else in_words(place)
            axis.plot(found.mean, at, plots.MARKERS[number], color=colour, label=label)
            labelled = True
    for row, arm in enumerate(shown):
        if not any(gain(artefact, arm, place) for place in (ACROSS, NEAR)):
            axis.text(0.02, row, "not run", transform=axis.get_yaxis_transform(), va="center", color="0.45", fontsize=8)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.set_yticks(range(len(shown)), [in_words(NAMES.get(arm, arm)) for arm in shown])
    axis.set(xlabel="points above the loss alone\n(bars: 95 % interval, Student's t over seeds)")
    axis.set_ylim(len(shown) - 0.5, -0.5)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)


def by_gap(axis: Axes, artefact: Artefact) -> None:
    """Accuracy on random pairs against the years between the pictures, with the branch and without."""
    for number, arm in enumerate((WITHOUT, WITH)):
        found = {gap: measured(artefact.rows, "accuracy_by_gap", {"arm": arm, "gap": gap}) for gap in GAP_NAMES}
        there = [(GAP_NAMES.index(gap) + 0.12 * number - 0.06, one) for gap, one in found.items() if one]
        style = {"color": plots.PALETTE[2 + number], "marker": plots.MARKERS[number]}
        axis.plot([x for x, _ in there], [one.mean for _, one in there], label=NAMES[arm], **style)
        for x, one in there:
            if one.ci95:
                axis.vlines(x, *one.ci95, color=style["color"], linewidth=2, alpha=0.6)
    axis.set_xticks(range(len(GAP_NAMES)), GAP_NAMES)
    axis.set(xlabel="years between two pictures", ylabel="random relief pairs, % right")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)


def beyond_figure(artefact: Artefact) -> Figure:
    """Gains of each arm, and accuracy against the years between two pictures."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    gains(left, artefact)
    by_gap(right, artefact)
    figure.tight_layout()
    return figure


def variant_figure(artefact: Artefact) -> Figure:
    """Gains of other branches."""
    figure, axis = plt.subplots(figsize=(7.5, 3.2))
    gains(axis, artefact)
    figure.tight_layout()
    return figure


def found(artefact: Artefact) -> str:
    """Whether the branch helps across ages, near in age, with the years, and what stands in its place does."""
    across, near = gain(artefact, WITH, ACROSS), gain(artefact, WITH, NEAR)
    base = measured(artefact.rows, "accuracy", {"arm": WITHOUT, "set": ACROSS})
    slopes = [measured(artefact.rows, "slope", {"arm": arm}) for arm in (WITH, WITHOUT)]
    pull = measured(artefact.rows, "pull", {"arm": WITH, "tenth": "last"})
    numbers: dict[str, object] = {"delta": digits(NO_GAIN * (100 - base.mean))} if base else {}
    numbers |= {"across": f"{across.mean:+.2f}"} if across else {}
    numbers |= {"near": f"{near.mean:+.2f}"} if near else {}
    numbers |= {"slope": f"{slopes[0].mean - slopes[1].mean:+.2f}"} if slopes[0] and slopes[1] else {}
    numbers |= {"pull": digits(pull.mean)} if pull else {}
    ends = across.interval() if across else None
    if across and ends:
        numbers |= {"seeds": across.seeds, "low": f"{ends[0]:+.2f}", "high": f"{ends[1]:+.2f}"}
    small = bool(ends and base and ends[1] < NO_GAIN * (100 - base.mean))
    return say(
        numbers,
        (
            across,
            "Of relief pairs thirty years apart the transformer branch gets {across} points more right than the loss"
            " alone:",
        ),
        (ends and ends[0] > 0, "a gain"),
        (ends and ends[1] < 0, "a loss"),
        (ends and ends[0] <= 0 <= ends[1] and small, "no gain above {delta} points, 5 % of the error"),
        (ends and ends[0] <= 0 <= ends[1] and not small, "neither a gain nor that there is none can be told"),
        (ends, "by Student's t over {seeds} seeds of each, uncorrected ({low} to {high}); the verdict decides."),
        (across and not ends, "one seed alone says nothing."),
        (near, "Of pairs near in age it gets {near} points more right."),
        (all(slopes), "For each ten years more between two pictures its gain changes by {slope} points:"),
        (all(slopes) and apart(*slopes), "more than chance."),
        (all(slopes) and not apart(*slopes), "no change that these seeds can tell from chance."),
        (pull, "At the end of a training it pulls at the last map with {pull} % of the margin loss's force."),
    )


def why(artefact: Artefact) -> str:
    """What of the branch does it, in Markdown: each control beside the branch; empty where none was run."""
    said = []
    for arm in dict.fromkeys(str(row.keys["arm"]) for row in artefact.rows):
        one = None if arm.startswith(WITHOUT) or arm == WITH else gain(artefact, arm, ACROSS)
        if one:
            ends = one.interval()
            sure = "" if ends is None else f" [{ends[0]:+.2f}, {ends[1]:+.2f}]"
            said.append(f"- **{NAMES.get(arm, arm)}**: {one.mean:+.2f} points{sure} above the loss alone")
    return signs("\n".join(said))


def variant_found(artefact: Artefact) -> str:
    """What other branches add across ages."""
    arms = dict.fromkeys(str(row.keys["arm"]) for row in artefact.rows)
    told = [
        f"{NAMES.get(arm, arm)} {one.mean:+.2f}"
        for arm in arms
        if not arm.startswith(WITHOUT) and (one := gain(artefact, arm, ACROSS))
    ]
    return say(
        {"told": listed(told)},
        (told, "Points above the loss alone, of relief pairs thirty years apart: {told}."),
    )


BEYOND = Experiment(
    "tml_beyond",
    beyond_jobs,
    beyond_rows,
    lambda artefact, _: beyond_figure(artefact),
    found=found,
    shape=Shape(down=("arm",), across=("set",), only={METRIC: "accuracy"}, names=NAMES),
)
VARIANTS = Experiment(
    "tml_branch_variants",
    variant_jobs,
    variant_rows,
    lambda artefact, _: variant_figure(artefact),
    found=variant_found,
    shape=Shape(down=("arm",), across=("set",), only={METRIC: "accuracy"}, names=NAMES),
)
