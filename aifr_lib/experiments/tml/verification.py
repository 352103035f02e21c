"""TML Tables II and III: margin losses with the branch and without, across ages, near in age, turned, and in templates.

The runs of ArcFace are those of the sweep over α: every run is scored on every set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.scored import FARS, TEMPLATES
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import say
from aifr_lib.reporting.rows import METRICS, Key, Row, in_words, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining

Place = tuple[str, bool, int]  # base, with the branch, seed
# The tables' sets and the columns that they stand in for. Pairs of LFW are near in age; its own random ones are not.
TABLE_II = {"relief-near": "LFW", "relief-agedb": "AgeDB", "relief-calfw": "CALFW", "relief-lfw": None}
TABLE_III = {"relief-cplfw": "CPLFW", "relief-cfpfp": "CFPFP", TEMPLATES: None}
NAMES: dict[Key, str] = {"cosface": "CosFace", "arcface": "ArcFace", "adaface": "AdaFace", "transformer": "the branch",
                         True: "with", False: "without"}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One of the two: the file of its printed numbers, what the paper calls it, and the column of each set."""

    id: str
    name: str
    columns: Mapping[str, str | None]


II, III = Table("tml_table2", "Table II", TABLE_II), Table("tml_table3", "Table III", TABLE_III)


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """All that is trained, in the order of the bases."""
    asked = preset.verification
    return {
        (name, transformer, seed): trained.job(
            preset, TransformerTraining(train=asked.training(preset.alpha_sweep, name, transformer, seed)), device
        )
        for name, base in asked.bases.items()
        for seed, transformer in product(base.seeds if seeds is None else seeds, (False, True))
    }


def rows_of(table: Table) -> Callable[[Preset, Mapping[Place, Run]], Iterator[Row]]:
    """The rows of a table: accuracy by base, with the branch and without, and set; of templates the rates too."""

    def rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
        for base, name, transformer in product(preset.verification.bases, table.columns, (False, True)):
            found = {seed: run.summary for (at, on, seed), run in runs.items() if (at, on) == (base, transformer)}
            keys = {"base": base, "transformer": transformer, "set": name}
            beside = printed(table, base, transformer, table.columns[name])
            yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name), **beside)
            if name == TEMPLATES:
                yield from rates(table, base, transformer, found)

    return rows


