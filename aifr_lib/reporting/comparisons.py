"""The rows that a claim compares, found in an artefact: contrasts of its arms, with what names them in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field, model_validator

from aifr_lib.names import ConfigError, Strict
from aifr_lib.reporting.papers import Paper
from aifr_lib.reporting.rows import BEST, METRICS, UNDER, Key, Row, in_words
from aifr_lib.reporting.seeds import Estimate, Values, contrast, paired_contrast

# Which rows: an exact value or a list, of which each must be there. Several rows are averaged.
Selector = dict[str, Key | list[Key]]
# Keys that say what an arm is measured on. All others say which arm it is.
CONDITIONS = ("set", "task", "form", "people", "unit")
# Of these the value alone would say too little: "raw embeddings", "training people".
MEASURED_ON = {"form": "embeddings", "people": "people"}
# The gain that counts for nothing unless a claim says otherwise: this share of the base's error.
NO_GAIN = 0.05


class Claim(Strict):
    """What a paper says, as a comparison of rows.

    ``rows`` names what is compared, best first; where a rank is a list, each of its members holds that rank.
    ``metrics`` says which way a metric is better; ``each`` repeats the comparison with each of its selectors.
    ``kind``: ordering and chain want every rank better than the next; equality wants the two within
    ``margin`` of each other; gap wants their difference to be ``at_least`` or ``at_most`` so much; interaction
    wants the better rank's lead to be larger at the first of ``between`` than at the second.
    ``primary``: what the paper rests on, to be fixed before its runs. ``delta``: a gain that counts for nothing (by
    default 5 % of the base's error, where the metric has a best value). ``paired``: compared seed by seed. ``most``: of
    the columns that ``metrics`` and ``each`` make, in how many the ranks must hold ("best on most units").
    """

    id: str
    paper: Paper
    artefact: str
    source: str
    statement: str
    kind: Literal["ordering", "chain", "equality", "gap", "interaction"]
    metrics: dict[str, Literal["higher", "lower"]] = Field(min_length=1)
    rows: list[Selector | list[Selector]] = Field(min_length=2)
    each: list[Selector] = Field([{}], min_length=1)
    unit: str = ""
    margin: float | None = Field(None, gt=0)
    at_least: float | None = None
    at_most: float | None = None
    between: list[Selector] | None = Field(None, min_length=2, max_length=2)
    delta: float | None = Field(None, gt=0)
    most: int | None = Field(None, ge=1)
    primary: bool = False
    paired: bool = False
    seeds: int = Field(3, ge=3, description="fewer seeds of an arm make it exploratory")

    @model_validator(mode="after")
    def _whole(self) -> Claim:
        if self.kind in ("equality", "gap") and len(self.rows) != 2:
            raise ValueError(f"a claim of kind {self.kind} compares two ranks, got {len(self.rows)}")
        if (self.margin is not None) != (self.kind == "equality"):
            raise ValueError("margin belongs to an equality, and an equality needs one")
        bounds = sum(bound is not None for bound in (self.at_least, self.at_most))
        if bounds != (self.kind == "gap"):
            raise ValueError("a gap, and only a gap, has either at_least or at_most")
        if (self.between is not None) != (self.kind == "interaction"):
            raise ValueError("between belongs to an interaction, and an interaction needs it")
        if self.delta is not None and self.kind in ("equality", "gap"):
            raise ValueError(f"a claim of kind {self.kind} has a bound of its own and takes no delta")
        if self.most is not None and not self.most < len(self.metrics) * len(self.each):
            raise ValueError(f"most {self.most}: must be fewer than the {len(self.metrics) * len(self.each)} columns")
        return self


class Missing(Exception):
    """A row that a claim needs is not there or not measured."""


@dataclass(frozen=True)
class Comparison:
    """Two ranks compared: ``difference`` is the one named first minus the other, as the metric counts.

    ``links`` are the numbers that the claim says are above 0: the difference (turned round where lower is
    better), or its distances from the bounds that the claim sets. ``spare``: how far the gain stays below δ, which
    is ``delta`` (None where the claim has none). ``column``: the number of its metric and selector of ``each``.
    """

    label: str
    difference: Estimate
    links: tuple[Estimate, ...]
    delta: float | None = None
    spare: Estimate | None = None
    column: int = 0


def compare(claim: Claim, rows: Sequence[Row]) -> Iterator[Comparison]:
    """Every pair of neighbouring ranks, for each metric and each selector of ``each``. Errors: Missing."""
    ranks = [rank if isinstance(rank, list) else [rank] for rank in claim.rows]
    columns = itertools.product(claim.metrics.items(), claim.each)
    for column, ((metric, better), where) in enumerate(columns):
        for upper, lower in itertools.pairwise(ranks):
            for first, second in itertools.product(upper, lower):
                found = _compare(claim, rows, metric, 1 if better == "higher" else -1, (where, first, second))
                yield replace(found, column=column)


def _compare(
    claim: Claim, rows: Sequence[Row], metric: str, sign: int, selectors: tuple[Selector, Selector, Selector]
) -> Comparison:
    where, first, second = selectors
    measured_on: dict[tuple[tuple[str, Key], ...], float] = {}
    for turn, place in zip((1, -1), claim.between or [{}], strict=False):
        a, b = (_select(claim, rows, {**where, **place, **one}, metric) for one in (first, second))
        on = {_condition(row) for row in a}
        if on != {_condition(row) for row in b}:
            raise ConfigError(f"claim {claim.id}: its ranks are measured on different {', '.join(CONDITIONS)}")
        measured_on |= dict.fromkeys(on, turn / len(on))
    everyone = _arms(rows, metric, measured_on)
    weights: dict[tuple[tuple[str, Key], ...], float] = {}
    for side, chosen in ((1, a), (-1, b)):
        names = {_arm(row) for row in chosen}
        for name in names:
            weights[name] = weights.get(name, 0.0) + side / len(names)
    if not all(everyone[name] for name in weights):
        raise Missing(f"{said(first)} and {said(second)} share no seed over what is averaged")
    arms = {name: everyone[name] for name, weight in weights.items() if weight}
    factors = [weights[name] for name in arms]
    if claim.paired:
        if not set.intersection(*(set(arm) for arm in arms.values())):
            raise Missing(f"{said(first)} and {said(second)} share no seed")
        difference = paired_contrast(factors, list(arms.values()))
    else:
        others = [arm for name, arm in everyone.items() if name not in arms]
        difference = contrast(factors, list(arms.values()), others)
    delta = _delta(claim, metric, [everyone[_arm(row)] for row in b])
    gain = difference.turned(sign)
    return Comparison(
        f"{said(first)} against {said(second)} ({_where(where, claim.between, metric)})",
        difference,
        _links(claim, gain),
        delta,
        None if delta is None else gain.turned(-1, delta),
    )


def _links(claim: Claim, gain: Estimate) -> tuple[Estimate, ...]:
    """What the claim says is above 0. An equality is two one-sided tests against its margin."""
    if claim.margin is not None:
        bounds = [(1, claim.margin), (-1, claim.margin)]
    elif claim.at_least is not None:
        bounds = [(1, -claim.at_least)]
    elif claim.at_most is not None:
        bounds = [(-1, claim.at_most)]
    else:
        bounds = [(1, 0.0)]
    return tuple(gain.turned(sign, shift) for sign, shift in bounds)


def _delta(claim: Claim, metric: str, base: Sequence[Values]) -> float | None:
    """The claim's, or of an ordering by a metric with a best value 5 % of what its base is short of that."""
    if claim.kind in ("equality", "gap"):
        return None
    if claim.delta is not None or metric not in BEST or claim.kind == "interaction":
        return claim.delta
    mean = math.fsum(math.fsum(arm.values()) / len(arm) for arm in base) / len(base)
    return NO_GAIN * abs(BEST[metric] - mean)


def _select(claim: Claim, rows: Sequence[Row], selector: Selector, metric: str) -> list[Row]:
    """The rows selected, each of them measured."""
    lists = {key: wanted for key, wanted in selector.items() if isinstance(wanted, list)}
    chosen: list[Row] = []
    for values in itertools.product(*lists.values()):
        exact = {**selector, **dict(zip(lists, values, strict=True))}
        found = [row for row in rows if row.metric == metric and _fits(row, exact)]
        if not found:
            raise Missing(f"not measured: {said({**exact, 'metric': METRICS.get(metric, metric)})}")
        if len(found) > 1:
            raise ConfigError(f"claim {claim.id}: {len(found)} rows of {claim.artefact} with {_keys(exact)}")
        chosen += found
    for row in chosen:
        if row.measured is None:
            raise Missing(f"{'undefined' if row.undefined else 'not run'}: {said(row.keys)}")
        if not row.measured.per_seed:
            raise Missing(f"no values by seed for {said(row.keys)}")
    return chosen


def _arms(
    rows: Sequence[Row], metric: str, conditions: Mapping[tuple[tuple[str, Key], ...], float]
) -> dict[tuple[tuple[str, Key], ...], dict[int, float]]:
    """By seed, of each arm that is measured under all the conditions, its values there weighted and added up."""
    found: dict[tuple[tuple[str, Key], ...], dict[tuple[tuple[str, Key], ...], Values]] = {}
    for row in rows:
        if row.metric == metric and row.measured and row.measured.per_seed and _condition(row) in conditions:
            found.setdefault(_arm(row), {})[_condition(row)] = row.measured.per_seed
    return {
        arm: {
            seed: math.fsum(weight * values[name][seed] for name, weight in conditions.items())
            for seed in set.intersection(*(set(by_seed) for by_seed in values.values()))
        }
        for arm, values in found.items()
        if values.keys() == conditions.keys()
    }


def _condition(row: Row) -> tuple[tuple[str, Key], ...]:
    return tuple(sorted((key, value) for key, value in row.keys.items() if key in CONDITIONS))


def _arm(row: Row) -> tuple[tuple[str, Key], ...]:
    return tuple(sorted((key, value) for key, value in row.keys.items() if key not in CONDITIONS))


def _fits(row: Row, selector: Mapping[str, Key | list[Key]]) -> bool:
    return all(key in row.keys and row.keys[key] == wanted for key, wanted in selector.items())


def _keys(selector: Mapping[str, Key | list[Key]]) -> str:
    return ", ".join(f"{key} {wanted}" for key, wanted in selector.items())


def said(selector: Mapping[str, Key | list[Key]]) -> str:
    """A selector in words: "transformer arcface", "α = 0.4", "without transformer", "the mean over α = 0.1 to 0.9"."""
    return ", ".join(_said(key, wanted) for key, wanted in selector.items())


def _said(key: str, wanted: Key | list[Key]) -> str:
    name = in_words(key)
    if isinstance(wanted, list):
        if all(isinstance(one, int | float) for one in wanted) and len(wanted) > 2:
            return f"the mean over {name} = {wanted[0]:g} to {wanted[-1]:g}"
        return "the mean over " + " and ".join(_said(key, one) for one in wanted)
    if isinstance(wanted, bool):
        return f"{'with' if wanted else 'without'} {name}"
    if isinstance(wanted, str):
        if wanted in UNDER.get(key, {}):
            return UNDER[key][wanted]
        return f"{wanted} {MEASURED_ON[key]}" if key in MEASURED_ON else in_words(wanted)
    return f"{name} = {wanted:g}"


def _where(where: Selector, between: Sequence[Selector] | None, metric: str) -> str:
    parts = [said(where), " less ".join(map(said, between or ())), METRICS.get(metric, metric)]
    return ", ".join(part for part in parts if part)
