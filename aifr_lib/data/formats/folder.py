"""Folders of pictures: listed by ``labels.csv`` or by sub-folder, read one by one, put on the template.

Layout, either of:

- ``FOLDER/labels.csv`` with the columns ``file`` (path inside FOLDER) and ``identity`` (a number or a name),
  and perhaps ``age`` (years) and others, which are kept;
- ``FOLDER/IDENTITY/picture.jpg``: a sub-folder for each identity.

A list of another name, ``FOLDER/NAME.csv`` with the same columns, is read where its path is given.

Without ``labels.csv``, pictures that lie in FOLDER itself, or deeper than in a sub-folder (``PERSON/VIDEO/FRAME``,
``train/PERSON/PICTURE``: nothing says which folder is the person), have no identity (−1): they can be aligned, not
evaluated.
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from aifr_lib.data.formats.faults import BadFile, Doubt, some
from aifr_lib.data.formats.lines import OnFault, raised
from aifr_lib.data.formats.pictures import BadPicture, read_picture
from aifr_lib.data.images import OLDEST, UNKNOWN
from aifr_lib.progress import tqdm

LOG = logging.getLogger(__name__)
SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".jp2",
        ".pgm",
        ".ppm",
        ".pnm",
        ".pbm",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".tga",
    ]
)
# Pictures that no decoder here is sure to know: they are named, not passed over in silence.
UNREAD = frozenset(
    [
        ".heic",
        ".heif",
        ".avif",
        ".jxl",
        ".psd",
        ".svg",
        ".raw",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
    ]
)
LABELS = "labels.csv"
NOBODY = f"it has no identity: put it in a sub-folder of its person (PERSON/PICTURE, no deeper), or write a {LABELS}"
# What programs write into a column of names for "none".
NO_NAME = ("nan", "NaN", "NA", "None", "null")
NOBODIES = ("", str(UNKNOWN))
NUMBER = re.compile(r"-?[0-9]{1,18}")


def list_pictures(folder: str | Path, on_fault: OnFault | None = None) -> pd.DataFrame:
    """The pictures of a folder, one a row: record, identity, age, path and the further columns of
    ``labels.csv``; or of another list with its columns, which lies beside the pictures (``FOLDER/NAME.csv``).

    record: the path inside the folder, with forward slashes. identity: int64, −1 where there is none; names
    are numbered in sorted order and kept as ``subject``. age: float64 years, NaN where unknown.
    on_fault: called with each file whose name is no UTF-8, which is passed over (None: the first is raised), and with
    a Doubt for the pictures in formats that are not read (None: it is logged).
    Errors: FileNotFoundError for a folder, or a file of ``labels.csv``, that is not there; ValueError for a
    folder without pictures and for a ``labels.csv`` that lacks a column, names a file twice, or holds an age
    that is none.
    """
    folder = Path(folder)
    listed = folder if folder.suffix.lower() == ".csv" and folder.is_file() else folder / LABELS
    if not folder.is_dir() and listed != folder:
        raise FileNotFoundError(f"no folder of pictures at {folder}")
    table = _from_csv(listed) if listed.is_file() else _from_tree(folder, on_fault or _raised_or_logged)
    if table.empty:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"{folder} holds no pictures ({kinds}, directly or in a sub-folder for each identity)")
    return table


def read_each(
    table: pd.DataFrame, *, skip_bad: bool = False, progress: bool = True, desc: str = "pictures"
) -> Iterator[tuple[int, np.ndarray | None]]:
    """(row, picture) for each row of a ``list_pictures`` table; (row, None) for a bad file, if ``skip_bad``.

    Errors: BadPicture at the first file that cannot be read, unless ``skip_bad``.
    """
    for row, path in enumerate(
        tqdm(table["path"], desc=desc, unit="picture", disable=not progress, delay=1, mininterval=1)
    ):
        try:
            picture = read_picture(path)
        except BadPicture as error:
            if not skip_bad:
                raise BadPicture(f"{error} (--skip-bad counts such files and goes on)") from error
            LOG.warning("%s", error)
            yield row, None
        else:
            yield row, picture


def _raised_or_logged(fault: BadFile) -> None:
    raised(fault)
    LOG.warning("%s", fault)


def contents(folder: Path) -> list[str]:
    """The files in a folder and below, as sorted paths inside it; without what is hidden (.git, .DS_Store)."""
    inside = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in inside if not any(part.startswith(".") for part in path.parts))


def claim(folder: str | Path, files: Iterable[str], last: str) -> None:
    """Make a folder to write into, or see that it is empty or was begun with the same files.

    files: paths inside the folder of the pictures that will be in it, with their endings or without. last: the list
    that is written when all of them are there.
    Errors: FileExistsError for a folder that holds other files, or that list and no picture.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ours, there = {key(file) for file in files}, contents(folder)
    others = there if there == [last] else [file for file in there if file != last and key(file) not in ours]
    if others:
        raise FileExistsError(f"{folder} already holds {others[0]}, of something else: name an empty folder")


