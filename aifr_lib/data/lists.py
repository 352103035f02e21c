"""Text lists of pictures and of pairs.

An *image list* has a line ``id path age gender`` for each picture (MTLFace): id a whole number, path inside the list's
folder, and where they are known age in years and gender (1 male, 0 female). Fields stand between tabs if the line has a
tab, between spaces otherwise. ``pairs.txt`` is LFW's list of pairs: ``name n1 n2`` for one person,
``name1 n1 name2 n2`` for two. A ``.csv`` of pairs names the pictures themselves: columns a, b, same (1 or 0),
and perhaps fold.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aifr_lib.data.faults import BadFile
from aifr_lib.data.images import Images, Pairs
from aifr_lib.data.lines import OnFault, numbered, parsed, whole, write_lines

UNKNOWN = -1
CHUNK = 1 << 16
OLDEST = 130
FOLDS = 10
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


class Pair(NamedTuple):
    """Two pictures by name, whether they show one person, and the fold of the pair (0, 1, …)."""

    a: str
    b: str
    same: bool
    fold: int


def lfw_name(person: str, number: str, suffix: str) -> str:
    """``Ann_Smith`` and ``3`` → ``Ann_Smith/Ann_Smith_0003.jpg``, LFW's layout."""
    return inside(f"{person}/{person}_{whole(number, 'the number of the picture', 1):04d}{suffix}")


def read_pairs(path: str | Path, *, suffix: str = ".jpg", on_fault: OnFault | None = None) -> list[Pair]:
    """LFW's ``pairs.txt``, or a ``.csv`` of pairs, in the order of the file.

    The first line of ``pairs.txt`` holds the number of folds and of pairs of each kind in a fold (``10 300``), or only
    the latter (one fold); the file must have as many lines as it says.
    suffix: of the picture files. on_fault: as for ``read_image_list``.
    Errors: BadFile naming the line.
    """
    return _read_csv(path, on_fault) if Path(path).suffix == ".csv" else _read_lfw(path, suffix, on_fault)


