"""TML Tables II and III: margin losses with the branch and without, across ages, near in age, turned, and in templates.

What is trained is scored on every set by a run of its own, so that trainings are shared with the sweep over α.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.templates import LEAST_ACCEPTS
from aifr_lib.evaluation.verification import roc, ten_fold
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import say
from aifr_lib.reporting.rows import METRICS, Key, Row, in_words, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import PairList, Relief
from aifr_lib.training import recognition
from aifr_lib.training.engine import accelerator_for

RECIPE, RECIPE_VERSION = "verification_sets", 1
TRAINED, SCORED = "trained", "scored"
Place = tuple[str, str, bool, int]  # which of the two, base, with the branch, seed
LISTS: tuple[PairList, ...] = get_args(PairList)
TEMPLATES = "relief-ijb"
FARS = (1e-1, 1e-2, 1e-3, 1e-4)
# The tables' sets and the columns that they stand in for. Pairs of LFW are near in age; its own random ones are not.
TABLE_II = {"relief-near": "LFW", "relief-agedb": "AgeDB", "relief-calfw": "CALFW", "relief-lfw": None}
TABLE_III = {"relief-cplfw": "CPLFW", "relief-cfpfp": "CFPFP", TEMPLATES: None}
NAMES: dict[Key, str] = {"cosface": "CosFace", "arcface": "ArcFace", "adaface": "AdaFace", "transformer": "the branch",
                         True: "with", False: "without"}  # fmt: skip
FOLDS = 10


@dataclass(frozen=True)
class Table:
    """One of the two: the file of its printed numbers, what the paper calls it, and the column of each set."""

    id: str
    name: str
    columns: Mapping[str, str | None]


II, III = Table("tml_table2", "Table II", TABLE_II), Table("tml_table3", "Table III", TABLE_III)


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """All that is trained, in the order of the bases, each followed by its scores on every set."""
    asked = preset.verification
    made: dict[Place, Job] = {}
    for name, base in asked.bases.items():
        for seed, transformer in product(base.seeds if seeds is None else seeds, (False, True)):
            config = asked.training(preset.alpha_sweep, name, transformer, seed)
            trained = recognise.job(config, device)
            made[TRAINED, name, transformer, seed] = trained
            made[SCORED, name, transformer, seed] = scored_job(
                config, trained, asked.templates, asked.impostors, device
            )
    return made


def scored_job(config: Recognition, trained: Job, people: int, impostors: int, device: str | None = None) -> Job:
    """One trained network on every list of pairs and on templates; see ``score``."""
    counts = [config.relief.test_identities, config.relief.test_per_identity, config.relief.pairs]
    values = {
        "network": trained.spec.key,
        "lists": list(LISTS),
        "counts": counts,
        "templates": people,
        "impostors": impostors,
    }
    spec = RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=config.seed,
        values=values,
        data=sets_of(config.relief, people),
    )

    def compute(folder: Path, network: Path) -> Result:
        return score(config, network, people, impostors, device)

    return Job(spec, compute, needs={"network": trained}, leaves=())


@cache
def sets_of(faces: Relief, people: int) -> DataId:
    """The faces of ``score``, named; kept, since all networks see the same."""
    scored = recognise.data_of(faces.model_copy(update={"pair_lists": LISTS}), "relief", "test")
    templates = relief.set_digest(TEMPLATES, size=faces.size, identities=people)
    return scored.model_copy(update={"hash": f"{scored.hash}-{templates}"})


def score(config: Recognition, folder: Path, people: int, impostors: int, device: str | None = None) -> Result:
    """The network that a training left in ``folder``, on every list of ``LISTS`` and on the templates of ``people``.

    summary: ``accuracy`` in % and its ``interval`` by list; of templates over as many impostor pairs as genuine ones
    (ours: IJB is measured by ``tar``, in % by false accept rate, of all pairs). scores: the cosines.
    """
    started = time.perf_counter()
    where = str(accelerator_for(device, "no").device)
    network, _ = recognition.load(folder / "weights.safetensors")
    every = config.model_copy(update={"relief": config.relief.model_copy(update={"pair_lists": LISTS})})
    scores, summary = recognise.score(network, every, where)
    images = relief.load_set(TEMPLATES, size=config.relief.size, identities=people)
    embeddings = embed(network, images, input_hw=config.input_hw, device=where, progress=True)
    pairs = relief.templates(images, impostors=impostors)
    found = protocol_scores.template_scores(images, embeddings, pairs)
    accuracy, interval = even_accuracy(found["score"], found["same"], found["people"])
    summary["accuracy"][TEMPLATES], summary["interval"][TEMPLATES] = accuracy, interval
    curve, strange = roc(found["score"].astype(np.float64), found["same"]), int((~found["same"]).sum())
    summary["tar"] = {f"{far:g}": 100 * curve.at(far).tar for far in FARS if far * strange >= LEAST_ACCEPTS}
    return Result({**scores, TEMPLATES: found["score"]}, summary, where, time.perf_counter() - started)


def even_accuracy(scores: np.ndarray, same: np.ndarray, people: np.ndarray) -> tuple[float, list[float]]:
    """Accuracy in % over all genuine pairs of templates and as many impostor pairs, evenly taken from their list, and
    its 95 % interval; ten folds in turn (P1's rule; inferred, since IJB has none).

    scores, same, people: [P], as ``protocol_scores.template_scores`` gives them.
    """
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
    taken = impostor[np.linspace(0, len(impostor) - 1, len(genuine)).round().astype(int)]
    rows = np.stack([genuine, taken], 1).ravel()
    cosines = np.clip(scores[rows].astype(np.float64), -1, 1)
    result = ten_fold(cosines, same[rows], np.arange(len(rows)) // 2 % FOLDS, convention="cosine")
    # A genuine pair is resampled with its person; an impostor pair stands for itself.
    whose = np.where(same[rows], people[rows], people.max() + 1 + np.arange(len(rows)))
    ends = mean_interval(result.correct, whose)
    return result.accuracy, [100 * end for end in ends]


def rows_of(table: Table) -> Callable[[Preset, Mapping[Place, Run]], Iterator[Row]]:
    """The rows of a table: accuracy by base, with the branch and without, and set; of templates the rates too."""

    def rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
        for base, name, transformer in product(preset.verification.bases, table.columns, (False, True)):
            found = {seed: run.summary for (kind, at, on, seed), run in runs.items()
                     if (kind, at, on) == (SCORED, base, transformer)}  # fmt: skip
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
        (len(points) > 1, "{where} the branch adds between {low} and {high} points to its losses:"),
        (len(points) == 1, "{where} the branch adds {low} points to its loss:"),
        (points, "better beyond chance in {up} of {all}, worse in {down}."),
    )


def table2_found(artefact: Artefact) -> str:
    """Across ages, then near in age."""
    across = said(artefact, ("relief-agedb", "relief-calfw"), "Across ages")
    return " ".join(filter(None, (across, said(artefact, ("relief-near",), "Near in age"))))


def table3_found(artefact: Artefact) -> str:
    """Turned heads, then templates."""
    turned = said(artefact, ("relief-cplfw", "relief-cfpfp"), "On turned heads")
    return " ".join(filter(None, (turned, said(artefact, (TEMPLATES,), "On templates of mixed quality"))))


def gains_figure(artefact: Artefact) -> Figure:
    """A panel a set: each base without the branch and with it, means, intervals, a dot a seed."""
    rows = [row for row in artefact.rows if row.metric == "accuracy"]
    sets = list(dict.fromkeys(str(row.keys["set"]) for row in rows))
    bases = list(dict.fromkeys(str(row.keys["base"]) for row in rows))
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
