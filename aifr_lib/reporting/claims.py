"""Verdicts on the papers' claims, computed from artefacts: paired by seed, corrected within a paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import yaml
from pydantic import Field, model_validator

from aifr_lib.names import Strict, choose, validate
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.artefacts import UNJUDGED, Artefact, Outcome
from aifr_lib.reporting.comparisons import Comparison, Missing, Selector, compare
from aifr_lib.reporting.papers import Paper
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.seeds import Paired, holm, smallest_detectable

LEVEL = 0.05


class Claim(Strict):
    """What a paper says, as a comparison of rows.

    ``rows`` names what is compared, best first; where a rank is a list, each of its members holds that rank.
    ``metrics`` says which way a metric is better; ``each`` repeats the comparison with each of its selectors.
    ``kind``: ordering and chain want every rank better than the next; equality wants the two within
    ``margin`` of each other; gap wants their difference to be ``at_least`` or ``at_most`` so much.
    """

    id: str
    paper: Paper
    artefact: str
    source: str
    statement: str
    kind: Literal["ordering", "chain", "equality", "gap"]
    metrics: dict[str, Literal["higher", "lower"]] = Field(min_length=1)
    rows: list[Selector | list[Selector]] = Field(min_length=2)
    each: list[Selector] = Field([{}], min_length=1)
    unit: str = ""
    margin: float | None = Field(None, gt=0)
    at_least: float | None = None
    at_most: float | None = None
    seeds: int = Field(3, ge=3, description="fewer paired seeds make it exploratory")

    @model_validator(mode="after")
    def _whole(self) -> Claim:
        if self.kind in ("equality", "gap") and len(self.rows) != 2:
            raise ValueError(f"a claim of kind {self.kind} compares two ranks, got {len(self.rows)}")
        if (self.margin is not None) != (self.kind == "equality"):
            raise ValueError("margin belongs to an equality, and an equality needs one")
        bounds = sum(bound is not None for bound in (self.at_least, self.at_most))
        if bounds != (self.kind == "gap"):
            raise ValueError("a gap, and only a gap, has either at_least or at_most")
        return self


class Results(Protocol):
    """What is judged: the rows of an artefact at a preset."""

    @property
    def preset(self) -> str: ...

    @property
    def rows(self) -> Sequence[Row]: ...


@dataclass(frozen=True)
class Verdict:
    """``p`` is two-sided, after Holm; ``detectable`` the smallest true difference this design could see."""

    claim: Claim
    outcome: Outcome
    reason: str
    comparisons: tuple[Comparison, ...] = ()
    p: float | None = None
    detectable: float | None = None
    exploratory: bool = False

    @property
    def weakest(self) -> Comparison:
        """The comparison that says least for the claim. Errors: ValueError where nothing was compared."""
        return max(self.comparisons, key=lambda one: max(link.p_above for link in one.links))


@cache
def load() -> tuple[Claim, ...]:
    """Every claim of ``claims.yaml``. Errors: ConfigError that names the claim and key at fault."""
    path = Path(__file__).with_name("claims.yaml")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(validate(Claim, {"id": id, **claim}, f"{path.name}: {id}") for id, claim in values.items())


def find(id: str) -> Claim:
    """The claim of that id. Errors: ConfigError with the nearest id."""
    return choose("claim", id, {claim.id: claim for claim in load()})


def judge(claim: Claim, results: Mapping[str, Results]) -> Verdict:
    """The verdict on one claim alone, from artefacts by id."""
    return judge_together([claim], results)[0]


def judge_artefact(artefact: Artefact, root: str | Path | None = None) -> list[Verdict]:
    """Verdicts on the claims that speak of one artefact, as ``judge_all`` gives them, whether it is stored or not."""
    results = {**_stored(artefact.preset, root, but=artefact.id), artefact.id: artefact}
    return [verdict for verdict in judge_together(load(), results) if verdict.claim.artefact == artefact.id]


def judge_all(preset: str, root: str | Path | None = None) -> list[Verdict]:
    """A verdict on every claim, from the artefacts of a preset that are there and whole."""
    return judge_together(load(), _stored(preset, root))


def _stored(preset: str, root: str | Path | None, but: str | None = None) -> dict[str, Results]:
    results: dict[str, Results] = {}
    for id in {claim.artefact for claim in load()} - {but}:
        try:
            results[id] = artefacts.load(id, preset, root)
        except FileNotFoundError:
            continue
    return results


def judge_together(claims: Sequence[Claim], results: Mapping[str, Results]) -> list[Verdict]:
    """Verdicts in the order of ``claims``, with Holm's correction over all of a paper's claims, tested yet or not.

    A claim of several comparisons is supported when the weakest of them is (that needs no correction), and
    contradicted when one of them is reversed (Bonferroni over the comparisons).
    """
    verdicts = [_measure(claim, results.get(claim.artefact)) for claim in claims]
    for paper in {claim.paper for claim in claims}:
        family = sum(claim.paper == paper for claim in claims)
        tested = [i for i, one in enumerate(verdicts) if one.claim.paper == paper and one.p is not None]
        for i, p in zip(tested, holm([verdicts[i].p or 0.0 for i in tested], family), strict=True):
            verdicts[i] = _decide(verdicts[i], p, family)
    return verdicts


def overall(found: Iterable[Outcome]) -> Outcome:
    """One word for several verdicts: that of the claims that are tested where they agree, else mixed; none without
    any.
    """
    words = set(found)
    words = words - {"untested"} or words
    return "none" if not words else words.pop() if len(words) == 1 else "mixed"


def outcomes(preset: str, root: str | Path | None = None) -> dict[str, Outcome]:
    """One word for each table or figure that a claim speaks of, corrected over the whole paper."""
    found: dict[str, list[Outcome]] = {}
    for verdict in judge_all(preset, root):
        found.setdefault(verdict.claim.artefact, []).append(verdict.outcome)
    return {id: overall(words) for id, words in found.items()}


@dataclass(frozen=True)
class _Unwritten:
    preset: str
    rows: Sequence[Row]


def outcome(id: str, preset: str, rows: Sequence[Row], root: str | Path | None = None) -> Outcome:
    """One word for an artefact about to be written beside those that are there: the field ``verdict``."""
    if all(claim.artefact != id for claim in load()):
        return "none"
    results = {**_stored(preset, root, but=id), id: _Unwritten(preset, rows)}
    return overall(verdict.outcome for verdict in judge_together(load(), results) if verdict.claim.artefact == id)


def _measure(claim: Claim, results: Results | None) -> Verdict:
    """All but the decision: with ``p``, uncorrected, where the claim can be tested; else settled."""
    if results is None:
        return Verdict(claim, "untested", f"no results of {claim.artefact}")
    if results.preset in UNJUDGED:
        return Verdict(claim, "not_run", f"a {results.preset} run never gives a verdict")
    try:
        comparisons = tuple(compare(claim, results.rows))
    except Missing as error:
        return Verdict(claim, "untested", str(error))
    seeds = min(len(one.difference.seeds) for one in comparisons)
    if seeds < claim.seeds:
        reason = f"exploratory: {seeds} of the {claim.seeds} seeds that a verdict needs"
        detectable = _detectable(comparisons, LEVEL)
        return Verdict(claim, "inconclusive", reason, comparisons, None, detectable, exploratory=True)
    for_it, against = _p_values(comparisons)
    return Verdict(claim, "inconclusive", "", comparisons, min(1.0, 2 * min(for_it, against)))


def _p_values(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """One-sided: that every link holds (the weakest decides), and that some link is reversed (Bonferroni)."""
    links = [link for one in comparisons for link in one.links]
    return max(link.p_above for link in links), min(1.0, len(links) * min(link.p_below for link in links))


def _decide(verdict: Verdict, p: float, family: int) -> Verdict:
    for_it, against = _p_values(verdict.comparisons)
    word: Outcome = "inconclusive"
    if p < LEVEL:
        word = "supported" if for_it < against else "contradicted"
    one = verdict.weakest
    detectable = _detectable(verdict.comparisons, LEVEL / family)
    reason = (
        f"{one.label}: {_estimate(one.difference, verdict.claim.unit)}, p = {p:.2g} after Holm over {family} claims"
    )
    return replace(verdict, outcome=word, reason=reason, p=p, detectable=detectable)


def _detectable(comparisons: Sequence[Comparison], alpha: float) -> float | None:
    found = [
        smallest_detectable(one.difference.sd, len(one.difference.seeds), alpha=alpha)
        for one in comparisons
        if one.difference.sd is not None
    ]
    return max(found, default=None)


def _estimate(difference: Paired, unit: str) -> str:
    lo, hi = difference.ci95 or (math.nan, math.nan)
    return f"{difference.mean:+.3g} {unit}".rstrip() + f" [{lo:+.3g}, {hi:+.3g}] over {len(difference.seeds)} seeds"
