"""The rows that a claim compares, found in an artefact and paired by seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aifr_lib.names import ConfigError
from aifr_lib.reporting.rows import Key, Row
from aifr_lib.reporting.seeds import Paired, one_sample

if TYPE_CHECKING:
    from aifr_lib.reporting.claims import Claim


# Which rows: an exact value or a list, of which each must be there. Several rows are averaged seed by seed.
Selector = dict[str, Key | list[Key]]


class Missing(Exception):
    """A row that a claim needs is not there or not measured."""


@dataclass(frozen=True)
class Comparison:
    """Two ranks compared: ``difference`` is the one named first minus the other, as the metric counts.

    ``links`` are the numbers whose means the claim says are above 0: the difference (turned round where lower is
    better), or its distances from the bounds that the claim sets.
    """

    label: str
    difference: Paired
    links: tuple[Paired, ...]


def compare(claim: Claim, rows: Sequence[Row]) -> Iterator[Comparison]:
    """Every pair of neighbouring ranks, for each metric and each selector of ``each``. Errors: Missing."""
    ranks = [rank if isinstance(rank, list) else [rank] for rank in claim.rows]
    for metric, better in claim.metrics.items():
        for where in claim.each:
            for upper, lower in itertools.pairwise(ranks):
                for first, second in itertools.product(upper, lower):
                    sign = 1 if better == "higher" else -1
                    a, b = (_select(claim, rows, {**where, **one}, metric) for one in (first, second))
                    shared = sorted(a.keys() & b.keys())
                    if not shared:
                        raise Missing(f"{_name(first)} and {_name(second)} share no seed")
                    values = {seed: a[seed] - b[seed] for seed in shared}
                    gained = {seed: sign * value for seed, value in values.items()}
                    label = f"{_name(first)} against {_name(second)} ({_name({**where, 'metric': metric})})"
                    yield Comparison(label, one_sample(values), _links(claim, gained))


def _links(claim: Claim, values: Mapping[int, float]) -> tuple[Paired, ...]:
    """What the claim says is above 0, seed by seed. An equality is two one-sided tests against its margin."""
    if claim.margin is not None:
        bounds = [(1, claim.margin), (-1, claim.margin)]
    elif claim.at_least is not None:
        bounds = [(1, -claim.at_least)]
    elif claim.at_most is not None:
        bounds = [(-1, claim.at_most)]
    else:
        bounds = [(1, 0.0)]
    return tuple(one_sample({seed: sign * x + shift for seed, x in values.items()}) for sign, shift in bounds)


def _select(claim: Claim, rows: Sequence[Row], selector: Selector, metric: str) -> dict[int, float]:
    """Value by seed of the rows selected; several rows are averaged over the seeds that all of them have."""
    lists = {key: wanted for key, wanted in selector.items() if isinstance(wanted, list)}
    chosen: list[Row] = []
    for values in itertools.product(*lists.values()):
        exact = {**selector, **dict(zip(lists, values, strict=True))}
        found = [row for row in rows if row.metric == metric and _fits(row, exact)]
        if not found:
            raise Missing(f"no row with {_name({**exact, 'metric': metric})}")
        if len(found) > 1:
            raise ConfigError(f"claim {claim.id}: {len(found)} rows of {claim.artefact} with {_name(exact)}")
        chosen += found
    by_seed = []
    for row in chosen:
        if row.measured is None:
            raise Missing(f"the run is missing for {_name(row.keys)}")
        if not row.measured.per_seed:
            raise Missing(f"no values by seed for {_name(row.keys)}")
        by_seed.append(row.measured.per_seed)
    seeds = set.intersection(*(set(values) for values in by_seed))
    return {seed: math.fsum(values[seed] for values in by_seed) / len(by_seed) for seed in seeds}


def _fits(row: Row, selector: Mapping[str, Key | list[Key]]) -> bool:
    return all(key in row.keys and row.keys[key] == wanted for key, wanted in selector.items())


def _name(selector: Mapping[str, Key | list[Key]]) -> str:
    parts = []
    for key, wanted in selector.items():
        if isinstance(wanted, list):
            wanted = ", ".join(map(str, wanted))
        parts.append(f"{key} {wanted}")
    return ", ".join(parts)
