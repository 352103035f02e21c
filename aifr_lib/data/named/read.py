"""The papers' data sets by name: is one there, is it whole, what is wrong with it, open it.

``load("agedb")`` looks in ``AIFR_DATA/agedb``; what lies where, and where it came from, is in ``named_sets.yaml``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from aifr_lib.data.formats import folder
from aifr_lib.data.formats.faults import BadFile, Doubt
from aifr_lib.data.formats.lines import OnFault, raised
from aifr_lib.data.formats.pair_lists import pairs_over
from aifr_lib.data.formats.stored import Files
from aifr_lib.data.images import Images, Pairs, Templates
from aifr_lib.data.named import annotated, ijb_set, listings
from aifr_lib.data.named.listings import Listing
from aifr_lib.data.named.table import NamedSet, find, folder_of
from aifr_lib.data.photograph_pairs import far_apart
from aifr_lib.data.sets import check

READERS: dict[str, Callable[[NamedSet, Path, OnFault], Listing]] = {
    "training": listings.training,
    "pictures": listings.pictures,
    "own": annotated.own,
    "imdb-wiki": annotated.imdb_wiki,
    "listed": annotated.listed,
    "ijb": ijb_set.ijb_set,
    "disfa": annotated.disfa,
    "edema": annotated.edema,
}
State = Literal["absent", "damaged", "other counts", "complete", "present"]


@dataclass(frozen=True)
class Loaded:
    """A named set. pairs, templates: the lists over its pictures, where it has any.

    What changes from picture to picture stands in the labels, as ``relief.changes`` and ``pre_post`` take it:
    ``age``; ``au1`` …; ``kilograms`` with ``day`` and ``phase``.
    """

    images: Images
    pairs: Pairs | None = None
    templates: Templates | None = None


def load(name: str, *, progress: bool = True) -> Loaded:
    """A set by its name. Photographs that are no 112×112 crops are aligned first, once.

    Errors: ConfigError for an unknown name, with the nearest; FileNotFoundError where the set is not there; BadFile
    and ValueError at its first fault.
    """
    entry = find(name)
    listing = read(entry, raised)
    images, pairs = listing.images(progress), listing.pairs
    if entry.build == "age-gap":
        return Loaded(images, far_apart(images))
    if pairs is not None and not isinstance(pairs, Pairs):
        pairs = pairs_over(images, pairs, entry.name)
    return Loaded(images, pairs, listing.templates)


def read(entry: NamedSet, fault: OnFault) -> Listing:
    """What lies in a set's folder, pictures undecoded.

    fault: called with each fault; may raise it.
    Errors: FileNotFoundError where the set is not there; BadFile for a folder that holds something else.
    """
    root = folder_of(entry)
    missing = [name for name in entry.wanted if not (root / name).exists()]
    if entry.folder and len(missing) == len(entry.wanted):
        raise FileNotFoundError(f"'{entry.name}' is not here: {root} holds no {missing[0]}. Expected {entry.place}")
    if not listings.packed(entry, root):
        _recognise(entry, root)
        for name in missing:
            fault(BadFile(f"this file is missing. Expected {entry.layout}", root / name))
    return READERS[entry.reader](entry, root, fault)


def _recognise(entry: NamedSet, root: Path) -> None:
    """Errors: BadFile where a folder looks more like another set than like this one."""
    # A training set of one folder a person fits no pattern; pictures without such folders are another set.
    if entry.reader == "training" and (any(root.glob("*.rec")) or any(path.is_dir() for path in root.iterdir())):
        return
    like = listings.looks_like(root)
    if like is None and not any((root / name).exists() for name in entry.wanted):
        raise BadFile(f"no {entry.title} is in this folder. Expected {entry.layout}", root)
    if like is not None and not listings.fits(entry, root):
        raise BadFile(f"this is no {entry.title} ({entry.layout}); it looks like {like.title} ({like.layout})", root)


def faults(name: str, *, progress: bool = True) -> Iterator[BadFile]:
    """All that is wrong with a set, in one pass: every list is read, every picture decoded.

    Counts other than the published ones are a ``Doubt``, which is no reason not to use the set.
    Errors: ConfigError for an unknown name; FileNotFoundError where the set is not there.
    """
    entry = find(name)
    root = folder_of(entry)
    found: list[BadFile] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FG-NET's reader warns of counts, which come below
            listing = read(entry, found.append)
    except (ValueError, OSError) as error:
        if isinstance(error, FileNotFoundError) and not found and not isinstance(error, BadFile):
            raise
        # A training set is opened by its first fault; the check of its kind knows them all.
        checked = check.check(root, progress=progress) if entry.reader == "training" else ()
        more = [fault for fault in checked if not isinstance(fault, Doubt)]
        yield from [*found, *(more or [error if isinstance(error, BadFile) else BadFile(str(error))])]
        return
    packed = listings.packed(entry, root)
    if entry.reader == "training" and not any(root.glob("*.rec")):
        found += links(root)
    yield from found
    if entry.reader == "training":
        said = {str(fault) for fault in found}
        yield from (fault for fault in check.check(root, progress=progress) if str(fault) not in said)
    elif packed:
        yield from check.check(packed, progress=progress)
    elif len(listing.labels):
        there = [path for path in listing.labels["path"] if Path(path).is_file()]
        places = pa.chunked_array([[Path(path).relative_to(root).as_posix() for path in there]])
        yield from check.unreadable(Files(root, places), progress, None)
    for difference in differences(entry, listing.counts):
        yield Doubt(difference, root)


def links(root: Path) -> list[BadFile]:
    """The symbolic links below ``root`` that leave it, or lead to folders."""
    found: list[BadFile] = []
    list(folder.below(root, found.append))
    return found


def state(entry: NamedSet) -> tuple[State, str]:
    """Whether a set is there and whole, and what there is or what is wrong. Pictures are listed, not decoded.

    complete: with the published counts; present: nothing is published to compare with.
    """
    try:
        folder_of(entry)
    except FileNotFoundError:
        return "absent", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counts = read(entry, raised).counts
    except FileNotFoundError as error:
        return ("absent", "") if entry.folder else ("damaged", str(error))
    except (ValueError, OSError) as error:
        return "damaged", str(error)
    if differing := list(differences(entry, counts)):
        return "other counts", "; ".join(differing)
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return ("complete" if entry.counts.keys() & counts.keys() else "present"), said


def differences(entry: NamedSet, counts: dict[str, int]) -> Iterator[str]:
    """Where counts differ from the published ones, with both numbers."""
    for what, published in entry.counts.items():
        if what in counts and counts[what] != published:
            yield f"{counts[what]:,} {what} are there, {published:,} are published"
