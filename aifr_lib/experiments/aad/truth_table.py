"""Where age shows, by the maps of AAD and by the truth: the table, its picture, what was found (ours)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure, SubFigure

from aifr_lib.data import relief
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.experiments.aad import truth
from aifr_lib.experiments.aad.students import teacher_job
from aifr_lib.experiments.aad.teachers import age_teacher_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Key, Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.aad import Attention
from aifr_lib.settings.presets import Preset

RECIPE, RECIPE_VERSION = "attention_truth", 1
SCORES = {"rank_corr": 1.0, "pointing": 100.0, "beyond_mean": 1.0}
MAPS = (
    truth.CEILING,
    *(f"A_{stage}" for stage in range(1, 5)),
    *(f"1 − Â_{stage}" for stage in range(2, 5)),
    *(f"{rival}{stage}" for stage in truth.STAGED for rival in (
        "Grad-CAM, stage ", "T^A untrained, A_", "T^R, mask of stage ", "another person's A_")),
    *(f"mean A_{stage} of all people" for stage in truth.STAGED),
)  # fmt: skip
OWN = tuple(name for name in MAPS if name.startswith(("A_", "1 − Â")))  # of the age estimator and the face at hand
REGIONS = {"A_1": ("face", "around it"), "Â_3": ("eyes", "rest of the face"), "Â_4": ("eyes", "rest of the face")}
POSES = ("as they come", "turned")
SUBSCRIPTS = str.maketrans("1234", "₁₂₃₄")


def said(name: str) -> str:
    """A map as a page calls it.

    >>> said("T^A untrained, A_3")
    'Tᴬ untrained, A₃'
    """
    return (
        re.sub(r"_(\d)", lambda found: found[1].translate(SUBSCRIPTS), name).replace("T^A", "Tᴬ").replace("T^R", "Tᴿ")
    )


NAMES: dict[Key, str] = {name: said(name) for name in (*MAPS, *REGIONS)}


def truth_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """One run by the seed of the age estimator that is looked at; what the argument ``seeds`` says does not matter."""
    aad = preset.aad
    needs = {
        "age_teacher": age_teacher_job(aad.looked_at, device),
        "teacher": teacher_job(aad.teacher, aad.protocols, device),
    }
    seed = aad.looked_at.train.seed
    spec = RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=seed,
        values={name: job.spec.key for name, job in needs.items()} | asked_of(aad.attention),
        data=DataId(name="relief faces", version=relief.VERSION, hash="test people"),
    )

    def compute(folder: Path, age_teacher: Path, teacher: Path) -> Result:
        return truth.compute(aad.looked_at, aad.attention, age_teacher, teacher)

    return {seed: Job(spec, compute, needs=needs, leaves=())}


def asked_of(attention: Attention) -> dict[str, float]:
    """What of the settings the scores depend on."""
    return attention.model_dump(mode="json", include={"shown", "people", "pictures", "years", "turned"})


def truth_rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
    """By map and truth the scores over people; of A_1 and Â the mean over parts of the face, by pose of the head."""
    run = next(iter(runs.values()), None)
    for name in MAPS:
        for against in (truth.CHANGE, truth.RELATIVE):
            for metric, scale in SCORES.items():
                keys = {"map": name, "truth": against}
                if metric == "beyond_mean" and name.startswith("mean"):
                    continue  # nothing is left of a mean once it is taken away
                yield Row(keys=keys, metric=metric, measured=over_people(run, f"{name}|{against}|{metric}", scale))
    for name, regions in REGIONS.items():
        for pose in POSES:
            for region in regions:
                keys = {"map": name, "region": region, "heads": pose}
                yield Row(keys=keys, metric="mask", measured=over_people(run, f"{name}|{region}|{pose}", 1.0))


def over_people(run: Run | None, name: str, scale: float) -> Measured | None:
    """The mean over people and its interval; None without a run."""
    if run is None:
        return None
    values = run.scores[name]
    values = values if values.dtype == bool else values.astype(np.float64)
    low, high = mean_interval(values, np.arange(len(values)))
    mean = scale * float(values.mean())
    ends = (scale * float(low), scale * float(high))
    return Measured(mean=mean, ci95=ends, interval="identities", per_seed={run.spec.seed: mean})


def truth_figure(artefact: Artefact, runs: Mapping[int, Run]) -> Figure:
    """Of the first people: the face, the truth inside it, what the maps show; then how well each map ranks cells."""
    (run,) = runs.values()
    pixels, drawn = run.scores["pixels"], run.scores[f"shown|{truth.CHANGE}"]
    names = {truth.CHANGE: "truth", "A_3": "A₃", "A_4": "A₄", "1 − Â_4": "1 − Â₄", "Grad-CAM, stage 4": "Grad-CAM"}
    figure = plt.figure(figsize=(10, 1.6 * len(pixels) + 4.6), layout="constrained")
    (above,), (below,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.6 * len(pixels), 4.6))
    axes = above.subplots(len(pixels), len(names) + 1, squeeze=False)
    for row, face in zip(axes, pixels, strict=True):
        row[0].imshow(face)
    for column, (name, title) in enumerate(names.items(), 1):
        for row, change, values in zip(axes, drawn, run.scores[f"shown|{name}"], strict=True):
            row[column].imshow(np.where(change < 0, np.nan, values.astype(float)), cmap="viridis")
        axes[0, column].set_title(title, fontsize=10)
    axes[0, 0].set_title("face", fontsize=10)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    _ranked(below, artefact)
    return figure


def _ranked(figure: SubFigure, artefact: Artefact) -> None:
    axes = figure.subplots(1, len(SCORES), sharey=True)
    for axis, metric in zip(axes, SCORES, strict=True):
        for place, name in enumerate(MAPS):
            one = measured(artefact.rows, metric, {"map": name, "truth": truth.CHANGE})
            if one and one.ci95:
                own = name in OWN
                colour = plots.PAPER if name == truth.CEILING else plots.SAME if own else plots.DIFFERENT
                axis.plot(one.mean, place, "o" if own else "s", color=colour)
                axis.hlines(place, *one.ci95, color=colour, linewidth=2, alpha=0.6)
        axis.axvline(100 * truth.TOP if metric == "pointing" else 0, color="0.4", linewidth=1, linestyle="--")
        axis.set_xlabel("\n".join(textwrap.wrap(METRICS[metric], 30)), fontsize=8.5)
    axes[0].set_yticks(range(len(MAPS)), map(said, MAPS), fontsize=8)
    axes[0].set_ylim(len(MAPS) - 0.5, -0.5)


def found(artefact: Artefact) -> str:
    """How well the last mask ranks the parts of a face, beside what could be reached and what needs no face at all;
    then the map that does it best, where that is another one.
    """

    def one(name: str, metric: str = "rank_corr") -> Measured | None:
        return measured(artefact.rows, metric, {"map": name, "truth": truth.CHANGE})

    own, ceiling, other = one("A_4"), one(truth.CEILING), one("another person's A_4")
    beyond = one("A_4", "beyond_mean")
    reads = beyond is not None and beyond.ci95 is not None and beyond.ci95[0] > 0
    better = apart(own, other)
    if not (own and ceiling):
        return ""
    ranked = {name: there for name in OWN if (there := one(name))}
    best = max(ranked, key=lambda name: ranked[name].mean)
    left = one(best, "beyond_mean")
    return say(
        {"map": said(best), **{name: digits(value.mean) for name, value in
         (("own", own), ("ceiling", ceiling), ("other", other), ("beyond", beyond), ("best", ranked[best]),
          ("left", left)) if value}},
        (own, "Inside the face the last mask of the age estimator ranks the cells by how they change with age with a"),
        (own, "correlation of {own}; half of the pictures reach {ceiling} with the other half."),
        (other, "Another person's mask reaches {other}:"),
        (other and better > 0, "the face at hand is read."),
        (other and better == 0, "no difference that these people can show."),
        (other and better < 0, "more than the face's own."),
        (reads, "Once what all faces share is taken away, {beyond} is left."),
        (beyond and not reads, "Once what all faces share is taken away, nothing that these people can show is left."),
        (best != "A_4", "Of all masks of the estimator {map} agrees best with the truth, with {best}."),
        (best != "A_4" and left, "Without what all faces share {map} keeps {left}."),
    )  # fmt: skip


TRUTH = Experiment(
    "aad_truth",
    truth_jobs,
    truth_rows,
    truth_figure,
    found=found,
    shape=Shape(down=("map",), across=(METRIC,), only={"truth": truth.CHANGE}, names=NAMES),
)
SENTENCES = Shape(down=("map", "heads"), across=("region",), only={METRIC: "mask"}, names=NAMES)
