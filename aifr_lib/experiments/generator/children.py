"""Faces of children and decades: what every network at hand makes of FG-NET by the ages of the two photographs.

Nothing is embedded: the scores are those of the pages on photographs, and one more run says how old the people of each
pair are. So a network that is measured there stands here too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import GAP_NAMES, gap_bins, verification_list
from aifr_lib.evaluation.protocol_scores import IMPOSTORS
from aifr_lib.evaluation.verification import roc
from aifr_lib.experiments.available import SETS, data_id, missing_set
from aifr_lib.experiments.companion import real_photographs
from aifr_lib.experiments.generator import photo_real
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.protocol_rows import mean_over_people, over_people
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

ID = "children"
RECIPE, RECIPE_VERSION = "pair_ages", 1
DATA, PAIRS = "fgnet", "pairs"
FAR = 0.01
ACCEPTED, LET_IN = "TAR@FAR=1e-2", "let_in"
AGE_EDGES = (0, 5, 10, 18, 30, np.inf)
AGE_NAMES = ("0–4", "5–9", "10–17", "18–29", "30+")
LEAST = 5  # people behind a number; fewer are no interval
NETWORKS = {
    **real_photographs.NAMES,
    "relief": "small network, relief faces",
    "generator": "small network, generator's people",
}


def children_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The ages of the pairs, and the run of each network on FG-NET; nothing where the preset leaves FG-NET out.

    Of the trained networks it is the first seed's.
    """
    if DATA not in preset.real.datasets:
        return {}
    seed = seeds[0] if seeds else 0
    jobs = {PAIRS: Job(spec(preset, seed), lambda _: compute_run(preset, seed), lambda: missing_set(DATA))}
    measured_there = real_photographs.photograph_jobs(preset, [seed], device)
    jobs |= {embedder: job for (data, embedder), job in measured_there.items() if data == DATA}
    trained = photo_real.photo_real_jobs(preset, [seed], device)
    return jobs | {source: job for (source, data, _), job in trained.items() if data == DATA}


def spec(preset: Preset, seed: int) -> RunSpec:
    """What names the ages of the pairs: the photographs and the seed of the strangers."""
    values = {"data": DATA, "identities": preset.real.identities, "impostors": IMPOSTORS}
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=seed, values=values, data=data_id(DATA))


