"""What a page says about a result, as HTML for notebooks and book: the stamp, the claim's box, the table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import compress

from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.claims import Verdict, link_said, word
from aifr_lib.reporting.rows import INTERVALS, METRICS, Row
from aifr_lib.reporting.runs import Git

NOT_PEOPLE = "Relief faces are not people: this speaks of the method on drawn faces, not of the paper's numbers."
# Colours come from the page, so that boxes look right in light and dark, in the book and in a notebook.
_BOX = "border:1px solid currentColor;border-left-width:5px;border-radius:4px;padding:.6em 1em;margin:1em 0"
_SMALL = "font-size:.85em;opacity:.8"


def banner(preset: str) -> str:
    """What a page computed at a small size may not be taken for; empty for the others."""
    said = {
        "smoke": "<strong>Smoke size: shapes only, no evidence.</strong> Everything runs, and no number here means "
        'anything. For an effect to see, set <code>preset = "lesson"</code>.',
        "lesson": "<strong>Lesson size:</strong> an effect to see, no verdict.",
    }
    return f'<div class="aifr-size" role="note" style="{_BOX}">{said[preset]}</div>' if preset in said else ""


def stamp(artefact: Artefact) -> str:
    """One small line: preset, data, seeds, device, commits of the runs and of the drawing, software, time."""
    data = artefact.data
    computed = ", ".join(map(_commit, artefact.computed_at))
    parts = [
        f"preset {artefact.preset}",
        "no data" if data is None else f"{data.name} {data.version} ({data.hash[:10]})",
        f"seeds {', '.join(map(str, artefact.seeds))}" if artefact.seeds else "no seeds",
        artefact.device or "no device",
        f"computed at {computed}" if computed else "",
        f"drawn at {_commit(artefact.git)}",
        ", ".join(f"{name} {version}" for name, version in artefact.versions.items()),
        f"runs: {len(artefact.runs)}, {_duration(artefact.wall_s)} in all",
    ]
    return f'<p class="aifr-stamp" style="{_SMALL}">{" · ".join(escape(part) for part in parts if part)}</p>'


def claim_box(verdict: Verdict) -> str:
    """The claim, its verdict, every comparison behind it with what could have been seen, and what the data are not."""
    claim = verdict.claim
    rest = " It is what the paper rests on." if claim.primary else ""
    lines = [
        f"<strong>The claim</strong> ({escape(claim.source)}): {escape(claim.statement)}{rest}",
        f'<strong>Our verdict:</strong> <span class="aifr-verdict aifr-{verdict.outcome}">{escape(word(verdict))}'
        f"</span>{f' – {escape(verdict.reason)}.' if verdict.p is None else ''}",
    ]
    lines += [f"{escape(link_said(verdict, one))}." for one in verdict.comparisons]
    if verdict.comparisons:
        lines.append(NOT_PEOPLE)
    body = "".join(f'<p style="margin:.25em 0">{line}</p>' for line in lines)
    return f'<aside class="aifr-claim aifr-claim-{verdict.outcome}" style="{_BOX}">{body}</aside>'


def claim_boxes(verdicts: Iterable[Verdict]) -> str:
    """The boxes of several claims, one under the other."""
    return "".join(map(claim_box, verdicts))


def artefact_table(artefact: Artefact) -> str:
    """Every row: keys, our mean with its 95 % interval and number of seeds, the paper's number and source.

    A column that no row fills is left out.
    """
    rows = artefact.rows
    names = list(dict.fromkeys(name for row in rows for name in row.keys))
    head = [*names, "measure", "ours [95 % interval]", "seeds", "the paper, on its own data"]
    lines = [[*(_cell(row.keys.get(name)) for name in names), *_values(row)] for row in rows]
    filled = [not lines or any(line[at] for line in lines) for at in range(len(head))]
    body = "".join(_tr("td", list(compress(line, filled))) for line in lines)
    kinds = dict.fromkeys(row.measured.interval for row in rows if row.measured and row.measured.interval)
    note = f"Intervals: {'; '.join(INTERVALS[kind] for kind in kinds)}." if kinds else ""
    return (
        '<div class="aifr-table" style="overflow-x:auto"><table>'
        f"<thead>{_tr('th', list(compress(head, filled)))}</thead><tbody>{body}</tbody></table>"
        f'<p style="{_SMALL}">{escape(note)}</p></div>'
    )


def _commit(git: Git) -> str:
    name = "no known commit" if git.sha is None else f"commit {git.sha[:10]}"
    return name + (" with uncommitted changes" if git.dirty else "")


def _values(row: Row) -> list[str]:
    measured = row.measured
    if measured is None:
        ours, seeds = "not run", ""
    else:
        interval = f" [{measured.ci95[0]:.4g}, {measured.ci95[1]:.4g}]" if measured.ci95 else ""
        ours, seeds = f"{measured.mean:.4g}{interval}", str(len(measured.per_seed) or "")
    source = f" ({row.paper_source})" if row.paper_source else ""
    paper = ("" if row.paper is None else f"{row.paper:g}") + source
    return [METRICS.get(row.metric, row.metric), ours, seeds, paper.strip()]


def _cell(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _tr(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
