"""The branch on another source of faces: trained on the offline generator's people, asked about photographs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.scored import ACCEPTED, RANK
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining

Place = tuple[bool, int]  # with the branch, seed


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
        for gap, metric in product(("all", *GAP_NAMES), (RANK, ACCEPTED)):
            by_seed = {seed: one[gap][metric] for seed, one in found.items() if gap in one}
            if by_seed or gap == "all":
                keys = {"data": name, "transformer": on, "gap": gap}
                yield Row(keys=keys, metric=metric, measured=student_t(by_seed) if by_seed else None)


SOURCE = Experiment(
    "tml_second_source",
    source_jobs,
    source_rows,
    shape=Shape(down=("data", "transformer"), across=(METRIC,), only={"gap": "all"}),
)
