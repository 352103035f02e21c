"""How hard relief faces are: plain networks, scored on people of the validation split and on nobody else.

Trainings with ArcFace: a small MobileFaceNet, the same for twice and four times as long, a larger network, that one on
more training people, and the small one on training people whose pictures span decades, for whom age is no problem that
training hides. No method of any paper takes part: difficulty is set before methods are compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.data.images import Pairs
from aifr_lib.data.relief import chosen
from aifr_lib.data.relief.splits import labels_only
from aifr_lib.evaluation.intervals import Interval, mean_interval
from aifr_lib.evaluation.verification import ten_fold
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, digits, say
from aifr_lib.reporting.rows import Measured, Row, in_words
from aifr_lib.reporting.runs import Result, Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief
from aifr_lib.settings.relief_card import Calibration
from aifr_lib.training.engine import LOG, accelerator_for
from aifr_lib.training.recognition import train

ID = "relief_convergence"
RECIPE, RECIPE_VERSION = "calibration", recognise.RECIPE_VERSION
ACROSS_AGE = "relief-agedb"
BASELINE, LONGER, LONGEST = "baseline", "twice the epochs", "four times the epochs"
TEACHER, SCHOOLED, WIDE = "larger network", "larger network, more people", "wide span of ages"
RATE = "baseline at a rate of {:g}"
GAIN, DOUBLING = "points above the baseline", "points above half the epochs"
RunKey = tuple[str, int]


@dataclass(frozen=True)
class Condition:
    """What is wanted on cross-age pairs: a number of the table between two others."""

    what: str
    training: str
    metric: str
    low: float
    high: float


# The one place where the wanted difficulty stands.
CONDITIONS = (
    Condition("The baseline is neither lost nor done, %", BASELINE, "accuracy", 80.0, 92.0),
    Condition("It has converged: doubling the epochs moves it by no more than one point", LONGER, GAIN, -1.0, 1.0),
    Condition("Asked when that did not hold: doubling the epochs once more does", LONGEST, DOUBLING, -1.0, 1.0),
    Condition("There is room above it: a larger network gains at least three points", TEACHER, GAIN, 3.0, 100.0),
    Condition("Asked when that did not hold: one that sees more people, for longer, does", SCHOOLED, GAIN, 3.0, 100.0),
)


def trainings(calibration: Calibration) -> dict[str, Recognition]:
    """The trainings by name."""
    plain = calibration.train
    longer = {LONGER: 2, LONGEST: 4} if calibration.doublings == 2 else {LONGER: 2}
    return {
        BASELINE: plain,
        **{name: plain.model_copy(update={"epochs": times * plain.epochs}) for name, times in longer.items()},
        TEACHER: calibration.teacher,
        **({SCHOOLED: calibration.schooled} if calibration.schooled else {}),
        **{RATE.format(rate): plain.model_copy(update={"lr": rate}) for rate in calibration.rates},
        WIDE: plain.model_copy(update={"relief": plain.relief.model_copy(update={"span": "wide"})}),
    }


def convergence_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Accuracy on each list of validation pairs by training, and points above another training, paired by seed.

    Intervals are Student's t over seeds; with one seed they resample people, for points above another training the
    same people of both.
    """
    calibration = preset.relief_card.calibration
    lists = chosen.lists_of(calibration.train.relief, "validation").get("everyday", [])
    for training, name in product(trainings(calibration), lists):
        keys = {"training": training, "set": name}
        yield Row(keys=keys, metric="accuracy", measured=accuracy(runs, training, name))
        if training != BASELINE:
            yield Row(keys=keys, metric=GAIN, measured=gain(runs, training, name))
        if training == LONGEST:
            yield Row(keys=keys, metric=DOUBLING, measured=gain(runs, training, name, above=LONGER))


def convergence_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[RunKey, Job]:
    """The runs by (training, seed), a seed of all trainings after the other; other rates with the first seed alone."""
    calibration = preset.relief_card.calibration
    seeds = calibration.seeds if seeds is None else seeds
    once = {RATE.format(rate) for rate in calibration.rates}
    return {
        (training, seed): job(config.model_copy(update={"seed": seed}), device)
        for seed in seeds
        for training, config in trainings(calibration).items()
        if seed == seeds[0] or training not in once
    }


def job(config: Recognition, device: str | None = None) -> Job:
    """One training, scored on validation people. Its name holds no test picture: none is looked at."""
    spec = recognise.spec(config, recipe=RECIPE, recipe_version=RECIPE_VERSION, split="validation")
    return Job(spec, lambda folder: compute_run(config, folder, device))


def compute_run(config: Recognition, folder: Path, device: str | None = None) -> Result:
    """Train, then protocol P1 on validation pairs; scores and summary as ``recognise.score`` gives them."""
    trained = train(config, folder, device=device)
    started = time.perf_counter()
    target = str(accelerator_for(device, "no").device)
    scores, summary = recognise.score(trained.backbone, config, target, split="validation")
    summary |= {"loss": trained.scalars.get("loss"), "images_per_s": trained.scalars["images_per_s"]}
    log = (folder / LOG).read_text(encoding="utf-8").splitlines()
    wall_s = trained.scalars["seconds"] + time.perf_counter() - started
    return Result(scores, summary, target, wall_s, log)


