"""The learning rates that were tried for each main α, and those that were taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean

from matplotlib.figure import Figure

from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.relief import convergence
from aifr_lib.experiments.tml import trained
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import say
from aifr_lib.reporting.rows import WORDS, Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import AlphaSweep, TransformerTraining

# Seeds of one α that lie further apart, in points, differ in whether the training went well.
UNSTABLE = 3.0


CLOSE = 12.0  # points below the best that a picture of the rates shows


def tuning_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, float, int], Job]:
    """The runs behind the rates by (α, lr, seed): every rate with the first seed.

    What the argument ``seeds`` says does not matter here. Without a branch they are those of the page that shows how
    hard relief faces are, which scores validation people alone.
    """
    sweep = preset.alpha_sweep

    def job(alpha: float, lr: float, seed: int) -> Job:
        config = TransformerTraining(train=sweep.training(alpha, seed, lr))
        if config.plain:
            return convergence.job(trained.without_branch(config.train), device)
        return trained.job(preset, config, device)

    return {key: job(*key) for key in product(sweep.main, sweep.lrs, sweep.main_seeds[:1])}


def tuning_rows(preset: Preset, runs: Mapping[tuple[float, float, int], Run]) -> Iterator[Row]:
    """Accuracy on validation people by main α, learning rate and list of pairs.

    The same grid for every α is what makes their comparison fair.
    """
    sweep = preset.alpha_sweep
    lists = chosen.lists_of(sweep.train.relief, "validation").get("everyday", [])
    for alpha, lr, name in product(sweep.main, sweep.lrs, lists):
        found = {
            seed: run.summary.get("validation", run.summary)
            for (at, rate, seed), run in runs.items()
            if (at, rate) == (alpha, lr)
        }
        keys = {"alpha": alpha, "lr": lr, "set": f"{name}, validation"}
        yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))


def tried(artefact: Artefact) -> dict[float, dict[float, Measured | None]]:
    """What decides on a rate: by main α and rate, the accuracy on validation people, mean of the lists, over seeds.

    None where a run is missing.
    """
    lists: dict[tuple[float, float], list[Measured | None]] = {}
    for row in artefact.rows:
        lists.setdefault((float(row.keys["alpha"]), float(row.keys["lr"])), []).append(row.measured)
    found: dict[float, dict[float, Measured | None]] = {}
    for (alpha, lr), measured in lists.items():
        on = [one.per_seed for one in measured if one]
        seeds = set.intersection(*map(set, on)) if len(on) == len(measured) else set()
        means = {seed: fmean(scores[seed] for scores in on) for seed in sorted(seeds)}
        found.setdefault(alpha, {})[lr] = student_t(means) if means else None
    return found


def best_rates(artefact: Artefact) -> dict[float, float]:
    """By main α, the rate with the highest mean. An α of which a run is missing is left out."""
    best = {}
    for alpha, rates in tried(artefact).items():
        means = {lr: one.mean for lr, one in rates.items() if one}
        if len(means) == len(rates):
            best[alpha] = max(means, key=means.__getitem__)
    return best


def tuning_note(artefact: Artefact, sweep: AlphaSweep) -> str:
    """What a reader must know of ``tml_tuning``: the rates taken by main α, and what speaks against them."""
    best, lrs = best_rates(artefact), sorted({float(row.keys["lr"]) for row in artefact.rows})
    ends = [row.measured.ci95 for row in artefact.rows if row.measured and row.measured.interval == "identities"]
    widths = [high - low for low, high in filter(None, ends)]
    numbers = {
        "taken": ", ".join(f"{lr:g} at α = {alpha:g}" for alpha, lr in sweep.lr.items()),
        "edge": (edge := ", ".join(f"{alpha:g}" for alpha, lr in best.items() if lr in (lrs[0], lrs[-1]))),
        "unknown": (unknown := ", ".join(f"{alpha:g}" for alpha in sweep.lr if alpha not in best)),
        "half": fmean(widths) / 2 if widths else None,
    }
    unstable = [
        (
            spread > UNSTABLE,
            f"At α = {alpha:g} and a rate of {lr:g}, {len(one.per_seed)} seeds lie {spread:.1f} points apart: "
            "not every training goes well there.",
        )
        for alpha, rates in tried(artefact).items()
        for lr, one in rates.items()
        if one
        for spread in (max(one.per_seed.values()) - min(one.per_seed.values()),)
    ]
    return say(
        numbers,
        (True, "Taken: {taken}."),
        (edge, "At α = {edge} the best rate is the last one tried: a better one may lie beyond."),
        (unknown, "At α = {unknown} not all rates were run: what is taken there is a guess."),
        *unstable,
        (widths, "Resampling people, a number of one seed on one list is known to ±{half:.1f} points."),
    )


def tuning_figure(artefact: Artefact) -> Figure:
    """What decides on a rate, drawn: a curve for each main α, a dot for each seed; what lies far below is written."""
    rows = [
        Row(keys={"lr": lr, "loss": f"α = {alpha:g}"}, metric="accuracy", measured=measured)
        for alpha, rates in tried(artefact).items()
        for lr, measured in rates.items()
    ]
    figure = plots.parameter_figure(rows, x="lr", by="loss", xlabel="highest learning rate")
    (axis,) = figure.axes
    axis.set(xscale="log", ylabel="accuracy in %, validation people,\nmean of the lists")
    axis.set_xticks(lrs := sorted({float(row.keys["lr"]) for row in rows}), [f"{lr:g}" for lr in lrs])
    axis.minorticks_off()
    measured = [(row.keys, row.measured.mean) for row in rows if row.measured]
    bottom = max((mean for _, mean in measured), default=0) - CLOSE
    axis.set_ylim(bottom=bottom)
    names = list(dict.fromkeys(row.keys["loss"] for row in rows))
    for keys, mean in measured:
        if mean < bottom:
            colour = plots.PALETTE[names.index(keys["loss"])]
            axis.annotate(f"{mean:.1f} ↓", (float(keys["lr"]), bottom), xytext=(4, 4), textcoords="offset points",
                          fontsize=9, color=colour)  # fmt: skip
    return figure


TUNING = Experiment(
    "tml_tuning",
    tuning_jobs,
    tuning_rows,
    lambda artefact, _: tuning_figure(artefact),
    shape=Shape(
        down=("lr",), across=("alpha", "set"), names={f"{name}, validation": said for name, said in WORDS.items()}
    ),
)
