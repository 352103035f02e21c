"""From synthetic to real: the error on change of age against people, pictures, source and labelled subjects."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import change_tasks
from aifr_lib.data.change_tasks import AGE
from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.age import age_jobs
from aifr_lib.experiments.comface.frozen import by_ridge, frozen_job, named_starts, reader_of
from aifr_lib.experiments.comface.measured import FINE, RIDGE, WORDS
from aifr_lib.experiments.comface.runs import Start, own_setting, pretraining_of, starts, task_id, transfer_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces import align
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface
from aifr_lib.settings.presets import Preset

LABELLED, LABELLED_VERSION = "comface_labelled", 2
SHARES = (0.125, 0.25, 0.5)  # of the training subjects; all of them are a run of Table N
PEOPLE, PICTURES, SOURCE, SUBJECTS = "people", "pictures seen", "source", "labelled subjects"
BESIDE = "beside"
METHODS = ("comface", "untrained", "imagenet", "pixels")  # of which fewer labels are asked
SOURCES: dict[Key, str] = {
    "latent": "photo-real edits",
    "relief-edits": "rendered edits",
    "relief-wide": "rendered people at all ages",
}
AXES = (PEOPLE, PICTURES, SUBJECTS, SOURCE)
RunKey = tuple[str, Any, str, str, int]


def labelled_job(settings: Comface, one: Start | str, device: str | None = None) -> Job:
    """Kept features read by ridge from a share of the training subjects of each fold.

    scores: ``predicted_SHARE`` of the test pairs in both orders, ``true``, ``subject``, ``fold``.
    """
    named: dict[str, Any] = one.values() if isinstance(one, Start) else {"method": one}
    values = {
        "features": named,
        "side": settings.pretraining.side,
        "folds": [settings.age.folds, settings.age.validation],
        "tasks": settings.tasks.model_dump(mode="json"),
        "shares": list(SHARES),
        "alignment": align.VERSION,
    }
    seed = one.seed if isinstance(one, Start) else 0
    spec = RunSpec(
        recipe=LABELLED, recipe_version=LABELLED_VERSION, seed=seed, values=values, data=task_id(AGE, settings)
    )
    # The same pictures, packages and pre-training as all subjects' labels.
    whole = frozen_job(settings, AGE, one, device)

    def compute(folder: Path, pretraining: Path | None = None) -> Result:
        started = time.perf_counter()
        task = change_tasks.load(AGE, settings.tasks, settings.pretraining.side)
        features = reader_of(one, pretraining)(task.images)
        scores: dict[str, np.ndarray] = {}
        for share in SHARES:
            kept, _ = by_ridge(settings, task, features, share)
            scores[f"predicted_{share:g}"] = kept.pop("predicted")
            scores |= kept
        return Result(scores, {}, "cpu", time.perf_counter() - started)

    return Job(spec, compute, whole.lacking, pretraining_of(one, device) if isinstance(one, Start) else {}, leaves=())


def scaled_starts(settings: Comface, seeds: Sequence[int] | None = None) -> Iterator[tuple[str, Any, Start]]:
    """(axis, place on it, start) of each pre-training of ComFace that lies on one of the curves."""
    plain = settings.pretraining
    everything = (*settings.ledger, *settings.subsets, *settings.beyond)
    for one, _ in starts(settings, ledger=everything):
        config = one.config
        if config is None or one.method != "comface" or (seeds is not None and one.seed not in seeds):
            continue
        if config.encoder != plain.encoder or config.fuse != plain.fuse or config.source.without is not None:
            continue
        kept, whole = config.source.kept, config.source == plain.source
        if whole and config.pictures == plain.pictures:
            yield PEOPLE, config.source.people, one
            yield PICTURES, config.pictures, one
            yield SOURCE, config.source.kind, one
        elif whole:
            yield PICTURES, config.pictures, one
        elif kept is None:
            yield SOURCE, config.source.kind, one
        elif kept.by == "random":
            yield PEOPLE, max(1, round(kept.share * config.source.people)), one


def scaling_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Kept features on every curve; fine-tunings where the ledger has them; then fewer labelled subjects."""
    settings = preset.comface
    everything = (*settings.ledger, *settings.subsets, *settings.beyond)
    tuned = {one.name for one, setting in starts(settings, AGE, ledger=everything) if setting == own_setting(one)}
    jobs: dict[RunKey, Job] = {}
    for axis, place, one in scaled_starts(settings, seeds):
        jobs[axis, place, RIDGE, "comface", one.seed] = frozen_job(settings, AGE, one, device)
        if one.name in tuned:
            jobs[axis, place, FINE, "comface", one.seed] = transfer_job(settings, AGE, one, own_setting(one), device)
    for (how, name, seed), job in age_jobs(preset, seeds, device).items():
        if (how, name) in ((FINE, "scratch"), (RIDGE, "untrained"), (RIDGE, "imagenet"), (RIDGE, "pixels")):
            jobs[BESIDE, "", how, name, seed] = job
    for name, reader in labelled_of(settings, seeds).items():
        seed = reader.seed if isinstance(reader, Start) else 0
        jobs[SUBJECTS, "fewer", RIDGE, name, seed] = labelled_job(settings, reader, device)
        jobs[SUBJECTS, 1.0, RIDGE, name, seed] = frozen_job(settings, AGE, reader, device)
    return jobs


def labelled_of(settings: Comface, seeds: Sequence[int] | None = None) -> dict[str, Start | str]:
    """What is read from fewer labels, by name: ComFace and an untrained network at their first seed, and the rest."""
    first = next((one for one, _ in starts(settings) if one.name == "comface"), None)
    found: dict[str, Start | str] = {} if first is None else {"comface": first}
    for one in named_starts(settings, settings.frozen):
        name = one.name if isinstance(one, Start) else one
        found.setdefault(name, one)
    return {
        name: one
        for name, one in found.items()
        if name in METHODS and (seeds is None or not isinstance(one, Start) or one.seed in seeds)
    }


