"""The text files of IJB-B and IJB-C in insightface's packing: which picture is in which template, and which pairs.

``…_face_tid_mid.txt``: picture, template, media. ``…_template_pair_label.txt``: two templates, 1 or 0.
``…_name_5pts_score.txt``: picture, five points (x y each), score of the detector. Fields stand between spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from aifr_lib.data.formats import index
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.image_list import inside
from aifr_lib.data.formats.lines import parsed, whole

OUTSIDE = r"^$|^/|(^|/)\.\.(/|$)|\x00"  # what lists.inside refuses


def read_media(path: str | Path) -> pd.DataFrame:
    """The pictures of the templates: record (str), template and media (int64), in the order of the file.

    Errors: BadFile naming the line. Read from the index after the first time.
    """
    return _table("ijb-media", path, {"record": pa.string(), "template": pa.int64(), "media": pa.int64()}, _media)


def read_template_pairs(path: str | Path) -> pd.DataFrame:
    """The template pairs: a and b (int64), same (bool), in the order of the file.

    Errors: BadFile naming the line. Read from the index after the first time (IJB-C has 15.7 million lines).
    """
    table = _table("ijb-pairs", path, {"a": pa.int64(), "b": pa.int64(), "same": pa.int8()}, _template_pair)
    return table.assign(same=table["same"].astype(bool))


def read_landmarks(path: str | Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Records, five points (x, y) float32 [N, 5, 2], scores float32 [N]. Errors: BadFile naming the line."""
    names = [f"{axis}{point}" for point in range(5) for axis in "xy"]
    table = _table(
        "ijb-landmarks", path, {"record": pa.string(), **dict.fromkeys([*names, "score"], pa.float32())}, _landmarks
    )
    points = np.stack([table[name].to_numpy() for name in names], axis=1).reshape(-1, 5, 2)
    return table["record"].tolist(), points, table["score"].to_numpy()


def check_templates(media: pd.DataFrame, pairs: pd.DataFrame, path: str | Path) -> None:
    """Errors: BadFile where the pairs name a template without pictures."""
    absent = np.setdiff1d(pairs[["a", "b"]].to_numpy(), media["template"].to_numpy())
    if len(absent):
        raise BadFile(f"{len(absent)} templates have no picture: {', '.join(map(str, absent[:5]))}", path)


def _media(text: str) -> None:
    record, template, media = _fields(text, 3, "picture template media")
    inside(record)
    whole(template, "the template")
    whole(media, "the media", low=-(10**18))


def _template_pair(text: str) -> None:
    a, b, same = _fields(text, 3, "template template label")
    whole(a, "the template")
    whole(b, "the template")
    if same not in ("0", "1"):
        raise BadFile(f"the label must be 1 or 0, found '{same[:40]}'")


def _landmarks(text: str) -> None:
    record, *numbers = _fields(text, 12, "picture, ten coordinates, score")
    inside(record)
    for number in numbers:
        try:
            finite = np.isfinite(float(number))
        except ValueError:
            finite = False
        if not finite:
            raise BadFile(f"coordinates and score must be numbers, found '{number[:40]}'")


def _fields(text: str, count: int, expected: str) -> list[str]:
    fields = text.split(" ")
    if len(fields) != count:
        raise BadFile(f"'{expected}' between single spaces was expected, found {len(fields)} fields")
    return fields


PARSERS: dict[str, Callable[[str], None]] = {
    "ijb-media": _media,
    "ijb-pairs": _template_pair,
    "ijb-landmarks": _landmarks,
}


def _table(kind: str, path: str | Path, columns: dict[str, pa.DataType], parse: Callable[[str], None]) -> pd.DataFrame:
    def make() -> pa.Table:
        why = "its lines are not as expected"
        try:
            table = csv.read_csv(
                path,
                read_options=csv.ReadOptions(column_names=list(columns)),
                parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
                convert_options=csv.ConvertOptions(column_types=columns, null_values=[], strings_can_be_null=False),
            )
            if table.num_rows and _plausible(table):
                return table
        except pa.ArrowInvalid as error:
            why = str(error)
        # The fast reader says that something is wrong; the slow one says what and where.
        for _ in parsed(path, parse):
            pass
        raise BadFile(why, path)

    return index.cached(kind, path, make).to_pandas()


def _plausible(table: pa.Table) -> bool:
    """Whether each value is one that the slow parser would take."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "record":
            good = not pc.any(pc.match_substring_regex(column, OUTSIDE)).as_py()
        elif name == "same":
            good = pc.all(pc.is_in(column, pa.array([0, 1], pa.int8()))).as_py()
        elif name == "media":
            good = True
        elif pa.types.is_floating(column.type):
            good = pc.all(pc.is_finite(column)).as_py()
        else:
            good = pc.min(column).as_py() >= 0
        if not good:
            return False
    return True
