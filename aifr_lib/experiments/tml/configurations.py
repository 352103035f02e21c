"""TML Fig. 7, ways to put the two losses together, and Table I, which has two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, UNDER, Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining

Place = tuple[str, int]  # configuration, seed
RANDOM = "relief-lfw"  # LFW's place
# What the paper gives of Fig. 7 in words: the losses of Table I, and (c), which is said to equal (b).
PRINTED = {"standard": "ArcFace [49]", "linear": "Transformer-ArcFace", "margin": "Transformer-ArcFace"}
# Table I: our configuration of each loss; SymFace's loss on mirrored pictures is quoted there and not trained here.
LOSSES = {"arcface": "standard", "sym-arcface": None, "transformer-arcface": "linear"}
QUOTED = {"arcface": "ArcFace [49]", "sym-arcface": "Sym-ArcFace [50]", "transformer-arcface": "Transformer-ArcFace"}
NAMES = UNDER["configuration"]


def fig7_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """The runs of Fig. 7, those of Fig. 6 among them."""
    asked, sweep = preset.configurations, preset.alpha_sweep
    return {
        (name, seed): trained.job(preset, TransformerTraining(train=asked.training(sweep, name, seed)), device)
        for name, own in asked.seeds.items()
        for seed in (own if seeds is None else seeds)
    }


def late_gain(steps: Sequence[int], values: Sequence[float]) -> float:
    """What was gained after the look that is nearest to half of the training.

    >>> late_gain([10, 20, 30, 40], [50.0, 60.0, 65.0, 66.0])
    6.0
    """
    half = min(range(len(steps)), key=lambda at: abs(steps[at] - steps[-1] / 2))
    return values[-1] - values[half]


def fig7_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Accuracy by configuration and list of pairs; on validation people the accuracy along a training, by the share of
    it that is done, and what its second half gained.
    """
    asked, lists = preset.configurations, preset.alpha_sweep.train.relief.pair_lists
    for name, place in product(asked.seeds, lists):
        found = {seed: run.summary for (at, seed), run in runs.items() if at == name}
        yield Row(
            keys={"configuration": name, "set": place},
            metric="accuracy",
            measured=recognise.over_seeds(found, place),
            **printed(PRINTED.get(name), place, "section IV-C and Table I"),
        )
    seen_lists = chosen.lists_of(preset.alpha_sweep.train.relief, "validation").get("everyday", [])
    for name, place in product((name for name in asked.seeds if name != "standard"), seen_lists):
        seen = {seed: run.summary["looks"] for (at, seed), run in runs.items() if at == name}
        keys = {"configuration": name, "set": place, "people": "validation"}
        gains = {seed: late_gain(one["steps"], one["accuracy"][place]) for seed, one in seen.items()}
        yield Row(keys=keys, metric="late_gain", measured=student_t(gains) if gains else None)
        for at, step in enumerate(next(iter(seen.values()))["steps"] if seen else ()):
            share = round(100 * step / next(iter(seen.values()))["steps"][-1], 1)
            values = {seed: one["accuracy"][place][at] for seed, one in seen.items()}
            yield Row(keys={**keys, "trained": share}, metric="on_the_way", measured=student_t(values))


def table1_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """Those of Fig. 7 that Table I has too."""
    return {place: job for place, job in fig7_jobs(preset, seeds, device).items() if place[0] in LOSSES.values()}


def table1_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Accuracy by loss and list of pairs; Sym-ArcFace's is printed alone."""
    for loss, place in product(LOSSES, preset.alpha_sweep.train.relief.pair_lists):
        found = {seed: run.summary for (name, seed), run in runs.items() if name == LOSSES[loss]}
        yield Row(
            keys={"loss": loss, "set": place},
            metric="accuracy",
            measured=recognise.over_seeds(found, place),
            **printed(QUOTED[loss], place, "Table I"),
        )


def printed(loss: str | None, place: str, source: str) -> dict[str, Any]:
    """LFW's number of Table I beside random pairs; empty elsewhere, and where the paper gives none."""
    if loss is None or place != RANDOM:
        return {}
    return {"paper": papers.value("tml_table1", {"loss": loss}, "LFW"), "paper_source": source}


