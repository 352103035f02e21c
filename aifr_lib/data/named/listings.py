"""What lies in the folder of a named set: labels, lists and counts, before a picture is decoded.

Pictures are known by *record*: the path below the folder without its ending, in composed Unicode (NFC), or that part
of it which the table's pattern calls ``record``. So ``.JPG`` and ``.jpg`` are one, and a name that a Mac wrote in
decomposed letters is found. Every reader gives its faults to ``fault``, which raises the first or collects all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from aifr_lib.data import sets
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import NOBODY, below, key, numbered
from aifr_lib.data.formats.insightface_bin import load_bin
from aifr_lib.data.formats.lines import OnFault
from aifr_lib.data.formats.pair_lists import Pair, joined, rows_of
from aifr_lib.data.formats.stored import Files, StoredPixels, as_array
from aifr_lib.data.images import OLDEST, UNKNOWN, Images, Pairs, Templates
from aifr_lib.data.named import pair_files
from aifr_lib.data.named.table import NamedSet, table
from aifr_lib.data.sets.aligned import aligned, labels_digest
from aifr_lib.faces.align import SIZES

SAMPLE = 200  # pictures by which a folder is recognised


@dataclass(frozen=True)
class Listing:
    """labels: record, identity, age, path (where each picture has a file), and what else is known of each picture.

    counts: what there is, by the names of the table. images: makes the Images; its argument is whether to show
    progress. pairs: by record, or over the Images already. templates: over the rows of ``labels``.
    """

    labels: pd.DataFrame
    counts: dict[str, int]
    images: Callable[[bool], Images]
    pairs: Sequence[Pair] | Pairs | None = None
    templates: Templates | None = None


def pictures(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """Pictures whose names say who they show, or a ``.bin``; and the set's list of pairs."""
    if found := packed(entry, root):
        images, pairs = load_bin(found)
        return Listing(images.labels, {"pairs": len(pairs)}, lambda _: images, pairs)
    labels = named_pictures(entry, root, fault)
    counts = counted(labels)
    if entry.pairs is None:
        return Listing(labels, counts, lambda progress: images_of(entry, root, labels, progress))
    listed: list[Pair] = []
    if entry.pairs.form == "numbered":
        listed = pair_files.numbered(labels["record"], root, fault)
        counts["pairs"] = len(listed)
        labels["identity"] = _people(labels["record"], listed)
    elif (root / entry.pairs.file).exists():
        listed = pair_files.FORMS[entry.pairs.form](root / entry.pairs.file, fault)
        counts["pairs"] = len(listed)
        there = set(labels["record"])
        for record in dict.fromkeys(name for pair in listed for name in (pair.a, pair.b)):
            if record not in there:
                fault(BadFile(f"{record} stands in a pair, and there is no such picture", root / entry.pairs.file))
    return Listing(labels, counts, lambda progress: images_of(entry, root, labels, progress), listed)


def _people(records: pd.Series, pairs: Sequence[Pair]) -> np.ndarray:
    """The people of pictures that name nobody: genuine pairs join them (inferred), as in a ``.bin``."""
    same = [pair for pair in pairs if pair.same]
    rows = rows_of(records, [pair.a for pair in same] + [pair.b for pair in same], "pairs")
    return joined(len(records), *np.split(rows, 2))


def packed(entry: NamedSet, root: Path) -> Path | None:
    """The ``.bin`` of a set, where it lies in its folder."""
    return next((root / name for name in entry.bins if (root / name).is_file()), None)