def scaling_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Error and correlation at each place of each curve, and of what stands beside them."""
    places = sorted(dict.fromkeys(key[:4] for key in scaling_jobs(preset)), key=_in_order)
    for axis, place, how, name in places:
        found = {key[4]: run for key, run in runs.items() if key[:4] == (axis, place, how, name)}
        if place == "fewer":
            for share in SHARES:
                said = {seed: shown.Said(run.scores[f"predicted_{share:g}"], *(run.scores[one] for one in
                        ("true", "subject", "fold"))) for seed, run in found.items()}  # fmt: skip
                yield from shown.rows({"axis": axis, "place": share, "method": name, "how": how}, said)
        else:
            read = shown.said if how == FINE else lambda run: shown.read(run, AGE)
            said = {seed: read(run) for seed, run in found.items()}
            yield from shown.rows({"axis": axis, "place": place, "method": name, "how": how}, said)


def _in_order(place: tuple[str, Any, str, str]) -> tuple[int, float]:
    """Curve after curve, each from little to much; what stands beside them first."""
    axis, how_much, *_ = place
    return (BESIDE, PEOPLE, PICTURES, SOURCE, SUBJECTS).index(axis), 0.0 if isinstance(how_much, str) else how_much


def scaling_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """The error over people, pictures and labelled subjects; sources as points; scratch and untrained as lines.

    A panel for each of the four that was measured at two places or more.
    """
    rows = [row for row in artefact.rows if row.metric == "mae" and row.measured]
    places = {name: {row.keys["place"] for row in rows if row.keys["axis"] == name} for name in AXES}
    shown = [name for name in AXES if len(places[name]) > 1] or [PEOPLE]
    down, across = -(-len(shown) // 2), min(len(shown), 2)
    figure, axes = plt.subplots(down, across, figsize=(4 * across + 0.4, 3.2 * down + 0.3), sharey=True,
                                squeeze=False, layout="constrained")  # fmt: skip
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, shown, strict=False):
        some = [row for row in rows if row.keys["axis"] == name]
        lines = dict.fromkeys((row.keys["method"], row.keys["how"]) for row in some)
        for number, (method, how) in enumerate(lines):
            points = [(row.keys["place"], row.measured) for row in some
                      if (row.keys["method"], row.keys["how"]) == (method, how)]  # fmt: skip
            if name != SOURCE:
                points.sort(key=lambda point: float(point[0]))
            at = [SOURCES.get(place, str(place)) if name == SOURCE else float(place) for place, _ in points]
            axis.plot(at, [one.mean for _, one in points if one], marker=plots.MARKERS[number],
                      color=plots.PALETTE[number], linestyle="none" if name == SOURCE else "-",
                      label=f"{WORDS.get(method, method)}, {how}")  # fmt: skip
        if name != SUBJECTS:
            for row, style in ((row, style) for row in rows for style in (":", "--") if row.keys["axis"] == BESIDE):
                if (row.keys["method"], style) in (("scratch", "--"), ("untrained", ":")) and row.measured:
                    axis.axhline(row.measured.mean, color="0.4", linestyle=style, linewidth=1)
        if name == SOURCE:
            axis.tick_params(axis="x", labelrotation=20)
        elif there := sorted(map(float, places[name])):
            axis.set_xscale("log", base=2)
            axis.set_xticks(there, [f"{place:,g}" for place in there])
            axis.tick_params(axis="x", which="minor", length=0)
        axis.set_xlabel("share of the training subjects with a label" if name == SUBJECTS else name)
        if axis.get_legend_handles_labels()[1] and name in (PEOPLE, SUBJECTS):
            axis.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))  # above: points lie anywhere
    figure.supylabel("mean error on change of age, years", fontsize="medium")
    if shown != [SUBJECTS]:
        figure.supxlabel("dashed: from scratch, fine-tuned; dotted: untrained, features kept", fontsize=8)
    return figure


def scaling_found(artefact: Artefact) -> str:
    """The fewest and the most people, as kept features, beside an untrained network."""
    places = sorted(
        float(row.keys["place"]) for row in artefact.rows
        if row.keys["axis"] == PEOPLE and row.keys["how"] == RIDGE and row.metric == "mae" and row.measured
    )  # fmt: skip
    if not places:
        return ""

    def of(**keys: Key) -> str | None:
        one = measured(artefact.rows, "mae", keys)
        return digits(one.mean) if one else None

    numbers = {
        "few": of(axis=PEOPLE, place=int(places[0]), how=RIDGE),
        "all": of(axis=PEOPLE, place=int(places[-1]), how=RIDGE),
        "plain": of(axis=BESIDE, how=RIDGE, method="untrained"),
        "least": f"{places[0]:g}", "most": f"{places[-1]:g}",
    }  # fmt: skip
    return say(
        numbers,
        (len(places) > 1, "Kept features learnt from {least} people who do not exist err by {few} years, from {most}"),
        (len(places) > 1, "people by {all}."),
        (len(places) == 1, "Kept features learnt from {most} people who do not exist err by {all} years."),
        (numbers["plain"], "An untrained network errs by {plain}."),
    )


SCALING = Experiment(
    "comface_scaling", scaling_jobs, scaling_rows, scaling_figure, found=scaling_found,
    shape=Shape(
        down=("axis", "place"), across=("method", "how"), only={METRIC: "mae"},
        names={**WORDS, **SOURCES, BESIDE: "beside the curves", "axis": "what varies", "place": ""},
    ),
)  # fmt: skip
