"""Does the branch help across ages, and is it the branch? What the paper does not ask.

Two networks differ in the branch alone; others have something else in its place. All are trained with the same steps on
the same people, each at the best of the same rates, and scored across ages and near in age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.experiments.tml.scored import ADULT, CHILD, TEMPLATES
from aifr_lib.experiments.tml.trained import LISTS
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import Entry

WITHOUT, WITH = "without", "with"
ACROSS, NEAR, RANDOM = "relief-agedb", "relief-near", "relief-lfw"
Place = tuple[str, float | None, int]  # arm, a rate that was tried (None: the arm's own), seed


def arm_jobs(
    preset: Preset, ledger: Sequence[Entry], seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[Place, Job]:
    """The runs of a ledger in its order: of an arm with a rate of its own first all rates, with the first seed."""
    beyond, sweep, alpha = preset.beyond, preset.alpha_sweep, preset.verification.alpha
    places: list[Place] = []
    for entry in ledger:
        own = entry.seeds if seeds is None else tuple(seeds)
        apart = [arm for arm in entry.arms if beyond.arms[arm].lr is not None]
        places += [(arm, lr, own[0]) for arm, lr in product(apart, beyond.lrs)]
        places += [(arm, None, seed) for seed, arm in product(own, entry.arms)]
    return {
        (arm, lr, seed): trained.job(preset, beyond.training(sweep, alpha, arm, seed, lr), device)
        for arm, lr, seed in places
    }


def beyond_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """With the branch and without, what stands in its place, and twice the steps."""
    return arm_jobs(preset, preset.beyond.ledger, seeds, device)


def variant_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """Other branches, and maps of more cells."""
    return arm_jobs(preset, preset.beyond.variants, seeds, device)


def of_arm(runs: Mapping[Place, Run], arm: str, lr: float | None = None) -> dict[int, Run]:
    """The runs of one arm by seed, at its own rate or at one that was tried."""
    return {seed: run for (name, rate, seed), run in runs.items() if (name, rate) == (arm, lr)}


def beyond_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """By arm: accuracy and AUC on every set, on random pairs also by the years between the pictures, by whether one
    shows a child, and how much ten years more cost; how hard the branch pulls; and the rates that were tried.
    """
    yield from ledger_rows(preset, preset.beyond.ledger, runs)


def variant_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The same of other branches."""
    yield from ledger_rows(preset, preset.beyond.variants, runs)


def ledger_rows(preset: Preset, ledger: Sequence[Entry], runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The rows of every arm of a ledger."""
    for arm in dict.fromkeys(arm for entry in ledger for arm in entry.arms):
        found = {seed: run.summary for seed, run in of_arm(runs, arm).items()}
        yield from set_rows(arm, found)
        yield from age_rows(arm, found)
        yield from pull_rows(arm, found)
        if preset.beyond.arms[arm].lr is not None:
            yield from rate_rows(preset, arm, runs)


def set_rows(arm: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """Accuracy and AUC by set."""
    for name in (*LISTS, TEMPLATES):
        keys = {"arm": arm, "set": name}
        yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))
        yield Row(keys=keys, metric="auc", measured=over({seed: one["auc"][name] for seed, one in found.items()}))


def age_rows(arm: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """On random pairs, what depends on age."""
    seen = {seed: one["by_age"][RANDOM] for seed, one in found.items()}
    for what, parts in (("gap", GAP_NAMES), ("people", (CHILD, ADULT))):
        for part in parts:
            by_seed = {seed: one[what][part]["accuracy"] for seed, one in seen.items() if part in one[what]}
            keys = {"arm": arm, "set": RANDOM, what: part}
            yield Row(keys=keys, metric=f"accuracy_by_{what}", measured=over(by_seed))
    by_seed = {seed: one["slope"] for seed, one in seen.items()}
    yield Row(keys={"arm": arm, "set": RANDOM}, metric="slope", measured=over(by_seed))


def pull_rows(arm: str, found: Mapping[int, Mapping[str, Any]]) -> Iterator[Row]:
    """How hard the branch pulls at O_f, in % of the margin loss's pull, in the first and in the last tenth of training;
    nothing of an arm without a branch.
    """
    shares = {seed: one["slopes"] for seed, one in found.items() if "transformer" in one["slopes"]}
    for when in ("first", "last") if shares else ():
        by_seed = {}
        for seed, one in shares.items():
            count = max(1, len(one["step"]) // 10)
            part = slice(count) if when == "first" else slice(-count, None)
            by_seed[seed] = 100 * sum(one["transformer"][part]) / sum(one["margin"][part])
        yield Row(keys={"arm": arm, "tenth": when}, metric="pull", measured=over(by_seed))


def rate_rows(preset: Preset, arm: str, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Accuracy on validation people at each rate that was tried for an arm; no test person is looked at."""
    lists = chosen.lists_of(preset.alpha_sweep.train.relief, "validation").get("everyday", [])
    for lr, name in product(preset.beyond.lrs, lists):
        found = {seed: run.summary["validation"] for seed, run in of_arm(runs, arm, lr).items()}
        keys = {"arm": arm, "lr": lr, "set": f"{name}, validation"}
        yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))


def over(by_seed: Mapping[int, float]) -> Measured | None:
    """Mean and Student's t over seeds; None of none."""
    return student_t(by_seed) if by_seed else None


BEYOND = Experiment(
    "tml_beyond",
    beyond_jobs,
    beyond_rows,
    shape=Shape(down=("arm",), across=("set",), only={METRIC: "accuracy"}),
)
VARIANTS = Experiment(
    "tml_branch_variants",
    variant_jobs,
    variant_rows,
    shape=Shape(down=("arm",), across=("set",), only={METRIC: "accuracy"}),
)
