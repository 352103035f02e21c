"""The branch on another source of faces: trained on the offline generator's people, asked about photographs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.scored import ACCEPTED, AGES, RANK
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import METRICS, Key, Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining

Place = tuple[bool, int]  # with the branch, seed
NAMES: dict[Key, str] = {False: "loss alone", True: "with the branch", AGES: "the generator's people across ages"}


def source_training(preset: Preset, transformer: bool, seed: int) -> TransformerTraining:
    """A training on the generator's people: that of the page which compares sources, here with the branch too."""
    alpha = preset.verification.alpha if transformer else 0.0
    start = preset.alpha_sweep.training(alpha, seed)
    branch = start.model_dump(include={"alpha", "lr", "seed", "layers", "heads", "feedforward"})
    return TransformerTraining(train=preset.photo_real.generator.model_copy(update=branch))


def source_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """With the branch and without, by seed."""
    own = preset.beyond.source_seeds if seeds is None else seeds
    return {
        (on, seed): trained.job(preset, source_training(preset, on, seed), device)
        for seed, on in product(own, (False, True))
    }


def source_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Rank-1 and true acceptance by set of photographs, over all and by years between two of them, with the branch and
    without; what was not here when a network was scored stays without a number.
    """
    for name, on in product(preset.alpha_sweep.scored.photographs, (False, True)):
        found = {seed: run.summary["photographs"].get(name, {}) for (at, seed), run in runs.items() if at == on}
        keys = {"set": name, "transformer": on}
        for metric, by in ((RANK, "rank1_by_gap"), (ACCEPTED, "accepted_by_gap")):
            yield Row(keys=keys, metric=metric, measured=_over(found, "all", metric))
            for gap in GAP_NAMES:
                if one := _over(found, gap, metric):
                    yield Row(keys={**keys, "gap": gap}, metric=by, measured=one)


def _over(found: Mapping[int, Mapping[str, Any]], gap: str, metric: str) -> Measured | None:
    by_seed = {seed: one[gap][metric] for seed, one in found.items() if gap in one}
    return student_t(by_seed) if by_seed else None


def source_figure(artefact: Artefact) -> Figure:
    """A panel a set with ages: rank-1 against the years between two photographs, with the branch and without."""
    rows = [row for row in artefact.rows if row.metric == "rank1_by_gap" and row.measured]
    sets = list(dict.fromkeys(str(row.keys["set"]) for row in rows)) or [""]
    figure, axes = plt.subplots(1, len(sets), figsize=(5 * len(sets), 3.4), squeeze=False, sharey=True)
    for axis, name in zip(axes[0], sets, strict=True):
        for number, on in enumerate((False, True)):
            own = [row for row in rows if row.keys["set"] == name and row.keys["transformer"] is on]
            style = {"color": plots.PALETTE[2 + number], "marker": plots.MARKERS[number]}
            places = [GAP_NAMES.index(str(row.keys["gap"])) + 0.12 * number - 0.06 for row in own]
            means = [row.measured.mean for row in own if row.measured]
            axis.plot(places, means, label=NAMES[on], **style)
            for x, row in zip(places, own, strict=True):
                if row.measured and row.measured.ci95:
                    axis.vlines(x, *row.measured.ci95, color=style["color"], linewidth=2, alpha=0.6)
        axis.set_xticks(range(len(GAP_NAMES)), GAP_NAMES)
        axis.set(xlabel="years between two photographs", title=NAMES.get(name, in_words(name)))
    axes[0, 0].set_ylabel(METRICS[RANK])
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    return figure


def found(artefact: Artefact) -> str:
    """What the branch adds on each set of photographs."""
    told, sure = [], []
    for name in dict.fromkeys(str(row.keys["set"]) for row in artefact.rows):
        without, with_it = (measured(artefact.rows, RANK, {"set": name, "transformer": on}) for on in (False, True))
        if without and with_it:
            told.append(f"{NAMES.get(name, in_words(name))} {digits(with_it.mean)} % for {digits(without.mean)} %")
            sure.append(apart(with_it, without))
    return say(
        {"told": listed(told)},
        (
            told,
            "After training on the generator's people the nearest photograph is of the same person, with the branch",
        ),
        (told, "and without: {told}."),
        (told and not any(sure), "None of it can be told from chance."),
        (any(one > 0 for one in sure) and min(sure) >= 0, "Where chance can be told, the branch helps."),
        (any(one < 0 for one in sure) and max(sure) <= 0, "Where chance can be told, the branch hurts."),
        (sure and max(sure) > 0 > min(sure), "It helps on one set and hurts on another."),
    )


SOURCE = Experiment(
    "tml_second_source",
    source_jobs,
    source_rows,
    lambda artefact, _: source_figure(artefact),
    found=found,
    shape=Shape(down=("set", "transformer"), across=(METRIC,), only={METRIC: (RANK, ACCEPTED)}, names=NAMES),
)
