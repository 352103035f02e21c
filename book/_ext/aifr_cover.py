"""The cover: a living picture, the scoreboard as squares, what was found in a few lines; all of it computed.

What has no result yet says so: no line and no picture rests on a result that is there today.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from aifr_book import document_link, figures, html, word
from aifr_ways_out import EXECUTED, PRESET
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from aifr_lib.reporting import artefacts, claims, contents, plots, slider
from aifr_lib.reporting.artefacts import Artefact

LIVING = "real_photographs"
# In the order of the lines; the first five that have a result are told.
TOLD = (  # the papers first
    "aad_table2",
    "tml_beyond",
    "comface_tableN",
    "mtlface_decomposition",
    LIVING,
    "photo_real",
    "relief_span",
    "relief_convergence",
    "protocols",
)
MOST = 5
SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")


class LivingDirective(SphinxDirective):
    """``{cover-living}``: how fast an outside network and ours forget a face on photographs, with a slider."""

    def run(self) -> list[nodes.Node]:
        # Imported here so that the other directives need no torch.
        from aifr_lib.experiments.companion.real_photographs import living_frames

        plots.style()
        artefact = stored(self.env, LIVING)
        frames, labels = living_frames(artefact) if artefact else ([], [])
        if not frames:
            said = "The photographs have not been compared yet: their curve will stand here."
            return [nodes.paragraph("", said, classes=["aifr-none"])]
        player = slider.range_player(
            frames,
            labels,
            title="How long does a network know a face? One stranger in a hundred may pass",
            alt="share of pairs of photographs of one person that two networks accept, by the years between them",
        )
        return [html(player)]


class SquaresDirective(SphinxDirective):
    """``{cover-squares}``: a square for each claim, coloured by its verdict, a row a paper."""

    def run(self) -> list[nodes.Node]:
        verdicts = claims.judge_all(PRESET, figures(self.env))
        rows = []
        for paper in dict.fromkeys(verdict.claim.paper for verdict in verdicts):
            squares = "".join(map(square, (one for one in verdicts if one.claim.paper == paper)))
            rows.append(f'<div class="aifr-squares"><span>{escape(paper)}</span>{squares}</div>')
        there = dict.fromkeys(verdict.outcome for verdict in verdicts)
        key = " ".join(
            f'<span class="aifr-key"><i class="aifr-square aifr-{one}"></i> {word(one)}</span>' for one in there
        )
        return [html("".join(rows) + f'<p class="aifr-keys">{key}</p>')]


class FoundDirective(SphinxDirective):
    """``{cover-found}``: a line for each of the first five experiments with a result, with a link to its page."""

    def run(self) -> list[nodes.Node]:
        items = []
        for id, said in found(self.env):
            notebook = f"{EXECUTED}{contents.find(id).notebook}"
            link = document_link(notebook, nodes.Text("more")) if notebook in self.env.found_docs else nodes.Text("")
            items.append(nodes.list_item("", nodes.paragraph("", said, nodes.Text(" "), link)))
        if not items:
            return [nodes.paragraph("", "No experiment has been run yet.", classes=["aifr-none"])]
        return [nodes.bullet_list("", *items, classes=["aifr-lines"])]


class GeneratorDirective(SphinxDirective):
    """``{cover-generator}``: the generator's faces with their licence line; nothing where they were not drawn."""

    def run(self) -> list[nodes.Node]:
        content = contents.find("comface_figA")
        if not (figures(self.env) / content.id / f"{content.id}.svg").is_file():
            return []
        picture = nodes.image(uri=f"/figures/{PRESET}/{content.id}/{content.id}.svg", alt=content.picture, width="70%")
        said = (
            "People of a generator, edited: they do not exist, and their pictures are for research and teaching only ("
        )
        terms = document_link("book/data/latent", nodes.Text("why"))
        return [picture, nodes.paragraph("", said, terms, nodes.Text(")."), classes=["aifr-terms"])]


def found(env: BuildEnvironment) -> Iterator[tuple[str, str]]:
    """The first two sentences of each of the first experiments that have any."""
    # Imported here so that the other directives need no torch.
    from aifr_lib.experiments import EXPERIMENTS
    from aifr_lib.experiments.jobs import TOO_FEW

    told = 0
    for id in TOLD:
        artefact = stored(env, id)
        said = EXPERIMENTS[id].finding(artefact) if artefact and artefact.has_results else ""
        if said and said != TOO_FEW and told < MOST:
            told += 1
            yield id, " ".join(SENTENCE.split(said)[:2])


def stored(env: BuildEnvironment, id: str) -> Artefact | None:
    """The result of a table or figure, where there is one. Errors: ConfigError for a damaged one."""
    try:
        return artefacts.load(id, PRESET, figures(env))
    except FileNotFoundError:
        return None


def square(verdict: claims.Verdict) -> str:
    said = escape(f"{verdict.claim.statement} {claims.word(verdict).capitalize()}.")
    return f'<i class="aifr-square aifr-{verdict.outcome}" role="img" aria-label="{said}" title="{said}"></i>'


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("cover-living", LivingDirective)
    app.add_directive("cover-squares", SquaresDirective)
    app.add_directive("cover-found", FoundDirective)
    app.add_directive("cover-generator", GeneratorDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
