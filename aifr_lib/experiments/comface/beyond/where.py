"""Where in a face a change of age is seen: regions are made flat in both pictures, and the predicted change moves.

On drawn faces the renderer knows how much each pixel changes with a year, so the answer is scored. On photographs
nobody knows; there it stands as numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.stats import rankdata

from aifr_lib.data import change_tasks
from aifr_lib.data.change_tasks import AGE, both_orders, some, within
from aifr_lib.data.images import UNKNOWN, Images
from aifr_lib.data.relief.plan import MAX_PER_IDENTITY, VERSION, people
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.probes import ridge_change
from aifr_lib.experiments.comface.beyond.scaling import labelled_of
from aifr_lib.experiments.comface.frozen import frozen_job, reader_of
from aifr_lib.experiments.comface.measured import WORDS
from aifr_lib.experiments.comface.occlusion import AROUND, REGIONS, effects, regions
from aifr_lib.experiments.comface.runs import Start, pretraining_of, task_id
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces import align, relief
from aifr_lib.faces.relief import Faces
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Key, Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface
from aifr_lib.settings.presets import Preset
from aifr_lib.training import transfer

OCCLUDED, OCCLUDED_VERSION = "comface_occluded", 2
DRAWN, PHOTOGRAPHED = "drawn people", "the task's people"
TRUTH = "true change with a year"
SHARE, RANK = "share of the change, %", "rank correlation with the truth"
MOST = 400  # pairs of the task
PER_PERSON = 3  # pairs of a drawn person: ages apart by these steps of the range below
AGES = (12.0, 26.0, 40.0, 54.0)
NAMES: dict[Key, str] = {**WORDS, TRUTH: TRUTH, "on": "faces", DRAWN: DRAWN, PHOTOGRAPHED: "FG-NET or its stand-in"}
RunKey = tuple[str, int]


def drawn_pairs(count: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x and y, uint8 [P, S, S, 3], of test people who age while all else of the picture stays, and the truth [P, R]:
    each region's share of the change with a year (``faces.relief.sensitivity``, the mean of both ages), summing to 1.
    """
    numbers = people("test", count).repeat_interleave(len(AGES))
    ages = torch.tensor(AGES).repeat(count)
    faces = Faces.sample(numbers, ages, numbers * MAX_PER_IDENTITY)
    pixels = relief.render(faces, side, frame="aligned").numpy()
    change = relief.sensitivity(faces, "age", side, frame="aligned").numpy()
    masks = regions(side)
    summed = np.stack([change[:, masks[name]].sum(1) for name in REGIONS], axis=1)
    first = (np.arange(count)[:, None] * len(AGES) + np.arange(PER_PERSON)).ravel()
    truth = summed[first] + summed[first + 1]
    return pixels[first], pixels[first + 1], truth / np.maximum(truth.sum(1, keepdims=True), 1e-12)


def occluded_job(settings: Comface, one: Start | str, device: str | None = None) -> Job:
    """Kept features of one network, read by ridge on the first fold; regions flattened on its test pairs and on drawn
    people.

    scores: ``effect_drawn`` [P, R] and ``effect_task`` [Q, R] in years, ``truth`` [P, R], ``subject_drawn`` [P],
    ``subject_task`` [Q].
    """
    side, count = settings.pretraining.side, settings.drawn
    values = {
        "features": one.values() if isinstance(one, Start) else {"method": one},
        "side": side,
        "folds": [settings.age.folds, settings.age.validation],
        "tasks": settings.tasks.model_dump(mode="json"),
        "drawn": [count, list(AGES)],
        "relief": VERSION,
        "alignment": align.VERSION,
    }
    spec = RunSpec(
        recipe=OCCLUDED,
        recipe_version=OCCLUDED_VERSION,
        seed=one.seed if isinstance(one, Start) else 0,
        values=values,
        data=task_id(AGE, settings),
    )

    def compute(folder: Path, pretraining: Path | None = None) -> Result:
        started = time.perf_counter()
        task = change_tasks.load(AGE, settings.tasks, side)
        reader = reader_of(one, pretraining)
        predict = years_of(settings, task, reader)
        fold = transfer.folds(settings.age, task)[0]
        tested = some(task.tested, within(task.tested, fold.test))
        tested = some(tested, np.random.default_rng(0).permutation(len(tested))[:MOST])
        x, y, truth = drawn_pairs(count, side)
        pixels = task.images.pixels
        scores: dict[str, Any] = {
            "effect_drawn": effects(predict, x, y),
            "truth": truth,
            "subject_drawn": np.repeat(np.arange(count), PER_PERSON),
            "effect_task": effects(predict, np.asarray(pixels[tested.a]), np.asarray(pixels[tested.b])),
            "subject_task": task.subjects[tested.a],
        }
        return Result(scores, {}, "cpu", time.perf_counter() - started)

    needs = pretraining_of(one, device) if isinstance(one, Start) else {}
    return Job(spec, compute, frozen_job(settings, AGE, one, device).lacking, needs, leaves=())


