"""What a stored data set holds, in a few lines: kind, counts, sizes, the first entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aifr_lib.data.formats import ijb, image_records, index
from aifr_lib.data.formats.insightface_bin import read_bin
from aifr_lib.data.formats.megaface import read_features
from aifr_lib.data.formats.pair_lists import Pair, read_pairs
from aifr_lib.data.formats.pictures import BadPicture
from aifr_lib.data.formats.stored import Members, Source, pixels_of
from aifr_lib.data.sets.kinds import kind_of, opened, rec_of

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Description:
    """facts: name → value, printed one a line. rows: the first entries, all with the same keys."""

    facts: Mapping[str, Any]
    rows: Rows


def describe(path: str | Path, *, first: int = 5, progress: bool = True) -> Description:
    """Kind, counts, sizes and the ``first`` entries of a data set of any kind (``data/sets/kinds.py``).

    Errors: FileNotFoundError; BadFile at the first fault.
    """
    path = Path(path)
    kind = kind_of(path)
    facts, rows = DESCRIBE.get(kind, _ijb)(path, first, progress)
    return Description({"kind": kind, **facts}, rows)


def _pictures(path: Path, first: int, progress: bool) -> tuple[dict[str, Any], Rows]:
    kind = kind_of(path)
    path = rec_of(path) if kind == "rec" else path
    table, source = opened(path, kind, progress=progress)
    if kind == "rec":
        names = [f"record {key}" for key in table.column("key")[:first].to_pylist()]
    else:
        names = table.column("record")[:first].to_pylist()
    identity = table.column("identity").to_numpy()
    people, counts = np.unique(identity[identity >= 0], return_counts=True)
    age = table.column("age").to_numpy()
    known = age[~np.isnan(age)]
    facts = {
        "pictures": table.num_rows,
        "people": len(people),
        "pictures a person": f"{counts.min()} to {counts.max()}, mean {counts.mean():.1f}" if len(counts) else "none",
        "ages": f"{known.min():g} to {known.max():g} years, known for {len(known)}" if len(known) else "unknown",
    }
    if kind == "rec":
        parts = int((table.column("size").to_numpy() == image_records.SPLIT).sum())
        facts |= {
            "bytes": path.stat().st_size,
            "keys from": ".idx" if path.with_suffix(".idx").is_file() else "the order in the file (no .idx)",
            "records in parts": parts,
        }
    rows = [
        {"entry": name, **_picture(source, row), "identity": int(identity[row]), "age": _years(float(age[row]))}
        for row, name in enumerate(names)
    ]
    return {**facts, "index": index.path_of(kind, path)}, rows


def _bin(path: Path, first: int, progress: bool) -> tuple[dict[str, Any], Rows]:
    pictures, same = read_bin(path)
    members = Members(path, pictures)
    facts = {
        "pairs": len(same),
        "one person": int(same.sum()),
        "two people": int((~same).sum()),
        "stored as": "arrays" if isinstance(pictures[0], np.ndarray) else "encoded pictures",
        "bytes": path.stat().st_size,
    }
    rows = [
        {"entry": f"picture {row}", **_picture(members, row), "pair": row // 2, "same": bool(same[row // 2])}
        for row in range(min(len(members), 2 * first))
    ]
    return facts, rows


def _pairs(path: Path, first: int, progress: bool) -> tuple[dict[str, Any], Rows]:
    pairs = read_pairs(path)
    same = sum(pair.same for pair in pairs)
    facts = {
        "pairs": len(pairs),
        "one person": same,
        "two people": len(pairs) - same,
        "folds": len({pair.fold for pair in pairs}),
        "pictures": len({name for pair in pairs for name in (pair.a, pair.b)}),
    }
    return facts, [Pair(*pair)._asdict() for pair in pairs[:first]]


def _features(path: Path, first: int, progress: bool) -> tuple[dict[str, Any], Rows]:
    values = read_features(path)
    facts = {"dimension": len(values), "length": f"{np.linalg.norm(values):.4f}"}
    return facts, [{"place": place, "value": f"{value:.6f}"} for place, value in enumerate(values[:first].tolist())]


def _ijb(path: Path, first: int, progress: bool) -> tuple[dict[str, Any], Rows]:
    kind = kind_of(path)
    if kind == "ijb-landmarks":
        records, points, score = ijb.read_landmarks(path)
        rows = [
            {"record": record, "left eye": f"{point[0]}", "score": f"{one:.3f}"}
            for record, point, one in zip(records[:first], points, score, strict=False)
        ]
        return {"pictures": len(records)}, rows
    table = ijb.read_media(path) if kind == "ijb-media" else ijb.read_template_pairs(path)
    if kind == "ijb-pairs":
        facts = {
            "pairs": len(table),
            "one person": int(table["same"].sum()),
            "templates": len(np.unique(table[["a", "b"]])),
        }
    else:
        facts = {
            "pictures": len(table),
            "templates": table["template"].nunique(),
            "media": table["media"].nunique(),
        }
    return facts, pa.Table.from_pandas(table.head(first), preserve_index=False).to_pylist()


def _picture(source: Source, row: int) -> dict[str, Any]:
    try:
        picture = source.read(row)
        height, width = pixels_of(picture).shape[:2]
    except BadPicture as error:
        raise BadPicture(error.problem, *source.where(row)) from error
    return {"size": f"{height}×{width}", "bytes": picture.nbytes if isinstance(picture, np.ndarray) else len(picture)}


def _years(age: float) -> str:
    return "" if np.isnan(age) else f"{age:g}"


DESCRIBE: dict[str, Callable[[Path, int, bool], tuple[dict[str, Any], Rows]]] = {
    "rec": _pictures,
    "list": _pictures,
    "folder": _pictures,
    "bin": _bin,
    "pairs": _pairs,
    "features": _features,
}