def rates(table: Table, base: str, transformer: bool, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """Shares of genuine pairs of templates that are accepted, at each false accept rate that the impostors can show."""
    shown = sorted({far for one in found.values() for far in one["tar"]}, key=float, reverse=True)
    for far in shown or [f"{FARS[-1]:g}"]:
        measured = student_t({seed: one["tar"][far] for seed, one in found.items()}) if found else None
        beside = printed(table, base, transformer, "IJBB") if float(far) == FARS[-1] else {}
        keys = {"base": base, "transformer": transformer, "set": f"{TEMPLATES}, FAR {far}"}
        yield Row(keys=keys, metric="tar", measured=measured, **beside)


def printed(table: Table, base: str, transformer: bool, column: str | None) -> dict[str, Any]:
    """The paper's number of a loss on the first training set that it is printed for, or on the one that ``base`` names;
    Table III's rotated row as its flag corrects it. Empty where the table has no such column or cell.
    """
    loss, _, named = base.partition("-")
    lines = [row for row in papers.load(table.id).rows if (row["base"], row["transformer"]) == (loss, transformer)]
    line = next((row for row in lines if str(row["train_data"]).lower().startswith(named)), None)
    if column is None or line is None or line[column] is None:
        return {}
    source, number = f"{table.name}: {line['loss']} on {line['train_data']}, {column}", line[column]
    for flag in papers.load(table.id).flags:
        if flag.corrected and flag.where == f"{line['train_data']}/{line['loss']} row":
            source += f", printed {number:g} in a row whose cells are shifted" if isinstance(number, float) else ""
            number = flag.corrected[column]
    return {"paper": number, "paper_source": source}


def printed_gains() -> dict[str, list[float]]:
    """By column of Table II, what the branch gains in each of the paper's five pairs, as a share of the error in %."""
    lines = papers.load(II.id).rows
    gains: dict[str, list[float]] = {}
    for plain, branch in zip(lines[::2], lines[1::2], strict=True):
        for column in filter(None, II.columns.values()):
            before, after = float(str(plain[column])), float(str(branch[column]))
            gains.setdefault(column, []).append(100 * (after - before) / (100 - before))
    return gains


def added(artefact: Artefact) -> dict[tuple[str, str], tuple[float, int]]:
    """By base and set, the points that the branch adds, and whether that is beyond chance (1, −1, or 0)."""
    found = {}
    for row in artefact.rows:
        if row.metric == "accuracy" and row.keys["transformer"] is False:
            base, name = str(row.keys["base"]), str(row.keys["set"])
            branch = measured(artefact.rows, "accuracy", {"base": base, "set": name, "transformer": True})
            if row.measured and branch:
                found[base, name] = branch.mean - row.measured.mean, apart(branch, row.measured)
    return found


def said(artefact: Artefact, sets: Sequence[str], where: str) -> str:
    """How the branch does on some sets: the range of what it adds, and in how many it is beyond chance."""
    points = [one for (_, name), one in added(artefact).items() if name in sets]
    sizes, signs = [size for size, _ in points], [sign for _, sign in points]
    numbers = {"where": where, "all": len(points), "up": signs.count(1), "down": signs.count(-1)}
    numbers |= {"low": f"{min(sizes):+.2f}", "high": f"{max(sizes):+.2f}"} if points else {}
    return say(
        numbers,
        (len(points) > 1, "{where} the branch adds between {low} and {high} points:"),
        (len(points) == 1, "{where} the branch adds {low} points:"),
        (points and any(signs), "better beyond chance in {up} of {all} comparisons, worse in {down}."),
        (points and not any(signs), "no difference that can be told from chance."),
    )


def table2_found(artefact: Artefact) -> str:
    """Across ages, then near in age."""
    across = said(artefact, ("relief-agedb", "relief-calfw"), "Across ages")
    return " ".join(filter(None, (across, said(artefact, ("relief-near",), "Near in age"), alone(artefact))))


def table3_found(artefact: Artefact) -> str:
    """Turned heads, then templates."""
    turned = said(artefact, ("relief-cplfw", "relief-cfpfp"), "On turned heads")
    return " ".join(
        filter(None, (turned, said(artefact, (TEMPLATES,), "On templates of mixed quality"), alone(artefact)))
    )


def alone(artefact: Artefact) -> str:
    """Where one base alone was trained with the branch and without, which."""
    there = list(dict.fromkeys(base for base, _ in added(artefact)))
    base = NAMES.get(there[0], there[0]) if len(there) == 1 else ""
    return f"This speaks of {base} alone: no other loss has been trained both ways yet." if base else ""


def gains_figure(artefact: Artefact) -> Figure:
    """A panel a set: each base without the branch and with it, means, intervals, a dot a seed."""
    rows = [row for row in artefact.rows if row.metric == "accuracy"]
    sets = list(dict.fromkeys(str(row.keys["set"]) for row in rows))
    bases = list(dict.fromkeys(str(row.keys["base"]) for row in rows if row.measured))
    figure, axes = plt.subplots(1, len(sets), figsize=(3.2 * len(sets), 3.6), squeeze=False)
    for axis, name in zip(axes[0], sets, strict=True):
        for row in (row for row in rows if row.keys["set"] == name and row.measured):
            assert row.measured is not None
            branch = bool(row.keys["transformer"])
            x, colour = bases.index(str(row.keys["base"])) + 0.2 * branch - 0.1, plots.PALETTE[int(branch)]
            axis.plot(x, row.measured.mean, plots.MARKERS[int(branch)], color=colour)
            if row.measured.ci95:
                axis.vlines(x, *row.measured.ci95, color=colour, linewidth=2, alpha=0.6)
            dots = list(row.measured.per_seed.values())
            axis.scatter([x] * len(dots), dots, s=10, color=colour, alpha=0.5, linewidths=0)
        axis.set_xticks(range(len(bases)), [NAMES.get(base, base) for base in bases], fontsize=8)
        axis.set_title(in_words(name), fontsize=9)
        axis.set_xlim(-0.5, len(bases) - 0.5)
    axes[0, 0].set_ylabel(METRICS["accuracy"])
    figure.text(0.5, 0.0, "round: without the branch; square: with it", ha="center", va="top", fontsize=8.5)
    figure.tight_layout()
    return figure


TABLE2 = Experiment(
    "tml_table2",
    jobs,
    rows_of(II),
    lambda artefact, _: gains_figure(artefact),
    found=table2_found,
    shape=Shape(down=("base", "transformer"), across=("set",), names=NAMES),
)
TABLE3 = Experiment(
    "tml_table3",
    jobs,
    rows_of(III),
    lambda artefact, _: gains_figure(artefact),
    found=table3_found,
    shape=Shape(down=("base", "transformer"), across=("set",), names=NAMES),
)
