"""Text lists of pictures.

An *image list* has a line ``id path age gender`` for each picture (MTLFace): id a whole number, path inside the list's
folder, and where they are known age in years and gender (1 male, 0 female). Fields stand between tabs if the line has a
tab, between spaces otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.lines import OnFault, parsed, whole, write_lines
from aifr_lib.data.images import OLDEST, UNKNOWN

CHUNK = 1 << 16
SCHEMA = pa.schema([("record", pa.string()), ("identity", pa.int64()), ("age", pa.float32()), ("gender", pa.int8())])


class Listed(NamedTuple):
    """A line of an image list; age NaN and gender −1 where unknown."""

    record: str
    identity: int
    age: float = math.nan
    gender: int = UNKNOWN


def parse_image(text: str) -> Listed:
    """One line of an image list. Errors: BadFile with the problem."""
    fields = [field.strip() for field in text.split("\t")] if "\t" in text else text.split()
    if len(fields) not in (2, 4):
        raise BadFile(
            f"'id path' or 'id path age gender' was expected, found {len(fields)} fields "
            "(put tabs between them if a path holds spaces)"
        )
    identity = whole(fields[0], "the id")
    inside(fields[1])
    if len(fields) == 2:
        return Listed(fields[1], identity)
    try:
        age = float(fields[2])
    except ValueError:
        age = math.inf
    if not (math.isnan(age) or 0 <= age <= OLDEST):
        raise BadFile(f"the age must be 0 to {OLDEST} years or nan, found '{fields[2][:40]}'")
    if fields[3] not in ("0", "1", "-1"):
        raise BadFile(f"the gender must be 1 (male), 0 (female) or -1 (unknown), found '{fields[3][:40]}'")
    return Listed(fields[1], identity, age, int(fields[3]))


def inside(path: str) -> str:
    """``path``, if it stays inside its folder. Errors: BadFile."""
    if not path or "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise BadFile(f"a path inside the list's folder was expected, found '{path[:80]}'")
    return path


def read_image_list(path: str | Path, on_fault: OnFault | None = None) -> pa.Table:
    """An image list as a table: record (the path), identity, age, gender, in the order of the file.

    on_fault: called with each fault, which is passed over (None: the first is raised).
    Errors: BadFile naming the line; or an empty list.
    """
    chunks, chunk = [], []
    for row in parsed(path, parse_image, on_fault):
        chunk.append(row)
        if len(chunk) == CHUNK:
            chunks.append(_batch(chunk))
            chunk = []
    chunks.append(_batch(chunk))
    table = pa.Table.from_batches(chunks, SCHEMA)
    problems = [BadFile(f"{record} stands more than once", path) for record in repeated(table.column("record"))]
    if not table.num_rows:
        problems.append(BadFile("the list is empty", path))
    for problem in problems:
        if on_fault is None:
            raise problem
        on_fault(problem)
    return table


def repeated(records: pa.ChunkedArray) -> list[str]:
    """The records that stand more than once."""
    counts = pc.value_counts(records)
    names: list[str] = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    return names


def _batch(rows: list[Listed]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


def write_image_list(path: str | Path, rows: Iterable[Listed]) -> None:
    """Write an image list, with tabs. Errors: ValueError for a path that a line cannot hold."""

    def line(row: Listed) -> str:
        if any(mark in row.record for mark in "\t\r\n"):
            raise ValueError(f"{row.record!r} holds a tab or a line break: a list cannot name it")
        known = not math.isnan(row.age) or row.gender != UNKNOWN
        return f"{row.identity}\t{row.record}" + (f"\t{np.float32(row.age)!s}\t{row.gender}" if known else "")

    write_lines(path, map(line, rows))
