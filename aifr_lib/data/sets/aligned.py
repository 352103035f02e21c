"""Aligned photographs, made once: MTCNN crops in the user's cache, keyed by what is in the files.

A cache file never belongs in a repository: crops of photographs are photographs.
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import NOBODY, list_pictures, read_each
from aifr_lib.data.formats.stored import Files, StoredPixels, as_array
from aifr_lib.data.images import COLUMNS, UNKNOWN, Images
from aifr_lib.faces import align
from aifr_lib.files import atomic_write, cache_dir

LOG = logging.getLogger(__name__)
MOST = 50_000  # photographs whose crops are kept in the memory: 2 GB


def labels_digest(labels: pd.DataFrame) -> str:
    """Sixteen digits of a SHA-256 over records, identities and ages: names the selection, not the pixels."""
    rows = (f"{row.record},{row.identity},{row.age:g}\n" for row in labels[list(COLUMNS)].itertuples())
    return hashlib.sha256("".join(rows).encode()).hexdigest()[:16]


def aligned(
    name: str, version: str, table: pd.DataFrame, *, skip_bad: bool = False, progress: bool = True
) -> tuple[Images, list[str]]:
    """The pictures of a ``list_pictures`` table as 112×112 crops, and the records of the bad files left out.

    The labels gain ``found``: False where the detector saw no face and the crop is the centre of the picture.
    Crops are cached under ``cache_dir()/aligned``; a damaged cache is made again, with a warning.
    Errors: BadPicture for a file that cannot be read, unless ``skip_bad``; ValueError for more than ``MOST``.
    """
    if len(table) > MOST:
        raise ValueError(
            f"{name}: {len(table):,} photographs that are no 112×112 crops, more than the memory holds: run "
            "'aifr align FOLDER --out CROPS' once and put CROPS in its place, with the set's lists beside it"
        )
    path = cache_dir() / "aligned" / f"{name}-{_content(table)}.npz"
    stored = _read(path, len(table))
    if stored is None or not (skip_bad or stored["good"].all()):
        stored = _make(table, skip_bad=skip_bad, progress=progress, desc=f"align {name}")
        with atomic_write(path) as temporary:
            np.savez(temporary, allow_pickle=False, **stored)
    good = stored["good"]
    labels = table[good].drop(columns="path").assign(found=stored["found"]).reset_index(drop=True)
    return Images(name, version, stored["pixels"], labels), list(table["record"][~good])


def load_folder(folder: str | Path, *, skip_bad: bool = False, progress: bool = True) -> tuple[Images, list[str]]:
    """A folder of photographs, or a ``.csv`` that lists them, as aligned Images, and the bad files left out (layout:
    ``data/formats/folder.py``).

    Pictures that all are 112×112, or all 112×96, are taken as aligned already, and are decoded again when asked for.
    Errors: ValueError where a picture has no identity; those of ``list_pictures`` and ``aligned``.
    """
    table = list_pictures(folder)
    if (nobody := table["identity"] == UNKNOWN).any():
        raise BadFile(NOBODY, table["path"][nobody].iloc[0])
    folder = Path(folder)
    name = folder.resolve().stem if folder.is_file() else folder.resolve().name
    version = labels_digest(table)
    size: tuple[int, int] | None = None
    rows = []
    for row, picture in read_each(table, skip_bad=skip_bad, progress=progress, desc=f"read {name}"):
        if picture is None:
            continue
        size = size or (picture.shape[0], picture.shape[1])
        if picture.shape[:2] != size or size not in align.SIZES.values():
            return aligned(name, version, table, skip_bad=skip_bad, progress=progress)
        rows.append(row)
    if not rows:
        raise ValueError(f"{folder}: none of {len(table)} files is a readable picture")
    labels = table.loc[rows].drop(columns="path").assign(found=True).reset_index(drop=True)
    pixels = StoredPixels(
        Files(folder if folder.is_dir() else folder.parent, pa.chunked_array([labels["record"]])), size
    )
    return Images(name, version, as_array(pixels), labels), list(table["record"].drop(index=rows))


def _make(table: pd.DataFrame, *, skip_bad: bool, progress: bool, desc: str) -> dict[str, np.ndarray]:
    good = np.zeros(len(table), dtype=bool)
    crops, found = [], []
    for row, crop, seen in align.align_each(read_each(table, skip_bad=skip_bad, progress=progress, desc=desc)):
        good[row] = True
        crops.append(crop)
        found.append(seen)
    if not crops:
        raise ValueError(f"{desc}: none of {len(table)} files is a readable picture")
    return {"pixels": np.stack(crops), "found": np.array(found), "good": good}


def _content(table: pd.DataFrame) -> str:
    total = hashlib.sha256(align.VERSION.encode())
    for record, path in zip(table["record"], table["path"], strict=True):
        file = Path(path)
        content = file.read_bytes() if file.is_file() else b""
        total.update(f"\0{record}\0{hashlib.sha256(content).hexdigest()}".encode())
    return total.hexdigest()[:16]


def _read(path: Path, rows: int) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            stored = {key: archive[key] for key in ("pixels", "found", "good")}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        LOG.warning("%s is damaged (%s) and is made again", path, error)
        return None
    if len(stored["good"]) != rows or not (stored["good"].sum() == len(stored["found"]) == len(stored["pixels"])):
        LOG.warning("%s does not fit the folder and is made again", path)
        return None
    return stored
