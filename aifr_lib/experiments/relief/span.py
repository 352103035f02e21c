"""Who a network learns from: training people pictured within a few years of their lives, or across decades.

Two trainings that differ in nothing else: as many people, as many pictures, as many steps. No method of any paper takes
part. The runs are those of the calibration (``convergence``) where the budget is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.verification import tar_at_far
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.relief.convergence import ACROSS_AGE, RunKey, accuracy, gain, job, validation_pairs
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition

NARROW, WIDE = "a few years of each", "decades of each"
GAIN = "points above a few years of each"
RANDOM = "relief-lfw"
WORDS = {RANDOM: "any two pictures", ACROSS_AGE: "30 years apart"}
FAR = 0.01


def trainings(plain: Recognition) -> dict[str, Recognition]:
    """The two trainings by the years of a training person that they see."""
    both = {}
    for name, years in ((NARROW, "narrow"), (WIDE, "wide")):
        people = plain.relief.model_copy(update={"span": years})
        both[name] = plain.model_copy(update={"relief": people})
    return both


def span_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """The runs by (training people, seed), both of a seed before the next."""
    spans = preset.relief_card.spans
    return {
        (people, seed): job(config.model_copy(update={"seed": seed}), device)
        for seed in (spans.seeds if seeds is None else seeds)
        for people, config in trainings(spans.train).items()
    }


def span_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Accuracy on each list of validation pairs by training people, and what the wide span gains, paired by seed.

    Intervals are Student's t over seeds; with one seed they resample people.
    """
    for name in chosen.lists_of(preset.relief_card.spans.train.relief, "validation").get("everyday", []):
        for people in (NARROW, WIDE):
            keys = {"people": people, "set": name}
            yield Row(keys=keys, metric="accuracy", measured=accuracy(runs, people, name))
        yield Row(keys={"people": WIDE, "set": name}, metric=GAIN, measured=gain(runs, WIDE, name, above=NARROW))


def span_figure(artefact: Artefact) -> Figure:
    """Accuracy by list of pairs, a marker for each kind of training people; the points between them in words."""
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in artefact.rows))
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for number, people in enumerate((NARROW, WIDE)):
        found = [measured(artefact.rows, "accuracy", {"people": people, "set": name}) for name in lists]
        for place, one in enumerate(found):
            if one is None:
                continue
            x = place + 0.16 * (number - 0.5)
            axis.plot(x, one.mean, plots.MARKERS[number], color=plots.PALETTE[number])
            if one.ci95:
                axis.vlines(x, *one.ci95, color=plots.PALETTE[number], alpha=0.6)
        axis.plot([], [], plots.MARKERS[number], color=plots.PALETTE[number], label=people)
    for place, name in enumerate(lists):
        between, top = (measured(artefact.rows, metric, {"people": WIDE, "set": name}) for metric in (GAIN, "accuracy"))
        if between and top:
            axis.annotate(f"{between.mean:+.1f} points", (place + 0.08, top.mean), xytext=(12, -3),
                          textcoords="offset points")  # fmt: skip
    axis.set_xticks(range(len(lists)), [WORDS.get(name, name) for name in lists])
    axis.set_xlim(-0.5, len(lists) - 0.2)
    axis.set(xlabel="pairs of validation people", ylabel=METRICS["accuracy"])
    axis.legend(title="training people: pictures from", loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return figure


def score_figure(runs: Mapping[RunKey, Run]) -> Figure | None:
    """The scores of pairs thirty years apart, a panel for each training, cut where 1 % of strangers pass.

    With the first seed that both have; None where there is none.
    """
    both = sorted(seed for people, seed in runs if people == NARROW and (WIDE, seed) in runs)
    if not both:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
    for axis, people in zip(axes, (NARROW, WIDE), strict=True):
        run = runs[people, both[0]]
        pairs, _ = validation_pairs(Recognition.model_validate(run.spec.values).relief, ACROSS_AGE)
        scores = run.scores[ACROSS_AGE].astype(float)
        point = tar_at_far(scores, pairs.same, FAR)
        plots.score_histogram(axis, scores[pairs.same], scores[~pairs.same], point.threshold)
        axis.set_title(f"{people}: {100 * point.tar:.0f} % of one person accepted", fontsize=10)
    return figure


def found(artefact: Artefact) -> str:
    """What decades of each training person are worth across ages, and on any two pictures."""
    narrow, wide, across, random = (
        measured(artefact.rows, metric, {"people": people, "set": name})
        for metric, people, name in (
            ("accuracy", NARROW, ACROSS_AGE),
            ("accuracy", WIDE, ACROSS_AGE),
            (GAIN, WIDE, ACROSS_AGE),
            (GAIN, WIDE, RANDOM),
        )
    )
    ends = across.ci95 if across else None
    clear = ends is not None and (ends[0] > 0 or ends[1] < 0)
    return say(
        {
            "narrow": narrow and digits(narrow.mean),
            "wide": wide and digits(wide.mean),
            "across": across and across.mean,
            "random": random and random.mean,
            "low": ends and ends[0],
            "high": ends and ends[1],
        },
        (narrow, "A network that saw a few years of each training person is right on {narrow} % of pairs thirty"),
        (narrow, "years apart."),
        (wide, "One that saw decades of each is right on {wide} % of pairs thirty years apart."),
        (across, "Decades of each make {across:+.1f} points"),
        (across and ends, "(95 % interval {low:.1f} to {high:.1f})."),
        (across and not ends, "in one comparison without an interval."),
        (ends and not clear, "That is not clear of chance."),
        (random, "On any two pictures, years apart too as a rule, they make {random:+.1f}."),
    )


SPAN = Experiment(
    "relief_span",
    span_jobs,
    span_rows,
    lambda artefact, _: span_figure(artefact),
    found=found,
    shape=Shape(down=("people",), across=("set", METRIC)),
)