def years_of(
    settings: Comface, task: change_tasks.Task, reader: Callable[[Images], np.ndarray]
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """d̂ in years of pictures [P, S, S, 3] twice, by ridge over kept features of the first fold's training people."""
    fold = transfer.folds(settings.age, task)[0]
    learnt = both_orders(some(task.learnt, within(task.learnt, fold.train)))
    held = both_orders(some(task.tested, within(task.tested, fold.validation)))
    w, _ = ridge_change(reader(task.images), learnt, held)

    def read(pixels: np.ndarray) -> np.ndarray:
        names = [str(number) for number in range(len(pixels))]
        labels = pd.DataFrame({"record": names, "identity": UNKNOWN, "age": np.nan})
        return reader(Images("pairs", "1", pixels, labels)).astype(np.float64) @ w

    return lambda x, y: read(y) - read(x)


def where_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """ComFace, an untrained network, ImageNet's and pixels."""
    settings = preset.comface
    return {
        (name, one.seed if isinstance(one, Start) else 0): occluded_job(settings, one, device)
        for name, one in labelled_of(settings, seeds).items()
    }


def where_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Each region's share of what moves d̂, on drawn people beside the truth; and how well the two agree in rank."""
    names = dict.fromkeys(key[0] for key in where_jobs(preset))
    truth = next(iter(runs.values())).scores if runs else None
    for number, region in enumerate(REGIONS):
        known = None if truth is None else _mean(100 * truth["truth"][:, number], truth["subject_drawn"])
        yield Row(keys={"method": TRUTH, "on": DRAWN, "region": region}, metric=SHARE, measured=known)
    for name in names:
        run = next((run for key, run in runs.items() if key[0] == name), None)
        for on, end in ((DRAWN, "drawn"), (PHOTOGRAPHED, "task")):
            effect = None if run is None else shares(run.scores[f"effect_{end}"])
            for number, region in enumerate(REGIONS):
                value = None
                if run is not None and effect is not None:
                    value = _mean(100 * effect[:, number], run.scores[f"subject_{end}"])
                yield Row(keys={"method": name, "on": on, "region": region}, metric=SHARE, measured=value)
        value = None
        if run is not None:
            rank = agreement(run.scores["effect_drawn"], run.scores["truth"])
            value = _mean(rank, run.scores["subject_drawn"])
        yield Row(keys={"method": name, "on": DRAWN, "region": "all regions"}, metric=RANK, measured=value)


def shares(effect: np.ndarray) -> np.ndarray:
    """|effect| of each region over the sum of a pair's, [P, R]; even where nothing moved."""
    size = np.abs(effect.astype(np.float64))
    total = size.sum(1, keepdims=True)
    return np.where(total > 1e-9, size / np.maximum(total, 1e-9), 1 / size.shape[1])


def agreement(effect: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Spearman's correlation over regions of |effect| and truth, pair by pair, [P]; 0 where either is flat."""
    ours, theirs = (rankdata(values, axis=1) for values in (np.abs(effect.astype(np.float64)), truth))
    ours, theirs = (one - one.mean(1, keepdims=True) for one in (ours, theirs))
    size = np.sqrt((ours**2).sum(1) * (theirs**2).sum(1))
    return np.where(size > 0, (ours * theirs).sum(1) / np.maximum(size, 1e-9), 0.0)


def _mean(values: np.ndarray, subject: np.ndarray) -> Measured:
    values = np.asarray(values, np.float64)
    low, high = mean_interval(values, subject)
    return Measured(mean=float(values.mean()), ci95=(float(low), float(high)), interval="identities")


def where_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """Bars a region: the truth, then each network; drawn people left, the task's people right."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), sharey=True, layout="constrained")
    rows = [row for row in artefact.rows if row.metric == SHARE and row.measured]
    names = list(dict.fromkeys(str(row.keys["method"]) for row in rows))
    for axis, on in zip(axes, (DRAWN, PHOTOGRAPHED), strict=True):
        for number, name in enumerate(names):
            place = {"on": on, "method": name}
            found = [row.measured.mean for row in rows if row.measured and place.items() <= row.keys.items()]
            at = np.arange(len(found)) + 0.8 * (number - (len(names) - 1) / 2) / len(names)
            colour = "0.3" if name == TRUTH else plots.PALETTE[number - 1]
            axis.bar(at, found, 0.8 / len(names), color=colour, label=NAMES.get(name, name))
        axis.set_xticks(range(len(REGIONS)), REGIONS, rotation=25, ha="right", rotation_mode="anchor")
        axis.set_title(NAMES[on])
    axes[0].set_ylabel(SHARE)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def where_found(artefact: Artefact) -> str:
    """How well what ComFace looks at agrees with what changes, and the largest regions of both."""

    def largest(method: str) -> str:
        place = {"on": DRAWN, "method": method}
        found = {region: measured(artefact.rows, SHARE, {**place, "region": region}) for region in REGIONS}
        rows = [(one.mean, region) for region, one in found.items() if one]
        return listed([f"{'' if name == AROUND else 'at the '}{name} ({share:.0f} %)"
                       for share, name in sorted(rows, reverse=True)[:2]])  # fmt: skip

    ranks = {name: measured(artefact.rows, RANK, {"method": name}) for name in ("comface", "untrained")}
    numbers = {name: one and digits(one.mean) for name, one in ranks.items()}
    return say(
        {**numbers, "true": largest(TRUTH), "seen": largest("comface")},
        (True, "On drawn people most of what changes with age lies {true}."),
        (numbers["comface"], "What moves ComFace's kept features most lies {seen}; over regions the two agree with a"),
        (numbers["comface"], "rank correlation of {comface}"),
        (numbers["comface"] and numbers["untrained"], "(an untrained network's {untrained})"),
        (numbers["comface"], "."),
    ).replace(" .", ".")


WHERE = Experiment(
    "comface_where", where_jobs, where_rows, where_figure, found=where_found,
    shape=Shape(down=("region",), across=("on", "method"), only={METRIC: SHARE}, names=NAMES),
)  # fmt: skip