def compute_run(preset: Preset, seed: int) -> Result:
    """``pair_ages`` float [P, 2] and ``pair_a`` [P], in the order of ``photograph_pair_scores``; no picture is read."""
    started = time.perf_counter()
    table = SETS[DATA].table()
    if preset.real.identities is not None:
        table = table[table["identity"].isin(np.unique(table["identity"])[: preset.real.identities])]
    labels = table.reset_index(drop=True)
    pairs = verification_list(
        Images(DATA, SETS[DATA].VERSION, np.zeros((len(labels), 1, 1, 3), np.uint8), labels), seed=seed
    )
    age = labels["age"].to_numpy(dtype=np.float64)
    return Result(
        scores={
            "pair_ages": np.column_stack([age[pairs.a], age[pairs.b]]),
            "pair_a": labels["identity"].to_numpy()[pairs.a].astype(np.int32),
        },
        summary={"pairs": len(pairs.a), "people": int(labels["identity"].nunique())},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def children_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Of each network: what is accepted of one person at 1 % false accepts by age of the younger picture and years
    between, and which strangers of one age pass there. Intervals resample people; fewer than five have no cell.
    """
    ages = runs.get(PAIRS)
    for network in (one for one in NETWORKS if one in runs):
        if ages is not None:
            yield from _rows(runs[network].scores, ages.scores, {"embedder": network})


def _rows(scores: Mapping[str, np.ndarray], ages: Mapping[str, np.ndarray], keys: Mapping[str, str]) -> Iterator[Row]:
    same = scores["pair_same"]
    if not np.array_equal(ages["pair_a"], scores["pair_a"]):
        raise ValueError(f"the pairs of {keys['embedder']} are not those whose ages are known: run both again")
    genuine, strangers = scores["pair_score"][same].astype(np.float64), scores["impostor_score"].astype(np.float64)
    both = np.concatenate([genuine, strangers])
    threshold = roc(both, np.arange(len(both)) < len(genuine)).at(FAR).threshold
    accepted, people = genuine >= threshold, scores["pair_a"][same]
    younger, older = np.sort(ages["pair_ages"][same].astype(np.float64), axis=1).T
    age, gap = age_bins(younger), gap_bins(older - younger)
    for i, young in enumerate((*AGE_NAMES, "all")):
        for j, years in enumerate((*GAP_NAMES, "all")):
            cell = ((age == i) | (young == "all")) & ((gap == j) | (years == "all"))
            if len(np.unique(people[cell])) >= LEAST:
                named = {**keys, "younger": young, "gap": years}
                yield Row(
                    keys=named, metric=ACCEPTED, measured=mean_over_people(accepted[cell], people[cell], scale=100)
                )
                yield Row(keys=named, metric="pairs", measured=over_people(int(cell.sum())))
                yield Row(keys=named, metric="people", measured=over_people(len(np.unique(people[cell]))))
    let_in, a, b = strangers >= threshold, scores["impostor_a"], scores["impostor_b"]
    first, second = (age_bins(column) for column in scores["impostor_ages"].astype(np.float64).T)
    for i, name in enumerate(AGE_NAMES):
        cell = (first == i) & (second == i)
        if len(np.union1d(a[cell], b[cell])) >= LEAST:
            found = mean_over_people(let_in[cell], a[cell], b[cell], scale=100)
            yield Row(keys={**keys, "younger": name, "gap": "strangers"}, metric=LET_IN, measured=found)


def age_bins(ages: np.ndarray) -> np.ndarray:
    """The bin of AGE_EDGES for each age in years [P], int64; −1 where the age is not known."""
    return np.where(ages >= 0, np.searchsorted(AGE_EDGES, ages, side="right") - 1, -1)


def children_figure(artefact: Artefact) -> Figure:
    """Accepted pairs against the years between, a panel for each network and a curve for each younger one's age."""
    there = [one for one in NETWORKS if any(row.keys["embedder"] == one for row in artefact.rows)]
    across = min(3, max(1, len(there)))
    down = -(-max(1, len(there)) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(1 + 3.2 * across, 0.8 + 2.9 * down), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.ravel()[len(there) :]:
        axis.axis("off")
    for axis, network in zip(axes.ravel(), there, strict=False):
        for number, young in enumerate(AGE_NAMES):
            found = [
                measured(artefact.rows, ACCEPTED, {"embedder": network, "younger": young, "gap": gap})
                for gap in GAP_NAMES
            ]
            shift = 0.1 * (number - (len(AGE_NAMES) - 1) / 2)
            points = [(at + shift, one.mean, *(one.ci95 or (one.mean,) * 2)) for at, one in enumerate(found) if one]
            if points:
                x, y, low, high = np.array(points).T
                axis.errorbar(x, y, (y - low, high - y), label=young, color=plots.PALETTE[number],
                              marker=plots.MARKERS[number], markersize=5, capsize=2, linewidth=1)  # fmt: skip
        axis.set_title(NETWORKS[network], fontsize=10)
        axis.set(xticks=range(len(GAP_NAMES)), ylim=(-3, 103))
        axis.set_xticklabels(GAP_NAMES, fontsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel("accepted at 1 % false accepts, %", fontsize=9)
    for axis in axes.ravel()[: len(there)][-across:]:
        axis.set_xlabel("years between the two", fontsize=9)
        axis.tick_params(labelbottom=True)
    if there:
        handles, labels = axes[0][0].get_legend_handles_labels()
        title = "age in the younger photograph, years"
        figure.legend(handles, labels, title=title, loc="outside lower center", ncols=len(AGE_NAMES))
    return figure


def found(artefact: Artefact) -> str:
    """A small child against a grown person, at few years and at many, and which strangers pass, by the best network."""
    there = {row.keys["embedder"] for row in artefact.rows if row.measured}
    best = next((one for one in NETWORKS if one in there), "")

    def accepted(young: str, gap: str) -> str | None:
        one = measured(artefact.rows, ACCEPTED, {"embedder": best, "younger": young, "gap": gap})
        if one is None or one.ci95 is None:
            return None
        return f"{digits(one.mean)} % ({digits(one.ci95[0])} to {digits(one.ci95[1])})"

    near, grown = accepted("0–4", "0–4"), accepted("18–29", "0–4")
    grows, ages = accepted("0–4", "20–29"), accepted("18–29", "20–29")
    passes = [
        f"{digits(one.mean)} % of those of {name} years"
        for name in AGE_NAMES
        if (one := measured(artefact.rows, LET_IN, {"embedder": best, "younger": name}))
    ]
    return say(
        {"who": NETWORKS.get(best), "near": near, "grown": grown, "grows": grows, "ages": ages, "in": listed(passes)},
        (
            near and grown,
            "Of two photographs of one person less than five years apart, where one stranger in a hundred",
        ),
        (
            near and grown,
            "may pass, {who} accepts {near} with a child under five in the younger one, and {grown} with a",
        ),
        (near and grown, "person of 18 to 29."),
        (
            grows and ages,
            "Twenty to thirty years apart it accepts {grows} of those that start before five, and {ages} of",
        ),
        (grows and ages, "those that start at 18 to 29."),
        (passes, "At that one threshold it takes two strangers of like age for one person: {in}."),
    )


CHILDREN = Experiment(
    ID,
    children_jobs,
    children_rows,
    lambda artefact, _: children_figure(artefact),
    found=found,
    shape=Shape(
        down=("embedder", "younger"),
        across=("gap",),
        only={METRIC: (ACCEPTED, LET_IN)},
        names=dict([*NETWORKS.items(), ("younger", "younger at"), ("embedder", "network")]),
        grouped=True,
    ),
)
