"""Verdicts on the papers' claims, computed from artefacts; what a paper rests on is corrected apart from the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from aifr_lib.names import choose, validate
from aifr_lib.reporting import artefacts, papers
from aifr_lib.reporting.artefacts import UNJUDGED, Artefact, Outcome
from aifr_lib.reporting.comparisons import Claim, Comparison, Missing, compare
from aifr_lib.reporting.prose import counted, digits, signs
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.seeds import LEVEL, SPREADS_LEVEL, Estimate, holm_steps

NOTHING = 5e-5  # what the adding up of means leaves where two are equal


class Results(Protocol):
    """What is judged: the rows of an artefact at a preset."""

    @property
    def preset(self) -> str: ...

    @property
    def rows(self) -> Sequence[Row]: ...


@dataclass(frozen=True)
class Verdict:
    """``p`` is two-sided and raw; ``step`` is what Holm multiplies it by among a family of ``family`` claims."""

    claim: Claim
    outcome: Outcome
    reason: str
    comparisons: tuple[Comparison, ...] = ()
    p: float | None = None
    step: int = 1
    family: int = 1
    exploratory: bool = False

    @property
    def corrected(self) -> float | None:
        """``p`` after Holm's correction: below .05 just where the claim is decided for or against."""
        return None if self.p is None else min(1.0, self.step * self.p)

    @property
    def times(self) -> int:
        """What the p of one of its comparisons is multiplied by: Holm's step, and where u of n columns must hold,
        n − u + 1 besides (``_p_values``).
        """
        spare = len(_columns(self.claim, self.comparisons)) - self.claim.most if self.claim.most else 0
        return self.step * (spare + 1)

    @property
    def alpha(self) -> float:
        """The level that goes with it: of the intervals, and of what could have been seen."""
        return LEVEL / self.times

    @property
    def weakest(self) -> Comparison:
        """The comparison that decides how far the claim holds: the one that says least for it, of the columns that must
        hold. Errors: ValueError where nothing was compared.
        """

        def doubt(one: Comparison) -> float:
            return max(link.p_above for link in one.links)

        if not self.comparisons:
            raise ValueError(f"claim {self.claim.id}: nothing was compared")
        columns = _columns(self.claim, self.comparisons)
        return sorted((max(column, key=doubt) for column in columns), key=doubt)[(self.claim.most or 1) - 1]


@cache
def load() -> tuple[Claim, ...]:
    """Every claim of every paper. Errors: ConfigError that names file, claim and key at fault."""
    return tuple(
        validate(Claim, {"id": id, "paper": part.paper, **claim}, f"{part.path}: {id}")
        for part in papers.parts()
        for id, claim in part.claims.items()
    )


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
    root = root or artefacts.figures_root(preset)  # no checkout is an error, no results in one are none
    for id in {claim.artefact for claim in load()} - {but}:
        try:
            results[id] = artefacts.load(id, preset, root)
        except FileNotFoundError:
            continue
    return results


def judge_together(claims: Sequence[Claim], results: Mapping[str, Results]) -> list[Verdict]:
    """Verdicts in the order of ``claims``. Holm corrects a paper's primary claims among themselves at .05, and all its
    others among themselves, tested yet or not.

    A claim of several comparisons is supported when the weakest of them is (that needs no correction), and
    contradicted when one of them is reversed (Bonferroni over the comparisons). Where it is neither, and each of
    its intervals ends below δ, there is no gain above δ.
    """
    verdicts = [_measure(claim, results.get(claim.artefact)) for claim in claims]
    for family in {(claim.paper, claim.primary) for claim in claims}:
        members = [i for i, claim in enumerate(claims) if (claim.paper, claim.primary) == family]
        tested = [i for i in members if verdicts[i].p is not None]
        steps = holm_steps([verdicts[i].p or 0.0 for i in tested], len(members))
        for i, step in zip(tested, steps, strict=True):
            verdicts[i] = _decide(replace(verdicts[i], step=step, family=len(members)))
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
    if results is not None and results.preset in UNJUDGED:
        return Verdict(claim, "not_run", f"a {results.preset} run never gives a verdict")
    if results is None or not any(row.measured for row in results.rows):
        return Verdict(claim, "untested", "its experiment has not been run here")
    try:
        comparisons = tuple(compare(claim, results.rows))
    except Missing as error:
        return Verdict(claim, "untested", str(error))
    seeds = min(one.difference.seeds for one in comparisons)
    if seeds < claim.seeds:
        reason = f"exploratory: {seeds} of the {claim.seeds} seeds that a verdict needs"
        return Verdict(claim, "inconclusive", reason, comparisons, exploratory=True)
    for_it, against = _p_values(claim, comparisons)
    return Verdict(claim, "inconclusive", "", comparisons, min(1.0, 2 * min(for_it, against)))


