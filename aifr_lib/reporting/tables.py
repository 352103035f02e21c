"""Tables as a paper lays them out: ours and the paper's number in one cell, every number folded below with its file."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING

from aifr_lib.reporting import papers
from aifr_lib.reporting.artefacts import Artefact, csv_lines
from aifr_lib.reporting.prose import counted, digits, in_full, typeset
from aifr_lib.reporting.rows import ENDS, INTERVALS, METRICS, Key, Measured, Row, in_words

if TYPE_CHECKING:
    import pandas as pd

METRIC = "metric"  # what goes down or across where no key does
SHORT = 12  # rows that need no folding
NOT_RUN, UNDEFINED = "not run", "undefined"
ALIKE = "†"
_MEASURES = {"MAE": "error", "corr": "correlation", "acc": "accuracy"}
# What stands above the columns of printed tables, where their names are no words.
PRINTED = {
    "params_M": "parameters, M",
    "ratio_pct": "ratio, %",
    "rank1": "rank-1",
    "training_data_M": "training data, M",
    "inter_over_intra": "inter / intra",
    "FGNET_LOO": "FG-NET, leave-one-out",
    "FGNET_MF1": "FG-NET, MegaFace",
    "score_min": "least score",
    "checkpoint": "file of weights",
    "url": "address",
    "Age_corr": "age, correlation",
    **{f"AU{unit}_{key}": f"AU{unit}, {word}" for unit in (6, 12) for key, word in _MEASURES.items()},
    **{
        f"Edema{ward}_{key}": f"{name}, {word}"
        for ward, name in (("A", "Edema-A"), ("B", "Edema-B"), ("A2B", "Edema-A to -B"))
        for key, word in _MEASURES.items()
    },
}
_SMALL = "font-size:.85em;opacity:.8"


@dataclass(frozen=True)
class Shape:
    """How a table is laid out: the keys that go down, those that go across, and which rows it shows.

    down, across: names of keys, or ``METRIC``. only: values that a shown row has, one or any of several. columns: the
    order of what goes across first, where the rows' own is not wanted. names: words for values and keys of this table.
    grouped: a value of the first key that goes down stands once, above its lines, and takes no column.
    """

    down: tuple[str, ...]
    across: tuple[str, ...]
    only: Mapping[str, Key | tuple[Key, ...]] = field(default_factory=dict)
    names: Mapping[Key, str] = field(default_factory=dict)
    grouped: bool = False

    def shows(self, row: Row) -> bool:
        """Whether the row has a place in the table."""
        place = _place(row)
        wanted = ((place.get(key), value) for key, value in self.only.items())
        return all(found in (value if isinstance(value, tuple) else (value,)) for found, value in wanted)

    def said(self, name: Key) -> str:
        """A value, a key or a metric in words."""
        return self.names.get(name, METRICS.get(str(name), in_words(name)))


def head_of(column: str) -> str:
    """What stands above a column of a printed table."""
    return PRINTED.get(column, column.replace("_", " "))


def printed_frame(id: str) -> pd.DataFrame:
    """A table as the paper prints it, its columns in words. Errors: as ``papers.load``."""
    import pandas as pd  # here: a list of results needs none

    reported = papers.load(id)
    rows = [{head_of(name): _said(row[name]) for name in reported.columns} for row in reported.rows]
    return pd.DataFrame(rows)


def _said(cell: papers.Cell) -> papers.Cell:
    """A printed cell as a page shows it: a dash for what is not reported."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return in_words(cell)
    if isinstance(cell, str):
        return re.sub(r"ℓ_\{?(\w+)\}?", _lowered, cell.replace(r"$\alpha$", "α"))
    return cell


def _lowered(found: re.Match[str]) -> str:
    """The index of a printed norm or loss, set low where a character for it exists: "ℓ₂", "ℓ GAN"."""
    index = found[1]
    return f"ℓ{index.translate(str.maketrans('012', '₀₁₂'))}" if index.isdigit() else f"ℓ {index}"


def artefact_table(artefact: Artefact, shape: Shape | None = None) -> str:
    """The table in its shape, then all its rows, folded where they are many or stand above already.

    Errors: none; what was not run is said in its cell.
    """
    notes = [notes_on(artefact.rows)]
    if shape is not None and artefact.kind != "settings":
        notes.append(seeds_said([row for row in artefact.rows if shape.shows(row)], shape))
    if artefact.kind != "settings" and any(row.paper is not None for row in artefact.rows):
        notes.append("The paper's numbers are of its own data.")
    note = f'<p style="{_SMALL}">{typeset(" ".join(filter(None, notes)))}</p>' if any(notes) else ""
    exact = artefact.kind == "settings"
    every = every_row(artefact.rows, shape, exact=exact)
    if shape is None and len(artefact.rows) <= SHORT:
        return _scrolling(every + note)
    shaped = "" if shape is None else shaped_table(artefact.rows, shape, exact=exact) + note
    folded = (
        f'<details class="aifr-all"><summary>All {len(artefact.rows)} numbers</summary>'
        f"<p>{csv_link(artefact)}</p>{_scrolling(every)}</details>"
    )
    return shaped + folded


