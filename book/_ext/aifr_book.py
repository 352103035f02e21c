"""The book's own Sphinx extension: pages that read results, so that no number is typed by hand.

``{artefact} ID`` shows a table or figure, ``{paper-contents} TML`` lists those of a paper, ``{scoreboard}``
has all claims, ``{run-ledger}`` the runs behind them and their minutes, ``{data-cards} training`` the cards of a
family of data sets, ``{drawn} angle`` a picture of the background chapter. What has no result yet is said in a
sentence, beside the numbers that the paper prints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aifr_ways_out import PRESET, files_of, line
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts, claims, contents, pages, papers, tables
from aifr_lib.reporting.rows import in_words
from aifr_lib.settings.presets import load_preset

Cell = str | nodes.Node


class ArtefactDirective(SphinxDirective):
    """``{artefact} ID``: found, figure, claims, table and stamp; without a result, what the paper prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            parts = shown(self.env, self.arguments[0])
        except ConfigError as error:
            raise self.error(str(error)) from None
        return [nodes.container("", *parts, classes=["aifr-artefact"])]


class PaperContentsDirective(SphinxDirective):
    """``{paper-contents} TML``: every table and figure of a paper, with its notebook and its state or verdict."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        outcomes = claims.outcomes(PRESET, figures(self.env))
        rows: list[list[Cell]] = []
        for content in contents.load():
            if content.paper != self.arguments[0]:
                continue
            row: list[Cell] = [content.source, content.title, nodes.literal("", content.id)]
            if content.planned:
                row += ["planned", "–"]
            elif not (figures(self.env) / content.id / f"{content.id}.json").is_file():
                row += [notebook_link(self.env, content), "not published yet"]
            else:
                outcome = outcomes.get(content.id)
                row += [notebook_link(self.env, content), badge(outcome) if outcome else "published"]
            rows.append(row)
        if not rows:
            raise self.error(f"no table or figure of a paper '{self.arguments[0]}' in its paper.yaml")
        return [table(("In the paper", "What it shows", "Id", "Notebook", "Result"), rows)]


class ScoreboardDirective(SphinxDirective):
    """``{scoreboard}``: every testable claim with its computed verdict, a table a paper."""

    def run(self) -> list[nodes.Node]:
        verdicts = claims.judge_all(PRESET, figures(self.env))
        tried = [verdict for verdict in verdicts if verdict.outcome not in ("untested", "not_run")]
        early = sum(verdict.exploratory for verdict in tried)
        told = f"{len(tried) - early} of {len(verdicts)} claims are tested so far."
        told += f" {early} more are measured, with fewer seeds than a verdict needs." if early else ""
        parts: list[nodes.Node] = [nodes.paragraph("", told)]
        for paper in dict.fromkeys(verdict.claim.paper for verdict in verdicts):
            rows = [
                [badge(verdict.outcome), statement(verdict.claim), claims.one_line(verdict)]
                for verdict in verdicts
                if verdict.claim.paper == paper
            ]
            chapter = document_link(f"book/papers/{paper.lower()}", nodes.Text(paper))
            parts += [
                nodes.rubric("", "", chapter),
                table(("Verdict", "The claim", "Why"), rows),
            ]
        return parts


class RunLedgerDirective(SphinxDirective):
    """``{run-ledger}``: for each table or figure the runs it rests on, those stored, and the minutes of one."""

    def run(self) -> list[nodes.Node]:
        # Imported here so that the other directives need no torch.
        from aifr_lib.experiments import EXPERIMENTS, queue
        from aifr_lib.reporting.runs import RunStore

        items = queue.ledger(EXPERIMENTS, load_preset(PRESET), RunStore(figures(self.env)))
        rows = [ledger_row(id, [item for item in items if id in item.ids]) for id in EXPERIMENTS]
        known = [item.minutes for item in items if item.minutes is not None]
        stored = sum(item.stored for item in items)
        total = f"{stored} of {len(items)} runs are stored."
        if known:
            hours = f"{sum(known) / 60:.1f} hours"
            total += f" For {len(known)} a time is known, their own or that of a run like them: about {hours}."
        return [
            nodes.paragraph("", total + " Tables and figures share runs."),
            html(f'<details class="aifr-all"><summary>All {len(rows)} tables and figures</summary>'),
            table(("Table or figure", "Runs", "Stored", "Minutes a run"), rows),
            html("</details>"),
        ]


class DataCardsDirective(SphinxDirective):
    """``{data-cards} training``: the cards of a family of data sets, out of the table that the loaders read."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        # Imported here so that the other directives need no torch.
        from aifr_lib.data.named import table

        entries = [one for one in table.table().values() if one.family == self.arguments[0]]
        if not entries:
            raise self.error(f"no family '{self.arguments[0]}': {', '.join(table.FAMILIES)} are families")
        return [node for entry in entries for node in data_card(entry, self)]


