"""ComFace's Table M, change of weight on two wards of relief-edema, and Tables L and I: fine-tuning in variations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.frozen import frozen_job, named_starts
from aifr_lib.experiments.comface.measured import DIRECTED, FINE, RIDGE, WORDS, Said, by_method
from aifr_lib.experiments.comface.pretraining import LAYER
from aifr_lib.experiments.comface.runs import Start, own_setting, starts, transfer_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Key, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

WARDS = {"edema-a": "EdemaA", "edema-b": "EdemaB"}
SETS: dict[Key, str] = {
    "edema-a": "first ward",
    "edema-b": "second ward",
    "edema-a-to-b": "first ward's models on the second",
}
TASKS = ("au6", "au12", "edema-a", "edema-b", "age")
COLUMNS = {
    "au6": ("corr", "AU6_corr"), "au12": ("corr", "AU12_corr"), "edema-a": ("accuracy", "EdemaA_acc"),
    "edema-b": ("accuracy", "EdemaB_acc"), "age": ("corr", "Age_corr"),
}  # fmt: skip
SAID: dict[Key, str] = {"au6": "AU6", "au12": "AU12", "age": "age", **SETS}
NOTE = "the paper's patients and photographs; ours are relief faces"
RunKey = tuple[Any, ...]


def weight_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Kept features, then the fine-tunings of the ledger on either ward."""
    settings = preset.comface
    readers = [one for one in named_starts(settings, settings.frozen) if one != "border"]
    named = [(one.name if isinstance(one, Start) else one, one) for one in readers]
    jobs: dict[RunKey, Job] = {
        (RIDGE, name, one.seed if isinstance(one, Start) else 0): frozen_job(settings, "weight", one, device)
        for name, one in named
    }
    for one, _ in starts(settings):
        if one.config is not None and (seeds is None or one.seed in seeds):
            jobs[RIDGE, one.name, one.seed] = frozen_job(settings, "weight", one, device)
    for ward in WARDS:
        for one, setting in starts(settings, ward):
            if (seeds is None or one.seed in seeds) and setting == own_setting(one):
                jobs[ward, one.name, one.seed] = transfer_job(settings, ward, one, setting, device)
    return jobs


def other_ward(run: Run) -> Said:
    """The four models of the first ward, each on all of the second: a fold each."""
    models, pairs = run.scores["other_predicted"].shape
    return Said(
        run.scores["other_predicted"].reshape(-1),
        np.tile(run.scores["other_true"], models),
        np.tile(run.scores["other_subject"], models),
        np.repeat(np.arange(models), pairs),
    )


def weight_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Error in kilograms, correlation, right direction; always lighter is right on half of both orders."""
    printed = {"comface": papers.load("comface_tableM").rows[1], "stablerep": papers.load("comface_tableM").rows[0]}
    names = dict.fromkeys(
        (*printed, "multi-positive", "scratch", *(name for ward in WARDS for name in by_method(runs, ward)))
    )
    for name in names:
        for ward, column in (*WARDS.items(), ("edema-a-to-b", "EdemaA2B")):
            theirs = printed.get(name, {})
            beside = {metric: theirs.get(f"{column}_{end}") for metric, end in
                      (("mae", "MAE"), ("corr", "corr"), ("accuracy", "acc"))}  # fmt: skip
            read = other_ward if ward == "edema-a-to-b" else shown.said
            found = by_method(runs, "edema-a" if ward == "edema-a-to-b" else ward).get(name, {})
            said = {seed: read(run) for seed, run in found.items()}
            yield from shown.rows(
                {"method": name, "how": FINE, "set": ward}, said, DIRECTED, beside, f"Table M: {NOTE}"
            )
    for name, by_seed in by_method(runs, RIDGE).items():
        for ward in WARDS:
            said = {seed: shown.read(run, ward) for seed, run in by_seed.items()}
            yield from shown.rows({"method": name, "how": RIDGE, "set": ward}, said, DIRECTED)


def weight_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """Error and direction by ward, fine-tuned and kept."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    rows = [row for row in artefact.rows if row.measured]
    names = list(dict.fromkeys((str(row.keys["method"]), str(row.keys["how"])) for row in rows))
    for axis, metric in zip(axes, ("mae", "accuracy"), strict=True):
        for number, ward in enumerate(SETS):
            some = [row for row in rows if row.metric == metric and row.keys["set"] == ward]
            at = [names.index((str(row.keys["method"]), str(row.keys["how"]))) + 0.2 * (number - 1) for row in some]
            colour = plots.PALETTE[number]
            axis.plot([row.measured.mean for row in some if row.measured], at, plots.MARKERS[number], color=colour,
                      label=SETS[ward], markersize=5)  # fmt: skip
            for place, row in zip(at, some, strict=True):
                if row.measured and row.measured.ci95:
                    axis.hlines(place, *row.measured.ci95, color=colour, alpha=0.6)
    axes[0].set_yticks(range(len(names)), [f"{WORDS.get(name, name)}, {how}" for name, how in names], fontsize=8)
    axes[0].invert_yaxis()
    axes[0].set_xlabel("mean error, kg")
    axes[1].set_xlabel("right direction, % of pairs")
    axes[1].axvline(50, color="0.5", linestyle=":", linewidth=1)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def weight_found(artefact: Artefact) -> str:
    """Whether comparing helped on the rendered patients, and what no learning reads."""

    def of(name: str, how: str, metric: str = "mae", ward: str = "edema-a") -> str | None:
        one = measured(artefact.rows, metric, {"method": name, "how": how, "set": ward})
        return digits(one.mean) if one else None

    ours, base, pixels = of("comface", FINE), of("scratch", FINE), of("pixels", RIDGE)
    numbers = {
        "ours": ours, "base": base, "pixels": pixels, "zero": of("zero", RIDGE),
        "right": of("comface", FINE, "accuracy"), "across": of("comface", FINE, "accuracy", "edema-a-to-b"),
    }  # fmt: skip
    return say(
        numbers,
        (
            ours and base,
            "Fine-tuned on rendered patients, ComFace errs by {ours} kg and a network from scratch by {base} kg.",
        ),
        (
            numbers["right"] and numbers["across"],
            "ComFace's direction is right in {right} % of the pairs, in {across} % on the second ward.",
        ),
        (pixels and numbers["zero"], "Colour pixels read by ridge err by {pixels} kg, saying no change by {zero} kg."),
    )


