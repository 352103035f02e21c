"""Lists of pairs: LFW's ``pairs.txt``, and a ``.csv`` that names any pictures.

``pairs.txt`` has ``name n1 n2`` for one person, ``name1 n1 name2 n2`` for two. A ``.csv`` has the columns a, b,
same (1 or 0, true or false), and perhaps fold.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from aifr_lib.data.formats.faults import BadFile, some
from aifr_lib.data.formats.folder import key
from aifr_lib.data.formats.image_list import inside
from aifr_lib.data.formats.lines import OnFault, numbered, parsed, whole, write_lines
from aifr_lib.data.images import FOLDS, Images, Pairs

SAME = {"1": True, "0": False, "true": True, "false": False}


class Pair(NamedTuple):
    """Two pictures by name, whether they show one person, and the fold of the pair (0, 1, …)."""

    a: str
    b: str
    same: bool
    fold: int


def lfw_name(person: str, number: str, suffix: str = ".jpg") -> str:
    """``Ann_Smith`` and ``3`` → ``Ann_Smith/Ann_Smith_0003.jpg``, LFW's layout."""
    return inside(f"{person}/{person}_{whole(number, 'the number of the picture', 1):04d}{suffix}")


def read_pairs(path: str | Path, *, on_fault: OnFault | None = None) -> list[Pair]:
    """LFW's ``pairs.txt``, or a ``.csv`` of pairs, in the order of the file.

    The first line of ``pairs.txt`` holds the number of folds and of pairs of each kind in a fold (``10 300``), or only
    the latter (one fold); the file must have as many lines as it says.
    on_fault: as for ``read_image_list``.
    Errors: BadFile naming the line.
    """
    return _read_csv(path, on_fault) if Path(path).suffix.lower() == ".csv" else _read_lfw(path, on_fault)


def _read_lfw(path: str | Path, on_fault: OnFault | None) -> list[Pair]:
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
            return Pair(lfw_name(name, m), lfw_name(name, n), True, fold)
        if len(fields) == 4:
            name, m, other, n = fields
            return Pair(lfw_name(name, m), lfw_name(other, n), False, fold)
        raise BadFile(f"'name n1 n2' or 'name1 n1 name2 n2' was expected, found {len(fields)} fields")

    pairs = [pair for pair in parsed(path, parse, on_fault) if pair is not None]
    if count != 2 * folds * per_kind or not count:
        fault = BadFile(f"{folds} folds of 2 × {per_kind} pairs were announced, {max(count, 0)} lines follow", path)
        if on_fault is None:
            raise fault
        on_fault(fault)
    return pairs


def _read_csv(path: str | Path, on_fault: OnFault | None) -> list[Pair]:
    number, columns = next(((number, _csv_fields(text)) for number, text in numbered(path)), (1, []))
    if missing := [name for name in ("a", "b", "same") if name not in columns]:
        found = ", ".join(columns)[:80] or "nothing"
        raise BadFile(f"the column {' and '.join(missing)} is missing; found {found}", path, f"line {number}")

    def parse(text: str) -> Pair | None:
        fields = _csv_fields(text)
        if fields == columns:
            return None
        if len(fields) != len(columns):
            raise BadFile(f"{len(columns)} fields were expected, found {len(fields)}")
        row = dict(zip(columns, fields, strict=True))
        if row["same"].lower() not in SAME:
            raise BadFile(f"same must be 1 or 0, true or false, found '{row['same'][:40]}'")
        fold = whole(row["fold"], "the fold") if "fold" in row else -1
        return Pair(inside(row["a"]), inside(row["b"]), SAME[row["same"].lower()], fold)

    pairs = [pair for pair in parsed(path, parse, on_fault) if pair is not None]
    if not pairs and on_fault is None:
        raise BadFile("the list is empty", path)
    if pairs and pairs[0].fold == -1:
        pairs = [pair._replace(fold=int(fold)) for pair, fold in zip(pairs, folds(len(pairs)), strict=True)]
    return pairs


def _csv_fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise BadFile(f"not a line of a .csv: {error}") from None


def folds(pairs: int) -> np.ndarray:
    """The fold of each of so many pairs, int64: ten contiguous runs, equal up to one pair."""
    return np.repeat(np.arange(FOLDS), [len(part) for part in np.array_split(np.empty(pairs), FOLDS)])


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> None:
    """Write a ``.csv`` of pairs, which names any files, or LFW's ``pairs.txt``.

    Errors: ValueError where a name does not follow LFW's layout, or the folds are not LFW's (each with as many genuine
    as impostor pairs): such pairs go into a ``.csv``.
    """
    pairs = list(pairs)
    if Path(path).suffix.lower() == ".csv":
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
    """Named pairs as Pairs over the rows of ``images``. Errors: as ``rows_of``."""
    listed = list(pairs)
    named = [pair.a for pair in listed] + [pair.b for pair in listed]
    a, b = np.split(rows_of(images.labels["record"], named, name), 2)
    return Pairs(
        name,
        a,
        b,
        np.array([pair.same for pair in listed], dtype=bool),
        np.array([pair.fold for pair in listed], dtype=np.int64),
    )


def rows_of(records: Iterable[str], names: Sequence[str], what: str) -> np.ndarray:
    """The rows of the pictures ``names`` among ``records``, int64; endings count only where they tell two apart.

    Errors: BadFile that begins with ``what`` and names the pictures that are not there.
    """
    row_of = {record: row for row, record in enumerate(records)}
    by_key = {key(record): row for record, row in row_of.items()}
    rows = [row_of.get(name, by_key.get(key(name), -1)) for name in names]
    absent = sorted({name for name, row in zip(names, rows, strict=True) if row < 0})
    if absent:
        raise BadFile(f"the pairs name pictures that are not there ({len(absent)}): {some(absent)}", what)
    return np.array(rows, dtype=np.int64)


def joined(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """People of ``count`` pictures, int64 numbers: genuine pairs a, b [P] (rows) join their pictures."""
    links = coo_array((np.ones(len(a)), (a, b)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)
