"""Any stored data set by its path: what kind it is, and its pictures as Images that are decoded when asked for.

| kind | what lies at the path |
|---|---|
| rec | ``NAME.rec`` (``NAME.idx``, ``property``), or a folder that holds exactly one |
| bin | insightface's ``.bin`` of verification pairs |
| list | an image list, ``id path age gender`` a line |
| folder | a folder of pictures: by ``labels.csv``, or a sub-folder for each identity; a ``.csv`` of the same columns |
| pairs | LFW's ``pairs.txt``, or a ``.csv`` of pairs |
| features | a MegaFace feature file |
| ijb-media, ijb-pairs, ijb-landmarks | the text files of IJB |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aifr_lib.data.formats import image_records, index
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import LABELS, NOBODY, list_pictures
from aifr_lib.data.formats.image_list import read_image_list
from aifr_lib.data.formats.insightface_bin import load_bin
from aifr_lib.data.formats.megaface import HEAD
from aifr_lib.data.formats.stored import Files, Records, StoredPixels, as_array
from aifr_lib.data.images import Images
from aifr_lib.data.sets.aligned import load_folder
from aifr_lib.faces.align import SIZES

KINDS = ("rec", "bin", "list", "folder", "pairs", "features", "ijb-media", "ijb-pairs", "ijb-landmarks")
PICTURES = ("rec", "bin", "list", "folder")
VERSION = b"aifr.version"
# How the first line of each text file looks; the first that fits decides.
FIRST_LINES = (
    ("pairs", re.compile(r"\d+(\s+\d+)?\s*")),
    ("ijb-pairs", re.compile(r"\d+ \d+ [01]\s*")),
    ("ijb-landmarks", re.compile(r"\S+( \S+){11}\s*")),
    ("ijb-media", re.compile(r"\S+ \d+ -?\d+\s*")),
    ("list", re.compile(r"\d+\s+\S.*")),
)


class ScannedImages(Images):
    """Images whose records a scan has found unique: to look again would cost seconds and a gigabyte at each opening."""

    def __post_init__(self) -> None:
        pass


def kind_of(path: str | Path) -> str:
    """The kind of data set at ``path`` (see above). Errors: FileNotFoundError; BadFile for a file of no known kind."""
    path = Path(path)
    if path.is_dir():
        recs = sorted(path.glob("*.rec"))
        if len(recs) > 1:
            raise BadFile(f"{len(recs)} .rec files in one folder: name one of them, such as {recs[0].name}", path)
        return "rec" if recs else "folder"
    if not path.is_file():
        raise FileNotFoundError(f"no data set at {path}")
    if path.suffix.lower() == ".rec":
        return "rec"
    with path.open("rb") as file:
        head = file.read(4096)
    if len(head) >= HEAD.size and HEAD.unpack_from(head)[1:] == (1, 4, 5):
        return "features"
    if path.suffix.lower() == ".bin":
        return "bin"
    if path.suffix.lower() == ".csv":
        columns = set(head.decode("utf-8-sig", errors="replace").partition("\n")[0].strip().split(","))
        return "folder" if columns >= {"file", "identity"} else "pairs"
    line = head.decode("utf-8-sig", errors="replace").lstrip().split("\n")[0]
    for kind, pattern in FIRST_LINES:
        if pattern.fullmatch(line):
            return kind
    raise BadFile(f"of no known kind ({', '.join(KINDS)}): its first line is {line[:60]!r}", path)


def load(path: str | Path, *, progress: bool = True) -> Images:
    """The pictures of a ``.rec``, ``.bin``, image list or folder, as Images whose pixels are decoded when asked for.

    All pictures have the size of the first; one that has not is named when it is read. A folder whose first picture is
    no crop of ``align.SIZES`` is aligned instead (``data/sets/aligned.py``). Labels: record, identity, age, and gender
    where it is known.
    The first scan is kept in an index; after it, millions of pictures open in a second.
    Errors: FileNotFoundError; BadFile naming file and record; ValueError for a set without pictures or identities.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind not in PICTURES:
        raise ValueError(f"{path} is a file of kind '{kind}' and holds no pictures ({', '.join(PICTURES)} do)")
    if kind == "bin":
        return load_bin(path)[0]
    if kind == "folder":
        return _load_folder(path, progress)
    path = rec_of(path) if kind == "rec" else path
    table, source = opened(path, kind, progress=progress)
    return _images(path.stem if path.stem != "train" else path.resolve().parent.name, table, StoredPixels(source))