class DrawnDirective(SphinxDirective):
    """``{drawn} angle``: a picture or slider that the library draws now (``drawn/``)."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        # Imported here so that the other directives need no torch.
        import drawn

        try:
            return [html(drawn.draw(self.arguments[0]))]
        except ConfigError as error:
            raise self.error(str(error)) from None


def data_card(entry: Any, directive: SphinxDirective) -> list[nodes.Node]:
    """What a set is, how it is obtained, its terms and flaws, who uses it, what stands in."""
    counts = ", ".join(f"{count:,} {what}" for what, count in entry.counts.items()) or "none published"
    sources = {one.id: f"{one.paper} {one.source}" for one in contents.load() if one.paper}
    tables = ", ".join(sources[id] for id in entry.tables) or "none of the four papers' tables"
    title, _ = directive.parse_inline(f"{entry.title} {{cite:p}}`{','.join(entry.cite)}`", lineno=directive.lineno)
    # The files are plain text: as code they would not wrap, and stretch the column beyond the page.
    folder, _, files = entry.place.partition(": ")
    rows: list[list[Cell]] = [
        ["What it is", entry.about],
        ["Published counts", counts],
        ["How it is obtained", entry.obtained],
        ["Terms", entry.terms],
        ["Known flaws", entry.flaws],
        ["Used by", tables],
        ["Measured by", ", ".join(map(in_words, entry.protocols)) or "no protocol of recognition"],
        ["Where to put it", nodes.inline("", "", nodes.literal("", folder), nodes.Text(f": {files}"))],
        ["Stands in for it here", nodes.literal("", entry.stand_in)],
    ]
    return [nodes.rubric("", "", *title), table(("Name", entry.name), rows)]


def ledger_row(id: str, items: Sequence[Any]) -> list[Cell]:
    minutes = sorted({round(item.minutes) for item in items if item.minutes is not None})
    span = "–".join(str(end) for end in dict.fromkeys((minutes[0], minutes[-1]))) if minutes else "not known yet"
    return [nodes.literal("", id), str(len(items)), str(sum(item.stored for item in items)), span]


def statement(claim: claims.Claim) -> nodes.inline:
    return nodes.inline("", "", nodes.Text(claim.statement), nodes.inline("", claim.source, classes=["aifr-source"]))


def badge(outcome: str) -> nodes.inline:
    return nodes.inline("", word(outcome), classes=["aifr-verdict", f"aifr-{outcome}"])


def word(outcome: str) -> str:
    return "no gain above δ" if outcome == "no_gain" else outcome.replace("_", " ")


def shown(env: BuildEnvironment, id: str) -> list[nodes.Node]:
    """What the book has of one table or figure: found, picture, verdicts, table, how it was made.

    Errors: ConfigError for an unknown id or a damaged result.
    """
    content, root = contents.find(id), figures(env)
    if not (root / id / f"{id}.json").is_file():
        return without_result(content)
    # Imported here so that the other directives need no torch.
    from aifr_lib.experiments import EXPERIMENTS
    from aifr_lib.experiments.jobs import TOO_FEW

    artefact, experiment = artefacts.load(id, PRESET, root), EXPERIMENTS.get(id)
    said = experiment.finding(artefact) if experiment else ""
    parts: list[nodes.Node] = (
        [html((pages.not_run_box if said == TOO_FEW else pages.found_box)([said]))] if said else []
    )
    if (root / id / f"{id}.svg").is_file():
        parts.append(nodes.image(uri=f"/figures/{PRESET}/{id}/{id}.svg", alt=content.picture))
    verdicts = (verdict for verdict in claims.judge_all(PRESET, root) if verdict.claim.artefact == id)
    parts += [html(pages.claim_box(verdict)) for verdict in verdicts]
    if artefact.rows or artefact.kind != "gallery":
        parts.append(html(tables.artefact_table(artefact, experiment.shape if experiment else None)))
    return [*parts, line(("Save", files_of(id, Path(env.srcdir), env.docname))), html(pages.stamp(artefact))]


def without_result(content: contents.Content) -> list[nodes.Node]:
    """A plain sentence, and the printed numbers where the paper gives any."""
    reason = (
        "its notebook is still to be written"
        if content.planned
        else "what was run of it so far stands on the page of its notebook"
    )
    if content.paper is None:
        asked = content.title.endswith("?")
        said = f"{content.title} {reason.capitalize()}." if asked else f"{content.title} (ours): {reason}."
        return [_none(said)]
    source = content.source.partition(" (")[0]  # what it says of the place, the next sentence says too
    sentence = f"There is no result of ours for {source} here: {reason}."
    if not content.printed:
        return [_none(f"{sentence} The paper shows it as a picture, without numbers that could be set beside ours.")]
    if not content.at_hand:
        return [
            _none(
                f"{sentence} The text that we work from cites the table without containing it: nothing can be quoted."
            )
        ]
    return [_none(f"{sentence} These are the numbers that the paper prints:"), *printed(papers.load(content.id))]


def _none(sentence: str) -> nodes.paragraph:
    return nodes.paragraph("", sentence, classes=["aifr-none"])


def printed(reported: papers.Reported) -> list[nodes.Node]:
    """The table as printed, each column with the decimals of its longest cell, and the doubts about it."""
    columns = [[row[name] for row in reported.rows] for name in reported.columns]
    texts = zip(*(column_texts(column) for column in columns), strict=True)
    rows = [
        [
            nodes.strong("", text) if name in (row.get("printed_bold") or ()) else text
            for name, text in zip(reported.columns, line, strict=True)
        ]
        for row, line in zip(reported.rows, texts, strict=True)
    ]
    parts: list[nodes.Node] = [table([tables.head_of(name) for name in reported.columns], rows)]
    doubts = [flag for flag in reported.flags if flag.kind != "ocr"]
    if doubts:
        items = (nodes.list_item("", nodes.paragraph("", f"{flag.where}: {flag.issue}")) for flag in doubts)
        parts += [
            html('<details class="aifr-doubts"><summary>What is doubtful in this table</summary>'),
            nodes.bullet_list("", *items),
            html("</details>"),
        ]
    return parts


def column_texts(cells: Sequence[Any]) -> list[str]:
    """Numbers of one column with equal decimals; None is a dash."""
    numbers = [cell for cell in cells if isinstance(cell, float)]
    decimals = max((len(repr(number).partition(".")[2]) for number in numbers), default=0)
    return ["–" if cell is None else f"{cell:.{decimals}f}" if isinstance(cell, float) else str(cell) for cell in cells]


def notebook_link(env: BuildEnvironment, content: contents.Content) -> nodes.Node:
    """A link to the notebook's page where the book has one, else its name."""
    name = nodes.literal("", content.notebook)
    document = f"book/_executed/{content.notebook}"
    return document_link(document, name) if document in env.found_docs else name


