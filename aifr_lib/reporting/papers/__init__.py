"""What the four papers print: a YAML file for each table, with doubts about a cell in its ``flags``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from aifr_lib.names import ConfigError, Strict, choose, nearest, validate

Paper = Literal["TML", "AAD", "ComFace", "MTLFace"]
Cell = bool | int | float | str | list[int] | list[str] | None


class Flag(Strict):
    """A doubt about a cell, a caption or a statement; ``corrected`` where other sources give the values."""

    where: str
    issue: str
    kind: str
    corrected: dict[str, float] | None = None


class Claim(Strict):
    """What the paper says of the table, and whether the printed numbers bear it out."""

    id: str
    kind: str
    statement: str | None = None
    source: str | None = None
    per: str | None = None
    order: list[str] | None = None
    relation: str | None = None
    exceptions_strict: dict[str, list[str]] | None = None
    table_gains: dict[str, float] | None = None
    holds_in_table: bool | str | None = None
    checkable_in_table: bool | None = None


class Reported(Strict):
    """A printed table. ``rows`` keep what is printed, also where a flag doubts it; None means not reported.

    Beside its columns a row may carry names that make it easy to select (``variant``, ``base``) and
    ``printed_bold``. ``at_hand`` is False where the text at hand cites the table without holding it.
    """

    id: str
    paper: Paper
    source: str
    caption: str
    at_hand: bool = True
    units: str | dict[str, str] | None = None
    evaluated: str | None = None
    numeric: bool = True
    footnote: str | None = None
    columns: list[str]
    rows: list[dict[str, Cell]]
    flags: list[Flag]
    claims: list[Claim]
    derived: dict[str, float] | None = None
    machine: dict[str, Any] | None = None
    best_per_column: dict[str, str] | None = None
    deltas: dict[str, list[tuple[str, str, float]]] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Reported:
        for number, row in enumerate(self.rows):
            if missing := [column for column in self.columns if column not in row]:
                raise ValueError(f"row {number} lacks {missing}")
            bold = row.get("printed_bold")
            if isinstance(bold, list) and not set(bold) <= set(self.columns):
                raise ValueError(f"row {number} marks {bold} bold, which are not all columns")
        return self


class Entry(Strict):
    """A line of the index: a table with its counts, or a figure with what it shows and what it needs."""

    id: str
    paper: Paper
    source: str
    at_hand: bool = True
    rows: int | None = Field(None, ge=1)
    flags: int | None = Field(None, ge=0)
    shows: str | None = None
    reproduce: str | None = None
    needs: str | None = None

    @property
    def is_table(self) -> bool:
        return self.rows is not None


@cache
def index() -> tuple[Entry, ...]:
    """Every table, then every figure, of the four papers."""
    path = _path("index")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(validate(Entry, entry, path.name) for kind in ("tables", "figures") for entry in values[kind])


@cache
def load(id: str) -> Reported:
    """One printed table, checked. Errors: ConfigError for an unknown id (and the nearest) or a wrong file."""
    table = choose("table", id, {entry.id: entry for entry in index() if entry.is_table})
    path = _path(table.id)
    return validate(Reported, yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


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


def _path(name: str) -> Path:
    return Path(__file__).parent / f"{name}.yaml"
