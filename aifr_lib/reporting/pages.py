"""What a page says about a result, as HTML for notebooks and book: what was found, the claim's box, the stamp."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape

import yaml

from aifr_lib.files import repository_root
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.claims import Verdict, link_said, one_line, word
from aifr_lib.reporting.prose import counted, typeset
from aifr_lib.reporting.rows import in_words
from aifr_lib.reporting.runs import NO_PICTURES, DataId, Git

NOT_PEOPLE = "Relief faces are not people: this speaks of the method on drawn faces, not of the paper's numbers."
# Colours come from the page, so that boxes look right in light and dark, in the book and in a notebook.
_BOX = "border:1px solid currentColor;border-left-width:5px;border-radius:4px;padding:.6em 1em;margin:1em 0"
_SMALL = "font-size:.85em;opacity:.8"
_LINE = "margin:.25em 0"


def banner(preset: str) -> str:
    """What a page computed at a small size may not be taken for; empty for the others."""
    said = {
        "smoke": "<strong>Smoke size: shapes only, no evidence.</strong> Everything runs, and no number here means "
        'anything. For an effect to see, set <code>preset = "lesson"</code>.',
        "lesson": "<strong>Lesson size:</strong> an effect to see, no verdict.",
    }
    return f'<div class="aifr-size" role="note" style="{_BOX}">{said[preset]}</div>' if preset in said else ""


def found_box(sentences: Iterable[str]) -> str:
    """What was found, at the head of a page: one paragraph for each experiment's sentences."""
    body = "".join(f'<p style="{_LINE}">{typeset(one)}</p>' for one in sentences)
    return f'<div class="aifr-found" role="note"><p style="{_LINE}"><strong>What was found</strong></p>{body}</div>'


def not_run_box(sentences: Iterable[str]) -> str:
    """What has no result yet, a line for each; apart from what was found."""
    body = "".join(f'<p style="{_LINE};opacity:.8">{typeset(one)}</p>' for one in sentences)
    return f'<div class="aifr-none" role="note">{body}</div>'


def stamp(artefact: Artefact) -> str:
    """One small line: size, data, seeds, device, runs and hours. Unfolded, how it was made: commits, commands, runs.

    Commits and runs are links where ``_config.yml`` says where the repository is. Empty for what was not run.
    """
    if not artefact.runs:
        return ""
    data, count = artefact.data, len(artefact.seeds)
    line = [
        f"preset {artefact.preset}",
        "no data" if data is None else _data(data),
        counted(count, "seed") if count else "",
        artefact.device or "",
        f"{counted(len(artefact.runs), 'run')}, {duration(artefact.wall_s)} in all",
    ]
    address, branch = repository_address()
    folder = f"{address}/tree/{branch}/figures/{artefact.preset}"
    commits = [_commit(git, address) for git in artefact.computed_at]
    runs = [_link(f"<code>{escape(key)}</code>", f"{folder}/_runs/{key}" if address else "") for key in artefact.runs]
    facts = {
        "Artefact": _link(f"<code>{artefact.id}.json</code>", f"{folder}/{artefact.id}" if address else ""),
        "Data": "none" if data is None else escape(f"{data.name} {data.version}, {data.hash[:10]}"),
        "Seeds": escape(", ".join(map(str, artefact.seeds))),
        "Computed at": ", ".join(commits),
        "Drawn at": _commit(artefact.git, address),
        "Software": escape(", ".join(f"{name} {version}" for name, version in artefact.versions.items())),
        "Again": f"<code>aifr reproduce {artefact.id} --preset {artefact.preset}</code>",
        "Settings and cost of each run": f"<code>aifr show {artefact.id} --preset {artefact.preset}</code>",
        counted(len(artefact.runs), "run").capitalize(): " ".join(runs),
    }
    made = "".join(f"<div><strong>{name}:</strong> {fact}</div>" for name, fact in facts.items() if fact)
    said = " · ".join(typeset(part) for part in line if part)
    return f'<details class="aifr-stamp" style="{_SMALL}"><summary>{said}</summary>{made}</details>'


@cache
def repository_address() -> tuple[str, str]:
    """Where the repository can be read and on which branch, as ``_config.yml`` says; empty where it does not."""
    path = repository_root() / "_config.yml"
    if not path.is_file():
        return "", ""
    options = yaml.safe_load(path.read_text(encoding="utf-8"))["sphinx"]["config"]["html_theme_options"]
    return options.get("repository_url") or "", options.get("repository_branch") or "main"


def claim_box(verdict: Verdict) -> str:
    """Verdict, claim and one line of why; every comparison with its interval, and what the data are not, unfolded."""
    claim = verdict.claim
    rest = "; what the paper rests on" if claim.primary else ""
    lines = [
        f'<p style="{_LINE}"><strong class="aifr-verdict aifr-{verdict.outcome}">{typeset(word(verdict))}</strong> '
        f'{typeset(claim.statement)} <span style="{_SMALL}">({typeset(claim.source)}{rest})</span></p>',
        f'<p style="{_LINE}">{typeset(_sentence(one_line(verdict)))}</p>',
    ]
    if verdict.comparisons:
        said = "".join(f"<li>{typeset(_sentence(link_said(verdict, one)))}</li>" for one in verdict.comparisons)
        count = counted(len(verdict.comparisons), "comparison")
        count += " (above, the weakest for the claim)" if len(verdict.comparisons) > 1 else ""
        lines.append(
            f'<details style="{_SMALL}"><summary>{count}: p, what could have been seen</summary>'
            f'<ul style="margin:.25em 0">{said}</ul><p style="{_LINE}">{typeset(NOT_PEOPLE)}</p></details>'
        )
    return f'<aside class="aifr-claim aifr-claim-{verdict.outcome}" style="{_BOX}">{"".join(lines)}</aside>'


def claim_boxes(verdicts: Iterable[Verdict]) -> str:
    """The boxes of several claims, one under the other."""
    return "".join(map(claim_box, verdicts))


def _data(data: DataId) -> str:
    """What a result rests on, each set with its version: "ORL (40 people × 10), FG-NET (…)"."""
    names, versions = data.name.split(", "), data.version.split(", ")
    if len(names) != len(versions):
        return f"{data.name} ({data.version})"
    return ", ".join(
        name if name == NO_PICTURES else f"{in_words(name)} ({version})"
        for name, version in zip(names, versions, strict=True)
    )


def _sentence(text: str) -> str:
    """With its first letter large, where that is none of a formula, and its full stop."""
    return f"{text[0].upper() if text[0].isascii() else text[0]}{text[1:]}."


def _commit(git: Git, address: str) -> str:
    if git.sha is None:
        return "no known commit"
    name = _link(f"commit <code>{git.sha[:10]}</code>", f"{address}/commit/{git.sha}" if address else "")
    return name + (" and changes that were in no commit yet" if git.dirty else "")


def _link(text: str, address: str) -> str:
    return f'<a href="{escape(address)}">{text}</a>' if address else text


def duration(seconds: float) -> str:
    """A time in the unit that fits it: "7.2 h", "9.1 min", "40 s"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
