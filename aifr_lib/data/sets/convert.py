"""From one way of storing pictures to another, without decoding what need not be: folder ↔ .rec ↔ .bin ↔ list."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aifr_lib.data.formats import image_records, insightface_bin
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import LABELS, NOBODY, claim
from aifr_lib.data.formats.image_list import Listed, write_image_list
from aifr_lib.data.formats.image_records import Labelled
from aifr_lib.data.formats.pair_lists import Pair, folds, read_pairs, rows_of, write_pairs
from aifr_lib.data.formats.pictures import JPEG, BadPicture, decode, encode_jpeg, size_of
from aifr_lib.data.formats.stored import Files, Members, Source, checked
from aifr_lib.data.images import UNKNOWN
from aifr_lib.data.sets.kinds import kind_of, opened, rec_of
from aifr_lib.files import atomic_write
from aifr_lib.progress import tqdm

MAGICS = {
    JPEG: ".jpg",
    b"\x89PNG": ".png",
    b"BM": ".bmp",
    b"P5": ".pgm",
    b"P6": ".ppm",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
PAIRS = "pairs.csv"


@dataclass(frozen=True)
class Converted:
    """What was written, and how many pictures are in it."""

    path: Path
    pictures: int


@dataclass(frozen=True)
class Stored:
    """Pictures with their labels, as stored: source, and one row of name, identity, age and gender for each."""

    source: Source
    labels: pd.DataFrame


def convert(
    source: str | Path,
    target: str | Path,
    *,
    pairs: str | Path | None = None,
    jpeg: int | None = None,
    progress: bool = True,
) -> Converted:
    """Write the pictures of ``source`` as ``target``, whose suffix says the kind: .rec, .bin, .txt, .lst, or a folder.

    Encoded pictures are copied byte by byte. jpeg: encode those that are not JPEG at this quality (1 … 100), for a
    ``.rec`` or ``.bin``. pairs: the list of pairs that makes a ``.bin``, over the pictures' names.
    A folder that was begun is gone on with; files appear whole or not at all.
    Errors: BadFile naming what is broken; ValueError for kinds that do not go together, and for pairs whose folds a
    ``.bin`` cannot hold; FileExistsError for a folder that holds other files.
    """
    source, target = Path(source), Path(target)
    kind = kind_of(source)
    wanted = {".rec": "rec", ".bin": "bin", ".txt": "list", ".lst": "list", "": "folder"}.get(target.suffix.lower())
    if wanted is None:
        raise ValueError(f"{target}: the target must end in .rec, .bin, .txt or .lst, or be a folder")
    if (wanted == "bin") != (pairs is not None):
        raise ValueError("a .bin is made of pairs: name their list with --pairs; other targets take no pairs")
    if kind == "bin":
        if wanted != "folder":
            raise ValueError(f"{source}: a .bin names no people; convert it to a folder")
        return _bin_to_folder(source, target, progress)
    if kind not in ("rec", "list", "folder") or kind == wanted:
        raise ValueError(f"{source} is of kind '{kind}' and cannot become '{wanted}' ({target})")
    if wanted == "list" and kind == "rec":
        raise ValueError(f"{source} holds no files that a list could name: convert it to a folder, then that to a list")
    stored = _open(source, kind, progress)
    if pairs is not None:
        return _to_bin(stored, read_pairs(pairs), target, jpeg)
    if (nobody := stored.labels["identity"].to_numpy() < 0).any():
        where = stored.source.where(int(nobody.argmax()))
        raise BadFile(NOBODY, *where)
    if wanted == "list":
        return _to_list(stored, source, target)
    return _to_rec(stored, target, jpeg, progress) if wanted == "rec" else _to_folder(stored, target, progress)


def _open(path: Path, kind: str, progress: bool) -> Stored:
    path = rec_of(path) if kind == "rec" else path
    table, source = opened(path, kind, progress=progress)
    if kind == "rec":
        names = [f"{key:08d}" for key in table.column("key").to_pylist()]
    else:
        names = table.column("record").to_pylist()
    columns = {
        name: table.column(name).to_numpy() for name in ("identity", "age", "gender") if name in table.column_names
    }
    labels = pd.DataFrame({"name": names, "age": np.nan, "gender": UNKNOWN, **columns})
    return Stored(source, labels)


def _encoded(source: Source, row: int, jpeg: int | None = None) -> bytes:
    """The picture of a row as bytes that can be read. Errors: BadPicture naming file and record."""
    try:
        data = source.read(row)
        assert isinstance(data, bytes)
        if jpeg is None or data.startswith(JPEG):
            size_of(data)
            return data
        return encode_jpeg(decode(data), jpeg)
    except BadPicture as error:
        raise BadPicture(error.problem, *source.where(row)) from error


def _to_rec(stored: Stored, target: Path, jpeg: int | None, progress: bool) -> Converted:
    identity = np.unique(stored.labels["identity"].to_numpy(), return_inverse=True)[1]
    order = image_records.grouped(identity)
    size = size_of(_encoded(stored.source, int(order[0]), jpeg))
    age, gender = stored.labels["age"].to_numpy(), stored.labels["gender"].to_numpy()

    def pictures() -> Iterator[Labelled]:
        for row in order.tolist():
            data = _encoded(stored.source, row, jpeg)
            if size_of(data) != size:
                found = size_of(data)
                raise BadPicture(
                    f"the picture is {found[0]}×{found[1]}, the first is {size[0]}×{size[1]}: run 'aifr align' first",
                    *stored.source.where(row),
                )
            yield Labelled(data, int(identity[row]), float(age[row]), int(gender[row]))

    count = image_records.write(target, pictures(), len(order), size=size, progress=progress)
    return Converted(target, count)


def _to_folder(stored: Stored, target: Path, progress: bool) -> Converted:
    is_file = isinstance(stored.source, Files)
    width = len(str(int(stored.labels["identity"].max())))
    names = stored.labels["name"].tolist()
    if not is_file:
        names = [
            f"{identity:0{width}d}/{name}" for name, identity in zip(names, stored.labels["identity"], strict=True)
        ]
    claim(target, names, LABELS)
    files = []
    for row, name in enumerate(tqdm(names, desc=f"write {target}", unit="picture", delay=1, disable=not progress)):
        data = _encoded(stored.source, row)
        files.append(name if is_file else f"{name}{_suffix(data)}")
        _put(target / files[-1], data)
    _write_labels(target, stored.labels.assign(file=files))
    return Converted(target, len(files))


def _write_labels(folder: Path, labels: pd.DataFrame) -> None:
    """``labels.csv`` comes last: its presence says that all pictures are there."""
    columns = ["file", "identity"]
    columns += ["age"] if labels["age"].notna().any() else []
    columns += ["gender"] if (labels["gender"] != UNKNOWN).any() else []
    with atomic_write(folder / LABELS) as path:
        labels[columns].to_csv(path, index=False)


def _to_list(stored: Stored, source: Path, target: Path) -> Converted:
    base = Path(os.path.relpath(source, target.resolve().parent))
    if ".." in base.parts:
        raise ValueError(f"{target}: a list names pictures below its own folder; write it into {source} or above it")
    labels = stored.labels
    rows = (
        Listed((base / name).as_posix(), int(identity), float(age), int(gender))
        for name, identity, age, gender in zip(
            labels["name"], labels["identity"], labels["age"], labels["gender"], strict=True
        )
    )
    write_image_list(target, rows)
    return Converted(target, len(labels))


def _to_bin(stored: Stored, pairs: list[Pair], target: Path, jpeg: int | None) -> Converted:
    # A .bin has contiguous folds: the pairs go in by fold, and stay in their order within each.
    ordered = sorted(pairs, key=lambda pair: pair.fold)
    rows = rows_of(stored.labels["name"], [name for pair in ordered for name in (pair.a, pair.b)], str(target))
    own = [pair.fold for pair in ordered]
    if len(set(own)) > 1 and not np.array_equal(np.unique(own, return_inverse=True)[1], folds(len(own))):
        raise ValueError(
            f"{target}: a .bin has ten folds of equal size, the list has {len(set(own))} that differ from these; cut "
            "otherwise, people would be in several. Evaluate the pictures with the list itself (--pairs)"
        )
    pictures = [_encoded(stored.source, row, jpeg) for row in rows]
    insightface_bin.write_bin(target, pictures, [pair.same for pair in ordered])
    return Converted(target, len(pictures))


def _bin_to_folder(source: Path, target: Path, progress: bool) -> Converted:
    pictures, same = insightface_bin.read_bin(source)
    fold = folds(len(same))
    claim(target, [f"{row:06d}" for row in range(len(pictures))], PAIRS)
    names = []
    for row, picture in enumerate(tqdm(pictures, desc=f"write {target}", delay=1, disable=not progress)):
        suffix = ".png" if isinstance(picture, np.ndarray) else _suffix(picture)
        names.append(f"{row:06d}{suffix}")
        if isinstance(picture, bytes):
            _put(target / names[-1], picture)
            continue
        try:
            whole = Image.fromarray(checked(picture))
        except BadPicture as error:
            raise BadPicture(error.problem, *Members(source, pictures).where(row)) from error
        with atomic_write(target / names[-1]) as path:
            whole.save(path)
    rows = zip(names[::2], names[1::2], same, fold, strict=True)
    write_pairs(target / PAIRS, (Pair(a, b, bool(one), int(number)) for a, b, one, number in rows))
    return Converted(target, len(names))


def _suffix(data: bytes) -> str:
    return next((suffix for magic, suffix in MAGICS.items() if data.startswith(magic)), ".jpg")


def _put(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all, unless it is there: without ``fsync``, which would take hours."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
