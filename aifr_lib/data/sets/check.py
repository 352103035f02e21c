"""All faults of a stored data set in one pass: each as a BadFile with file, record and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from aifr_lib.data.formats import ijb, image_records, recordio
from aifr_lib.data.formats.faults import BadFile, Doubt, some
from aifr_lib.data.formats.folder import LABELS, NOBODY, SUFFIXES, below, key, list_pictures
from aifr_lib.data.formats.image_list import read_image_list
from aifr_lib.data.formats.insightface_bin import read_bin
from aifr_lib.data.formats.lines import parsed
from aifr_lib.data.formats.megaface import read_features
from aifr_lib.data.formats.pair_lists import read_pairs
from aifr_lib.data.formats.pictures import BadPicture
from aifr_lib.data.formats.recordio import RecordFile
from aifr_lib.data.formats.stored import Files, Members, Records, Source, pixels_of
from aifr_lib.data.sets.kinds import kind_of, rec_of
from aifr_lib.progress import tqdm

Faults = Iterator[BadFile]


def check(path: str | Path, *, pictures: str | Path | None = None, progress: bool = True) -> Faults:
    """The faults of one data set of any kind (``data/sets/kinds.py``), in the order in which they are found.

    pictures: the folder in which the pictures of a list of pairs lie (None: they are not looked for).
    Errors: FileNotFoundError where there is nothing.
    """
    path = Path(path)
    try:
        kind = kind_of(path)
    except BadFile as fault:
        yield fault
        return
    if kind == "pairs":
        yield from _pairs(path, pictures)
    else:
        yield from CHECKS[kind](path, progress)


def _rec(path: Path, progress: bool) -> Faults:
    path = rec_of(path)
    try:
        file = RecordFile(path)
    except BadFile as fault:
        yield fault
        return
    walked, faults = _walk(file, progress)
    idx = path.with_suffix(".idx")
    keys, offsets = np.arange(len(walked)), walked
    if idx.is_file():
        try:
            keys, offsets = recordio.read_idx(idx)
        except BadFile as fault:
            yield fault
        else:
            # What the index points to is examined below, under its key.
            listed = set(offsets.tolist())
            faults = [(at, fault) for at, fault in faults if at not in listed]
            for at in np.setdiff1d(walked, offsets).tolist():
                yield file.fault(f"{idx.name} does not list the record that begins here", at)
    yield from (fault for _, fault in faults)
    if not len(offsets):
        return
    columns, problems = image_records.examine(file, keys, offsets, progress=progress)
    problems += image_records.count_problems(file, keys, offsets, columns)
    for row, problem in problems:
        yield BadFile(problem, path, f"record {keys[row]}")
    good = columns["size"] != 0
    good[[row for row, _ in problems]] = False
    yield from _gaps(path, columns["identity"][good])
    source = Records(file, keys[good], columns["offset"][good], columns["size"][good])
    sizes: set[tuple[int, ...]] = set()
    yield from unreadable(source, progress, sizes)
    prop = path.with_name("property")
    if prop.is_file():
        yield from _property(prop, len(np.unique(columns["identity"][good])), sizes)


def _walk(file: RecordFile, progress: bool) -> tuple[np.ndarray, list[tuple[int, BadFile]]]:
    """The offsets of all whole records, and (offset, fault) of what stands between them."""
    offsets: list[int] = []
    faults = []
    start: int | None = 0
    with tqdm(
        total=len(file), desc=f"walk {file.path.name}", unit="B", unit_scale=True, delay=1, disable=not progress
    ) as bar:
        while start is not None:
            at = start
            try:
                for offset, end in file.scan(start):
                    offsets.append(offset)
                    bar.update(end - offset)
                    at = end
                start = None
            except BadFile as fault:
                faults.append((at, fault))
                start = file.resume(at)
    return np.array(offsets, dtype=np.int64), faults


def _property(path: Path, identities: int, sizes: set[tuple[int, ...]]) -> Faults:
    try:
        count, height, width = recordio.read_property(path)
    except BadFile as fault:
        yield fault
        return
    if count != identities:
        yield BadFile(f"it says {count} identities, the pictures have {identities}", path)
    if sizes and sizes != {(height, width, 3)}:
        yield BadFile(f"it says pictures of {height}×{width}, they are {some([f'{h}×{w}' for h, w, _ in sizes])}", path)


def _bin(path: Path, progress: bool) -> Faults:
    try:
        pictures, _ = read_bin(path)
    except BadFile as fault:
        yield fault
        return
    yield from unreadable(Members(path, pictures), progress, set())


def _list(path: Path, progress: bool) -> Faults:
    found: list[BadFile] = []
    try:
        table = read_image_list(path, found.append)
    except BadFile as fault:
        yield from [*found, fault]
        return
    yield from found
    yield from _gaps(path, table.column("identity").to_numpy())
    yield from unreadable(Files(path.parent, table.column("record")), progress, set())


def _folder(path: Path, progress: bool) -> Faults:
    found: list[BadFile] = []
    try:
        table = list_pictures(path, found.append)
    except (ValueError, OSError) as error:
        # The message of list_pictures names the file and the line.
        yield from [*found, error if isinstance(error, BadFile) else BadFile(str(error))]
        return
    yield from found
    root = path if path.is_dir() else path.parent
    nobody = table["record"][table["identity"] < 0].to_list()
    if len(nobody) < len(table):
        yield from (BadFile(NOBODY, root / record) for record in nobody)
    else:
        # They may be there to be aligned, or to be named by a list of pairs.
        yield Doubt(f"none of {len(nobody)} pictures has an identity. Of each: {NOBODY}", path)
    if (path / LABELS).is_file():
        strays = set(_below(path)) - set(table["record"])
        for record in sorted(strays):
            yield BadFile(f"{LABELS} does not list this picture", path / record)
    # Photographs may have any size; crops of the template must all be crops.
    yield from unreadable(Files(root, pa.chunked_array([table["record"].to_list()])), progress, None)


def _below(folder: Path) -> Iterable[str]:
    return (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def _pairs(path: Path, pictures: str | Path | None) -> Faults:
    found: list[BadFile] = []
    try:
        pairs = read_pairs(path, on_fault=found.append)
    except BadFile as fault:
        yield from [*found, fault]
        return
    yield from found
    seen: dict[tuple[str, str], int] = {}
    for number, pair in enumerate(pairs):
        a, b = sorted((pair.a, pair.b))
        if a == b:
            yield BadFile(f"{a} is paired with itself", path, f"pair {number}")
        if (a, b) in seen:
            yield BadFile(f"the same pictures as pair {seen[a, b]}: {a}, {b}", path, f"pair {number}")
        seen.setdefault((a, b), number)
    if pictures is not None:
        links: list[BadFile] = []
        there = {key(record) for record in below(Path(pictures), links.append)}
        yield from links
        for record in dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)):
            if key(record) not in there:
                yield BadFile("no such picture, with any ending", Path(pictures) / record)


def _features(path: Path, progress: bool) -> Faults:
    try:
        read_features(path)
    except BadFile as fault:
        yield fault


def _text(parse: Callable[[str], None]) -> Callable[[Path, bool], Faults]:
    def run(path: Path, progress: bool) -> Faults:
        found: list[BadFile] = []
        try:
            for _ in parsed(path, parse, found.append):
                pass
        except BadFile as fault:
            found.append(fault)
        yield from found

    return run


def _gaps(path: Path, identity: np.ndarray) -> Faults:
    present = np.unique(identity[identity >= 0])
    if not len(present) or present[-1] - present[0] + 1 == len(present):
        return
    before = np.flatnonzero(np.diff(present) > 1)
    count = int(present[-1] - present[0] + 1 - len(present))
    gaps = zip((present[before] + 1).tolist(), (present[before + 1] - 1).tolist(), strict=True)
    names = [str(low) if low == high else f"{low}–{high}" for low, high in gaps]
    yield BadFile(
        f"label gaps: {count} identities between {present[0]} and {present[-1]} have no picture: {some(names)}", path
    )


def unreadable(source: Source, progress: bool, sizes: set[tuple[int, ...]] | None) -> Faults:
    """Pictures that cannot be read and, where ``sizes`` is given (it collects them), of another size than the first."""
    first: tuple[int, ...] | None = None
    for row in tqdm(range(len(source)), desc="pictures", unit="picture", delay=1, disable=not progress):
        try:
            shape = pixels_of(source.read(row)).shape
            first = first or shape
            if sizes is not None:
                sizes.add(shape)
                if shape != first:
                    raise BadPicture(f"the picture is {shape[0]}×{shape[1]}, the first is {first[0]}×{first[1]}")
        except BadPicture as error:
            yield BadPicture(error.problem, *source.where(row))


CHECKS: dict[str, Callable[[Path, bool], Faults]] = {
    "rec": _rec,
    "bin": _bin,
    "list": _list,
    "folder": _folder,
    "features": _features,
    **{kind: _text(parse) for kind, parse in ijb.PARSERS.items()},
}
