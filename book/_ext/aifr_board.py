"""``{leaderboard}``: the networks of ``figures/board/board.json``, by the years between two photographs and by set."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

from aifr_book import html, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from aifr_lib.names import ConfigError

if TYPE_CHECKING:
    from aifr_lib.reporting.rows import Row

ALT = "Accepted pairs and rank-1 of each network by the years between two photographs, with intervals over people"
UNKNOWN = "not counted"


class LeaderboardDirective(SphinxDirective):
    """Who is on the board, a figure, FG-NET by age gap, the other sets, and what was not measured."""

    def run(self) -> list[nodes.Node]:
        # Imported here so that other directives need no torch.
        from aifr_lib.experiments.measure import board
        from aifr_lib.files import repository_root

        path = repository_root() / board.BOARD
        self.env.note_dependency(str(path))
        try:
            entries = board.read(path)
        except ConfigError as error:
            raise self.error(str(error)) from None
        if not entries:
            said = "There is no network on the board yet: the command below adds one."
            return [nodes.paragraph("", said, classes=["aifr-none"])]
        return [nodes.container("", *shown(entries), classes=["aifr-artefact"])]


def shown(entries: Sequence) -> list[nodes.Node]:
    """The parts of the board."""
    from aifr_lib.experiments.companion.real_photographs import gap_figure
    from aifr_lib.reporting.pages import found_box
    from aifr_lib.reporting.prose import typeset
    from aifr_lib.reporting.rows import in_words
    from aifr_lib.reporting.tables import METRIC, Shape, notes_on, shaped_table

    rows = [
        row.model_copy(update={"keys": {**row.keys, "network": one.name, "embedder": one.name}})
        for one in entries
        for row in one.rows
    ]
    said = found(rows, [one.name for one in entries])
    parts: list[nodes.Node] = [html(found_box([said]))] if said else []
    photographs = [row for row in rows if row.keys["data"] != "relief"]
    if photographs:
        names = {one.name: one.name for one in entries}
        parts.append(html(picture(gap_figure(SimpleNamespace(rows=photographs), names))))
    sections = {
        "FG-NET, by years between two photographs: accepted at 1 % false accepts, %": Shape(
            ("network",), ("gap",), {"data": "fgnet", METRIC: "TAR@FAR=1e-2"}
        ),
        "FG-NET, by years to the photographs of the person that are to be found: rank-1, %": Shape(
            ("network",), ("gap",), {"data": "fgnet", METRIC: "rank-1"}
        ),
        "ORL, photographs of few years": Shape(
            ("network",), (METRIC,), {"data": "orl", "gap": "all", METRIC: ("accuracy", "TAR@FAR=1e-2", "rank-1")}
        ),
        "Drawn faces: verification accuracy, %": Shape(
            ("network",), ("pairs",), {"data": "relief", "gap": "all", METRIC: "accuracy"}
        ),
    }
    for title, shape in sections.items():
        if any(shape.shows(row) for row in rows):
            box = shaped_table(rows, shape)
            parts += [nodes.rubric("", title), html(box)]
    parts.append(html(f'<p class="aifr-source">{typeset(notes_on(rows))}</p>'))
    for one in entries:
        for data, why in one.missing.items():
            said = f"{one.name} was not measured on {in_words(data)}: {why}"
            parts.append(nodes.paragraph("", said, classes=["aifr-none"]))
    return [*parts, nodes.rubric("", "The networks"), table(HEAD, [described(one) for one in entries])]


def found(rows: Sequence[Row], networks: Sequence[str]) -> str:
    """Who accepts most across the years on photographs and who is best on drawn faces; empty of fewer than two."""
    from aifr_lib.data.photograph_pairs import GAP_NAMES
    from aifr_lib.reporting.prose import digits, say
    from aifr_lib.reporting.rows import measured

    def of(metric: str, **keys: str) -> dict[str, float]:
        there = {name: measured(rows, metric, {"network": name, **keys}) for name in networks}
        return {name: one.mean for name, one in there.items() if one}

    near, far = (of("TAR@FAR=1e-2", data="fgnet", gap=gap) for gap in (GAP_NAMES[0], GAP_NAMES[-1]))
    drawn = of("accuracy", data="relief", pairs="relief-agedb", gap="all")
    several = len(near) > 1 and near.keys() == far.keys()
    best = max(near, key=lambda name: near[name], default="")
    at_home = max(drawn, key=lambda name: drawn[name], default="")
    others = [name for name in near if name != best]
    second = max((value for name, value in drawn.items() if name != at_home), default=0.0)
    numbers = {"best": best, "at_home": at_home, "home": digits(drawn.get(at_home, 0.0)), "second": digits(second)}
    if several:
        numbers |= {"near": digits(near[best]), "far": digits(far[best])}
        numbers |= {"next": digits(max(near[name] for name in others))}
        numbers |= {"late": digits(max(far[name] for name in others))}
    if best in drawn:
        numbers["abroad"] = digits(drawn[best])
    return say(
        numbers,
        (several, "Of pairs of photographs of one person (FG-NET) {best} accepts most where one stranger in a hundred"),
        (
            several,
            "may pass: {near} % of those less than five years apart and {far} % of those at least thirty; no other",
        ),
        (several, "network accepts more than {next} % and {late} %."),
        (len(drawn) > 1, "Of pairs of drawn faces thirty years apart {at_home} is right on most, {home} %;"),
        (len(drawn) > 1 and best in drawn and best != at_home, "{best} is right on {abroad} %."),
        (len(drawn) > 1 and (best not in drawn or best == at_home), "no other network on more than {second} %."),
    )


def picture(figure) -> str:
    """The figure as HTML, laid out as it asks, with the legend outside its panels."""
    content = io.BytesIO()
    figure.savefig(content, format="svg")
    source = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/svg+xml;base64,{source}" alt="{ALT}">'


HEAD = ("Network", "Parameters", "Multiply-adds, millions", "Licence", "Made by")


def described(one) -> list:
    weights = UNKNOWN if one.parameters is None else f"{one.parameters:,}"
    adds = UNKNOWN if one.multiply_adds is None else f"{one.multiply_adds / 1e6:,.1f}"
    return [one.name, weights, adds, one.licence, nodes.literal("", one.command)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("leaderboard", LeaderboardDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