def scanned(path: Path, kind: str, *, progress: bool = True) -> pa.Table:
    """The table of a ``.rec``, list or folder, from the index where that is valid."""
    make, watched = SCANS[kind]
    return index.cached(
        kind, path, lambda: _with_version(make(path, progress)), None if watched is None else partial(watched, path)
    )


def opened(path: Path, kind: str, *, progress: bool = True) -> tuple[pa.Table, Records | Files]:
    """The table of a ``.rec`` file, list or folder, and where the pictures of its rows lie."""
    table = scanned(path, kind, progress=progress)
    if kind == "rec":
        return table, Records.of(path, table)
    return table, Files(path if path.is_dir() else path.parent, table.column("record"))


def rec_of(path: Path) -> Path:
    """``path``, or the one ``.rec`` file in the folder it names."""
    return next(path.glob("*.rec")) if path.is_dir() else path


def _scan_folder(path: Path, progress: bool) -> pa.Table:
    return pa.Table.from_pandas(list_pictures(path).drop(columns="path"), preserve_index=False)


def _folders(path: Path) -> list[Path]:
    inner = [folder for folder in path.rglob("*") if folder.is_dir()]
    return [path, *inner, *([path / LABELS] if (path / LABELS).is_file() else [])]


Scan = tuple[Callable[[Path, bool], pa.Table], Callable[[Path], list[Path]] | None]
SCANS: dict[str, Scan] = {
    "rec": (
        lambda path, progress: image_records.read_table(path, progress=progress),
        lambda path: [path, path.with_suffix(".idx")],
    ),
    "list": (lambda path, progress: read_image_list(path), None),
    "folder": (_scan_folder, _folders),
}


def _load_folder(path: Path, progress: bool) -> Images:
    table, source = opened(path, "folder", progress=progress)
    pixels = StoredPixels(source)
    if pixels.size not in SIZES.values():
        return load_folder(path, progress=progress)[0]
    identity = table.column("identity").to_numpy()
    if (nobody := identity < 0).any():
        root = path if path.is_dir() else path.parent
        raise BadFile(NOBODY, root / table.column("record")[int(nobody.argmax())].as_py())
    return _images(path.resolve().stem if path.is_file() else path.resolve().name, table, pixels)


def _with_version(table: pa.Table) -> pa.Table:
    """The table with the digest of its records and labels: the version of the data set."""
    digest = hashlib.sha256()
    for name in ("record", "key", "size", "identity", "age"):
        if name in table.column_names:
            for chunk in table.column(name).chunks:
                # Text is hashed as its values: its bytes in memory depend on how the table was cut.
                text = "".join(f"{record}\n" for record in chunk.to_pylist()).encode() if name == "record" else b""
                digest.update(text or chunk.to_numpy(False).tobytes())
    return table.replace_schema_metadata({**(table.schema.metadata or {}), VERSION: digest.hexdigest()[:16]})


def _images(name: str, table: pa.Table, pixels: StoredPixels) -> Images:
    record = table.column("record") if "record" in table.column_names else pc.cast(table.column("key"), pa.string())
    labels = {"record": record, **{name: table.column(name) for name in table.column_names if name not in LOCATION}}
    frame = pa.table(labels).to_pandas(self_destruct=True)
    return ScannedImages(name, table.schema.metadata[VERSION].decode(), as_array(pixels), cast(pd.DataFrame, frame))


LOCATION = ("record", "key", "offset", "size")
