"""``{lessons}``: the five lessons of the course, out of ``course/lessons.yaml``; ``{cards}``: their cards to print."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import yaml
from aifr_book import document_link, html, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

EXECUTED = "book/_executed"


class CourseDirective(SphinxDirective):
    """What both directives read."""

    def read(self) -> list[dict[str, Any]]:
        path = Path(self.env.srcdir) / "book" / "course" / "lessons.yaml"
        self.env.note_dependency(str(path))
        return yaml.safe_load(path.read_text(encoding="utf-8"))


class LessonsDirective(CourseDirective):
    """A section for each lesson: aim, minutes, slides, notebooks, how long they compute, the copy for students."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        timing = root / "book" / "course" / "timing.json"
        self.env.note_dependency(str(timing))
        measured = json.loads(timing.read_text(encoding="utf-8")) if timing.is_file() else {}
        return [node for number, one in enumerate(self.read(), 1) for node in self.lesson(number, one, measured, root)]

    def lesson(self, number: int, one: dict[str, Any], measured: dict[str, Any], root: Path) -> list[nodes.Node]:
        pages = [
            document_link(f"{EXECUTED}/{name}", nodes.literal("", name)) for name in [one["notebook"], *one["also"]]
        ]
        notebooks = [node for page in pages for node in (nodes.Text(", "), page)][1:]
        deck = f"slides/{one['id']}.html"
        slides: nodes.Node = nodes.Text("not in this copy of the book, which was built without npm")
        if (root / "book" / "_live" / deck).is_file():
            up = "../" * self.env.docname.count("/")
            slides = html(f'<a href="{up}_static/{deck}">{escape(one["title"])}</a> (arrow keys; they work offline)')
        seconds = measured.get(one["notebook"])
        computing = "not measured yet"
        if seconds:
            computing = f"{seconds['seconds'] / 60:.1f} minutes at lesson on {seconds['cores']} cores"
        command = f"aifr students class/ {' '.join([one['notebook'], *one['also']])}"
        minutes = [[str(length), what] for length, what in one["minutes"]]
        return [
            nodes.rubric("", f"{number}. {one['title']}", ids=[f"lesson-{one['id']}"]),
            nodes.paragraph("", one["aim"]),
            table(("Minutes", "What"), minutes),
            table(
                ("For it", ""),
                [
                    ["Slides", slides],
                    ["Notebooks", notebooks],
                    ["To read", document_link(f"book/{one['reading']}", nodes.Text("the page"))],
                    ["Computing", computing],
                    ["Copies for students", nodes.literal("", command)],
                ],
            ),
        ]


class CardsDirective(CourseDirective):
    """A grid of cards, question above and answer below the fold, as wide as a sheet of paper takes."""

    def run(self) -> list[nodes.Node]:
        cards = [
            f'<li><p class="aifr-card-lesson">{escape(one["title"])}</p><p class="aifr-card-front">{escape(front)}</p>'
            f'<p class="aifr-card-back">{escape(back)}</p></li>'
            for one in self.read()
            for front, back in one["cards"]
        ]
        return [html(f'<ul class="aifr-cards">{"".join(cards)}</ul>')]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("lessons", LessonsDirective)
    app.add_directive("cards", CardsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