def document_link(document: str, text: nodes.Node) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "", text, refdomain="std", reftype="doc", reftarget=f"/{document}", refexplicit=True, refwarn=True
    )


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> nodes.table:
    """A docutils table of one header row and body rows."""

    def line(cells: Sequence[Cell]) -> nodes.row:
        entries = []
        for cell in cells:
            children = [nodes.Text(cell)] if isinstance(cell, str) else [cell] if isinstance(cell, nodes.Node) else cell
            entries.append(nodes.entry("", nodes.paragraph("", "", *children)))
        return nodes.row("", *entries)

    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in header), cols=len(header))
    group += [nodes.thead("", line(header)), nodes.tbody("", *map(line, rows))]
    # On a phone two columns still fit; more scroll in their own box.
    wide = ["aifr-wide"] if len(header) > 2 else []
    return nodes.table("", group, classes=["colwidths-auto", *wide])


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def figures(env: BuildEnvironment) -> Path:
    return Path(env.srcdir) / "figures" / PRESET


def reread_when_results_change(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> Iterable[str]:
    """All pages when a result, a claim, a printed number or code here has changed: none keeps an old one."""
    sources = [
        *Path(__file__).parent.rglob("*.py"),
        *Path(env.srcdir).glob("book/background/glossary.md"),
        *Path(papers.__file__).parents[1].rglob("*.py"),
        *Path(papers.__file__).parents[1].rglob("*.yaml"),
        *figures(env).glob("*/*.json"),
        *(Path(papers.__file__).parents[2] / "experiments").rglob("*.py"),
        *(Path(env.srcdir) / "notebooks").glob("*.py"),
    ]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(str(path).encode() + path.read_bytes())
    changed = getattr(env, "aifr_digest", None) != digest.hexdigest()
    env.aifr_digest = digest.hexdigest()
    return env.found_docs if changed else ()


def clean_scripts(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Load each script once, and never thebe, which Jupyter Book adds to every page from outside."""
    kept = {}
    for script in context["script_files"]:
        key = (script.filename, script.attributes.get("body"))
        if "thebe" not in str(key).lower():
            kept.setdefault(key, script)
    context["script_files"] = list(kept.values())


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("artefact", ArtefactDirective)
    app.add_directive("paper-contents", PaperContentsDirective)
    app.add_directive("scoreboard", ScoreboardDirective)
    app.add_directive("run-ledger", RunLedgerDirective)
    app.add_directive("data-cards", DataCardsDirective)
    app.add_directive("drawn", DrawnDirective)
    app.connect("env-get-outdated", reread_when_results_change)
    app.connect("html-page-context", clean_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
