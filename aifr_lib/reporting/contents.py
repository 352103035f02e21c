"""Which notebook makes which table or figure: ``contents.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from aifr_lib.files import repository_root
from aifr_lib.names import Strict, choose, validate
from aifr_lib.reporting.artefacts import Kind
from aifr_lib.reporting.papers import Paper


class Content(Strict):
    """A table or figure; ``paper`` is None for the companion's own pages."""

    id: str
    paper: Paper | None
    kind: Kind
    notebook: str
    title: str

    @property
    def planned(self) -> bool:
        """Whether the notebook is still to be written."""
        return not (repository_root() / "notebooks" / f"{self.notebook}.py").is_file()


@cache
def load() -> tuple[Content, ...]:
    """Every entry, in reading order. Errors: ConfigError that names the entry and key at fault."""
    path = Path(__file__).with_name("contents.yaml")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(validate(Content, {"id": id, **entry}, f"{path.name}: {id}") for id, entry in values.items())


def find(id: str) -> Content:
    """The entry of that id. Errors: ConfigError with the nearest id."""
    return choose("id", id, {content.id: content for content in load()})