def notes_on(rows: Sequence[Row]) -> str:
    """Over what the intervals of these rows speak, and what a dagger beside one means; empty without intervals."""
    kinds = dict.fromkeys(row.measured.interval for row in rows if row.measured and row.measured.interval)
    notes = [f"95 % intervals: {'; '.join(INTERVALS[kind] for kind in kinds)}."] if kinds else []
    if any(row.measured and _all_alike(row.measured) for row in rows):
        notes.append(f"{ALIKE}: all succeed or all fail, so resampling shows nothing; Wilson over people instead.")
    return " ".join(notes)


def shaped_table(rows: Sequence[Row], shape: Shape, *, exact: bool = False) -> str:
    """A line for each combination of what goes down, a column for each of what goes across.

    Where some lines have results, those without follow in one sentence, which unfolds where the paper has numbers.
    exact: numbers are settings, given in full, and no measurements.
    """
    shown = [row for row in rows if shape.shows(row)]
    measured = {_named(row, shape.down) for row in shown if row.measured}
    if not measured:
        return _scrolling(_laid_out(shown, shape, exact))
    missing = [row for row in shown if _named(row, shape.down) not in measured]
    there = [row for row in shown if _named(row, shape.down) in measured]
    laid = _scrolling(_laid_out(_numbered(there, shape), shape, exact))
    if not missing:
        return laid
    which = _outline([_named(row, shape.down) for row in missing], shape)
    if not any(row.paper is not None for row in missing):
        said = typeset(f"Not {'set' if exact else 'run'}: {which}.")
        return f'{laid}<p class="aifr-not-run" style="{_SMALL}">{said}</p>'
    printed = {_named(row, shape.down) for row in missing if row.paper is not None}
    more = [row for row in missing if _named(row, shape.down) in printed]
    table = _scrolling(_laid_out(_numbered(more, shape), shape, exact))
    said = typeset(f"Not run here: {which}. What the paper prints of them")
    return f'{laid}<details class="aifr-not-run" style="{_SMALL}"><summary>{said}</summary>{table}</details>'


def seeds_said(rows: Sequence[Row], shape: Shape) -> str:
    """On how many seeds the numbers of a table rest: once for all, or by its lines where these differ."""
    counts: dict[tuple[Key, ...], set[int]] = {}
    for row in rows:
        if row.measured and row.measured.per_seed:
            counts.setdefault(_named(row, shape.down), set()).add(len(row.measured.per_seed))
    by: dict[str, list[tuple[Key, ...]]] = {}
    for line, found in counts.items():
        few, many = min(found), max(found)
        by.setdefault(counted(many, "seed") if few == many else f"{few} to {many} seeds", []).append(line)
    if len(by) == 1:
        return f"Each number rests on {next(iter(by))}."
    said = [f"on {count}: {_outline(lines, shape)}" for count, lines in by.items()]
    return f"Numbers rest {'; '.join(said)}." if said else ""


def _outline(lines: Iterable[tuple[Key, ...]], shape: Shape) -> str:
    """Lines of a table in words, what they share said once: "MobileFaceNet (alone; AAD); MobileNetV1 (alone)"."""
    ends: dict[str, list[str]] = {}
    for line in dict.fromkeys(lines):
        *first, last = (_value(shape, key, part) for key, part in zip(shape.down, line, strict=True) if part != "")
        ends.setdefault(", ".join(first), []).append(last)
    return "; ".join(f"{first} ({'; '.join(last)})" if first else "; ".join(last) for first, last in ends.items())


def _numbered(rows: Sequence[Row], shape: Shape) -> list[Row]:
    """Without the columns that have neither a number of ours nor of the paper."""
    filled = {_named(row, shape.across) for row in rows if row.measured or row.paper is not None}
    return [row for row in rows if _named(row, shape.across) in filled]


def _laid_out(rows: Sequence[Row], shape: Shape, exact: bool) -> str:
    lines = list(dict.fromkeys(_named(row, shape.down) for row in rows))
    columns = list(dict.fromkeys(_named(row, shape.across) for row in rows))
    cells = {(_named(row, shape.down), _named(row, shape.across)): row for row in rows}
    first = int(shape.grouped)
    head = [*("" if key == METRIC else shape.said(key) for key in shape.down[first:])]
    head += [_column(shape, column) for column in columns]
    body: list[str | list[str]] = []
    above = None
    for line in lines:
        if shape.grouped and line[0] != above:
            above = line[0]
            body.append(typeset(_value(shape, shape.down[0], above)))
        said = (typeset(shape.said(part)) if part != "" else "" for part in line[first:])
        body.append([*said, *(_cell(cells.get((line, c)), exact) for c in columns)])
    return _table([typeset(name) for name in head], body)