def _read_lfw(path: str | Path, suffix: str, on_fault: OnFault | None) -> list[Pair]:
    _, first = next(numbered(path), (0, ""))
    head = first.split()
    if len(head) not in (1, 2) or not all(field.isascii() and field.isdigit() and len(field) < 9 for field in head):
        raise BadFile("the number of folds and of pairs in each was expected, as in '10 300'", path, "line 1")
    folds, per_kind = (int(head[0]), int(head[1])) if len(head) == 2 else (1, int(head[0]))
    count = -1

    def parse(text: str) -> Pair | None:
        nonlocal count
        count += 1
        if count == 0:
            return None
        fields = text.split("\t") if "\t" in text else text.split()
        fold = min((count - 1) // max(1, 2 * per_kind), max(0, folds - 1))
        if len(fields) == 3:
            name, m, n = fields
            return Pair(lfw_name(name, m, suffix), lfw_name(name, n, suffix), True, fold)
        if len(fields) == 4:
            name, m, other, n = fields
            return Pair(lfw_name(name, m, suffix), lfw_name(other, n, suffix), False, fold)
        raise BadFile(f"'name n1 n2' or 'name1 n1 name2 n2' was expected, found {len(fields)} fields")

    pairs = [pair for pair in parsed(path, parse, on_fault) if pair is not None]
    if count != 2 * folds * per_kind or not count:
        fault = BadFile(f"{folds} folds of 2 × {per_kind} pairs were announced, {max(count, 0)} lines follow", path)
        if on_fault is None:
            raise fault
        on_fault(fault)
    return pairs


def _read_csv(path: str | Path, on_fault: OnFault | None) -> list[Pair]:
    columns: list[str] = []

    def parse(text: str) -> Pair | None:
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error as error:
            raise BadFile(f"not a line of a .csv: {error}") from None
        if not columns:
            if missing := [name for name in ("a", "b", "same") if name not in fields]:
                raise BadFile(f"the column {' and '.join(missing)} is missing; found {', '.join(fields)[:80]}")
            columns.extend(fields)
            return None
        if len(fields) != len(columns):
            raise BadFile(f"{len(columns)} fields were expected, found {len(fields)}")
        row = dict(zip(columns, fields, strict=True))
        if row["same"] not in ("0", "1"):
            raise BadFile(f"same must be 1 or 0, found '{row['same'][:40]}'")
        fold = whole(row["fold"], "the fold") if "fold" in row else -1
        return Pair(inside(row["a"]), inside(row["b"]), row["same"] == "1", fold)

    pairs = [pair for pair in parsed(path, parse, on_fault) if pair is not None]
    if not pairs and on_fault is None:
        raise BadFile("the list is empty", path)
    if pairs and pairs[0].fold == -1:
        pairs = [pair._replace(fold=int(fold)) for pair, fold in zip(pairs, folds(len(pairs)), strict=True)]
    return pairs


def folds(pairs: int) -> np.ndarray:
    """The fold of each of so many pairs, int64: ten contiguous runs, equal up to one pair."""
    return np.repeat(np.arange(FOLDS), [len(part) for part in np.array_split(np.empty(pairs), FOLDS)])


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> None:
    """Write a ``.csv`` of pairs, which names any files, or LFW's ``pairs.txt``.

    Errors: ValueError where a name does not follow LFW's layout, or the folds are not LFW's (each with as many genuine
    as impostor pairs): such pairs go into a ``.csv``.
    """
    pairs = list(pairs)
    if Path(path).suffix == ".csv":
        table = pd.DataFrame(pairs, columns=list(Pair._fields)).astype({"same": int})
        write_lines(path, table.to_csv(index=False, lineterminator="\n").splitlines())
        return
    folds = [pair.fold for pair in pairs]
    count = max(folds, default=-1) + 1
    per_kind = len(pairs) // (2 * count) if count else 0
    right = [(fold, same) for fold in range(count) for same in (True, False) for _ in range(per_kind)]
    if (
        not pairs
        or folds != sorted(folds)
        or sorted((p.fold, not p.same) for p in pairs) != [(f, not s) for f, s in right]
    ):
        raise ValueError("pairs.txt holds folds with as many genuine as impostor pairs: write a .csv of pairs instead")
    write_lines(path, [f"{count}\t{per_kind}", *map(_lfw_line, pairs)])


def _lfw_line(pair: Pair) -> str:
    (name, m), (other, n) = (_lfw_parts(picture) for picture in (pair.a, pair.b))
    if (name == other) != pair.same:
        raise ValueError(f"{pair.a} and {pair.b}: pairs.txt says by the names whether it is one person; write a .csv")
    return f"{name}\t{m}\t{n}" if pair.same else f"{name}\t{m}\t{other}\t{n}"


def _lfw_parts(picture: str) -> tuple[str, int]:
    path = PurePosixPath(picture)
    name = path.parent.as_posix()
    number = path.stem.removeprefix(f"{name}_")
    if not (number.isascii() and number.isdigit()) or lfw_name(name, number, path.suffix) != picture:
        raise ValueError(f"{picture} is not NAME/NAME_0001.jpg, as pairs.txt wants it: write a .csv of pairs instead")
    return name, int(number)


def pairs_over(images: Images, pairs: Iterable[Pair], name: str) -> Pairs:
    """Named pairs as Pairs over the rows of ``images``, whose records are the names.

    Errors: ValueError naming the pictures that are not among the images.
    """
    listed = list(pairs)
    row_of = {record: row for row, record in enumerate(images.labels["record"])}
    absent = sorted({picture for pair in listed for picture in (pair.a, pair.b)} - row_of.keys())
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise ValueError(f"{name}: {images.name} has no picture {', '.join(absent[:5])}{more}")
    return Pairs(
        name,
        np.array([row_of[pair.a] for pair in listed], dtype=np.int64),
        np.array([row_of[pair.b] for pair in listed], dtype=np.int64),
        np.array([pair.same for pair in listed], dtype=bool),
        np.array([pair.fold for pair in listed], dtype=np.int64),
    )


def missing_files(folder: Path, records: Iterable[str]) -> Iterator[str]:
    """The records that name no file in ``folder``."""
    return (record for record in records if not (folder / record).is_file())