def key(path: str) -> str:
    """A path without the ending of a picture, in composed Unicode (NFC): ``a.JPG`` and ``a.png`` are one picture."""
    pure = PurePosixPath(unicodedata.normalize("NFC", path))
    return str(pure.with_suffix("")) if pure.suffix.lower() in SUFFIXES else str(pure)


def numbered(subjects: pd.Series) -> np.ndarray:
    """int64: the subjects' numbers, or their places in sorted order; −1 for the empty name.

    Names that are equal as numbers only ("1", "01") stay names.
    """
    names = set(subjects)
    numbers = {name: int(name) for name in names if NUMBER.fullmatch(name)}
    if names and len(set(numbers.values())) == len(names):
        return subjects.map(numbers).to_numpy(dtype=np.int64)
    places = {name: place for place, name in enumerate(sorted(names - set(NOBODIES)))} | dict.fromkeys(
        NOBODIES, UNKNOWN
    )
    return subjects.map(places).to_numpy(dtype=np.int64)


def _from_csv(path: Path) -> pd.DataFrame:
    folder = path.parent
    try:
        table = pd.read_csv(path, dtype={"file": str, "identity": str}, keep_default_na=False, na_values={"age": [""]})
    except ValueError as error:
        raise BadFile(f"no table of the columns file and identity, in UTF-8: {error}", path) from error
    if missing := [column for column in ("file", "identity") if column not in table]:
        raise ValueError(f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(map(str, table))}")
    if (twice := table["file"].duplicated()).any():
        raise ValueError(f"{path}: {table['file'][twice].iloc[0]} stands more than once")
    for number, file in enumerate(table["file"], start=2):
        inside = (folder / file).resolve().is_relative_to(folder.resolve())
        if not inside or not (folder / file).is_file():
            raise FileNotFoundError(f"{path} line {number}: no file {file} in {folder}")
    age = pd.to_numeric(table["age"], errors="coerce") if "age" in table else pd.Series(np.nan, table.index)
    if "age" in table and (wrong := ~age.between(0, OLDEST) & table["age"].notna()).any():
        number = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{path} line {number + 2}: the age is {table['age'][number]!r}, not 0 to {OLDEST} years")
    owners = table["identity"].replace(list(NO_NAME), "")
    listed = _table(folder, list(table["file"]), list(owners), age.to_numpy(dtype=np.float64))
    further = table.drop(columns=[column for column in ("file", *listed) if column in table])
    return pd.concat([listed, further], axis=1)


def _from_tree(folder: Path, fault: OnFault) -> pd.DataFrame:
    every = sorted(Path(base, name).relative_to(folder) for base, _, names in os.walk(folder) for name in names)
    if unread := [file.as_posix() for file in every if file.suffix.lower() in UNREAD]:
        problem = f"{len(unread)} pictures are in formats that are not read: {some(unread)}. Save them as PNG or JPEG"
        fault(Doubt(problem, folder))
    files = [file for file in every if file.suffix.lower() in SUFFIXES and _named_in_utf8(folder / file, fault)]
    owners = [file.parts[0] if len(file.parts) == 2 else "" for file in files]
    return _table(folder, [file.as_posix() for file in files], owners, np.full(len(files), np.nan))


def _named_in_utf8(path: Path, fault: OnFault) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        fault(BadFile("its name, or its folder's, is no UTF-8 (an archive of another system?): rename it", path))
        return False
    return True


def _table(folder: Path, files: list[str], owners: list[str], age: np.ndarray) -> pd.DataFrame:
    paths = [str(folder / file) for file in files]
    return pd.DataFrame(
        {
            "record": files,
            "identity": numbered(pd.Series(owners, dtype=str)),
            "age": age,
            "subject": owners,
            "path": paths,
        },
    )


def below(root: Path, fault: OnFault, start: str = "") -> Iterator[str]:
    """The pictures below ``root`` (those in its folder ``start``, if it has one), paths with forward slashes.

    Symbolic links that leave ``root``, and links to folders, are faults and are not followed; so are names that are
    no UTF-8.
    """
    inside = root.resolve()
    folders = [root / start if (root / start).is_dir() else root]
    while folders:
        with os.scandir(folders.pop()) as items:
            for item in sorted(items, key=lambda item: item.name):
                path = Path(item.path)
                if item.is_symlink() and not path.resolve().is_relative_to(inside):
                    fault(BadFile(f"a symbolic link out of the folder, to {path.resolve()}: put a copy here", path))
                elif item.is_symlink() and item.is_dir():
                    fault(BadFile("a symbolic link to a folder: its pictures would be there twice", path))
                elif item.is_dir():
                    folders.append(path)
                elif path.suffix.lower() in SUFFIXES and _named_in_utf8(path, fault):
                    yield path.relative_to(root).as_posix()