def accuracy(runs: Mapping[RunKey, Run], training: str, name: str) -> Measured | None:
    """Mean over seeds; None where no run is there."""
    return recognise.over_seeds({seed: run.summary for seed, run in _of(runs, training).items()}, name)


def gain(runs: Mapping[RunKey, Run], training: str, name: str, above: str = BASELINE) -> Measured | None:
    """Points above another training over the seeds that both have; None where there is none."""
    ours, base = (_of(runs, which) for which in (training, above))
    shared = sorted(set(ours) & set(base))
    if not shared:
        return None
    found = {seed: [one[seed].summary["accuracy"][name] for one in (ours, base)] for seed in shared}
    measured = student_t({seed: points - before for seed, (points, before) in found.items()})
    if len(shared) > 1:
        return measured
    ends = gain_interval(ours[shared[0]], base[shared[0]], name)
    return measured.model_copy(update={"ci95": ends, "interval": "identities"})


def gain_interval(ours: Run, base: Run, name: str) -> Interval:
    """Points between two runs on one list, their pairs decided as P1 decides them, the people of both resampled.

    Decided from the stored cosines, which are of half precision: an accuracy of them may be a few pairs off the run's.
    """
    pairs, identities = validation_pairs(Relief.model_validate(ours.spec.values["relief"]), name)
    right, before = (
        ten_fold(run.scores[name], pairs.same, pairs.fold, convention="cosine").correct for run in (ours, base)
    )
    return mean_interval(100.0 * right - 100.0 * before, identities[pairs.a], identities[pairs.b])


@lru_cache(maxsize=8)
def validation_pairs(settings: Relief, name: str) -> tuple[Pairs, np.ndarray]:
    """A list of validation pairs and the identity of each picture, with no picture drawn."""
    images = labels_only("validation", settings.test_identities, settings.test_per_identity)
    return relief.pairs(images, name, count=settings.pairs), images.labels["identity"].to_numpy()


def difficulty_figure(artefact: Artefact) -> Figure:
    """A line for each training, a mark for each list; the wanted range of the baseline is shaded."""
    rows = [row for row in artefact.rows if row.metric == "accuracy"]
    names, lists = (list(dict.fromkeys(str(row.keys[key]) for row in rows)) for key in ("training", "set"))
    figure, axis = plt.subplots(figsize=(8.5, 3.4), layout="constrained")
    wanted = CONDITIONS[0]
    axis.axvspan(wanted.low, wanted.high, color=plots.PAPER, alpha=0.2, linewidth=0,
                 label=f"wanted of the baseline\non {in_words(ACROSS_AGE)}")  # fmt: skip
    for number, name in enumerate(lists):
        colour, marker = plots.PALETTE[number], plots.MARKERS[number]
        measured = [(row.keys["training"], row.measured) for row in rows if row.keys["set"] == name and row.measured]
        for place, (training, one) in enumerate(measured):
            height = names.index(str(training)) + 0.2 * (number - (len(lists) - 1) / 2)
            if one.ci95:
                axis.hlines(height, *one.ci95, color=colour, alpha=0.6)
            axis.plot(one.mean, height, marker, color=colour, label=in_words(name) if place == 0 else None)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    kinds = dict.fromkeys(row.measured.interval for row in rows if row.measured and row.measured.interval)
    over = "; ".join(plots.INTERVALS[kind] for kind in kinds)
    axis.set_xlabel(f"{plots.METRICS['accuracy']}, validation people\n(bars: 95 % interval, {over})")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def decision(artefact: Artefact) -> list[tuple[Condition, Measured | None, bool | None]]:
    """Each condition, what was measured on cross-age pairs, and whether it holds (None: not measured)."""
    found = {(row.keys["training"], row.metric): row.measured for row in artefact.rows if row.keys["set"] == ACROSS_AGE}
    measured = [(condition, found.get((condition.training, condition.metric))) for condition in CONDITIONS]
    return [(one, value, None if value is None else one.low <= value.mean <= one.high) for one, value in measured]