def fig7_figure(artefact: Artefact) -> Figure:
    """Accuracy of each configuration by list, and accuracy on validation people over a training."""
    rows = [row for row in artefact.rows if row.metric == "accuracy" and row.measured]
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in rows))
    names = list(dict.fromkeys(str(row.keys["configuration"]) for row in rows))
    along = [row for row in artefact.rows if row.metric == "on_the_way" and row.keys["set"] == RANDOM]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    for number, place in enumerate(lists):
        spread(left, [row for row in rows if row.keys["set"] == place], names, number)
    left.set_yticks(range(len(names)), [NAMES[name] for name in names])
    left.set(xlabel=METRICS["accuracy"], ylim=(len(names) - 0.5, -0.5))
    left.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, fontsize=8)
    for number, name in enumerate(dict.fromkeys(str(row.keys["configuration"]) for row in along)):
        own = [row for row in along if row.keys["configuration"] == name]
        plots.parameter_curve(right, own, "trained", NAMES[name], number)
    right.set(xlabel="training done, %", ylabel=f"{in_words(RANDOM)},\nvalidation people, % right")
    if along:
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    figure.tight_layout()
    return figure


def spread(axis: Any, rows: Sequence[Row], names: Sequence[str], number: int) -> None:
    """One list: a mark, an interval and a dot a seed for each configuration, a little apart from the other lists'."""
    colour, labelled = plots.PALETTE[number], False
    for row in rows:
        if row.measured is None:
            continue
        y = names.index(str(row.keys["configuration"])) + 0.14 * number - 0.14
        label = None if labelled else in_words(row.keys["set"])
        axis.plot(row.measured.mean, y, plots.MARKERS[number], color=colour, label=label)
        labelled = True
        if row.measured.ci95:
            axis.hlines(y, *row.measured.ci95, color=colour, linewidth=2, alpha=0.6)
        dots = list(row.measured.per_seed.values())
        axis.scatter(dots, [y] * len(dots), s=10, color=colour, alpha=0.5, linewidths=0)


def found(artefact: Artefact) -> str:
    """What the configurations say on random pairs: the blocks against none, one against the other, and the sum."""

    def one(name: str, metric: str = "accuracy") -> Measured | None:
        return measured(artefact.rows, metric, {"configuration": name, "set": RANDOM})

    plain, linear, margin = one("standard"), one("linear"), one("margin")
    late, late_sum = one("linear", "late_gain"), one("sum", "late_gain")
    numbers = {"plain": plain, "linear": linear, "margin": margin, "late": late, "late_sum": late_sum}
    both, differ, blocks = plain and linear, apart(linear, plain), apart(margin, linear)
    return say(
        {name: digits(value.mean) for name, value in numbers.items() if value},
        (both, "Of random pairs of relief faces the loss alone gets {plain} % right and with the branch {linear} %:"),
        (both and differ > 0, "a gain."),
        (both and differ < 0, "a loss."),
        (both and not differ, "no difference that these seeds can tell from chance."),
        (linear and margin, "The block with a margin head is right on {margin} %,"),
        (linear and margin and not blocks, "which cannot be told from that with a linear layer."),
        (linear and margin and blocks > 0, "above that with a linear layer."),
        (linear and margin and blocks < 0, "below that with a linear layer."),
        (late and late_sum, "The second half of a training gains {late_sum} points with summed logits and {late}"),
        (late and late_sum, "with weighted losses."),
    )


def table1_found(artefact: Artefact) -> str:
    """What Table I says here: two of its three losses on random pairs."""
    plain, branch = (measured(artefact.rows, "accuracy", {"loss": loss, "set": RANDOM})
                     for loss in ("arcface", "transformer-arcface"))  # fmt: skip
    differ = apart(branch, plain)
    return say(
        {"plain": digits(plain.mean), "branch": digits(branch.mean)} if plain and branch else {},
        (plain and branch, "Transformer-ArcFace gets {branch} % of random relief pairs right, ArcFace {plain} %:"),
        (plain and branch and differ > 0, "the paper's order."),
        (plain and branch and differ < 0, "not the paper's order."),
        (plain and branch and not differ, "these seeds cannot tell them apart."),
        (plain or branch, "Sym-ArcFace is quoted from another paper and was not trained here."),
    )


FIG7 = Experiment(
    "tml_fig7",
    fig7_jobs,
    fig7_rows,
    lambda artefact, _: fig7_figure(artefact),
    found=found,
    shape=Shape(down=("configuration",), across=("set",), only={"metric": "accuracy"}, names=NAMES),
)
TABLE1 = Experiment(
    "tml_table1",
    table1_jobs,
    table1_rows,
    found=table1_found,
    shape=Shape(down=("loss",), across=("set",)),
)