def varied_jobs(
    kind: str, preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[RunKey, Job]:
    """The fine-tunings of ComFace in the ledger, keyed by what is varied: setting (L) or encoder (I)."""
    settings = preset.comface
    jobs: dict[RunKey, Job] = {}
    for task in TASKS:
        for one, setting in starts(settings, task, ledger=(*settings.ledger, *settings.subsets)):
            main = one.name == "comface" and (seeds is None or one.seed in seeds)
            if main and kind == "setting" and one.encoder == settings.pretraining.encoder:
                jobs[setting, task, one.seed] = transfer_job(settings, task, one, setting, device)
            elif main and kind == "backbone" and setting == "d":
                jobs[one.encoder, task, one.seed] = transfer_job(settings, task, one, setting, device)
    return jobs


VARIED: dict[str, tuple[str, tuple[str, ...], dict[Key, str]]] = {
    "setting": ("comface_tableL", ("c", "d"), {"c": "(c) Backbone: Pre-trained, Linear: Scratch",
                                               "d": "(d) Backbone: Pre-trained, Linear: Pre-trained"}),
    "backbone": ("comface_tableI", ("resnet18", "resnet50", "resnet101", "vit-b-16"),
                 {"resnet18": "ResNet18", "resnet50": "ResNet50", "resnet101": "ResNet101", "vit-b-16": "ViT-B/16"}),
}  # fmt: skip


def varied_rows(kind: str, preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """One number a task, as the paper's table has it, beside mae and corr."""
    table, values, printed = VARIED[kind]
    theirs = {row[kind]: row for row in papers.load(table).rows}
    for value in values:
        for task in TASKS:
            said = {key[2]: shown.said(run) for key, run in runs.items() if key[:2] == (value, task)}
            metric, column = COLUMNS[task]
            beside = {metric: theirs[printed[value]][column]}
            yield from shown.rows(
                {kind: value, "task": task}, said, dict.fromkeys((metric, "mae")), beside,
                f"Table {table[-1]}: {NOTE}" if task != "age" else f"Table {table[-1]}: ResNet-50 at 224 pixels",
            )  # fmt: skip


def varied_found(kind: str, artefact: Artefact) -> str:
    """What was measured on change of age, beside each other."""
    _, values, printed = VARIED[kind]
    there = {value: one for value in values if (one := measured(artefact.rows, "mae", {kind: value, "task": "age"}))}
    names = {value: f"fine-tuning {LAYER[value]}" if kind == "setting" else printed[value] for value in there}
    errors = [f"{names[value]} errs by {digits(one.mean)} years" for value, one in there.items()]
    differ = any(apart(one, other) for one, other in combinations(there.values(), 2))
    return say(
        {"errors": listed(errors)},
        (len(errors) > 1, "On change of age {errors}."),
        (len(errors) > 1 and not differ, "No difference that these seeds can tell from chance."),
    )


TABLE_M = Experiment(
    "comface_tableM", weight_jobs, weight_rows, weight_figure, found=weight_found,
    shape=Shape(
        down=("method", "how"), across=("set", METRIC), names={**WORDS, **SETS},
    ),
)  # fmt: skip
TABLE_L, TABLE_I = (
    Experiment(
        VARIED[kind][0], partial(varied_jobs, kind), partial(varied_rows, kind), found=partial(varied_found, kind),
        shape=Shape(
            down=(kind,), across=("task",), only={METRIC: ("corr", "accuracy")},
            names={**WORDS, **SAID, **VARIED[kind][2]},
        ),
    )
    for kind in ("setting", "backbone")
)  # fmt: skip
