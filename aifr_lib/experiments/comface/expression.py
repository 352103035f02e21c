"""ComFace's Tables J and K: change of action units by linear evaluation, on relief-disfa."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from aifr_lib.data import change_tasks
from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.measured import METRICS, WORDS, by_method
from aifr_lib.experiments.comface.runs import Start, pretraining_of, scored, start, starts, task_id
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, digits, listed, say
from aifr_lib.reporting.rows import Key, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface, Entry
from aifr_lib.settings.presets import Preset
from aifr_lib.training import linear, transfer

LINEAR, LINEAR_VERSION = "comface_linear", 1
UNITS = ("au1", "au2", "au4", "au5", "au9", "au17", "au20", "au25")  # Table J's
MAIN = ("au6", "au12")  # Table K's
CAPITALS: dict[Key, str] = {unit: unit.upper() for unit in (*UNITS, *MAIN)}
SETTINGS: dict[Key, str] = {
    "a": "a: layer from scratch",
    "b": "b: pre-trained layer",
    "b-rescaled": "b, its unit fitted first",
}
PRINTED = {
    "imagenet": "ImageNet [10]", "vggface2": "VGGFace2 [4]", "simclr": "SimCLR [7]", "moco": "MoCo v2 [8, 14]",
    "swav": "SwAV [5]", "barlow-twins": "Barlow Twins [32]", "bulat": "Bulat et al. [3]", "farl": "FaRL [34]",
    "pcl": "PCL [19]", "comface": "ComFace (Ours)",
}  # fmt: skip
RunKey = tuple[str, str, int]


def linear_job(settings: Comface, one: Start, setting: str, device: str | None = None) -> Job:
    """Layers of all ten action units over one network's frozen features, every fold at all rates.

    scores: for each unit T ``predicted_T_whole``, ``true_T``, ``subject_T``, ``fold_T``. summary: ``rate``, ``epoch``
    and ``validation`` (mae) by unit and fold.
    """
    config = settings.linear.model_copy(update={"setting": setting[0], "linear_rescale": setting == "b-rescaled"})
    units = change_tasks.GROUPS["expression"]
    spec = RunSpec(
        recipe=LINEAR,
        recipe_version=LINEAR_VERSION,
        seed=one.seed,
        values={
            "start": one.values(),
            "transfer": config.model_dump(mode="json"),
            "frame_pairs": settings.tasks.frame_pairs,
            "units": list(units),
        },
        data=task_id(units[0], settings),
    )

    def compute(folder: Path, pretraining: Path | None = None) -> Result:
        started = time.perf_counter()
        side = settings.pretraining.side
        # Of few frames some unit may never move: it is measured all the same, and correlates with nothing.
        tasks = [change_tasks.load(unit, settings.tasks, side, still=True) for unit in units]
        images, comparer = tasks[0].images, one.comparer(pretraining)
        views = [linear.view_features(config, comparer, images, view, one.seed) for view in range(config.views)]
        plain = linear.plain_features(comparer, images)
        values = np.stack([task.values for task in tasks], axis=1)
        found = []
        for fold in transfer.folds(config, tasks[0]):
            begun = transfer.layered(config, comparer, one.seed)
            if config.linear_rescale:
                transfer.rescaled(begun, tasks[-1], fold, 1.0)
            layer = begun.linear.weight[0].detach().to(torch.float32)
            found.append(
                linear.evaluate_linear(
                    config,
                    views,
                    plain,
                    values,
                    tasks[0].subjects,
                    [task.tested for task in tasks],
                    fold,
                    layer,
                    one.seed,
                )
            )
        scores = {}
        for number, task in enumerate(tasks):
            pairs = list(transfer.tested_in(task, transfer.folds(config, task)))
            kept = scored(task, pairs, [fold.predicted[number] for fold in found])
            scores[f"predicted_{task.name}_whole"] = kept.pop("predicted")
            scores |= {f"{name}_{task.name}": value for name, value in kept.items()}
        summary = {
            what: {unit: [float(getattr(fold, name)[k]) for fold in found] for k, unit in enumerate(units)}
            for what, name in (("rate", "rate"), ("epoch", "epoch"), ("validation", "mae"))
        }
        return Result(scores, summary, "cpu", time.perf_counter() - started)

    return Job(spec, compute, one.lacking, pretraining_of(one, device), leaves=())


def linear_starts(settings: Comface, seeds: Sequence[int] | None) -> Iterator[Start]:
    """What is evaluated: each pre-training of the ledger, ImageNet's network, and an untrained one."""
    plain = [Entry(method=method, seeds=(0,)) for method in ("scratch", "imagenet") if _asked(settings, method)]
    found = [start(settings, entry, seed) for entry in plain for seed in entry.seeds]
    for one in dict.fromkeys([*found, *(one for one, _ in starts(settings) if one.config is not None)]):
        if seeds is None or one.seed in seeds:
            yield one


def _asked(settings: Comface, method: str) -> bool:
    return method == "scratch" or any(entry.method == method for entry in settings.ledger) or method in settings.frozen


def units_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Setting (a) of every network."""
    settings = preset.comface
    return {("a", one.name, one.seed): linear_job(settings, one, "a", device) for one in linear_starts(settings, seeds)}


def layer_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Settings (a) and (b), and (b) with its unit fitted first, of ComFace; (a) of its rivals (C.4)."""
    jobs, settings = units_jobs(preset, seeds, device), preset.comface
    for one in linear_starts(settings, seeds):
        if one.name == "comface":
            jobs |= {
                (kind, one.name, one.seed): linear_job(settings, one, kind, device) for kind in ("b", "b-rescaled")
            }
    return jobs