def _column(shape: Shape, values: Sequence[Key]) -> str:
    """The head of a column: what its values are, and of a number also whose."""
    return ", ".join(_value(shape, key, part) for key, part in zip(shape.across, values, strict=True) if part != "")


def _value(shape: Shape, key: str, value: Key) -> str:
    return shape.said(value) if isinstance(value, str) or value in shape.names else _quantity(shape.said(key), value)


def _quantity(name: str, value: Key) -> str:
    """A number and whose it is: "α = 0.4"; "age 8 years" where the name says its unit."""
    name, _, unit = name.partition(", ")
    return f"{name} {in_words(value)} {unit}" if unit else f"{name} = {in_words(value)}"


def every_row(rows: Sequence[Row], shape: Shape | None = None, *, exact: bool = False) -> str:
    """Keys, our mean with its 95 % interval and number of seeds, the paper's number and source, a line for each row.

    A column that no row fills is left out. Keys and values have the words that they have in the ``shape``.
    """
    said = in_words if shape is None else shape.said
    names = list(dict.fromkeys(name for row in rows for name in row.keys))
    head = [*map(said, names), "measure", "ours [95 % interval]", "seeds", "the paper, on its own data"]
    lines = [
        [*("" if name not in row.keys else said(row.keys[name]) for name in names), *_values(row, exact)]
        for row in rows
    ]
    filled = [not lines or any(line[at] for line in lines) for at in range(len(head))]
    body = [[typeset(cell) for cell in compress(line, filled)] for line in lines]
    return _table([typeset(name) for name in compress(head, filled)], body)


def csv_link(artefact: Artefact) -> str:
    """A link that saves the table as a file: the numbers lie in the link itself, so it works on any page."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(csv_lines(artefact.rows))
    data = base64.b64encode(text.getvalue().encode()).decode()
    return f'<a download="{artefact.id}.csv" href="data:text/csv;base64,{data}">CSV</a>'


def _place(row: Row) -> dict[str, Key]:
    return {METRIC: row.metric, **row.keys}


def _named(row: Row, keys: Iterable[str]) -> tuple[Key, ...]:
    place = _place(row)
    return tuple(place.get(key, "") for key in keys)


def _cell(row: Row | None, exact: bool) -> str:
    """Ours with its interval, and under it the paper's."""
    if row is None:
        return "–"
    found = row.measured
    if found is None:
        ours = _absent(row, exact)
    else:
        ours = f"<strong>{in_full(found.mean) if exact else digits(found.mean)}</strong>"
        ours += f' <span style="{_SMALL}">{_interval(row)}</span>' if found.ci95 else ""
    return ours + (f'<br><span style="{_SMALL}">paper: {in_full(row.paper)}</span>' if row.paper is not None else "")


def _absent(row: Row, exact: bool) -> str:
    """What stands in place of a number: a setting that is not set is a dash."""
    if exact:
        return "–"
    return UNDEFINED if row.undefined else NOT_RUN


def _values(row: Row, exact: bool) -> list[str]:
    found = row.measured
    if found is None:
        ours, seeds = _absent(row, exact), ""
    else:
        ours = in_full(found.mean) if exact else digits(found.mean)
        ours += f" {_interval(row)}" if found.ci95 else ""
        seeds = str(len(found.per_seed) or "")
    source = f" ({row.paper_source})" if row.paper_source else ""
    paper = ("" if row.paper is None else in_full(row.paper)) + source
    return [METRICS.get(row.metric, row.metric), ours, seeds, paper.strip()]


def _interval(row: Row) -> str:
    """The interval of a measured row; one of Student's t ends where the metric does."""
    found = row.measured
    assert found is not None
    low, high = found.ci95 or (found.mean, found.mean)
    least, most = ENDS.get(row.metric, (low, high))
    low, high = max(low, least), min(high, most)
    return f"[{digits(low)}, {digits(high)}]{ALIKE if _all_alike(found) else ''}"


def _all_alike(found: Measured) -> bool:
    """Whether people were resampled in vain: a share of 0 or 100 % with an interval that is Wilson's."""
    low, high = found.ci95 or (found.mean, found.mean)
    return found.interval == "identities" and found.mean in (0.0, 100.0) and low < high


def _scrolling(table: str) -> str:
    return f'<div class="aifr-table" style="overflow-x:auto">{table}</div>'


def _table(head: Sequence[str], body: Iterable[str | Sequence[str]]) -> str:
    """A line of cells for each sequence; for a text, which heads those that follow, one cell over all columns."""
    lines = [
        f'<tr><th colspan="{len(head)}">{line}</th></tr>' if isinstance(line, str) else _tr("td", line) for line in body
    ]
    grouped = ' class="aifr-grouped"' if any(line.startswith("<tr><th") for line in lines) else ""
    return f"<table{grouped}><thead>{_tr('th', head)}</thead><tbody>{''.join(lines)}</tbody></table>"


def _tr(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"
