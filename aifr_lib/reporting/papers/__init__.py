"""What the four papers hold and print: a folder a paper, ``paper.yaml`` and a YAML file for each printed table.

Doubts about a printed cell stand in the table's ``flags``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, model_validator

from aifr_lib.names import ConfigError, Strict, choose, nearest, validate

# A new paper is its name here and the folder of that name in small letters.
Paper = Literal["TML", "AAD", "ComFace", "MTLFace"]
FOLDER = Path(__file__).parent
Cell = bool | int | float | str | list[int] | list[str] | None


class Flag(Strict):
    """A doubt about a cell, a caption or a statement; ``corrected`` where other sources give the values."""

    where: str
    issue: str
    kind: str
    corrected: dict[str, float] | None = None


class Reported(Strict):
    """A printed table. ``rows`` keep what is printed, also where a flag doubts it; None means not reported.

    Beside its columns a row may carry names that make it easy to select (``variant``, ``base``) and
    ``printed_bold``. ``machine``: of settings, the values that a program takes.
    """

    caption: str
    units: str | dict[str, str] | None = None
    evaluated: str | None = None
    footnote: str | None = None
    columns: list[str]
    rows: list[dict[str, Cell]]
    flags: list[Flag]
    machine: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Reported:
        for number, row in enumerate(self.rows):
            if missing := [column for column in self.columns if column not in row]:
                raise ValueError(f"row {number} lacks {missing}")
            bold = row.get("printed_bold")
            if isinstance(bold, list) and not set(bold) <= set(self.columns):
                raise ValueError(f"row {number} marks {bold} bold, which are not all columns")
        return self


class Part(Strict):
    """A paper's own file: what it contains and what it claims, as ``contents`` and ``claims`` check them.

    paper: None for the companion's own pages.
    """

    path: str
    paper: Paper | None
    contents: dict[str, dict[str, Any]]
    claims: dict[str, dict[str, Any]] = Field(default_factory=dict)


# In reading order, the companion's own first.
PARTS = ("companion", *map(str.lower, get_args(Paper)))


@cache
def parts() -> tuple[Part, ...]:
    """The companion's own part, then the papers'. Errors: ConfigError that names the file and key at fault."""
    return tuple(_part(name) for name in PARTS)


def _part(name: str) -> Part:
    path = FOLDER / name / "paper.yaml"
    shown = f"papers/{name}/paper.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{shown} is not YAML: {error}") from None
    return validate(Part, {"path": shown, **values}, shown)


@cache
def tables() -> dict[str, Path]:
    """The file of every printed table, by its id: ``tml_table2`` is ``papers/tml/table2.yaml``."""
    files = (path for name in PARTS for path in sorted((FOLDER / name).glob("*.yaml")) if path.stem != "paper")
    return {f"{path.parent.name}_{path.stem}": path for path in files}


@cache
def load(id: str) -> Reported:
    """One printed table, checked. Errors: ConfigError for an unknown id (and the nearest) or a wrong file."""
    path = choose("table", id, tables())
    return validate(
        Reported, yaml.safe_load(path.read_text(encoding="utf-8")), f"papers/{path.parent.name}/{path.name}"
    )


def value(id: str, row: Mapping[str, Cell], column: str) -> Cell:
    """One printed cell: the ``column`` of the only row whose cells equal those of ``row``.

    Errors: ConfigError for an unknown id, column or key, and where no row or several fit.
    """
    table = load(id)
    names = sorted({name for line in table.rows for name in line})
    for name in (*row, column):
        if name not in names:
            raise ConfigError(f"{id} has no column '{name}'{nearest(name, names)}")
    found = [line for line in table.rows if all(line.get(key) == cell for key, cell in row.items())]
    if len(found) != 1:
        raise ConfigError(f"{id}: expected one row with {dict(row)}, found {len(found)} of {len(table.rows)}")
    return found[0].get(column)
