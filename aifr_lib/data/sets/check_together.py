"""What only several files show: people in two splits, features of two dimensions, template pairs without pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aifr_lib.data.formats import ijb, image_records
from aifr_lib.data.formats.faults import BadFile, some
from aifr_lib.data.formats.folder import list_pictures
from aifr_lib.data.formats.image_list import read_image_list
from aifr_lib.data.formats.megaface import read_features
from aifr_lib.data.sets.check import Faults
from aifr_lib.data.sets.kinds import kind_of, rec_of


def check_splits(paths: Sequence[str | Path]) -> Faults:
    """The people who stand in more than one of these folders, lists or ``.rec`` files: splits must not share any.

    People are compared by the names of their sub-folders where there are such, else by their numbers.
    """
    owner: dict[str, Path] = {}
    for path in map(Path, paths):
        mine = _people(path)
        shared: dict[Path, list[str]] = {}
        for person in mine:
            if person in owner:
                shared.setdefault(owner[person], []).append(person)
        for other, people in shared.items():
            yield BadFile(f"{len(people)} identities stand in {other} too: {some(sorted(people))}", path)
        owner.update(dict.fromkeys(mine - owner.keys(), path))


def check_together(paths: Sequence[str | Path]) -> Faults:
    """What only several files show: features of different dimension, template pairs without their pictures."""
    kinds: dict[str | None, list[Path]] = {}
    for path in map(Path, paths):
        kinds.setdefault(kind_or_none(path), []).append(path)
    dimension = None
    for path in kinds.get("features", ()):
        try:
            dimension = dimension or len(read_features(path))
            read_features(path, dimension)
        except BadFile as fault:
            if "dimension" in fault.problem:
                yield fault
    for pairs in kinds.get("ijb-pairs", ()):
        for media in kinds.get("ijb-media", ()):
            try:
                ijb.check_templates(ijb.read_media(media), ijb.read_template_pairs(pairs), pairs)
            except BadFile as fault:
                yield fault


def kind_or_none(path: str | Path) -> str | None:
    """``kind_of``; None for what is of no kind, which the check of that path alone tells."""
    try:
        return kind_of(path)
    except BadFile:
        return None


def _people(path: Path) -> set[str]:
    kind = kind_of(path)
    if kind == "folder":
        table = list_pictures(path)
        return set(table["subject"].astype(str)) - {""}
    if kind == "list":
        return {str(identity) for identity in read_image_list(path).column("identity").unique().to_pylist()}
    if kind == "rec":
        table = image_records.read_table(rec_of(path))
        return {str(identity) for identity in table.column("identity").unique().to_pylist()}
    raise ValueError(f"{path} is of kind '{kind}', which names no people (folder, list and rec do)")