def units_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Correlation by unit, each method that is printed or was run."""
    printed = {row["method"]: row for row in papers.load("comface_tableJ").rows}
    found = by_method(runs, "a")
    for name in dict.fromkeys((*PRINTED, *found)):
        for unit in UNITS:
            theirs = printed[PRINTED[name]].get(unit.upper()) if name in PRINTED else None
            said = {seed: shown.read(run, unit) for seed, run in found.get(name, {}).items()}
            yield from shown.rows(
                {"method": name, "unit": unit}, said, ("corr",), {"corr": theirs},
                "Table J: DISFA, real expressions; ours are relief faces",
            )  # fmt: skip


def layer_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Error and correlation of AU6 and AU12 by setting; of (b) beside each rival's (a)."""
    printed = {row["setting"]: row for row in papers.load("comface_tableK").rows}
    source = "Table K: DISFA, real expressions; ours are relief faces"
    for kind in SETTINGS:
        found = by_method(runs, str(kind)).get("comface", {})
        for unit in MAIN:
            row = printed.get(f"({kind})", {})
            theirs = {"mae": row.get(f"{unit.upper()}_MAE"), "corr": row.get(f"{unit.upper()}_corr")}
            said = {seed: shown.read(run, unit) for seed, run in found.items()}
            yield from shown.rows({"method": "comface", "setting": kind, "task": unit}, said, METRICS, theirs, source)
    for name, by_seed in by_method(runs, "a").items():
        if name != "comface":
            for unit in MAIN:
                said = {seed: shown.read(run, unit) for seed, run in by_seed.items()}
                yield from shown.rows({"method": name, "setting": "a", "task": unit}, said)


def units_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """Correlation by unit, a marker for each method that was run."""
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    names = list(dict.fromkeys(str(row.keys["method"]) for row in artefact.rows if row.measured))
    for number, name in enumerate(names):
        found = {str(row.keys["unit"]): row.measured for row in artefact.rows if row.keys["method"] == name}
        at = np.arange(len(UNITS)) + 0.7 * ((number + 0.5) / max(1, len(names)) - 0.5)
        colour, marker = plots.PALETTE[number % len(plots.PALETTE)], plots.MARKERS[number % len(plots.MARKERS)]
        values = [one.mean if (one := found.get(unit)) else np.nan for unit in UNITS]
        axis.plot(at, values, marker, color=colour, label=WORDS.get(name, name))
        for place, unit in zip(at, UNITS, strict=True):
            if (one := found.get(unit)) and one.ci95:
                axis.vlines(place, *one.ci95, color=colour, alpha=0.6)
    axis.axhline(0, color="0.5", linewidth=1)
    axis.set_xticks(range(len(UNITS)), [unit.upper() for unit in UNITS])
    axis.set(xlabel="action unit", ylabel="correlation of predicted and true change")
    if names:
        axis.legend(fontsize=8, ncols=3)
    return figure


def units_found(artefact: Artefact) -> str:
    """The mean over the units that have a correlation, of ComFace and of the best of the others.

    Of a unit that does not move in some fold there is none, whoever reads it.
    """
    known = {
        (str(row.keys["method"]), str(row.keys["unit"])): row.measured.mean
        for row in artefact.rows
        if row.metric == "corr" and row.measured
    }
    units = [unit for unit in UNITS if ("comface", unit) in known]
    names = dict.fromkeys(name for name, _ in known)
    means = {
        name: float(np.mean([known[name, unit] for unit in units]))
        for name in names
        if units and all((name, unit) in known for unit in units)
    }
    ours, others = means.get("comface"), {name: value for name, value in means.items() if name != "comface"}
    best = max(others, key=others.__getitem__) if others else None
    still = [unit.upper() for unit in UNITS if unit not in units]
    return say(
        {
            "ours": ours is not None and digits(ours), "best": best and WORDS.get(best, best),
            "value": best and digits(others[best]), "units": counted(len(units), "action unit"), "still": listed(still),
        },
        (ours is not None, "Over {units} of relief faces ComFace's frozen features reach a mean correlation of"),
        (ours is not None, "{ours}."),
        (ours is not None and best, "The best of the others, {best}, reaches {value}."),
        (ours is not None and still, "Of {still} there is no correlation: not every fold sees it move."),
    )  # fmt: skip


def layer_found(artefact: Artefact) -> str:
    """Which of the two ways has the smaller error, and whether the unit explains it."""
    mae = {
        kind: [
            one.mean
            for unit in MAIN
            if (one := measured(artefact.rows, "mae", {"method": "comface", "setting": kind, "task": unit}))
        ]
        for kind in SETTINGS
    }
    full = all(len(values) == len(MAIN) for values in mae.values())
    mean = {kind: float(np.mean(values)) for kind, values in mae.items()} if full else {}
    return say(
        {str(kind).replace("-", "_"): digits(value) for kind, value in mean.items()},
        (
            full,
            "With a fresh layer the mean error on AU6 and AU12 is {a} levels, with the pre-trained one {b}, and",
        ),
        (full, "{b_rescaled} where its unit is fitted first."),
    )


TABLE_J = Experiment(
    "comface_tableJ", units_jobs, units_rows, units_figure, found=units_found,
    shape=Shape(down=("method",), across=("unit",), names={**WORDS, **CAPITALS}),
)  # fmt: skip
TABLE_K = Experiment(
    "comface_tableK", layer_jobs, layer_rows, found=layer_found,
    shape=Shape(
        down=("method", "setting"), across=("task", METRIC),
        names={**WORDS, **SETTINGS, **CAPITALS},
    ),
)  # fmt: skip