def named_pictures(entry: NamedSet, root: Path, fault: OnFault) -> pd.DataFrame:
    """Pictures by the table's pattern: record, identity, age, gender, subject, path, and its other groups.

    gender: 1 male, 0 female, −1 unknown. Numbers stay numbers; other names are numbered in sorted order.
    Faults: a name that the pattern does not fit, two files of one record, an age outside 0 … 120.
    """
    assert entry.regex is not None
    rows: dict[str, dict[str, str | None]] = {}
    for path in below(root, fault, entry.pictures):
        match = entry.regex.fullmatch(key(path))
        if match is None:
            fault(BadFile(f"not named as a picture of {entry.title}. Expected {entry.layout}", root / path))
            continue
        row = {**match.groupdict(), "path": str(root / path)}
        record = str(row["record"])
        if record in rows:
            fault(BadFile(f"the same picture as {rows[record]['path']}: remove one", root / path))
        rows.setdefault(record, row)
    found = pd.DataFrame(list(rows.values()), columns=["record", "path", *(entry.regex.groupindex.keys() - {"record"})])
    subject = found.pop("person") if "person" in found else pd.Series("", found.index)
    age = pd.to_numeric(found.pop("age")).astype(float) if "age" in found else pd.Series(np.nan, found.index)
    gender = pd.Series(UNKNOWN, found.index)
    if "gender" in found:
        male, female = tuple(entry.genders)
        gender = found.pop("gender").str.lower().map({male: 1, female: 0}).fillna(UNKNOWN).astype(int)
    labels = found.assign(identity=numbered(subject), subject=subject, age=age, gender=gender)
    check_ages(labels, fault)
    return labels.sort_values("record", ignore_index=True)


def check_ages(labels: pd.DataFrame, fault: OnFault) -> None:
    """Faults: ages below 0 or above 120 years."""
    wrong = labels[(labels["age"] < 0) | (labels["age"] > OLDEST)]
    where = wrong["path"] if "path" in wrong else wrong["record"]
    for place, age in zip(where, wrong["age"], strict=True):
        fault(BadFile(f"an age of {age:g} years: 0 to {OLDEST} was expected", place))


def counted(labels: pd.DataFrame) -> dict[str, int]:
    """How many pictures there are, and how many people where anybody is named."""
    people = int((pd.unique(labels["identity"].to_numpy()) >= 0).sum())
    return {"pictures": len(labels), **({"people": people} if people else {})}


def images_of(entry: NamedSet, root: Path, labels: pd.DataFrame, progress: bool) -> Images:
    """The pictures at ``path``: decoded when asked for where they are crops of the template, else aligned first.

    Errors: BadFile for no pictures; those of ``aligned``.
    """
    if labels.empty:
        raise BadFile(f"no pictures. Expected {entry.place}", root)
    version = labels_digest(labels)
    places = [Path(path).relative_to(root).as_posix() for path in labels["path"]]
    pixels = StoredPixels(Files(root, pa.chunked_array([places])))
    if pixels.size in SIZES.values():
        return Images(entry.name, version, as_array(pixels), labels.drop(columns="path"))
    return aligned(entry.name, version, labels, progress=progress)[0]


def training(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """A ``.rec``, or a folder with a sub-folder for each person."""
    if sets.kind_of(root) == "folder":
        # To load photographs that are no crops would align them: here they are listed only.
        labels = sets.scanned(root, "folder").to_pandas()
        for record in labels["record"][labels["identity"] < 0]:
            fault(BadFile(NOBODY, root / record))
        check_ages(labels, fault)
        return Listing(labels, counted(labels), lambda progress: sets.load(root, progress=progress))
    images = sets.load(root)
    check_ages(images.labels, fault)
    return Listing(images.labels, counted(images.labels), lambda _: images)


def looks_like(root: Path) -> NamedSet | None:
    """The set of the table whose layout a folder fits best (None: it fits none)."""
    sample = _sample(root)
    scores = {entry.name: _likeness(entry, root, sample) for entry in table().values()}
    best = max(scores, key=lambda name: scores[name])
    return table()[best] if scores[best][0] > 0 else None


def fits(entry: NamedSet, root: Path) -> bool:
    """Whether at least half of a folder's first pictures, or of the wanted files, are named as the set's are."""
    return _likeness(entry, root, _sample(root))[0] >= 0.5


def _sample(root: Path) -> list[str]:
    return [key(path) for path in islice(below(root, lambda _: None), SAMPLE)]


def _likeness(entry: NamedSet, root: Path, sample: list[str]) -> tuple[float, int, int, int]:
    """How well a folder fits a set: share of names, files missing (less is more) and there, what its pattern asks."""
    if packed(entry, root):
        return 1.0, 0, len(entry.bins), 0
    there = sum((root / name).exists() for name in entry.wanted)
    if entry.regex is None:
        return (there / len(entry.wanted) if entry.wanted else 0.0), there - len(entry.wanted), there, 0
    named = sum(bool(entry.regex.fullmatch(name)) for name in sample) / max(1, len(sample))
    return named, there - len(entry.wanted), there, len(entry.pattern or "")
