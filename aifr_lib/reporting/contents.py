"""Which notebook makes which table or figure: the ``contents`` of each paper's ``paper.yaml``."""

from __future__ import annotations

from functools import cache

from aifr_lib.files import repository_root
from aifr_lib.names import Strict, choose, validate
from aifr_lib.reporting import papers
from aifr_lib.reporting.artefacts import Kind
from aifr_lib.reporting.papers import Paper


class Content(Strict):
    """A table or figure; ``paper`` is None for what no paper has, and ``part`` says beside which of them it stands.

    source: what the paper calls it. at_hand: False where the text at hand cites it without holding it. Of a figure:
    what it shows, how it is reproduced, and what that needs. described: what our picture shows, for who cannot see it.
    """

    id: str
    paper: Paper | None
    part: Paper | None
    kind: Kind
    notebook: str
    title: str
    source: str = ""
    at_hand: bool = True
    shows: str | None = None
    reproduce: str | None = None
    needs: str | None = None
    described: str = ""

    @property
    def picture(self) -> str:
        """The words that stand for our picture."""
        return self.described or self.title

    @property
    def planned(self) -> bool:
        """Whether the notebook is still to be written."""
        return not (repository_root() / "notebooks" / f"{self.notebook}.py").is_file()

    @property
    def printed(self) -> bool:
        """Whether the paper gives numbers that are kept here (``papers.load``)."""
        return self.id in papers.tables()


@cache
def load() -> tuple[Content, ...]:
    """Every entry, in reading order. Errors: ConfigError that names file, entry and key at fault."""
    return tuple(
        validate(Content, {"id": id, "part": part.paper, "paper": paper, **entry}, where)
        for part in papers.parts()
        for id, entry in ((id, dict(entry)) for id, entry in part.contents.items())
        for where, paper in ((f"{part.path}: {id}", None if entry.pop("ours", False) else part.paper),)
    )


def find(id: str) -> Content:
    """The entry of that id. Errors: ConfigError with the nearest id."""
    return choose("id", id, {content.id: content for content in load()})
