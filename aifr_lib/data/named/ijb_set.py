"""IJB-B and IJB-C as a named set: loose crops, their points and scores, templates and pairs of templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aifr_lib.data.formats import ijb
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import below, key
from aifr_lib.data.formats.lines import OnFault
from aifr_lib.data.formats.pictures import BadPicture, read_picture
from aifr_lib.data.formats.stored import StoredPixels
from aifr_lib.data.images import UNKNOWN, Images, Templates
from aifr_lib.data.named.annotated import nothing
from aifr_lib.data.named.listings import Listing
from aifr_lib.data.named.table import NamedSet
from aifr_lib.data.sets.aligned import labels_digest
from aifr_lib.faces import align


def ijb_set(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """IJB's loose crops, put on the template by the five points that come with them, in templates."""
    media, pairs, points = (root / name for name in entry.wanted[:3])
    if not (media.is_file() and pairs.is_file() and points.is_file()):
        return nothing(entry, root)
    table, pair_table = ijb.read_media(media), ijb.read_template_pairs(pairs)
    names, places, score = ijb.read_landmarks(points)
    try:
        ijb.check_templates(table, pair_table, pairs)
    except BadFile as error:
        fault(error)
        pair_table = pair_table[pair_table[["a", "b"]].isin(set(table["template"])).all(axis=1)]
    row_of = pd.Series(np.arange(len(names)), index=names)
    for name in row_of.index[row_of.index.duplicated()]:
        raise BadFile(f"{name} stands more than once", points)
    for name in dict.fromkeys(table["record"][~table["record"].isin(row_of.index)]):
        fault(BadFile(f"{name} stands in a template and has no points", points))
    there = {key(name): str(root / name) for name in below(root, fault, "loose_crop")}
    paths = [there.get(key(f"loose_crop/{name}"), str(root / "loose_crop" / name)) for name in names]
    labels = pd.DataFrame({"record": names, "identity": UNKNOWN, "age": np.nan, "score": score, "path": paths})
    for missing in labels["path"][~labels["path"].isin(there.values())]:
        fault(BadFile("the lists name this picture, and it is not there", missing))
    known = table[table["record"].isin(row_of.index)]
    templates = Templates(
        entry.name,
        row_of[known["record"]].to_numpy(np.int64),
        known["template"].to_numpy(),
        known["media"].to_numpy(),
        *(pair_table[name].to_numpy() for name in ("a", "b", "same")),
    )
    counts = {"pictures": len(names), "templates": int(known["template"].nunique()), "pairs": len(pair_table)}

    def images(progress: bool) -> Images:
        pixels: Any = StoredPixels(Warped(labels["path"].tolist(), places))
        return Images(entry.name, labels_digest(labels), pixels, labels.drop(columns="path"))

    return Listing(labels, counts, images, templates=templates)


class Warped:
    """Pictures that are brought to the template by known points [N, 5, 2] when they are read (a ``stored.Source``)."""

    def __init__(self, paths: list[str], points: np.ndarray):
        self.paths, self.points = paths, points

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int) -> np.ndarray:
        try:
            matrix = align.similarity(self.points[row], align.TEMPLATE)
            return align.warp(read_picture(self.paths[row]), matrix)
        except BadFile as error:
            raise BadPicture(error.problem) from error

    def where(self, row: int) -> tuple[Path, None]:
        return Path(self.paths[row]), None