def _p_values(claim: Claim, comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """One-sided: that every link holds (the weakest decides), and that some link is reversed (Bonferroni).

    A claim of ``most`` of its columns asks both of each column, then whether u of n hold: (n − u + 1) times the u-th
    smallest p of the columns, valid however they depend (Benjamini and Heller, Biometrics 2008); that fewer hold is
    that n − u + 1 are reversed.
    """
    columns = [[link for one in column for link in one.links] for column in _columns(claim, comparisons)]
    holds = sorted(max(link.p_above for link in links) for links in columns)
    turned = sorted(min(1.0, len(links) * min(link.p_below for link in links)) for links in columns)
    most = claim.most or 1
    others = len(columns) - most
    return min(1.0, (others + 1) * holds[most - 1]), min(1.0, most * turned[others])


def _columns(claim: Claim, comparisons: Sequence[Comparison]) -> list[list[Comparison]]:
    """The comparisons that hold or fall together: of ``most`` those of each column, else all."""
    columns: dict[int, list[Comparison]] = {}
    for one in comparisons:
        columns.setdefault(one.column if claim.most else 0, []).append(one)
    return list(columns.values())


def _decide(verdict: Verdict) -> Verdict:
    for_it, against = _p_values(verdict.claim, verdict.comparisons)
    word: Outcome = "inconclusive"
    if verdict.p is not None and verdict.p * verdict.step < LEVEL:
        word = "supported" if for_it < against else "contradicted"
    elif all(one.spare and one.spare.p_above < LEVEL / verdict.step / 2 for one in verdict.comparisons):
        word = "no_gain"
    return replace(verdict, outcome=word, reason=link_said(verdict, verdict.weakest))


def word(verdict: Verdict) -> str:
    """The verdict as a reader sees it."""
    if verdict.outcome == "no_gain":
        deltas = [one.delta for one in verdict.comparisons if one.delta is not None]
        sizes = dict.fromkeys(f"{delta:.2g}" for delta in (min(deltas), max(deltas)))
        return f"no gain above {' to '.join(sizes)} {verdict.claim.unit}".rstrip()
    if verdict.outcome == "not_run":
        return "no verdict"
    return verdict.outcome + (" (exploratory)" if verdict.exploratory else "")


def one_line(verdict: Verdict) -> str:
    """The verdict in one line: the comparison that says least for the claim, or why there is none.

    Where nothing was decided, also the difference that this design would have seen.
    """
    if not verdict.comparisons:
        return verdict.reason
    one, unit = verdict.weakest, verdict.claim.unit
    parts = [f"{_interval(one.difference, verdict.alpha, unit)}: {one.label}"]
    if verdict.outcome in ("inconclusive", "no_gain"):
        parts += _seen(one.difference.detectable(verdict.alpha), unit)
    if verdict.exploratory:
        parts.append(verdict.reason)
    return signs("; ".join(parts))


def link_said(verdict: Verdict, one: Comparison) -> str:
    """One comparison as a sentence: difference, interval, raw and corrected p, what could have been seen, the error."""
    estimate, unit = one.difference, verdict.claim.unit
    p = max(link.p for link in one.links)
    parts = [f"{one.label}: {_interval(estimate, verdict.alpha, unit)} over {counted(estimate.seeds, 'seed')}"]
    if verdict.p is not None:
        whose = "primary claim" if verdict.claim.primary else "claim"
        corrected = _p(min(1.0, verdict.times * p)).removeprefix("= ")
        columns = f" and a choice of {verdict.claim.most} columns" if verdict.claim.most else ""
        parts.append(f"p {_p(p)}, {corrected} after Holm over {counted(verdict.family, whose)}{columns}")
    parts += _seen(estimate.detectable(verdict.alpha), unit)
    if estimate.interval(verdict.alpha) is not None:  # of a single seed no error is known
        parts.append(_error(estimate))
    return signs("; ".join(parts))


def _seen(size: float | None, unit: str) -> list[str]:
    """What this design would have seen; nothing where no spread is known, or the arms do not differ at all."""
    if size is None or size < NOTHING:
        return []
    return [f"{size:#.2g} {unit}".rstrip() + " would have been seen four times out of five"]


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.2g}"


def _interval(estimate: Estimate, alpha: float, unit: str) -> str:
    size = f"{_signed(estimate.mean)} {unit}".rstrip()
    interval = estimate.interval(alpha)
    if interval is None:
        return size
    return f"{size} [{_signed(interval[0])}, {_signed(interval[1])}] at {100 * (1 - alpha):.3g} %"


def _signed(value: float) -> str:
    return "0" if abs(value) < NOTHING else f"{'+' if value > 0 else '-'}{digits(abs(value))}"


def _error(estimate: Estimate) -> str:
    words = {
        "pooled": f"error pooled over all arms, {estimate.df:.0f} degrees of freedom",
        "separate": "error of these arms alone (Welch)",
        "paired": "paired by seed",
    }
    parts = [words[estimate.error]]
    if estimate.spreads_p is not None:
        parts.append(f"equal spreads p {_p(estimate.spreads_p)} (Levene, level {SPREADS_LEVEL:g})")
    if estimate.r is not None:
        parts.append(f"correlation by seed {estimate.r:+.2f}")
    return ", ".join(parts)
