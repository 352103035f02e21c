"""Students by the years between two pictures, and what that accuracy costs (ours)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.experiments.aad import cost, tables
from aifr_lib.experiments.aad.students import Key, entry_of, values
from aifr_lib.experiments.aad.tables import ACROSS, STUDENT, TEACHER, by_student, over, students
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

RANDOM = "relief-lfw"  # the one list whose pairs lie any number of years apart
DRAWN = ("teacher", "self", "l2", "ad", "aad")


def gaps_rows(preset: Preset, runs: Mapping[Key, Run]) -> Iterator[Row]:
    """By backbone, variant and years between the pictures: accuracy and AUC of random relief pairs, and accuracy, AUC
    and leave-one-out rank-1 of photographs with ages.
    """
    aad, summaries = preset.aad, by_student(runs)
    for (backbone, variant), gap in product(students(aad), GAP_NAMES):
        found = summaries.get((backbone, variant), {})
        keys = {"backbone": backbone, "variant": variant, "gap": gap}
        for metric in ("accuracy", "auc"):
            one = over(values(found, "gaps", RANDOM, gap, metric))
            yield Row(keys={**keys, "set": RANDOM}, metric=metric, measured=one)
        for name in (name for name in aad.protocols.photographs if name == "fgnet"):
            for metric in ("accuracy", "auc"):
                one = over(values(found, "photographs", name, "pairs", gap, metric))
                yield Row(keys={**keys, "set": name}, metric=metric, measured=one)
            ranked = over(values(found, "photographs", name, "rank1_gaps", gap))
            yield Row(keys={**keys, "set": name}, metric="rank1", measured=ranked)


def gaps_figure(artefact: Artefact) -> Figure:
    """A curve a variant of the first student, and one of the teacher, against the years between two pictures."""
    panels = {"relief-lfw": "random relief pairs", "fgnet": "FG-NET, photographs"}
    there = [name for name in panels if any(row.keys["set"] == name and row.measured for row in artefact.rows)]
    figure, axes = plt.subplots(1, max(1, len(there)), figsize=(5 * max(1, len(there)) + 1, 4), squeeze=False)
    for axis, name in zip(axes[0], there, strict=False):
        for number, variant in enumerate(DRAWN):
            rows = {row.keys["gap"]: row.measured for row in artefact.rows if row.metric == "accuracy"
                    and row.keys["set"] == name and row.keys["variant"] == variant
                    and (variant == TEACHER or row.keys["backbone"] == STUDENT)}  # fmt: skip
            means = [found.mean if (found := rows.get(gap)) else np.nan for gap in GAP_NAMES]
            axis.plot(GAP_NAMES, means, color=plots.PALETTE[number], marker=plots.MARKERS[number],
                      label=in_words(variant))  # fmt: skip
        axis.set(title=panels[name], xlabel="years between the two pictures", ylabel=METRICS["accuracy"])
    axes[0, -1].legend()
    figure.tight_layout()
    return figure


def gaps_found(artefact: Artefact) -> str:
    """How much a student loses over the years, alone and taught."""
    lost: dict[str, Measured] = {}
    for variant in ("self", "aad"):
        keys = {"backbone": STUDENT, "variant": variant, "set": RANDOM}
        near, far = (measured(artefact.rows, "accuracy", {**keys, "gap": gap}) for gap in (GAP_NAMES[0], GAP_NAMES[-1]))
        if near and far:
            seeds = near.per_seed.keys() & far.per_seed.keys()
            if found := over({seed: near.per_seed[seed] - far.per_seed[seed] for seed in seeds}):
                lost[variant] = found
    both = len(lost) == 2
    less = apart(lost["self"], lost["aad"]) if both else 0
    return say(
        {name: digits(one.mean) for name, one in lost.items()},
        (
            "self" in lost,
            "Of random relief pairs, those thirty years apart and more cost a student alone {self} points",
        ),
        ("self" in lost, "of accuracy against those less than five years apart."),
        (both, "With AAD they cost {aad}:"),
        (both and less > 0, "less, so AAD gains more the more years lie between."),
        (both and less < 0, "more, so AAD gains less the more years lie between."),
        (both and not less, "no difference that these seeds can tell from chance."),
    )


def pareto_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Any, Job]:
    """The students of Table II, and what they cost."""
    trained = {("trained", *key): job for key, job in tables.jobs(preset, seeds, device).items()}
    return {("cost", *key): job for key, job in cost.cost_jobs(preset).items()} | trained


def pareto_rows(preset: Preset, runs: Mapping[Any, Run]) -> Iterator[Row]:
    """By backbone and variant: multiply-adds at test in millions, accuracy across ages, and whether no other student is
    both cheaper and better (1) or one is (0). A student whose cost was not counted has no accuracy for its cost.
    """
    summaries = by_student({key[1:]: run for key, run in runs.items() if key[0] == "trained"})
    points: dict[tuple[str, str], tuple[float, float]] = {}
    for backbone, variant in (key for key in students(preset.aad) if key[1] != TEACHER):
        entry = entry_of(preset.aad, backbone)
        keys = {"backbone": backbone, "variant": variant, "length": entry.length}
        counted = runs.get(("cost", backbone, variant))
        adds = None if counted is None else over({0: counted.summary["multiply_adds"] / 1e6})
        found = adds and over(values(summaries.get((backbone, variant), {}), "accuracy", ACROSS))
        yield Row(keys=keys, metric="multiply_adds", measured=adds)
        yield Row(keys={**keys, "set": ACROSS}, metric="accuracy", measured=found)
        if adds and found:
            points[backbone, variant] = (adds.mean, found.mean)
    for backbone, variant in front(points):
        yield Row(keys={"backbone": backbone, "variant": variant}, metric="on the front", measured=over({0: 1.0}))


def front(points: Mapping[Any, tuple[float, float]]) -> list[Any]:
    """Those of (cost, accuracy) that no other beats in both, from cheap to dear.

    >>> front({"a": (1.0, 80.0), "b": (2.0, 79.0), "c": (3.0, 90.0)})
    ['a', 'c']
    """
    best, found = float("-inf"), []
    for name, (_, accuracy) in sorted(points.items(), key=lambda point: (point[1][0], -point[1][1])):
        if accuracy > best:
            best = accuracy
            found.append(name)
    return found


def pareto_figure(artefact: Artefact) -> Figure:
    """Accuracy across ages against multiply-adds at test: a dot a student, a line along those that none beats."""
    figure, axis = plt.subplots(figsize=(9, 4.4), layout="constrained")
    points: dict[tuple[Any, Any], tuple[float, float]] = {}
    backbones: list[Any] = []
    for row in artefact.rows:
        if row.metric == "accuracy" and row.measured:
            keys = {name: row.keys[name] for name in ("backbone", "variant")}
            adds = measured(artefact.rows, "multiply_adds", keys)
            if adds:
                points[keys["backbone"], keys["variant"]] = (adds.mean, row.measured.mean)
                backbones = list(dict.fromkeys([*backbones, keys["backbone"]]))
    ranked = sorted(points.items(), key=lambda point: -point[1][1])
    for number, ((backbone, variant), (x, y)) in enumerate(ranked):
        marker = plots.MARKERS[backbones.index(backbone) % len(plots.MARKERS)]
        label = f"{in_words(backbone)}, {in_words(variant)}"
        axis.plot(x, y, marker, color=plots.PALETTE[number % len(plots.PALETTE)], label=label)
    best = [points[name] for name in front(points)]
    if best:
        axis.plot(*np.array(best).T, color="0.6", linewidth=1, zorder=0)
    axis.set(xlabel=METRICS["multiply_adds"], ylabel=f"{METRICS['accuracy']}\n(relief pairs 30 years apart)")
    figure.legend(fontsize=8, loc="outside right center", title="from the most accurate down", title_fontsize=8)
    return figure


GAPS = Experiment(
    "aad_gaps",
    tables.jobs,
    gaps_rows,
    lambda artefact, _: gaps_figure(artefact),
    found=gaps_found,
    shape=Shape(
        down=("backbone", "variant"),
        across=("set", "gap"),
        only={METRIC: "accuracy"},
        names={gap: f"{gap} years" for gap in GAP_NAMES},
    ),
)
PARETO = Experiment(
    "aad_pareto",
    pareto_jobs,
    pareto_rows,
    lambda artefact, _: pareto_figure(artefact),
    shape=Shape(down=("backbone", "variant"), across=(METRIC,)),
)