def findings(artefact: Artefact, calibration: Calibration) -> str:
    """What follows where the first conditions do not hold, in Markdown; "" where they do or are not measured."""
    decided = {condition.training: (value, holds) for condition, value, holds in decision(artefact) if value}
    reached = {
        row.keys["training"]: row.measured.mean
        for row in artefact.rows
        if row.metric == "accuracy" and row.keys["set"] == ACROSS_AGE and row.measured
    }
    (longer, converged), (longest, later), (teacher, room), (schooled, enough) = (
        decided.get(training, (None, None)) for training in (LONGER, LONGEST, TEACHER, SCHOOLED)
    )
    learner, plain = calibration.schooled or calibration.train, calibration.train
    many, few = (one.relief.train_identities * one.relief.train_per_identity for one in (learner, plain))
    numbers = {
        "longer": longer and longer.mean,
        "longest": longest and longest.mean,
        "teacher": teacher and teacher.mean,
        "schooled": schooled and schooled.mean,
        "at_longer": reached.get(LONGER),
        "above_longer": schooled and longer and reached[SCHOOLED] - reached[LONGER],
        "people": learner.relief.train_identities,
        "steps": learner.epochs * many / (plain.epochs * few),
    }
    one_seed = longest is not None and len(longest.per_seed) == 1 < len(longer.per_seed if longer else ())
    not_converged = longer and not converged
    no_room = teacher and not room
    paragraphs = (
        say(
            numbers,
            (not_converged, "**Not converged.** Twice the epochs move the baseline by {longer:+.1f} points."),
            (not_converged and longest, "Doubling them again moves it by {longest:+.1f}."),
            (not_converged and one_seed, "(That is one seed.)"),
            (not_converged and later, "So at twice its epochs it has converged, at {at_longer:.1f} %."),
            (not_converged and longest and not later, "So it has not converged there either."),
            (not_converged, "Methods are compared at one equal budget, the baseline's."),
            (not_converged, "There the small network is still learning: a difference of two can be one of speed."),
        ),
        say(
            numbers,
            (no_room, "**No room shown by the larger network alone.**"),
            (no_room, "It gains {teacher:.1f} points with the rate and the pictures of the small one."),
            (no_room, "That better scores can be had on these pairs is seen from the control,"),
            (no_room, "whose people are pictured across decades."),
            (no_room and schooled, "With {people:,} people to learn from, a few years of each, and"),
            (no_room and schooled, "{steps:.1f} times the baseline's steps it gains {schooled:.1f} points."),
            (no_room and schooled and enough, "That is enough."),
            (no_room and schooled and not enough, "That is not enough either."),
            (no_room and schooled and longer, "Above the small one at twice its epochs it gains {above_longer:.1f}."),
            (no_room and schooled, "How much of that is the network, the people or the steps cannot be said."),
        ),
    )
    return "\n\n".join(filter(None, paragraphs))


def budget_note(preset: Preset, config: Recognition, out: str | Path | None = None) -> str:
    """What the calibration says of the budget of ``config``, in Markdown; "" where nothing is stored, or of another.

    It is the same budget where the plain network, its faces and the number of steps are those of the calibration.
    """
    plain = preset.relief_card.calibration.train
    free = {"alpha", "combine", "classifier", "layers", "heads", "feedforward", "pos_encoding", "lr", "seed"}
    if config.model_dump(exclude=free) != plain.model_dump(exclude=free):
        return ""
    decided = decision(CONVERGENCE(preset, compute=False, out=out))
    longer, holds = next((value, holds) for one, value, holds in decided if one.training == LONGER)
    if longer is None:
        return ""
    return say(
        {"longer": longer.mean, "list": in_words(ACROSS_AGE), "seeds": counted(len(longer.per_seed), "seed")},
        (True, "**The budget.** Twice the epochs move the plain network by {longer:+.1f} points on {list}"),
        (True, "(validation people, {seeds})."),
        (holds, "It has converged."),
        (not holds, "It has not converged."),
        (not holds, "All α train for the same number of steps, so what is compared is what they have learned by then:"),
        (not holds, "a difference can be one of speed."),
    )


def _of(runs: Mapping[RunKey, Run], training: str) -> dict[int, Run]:
    return {seed: run for (which, seed), run in runs.items() if which == training}


def found(artefact: Artefact) -> str:
    """Whether the baseline lies where it is wanted, has converged, and has room above it."""
    at = {(one.training, one.metric): (value, holds) for one, value, holds in decision(artefact)}
    baseline, inside = at[BASELINE, "accuracy"]
    doubled, converged = at[LONGER, GAIN]
    best = max((value.mean for value, _ in (at[TEACHER, GAIN], at[SCHOOLED, GAIN]) if value), default=None)
    return say(
        {
            "baseline": baseline and digits(baseline.mean),
            "low": CONDITIONS[0].low,
            "high": CONDITIONS[0].high,
            "doubled": doubled and doubled.mean,
            "best": best,
        },
        (baseline, "A plain small network is right on {baseline} % of relief pairs thirty years apart,"),
        (baseline and inside, "inside the range of {low:.0f} to {high:.0f} % that is wanted: hard, but not hopeless."),
        (baseline and not inside, "outside the range of {low:.0f} to {high:.0f} % that is wanted."),
        (doubled and converged, "It has converged: twice the epochs move it by {doubled:+.1f} points."),
        (doubled and not converged, "It has not converged: twice the epochs move it by {doubled:+.1f} points."),
        (best is not None, "The best of the larger networks differs from it by {best:+.1f} points."),
    )


CONVERGENCE = Experiment(
    "relief_convergence",
    convergence_jobs,
    convergence_rows,
    lambda artefact, _: difficulty_figure(artefact),
    found=found,
    shape=Shape(down=("training",), across=("set", METRIC), only={METRIC: ("accuracy", GAIN)}),
)
