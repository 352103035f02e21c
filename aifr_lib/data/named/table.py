"""The table of the papers' data sets, ``named_sets.yaml``, and where each lies under ``AIFR_DATA``."""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from aifr_lib.data.named import orl
from aifr_lib.files import data_dir
from aifr_lib.names import Strict, choose, validate

Family = Literal["training", "verification", "ages", "lists", "change"]
Protocol = Literal["verification", "loo", "distractors", "templates", "change"]
FAMILIES: dict[Family, str] = {
    "training": "Training sets",
    "verification": "Lists of pairs",
    "ages": "Sets with ages",
    "lists": "Sets behind lists: MegaFace and IJB",
    "change": "Sets of faces that change",
}


class PairFile(Strict):
    """Where a set's pairs stand, below its folder, and in which form (``pair_files``; "numbered" needs no file)."""

    file: str = ""
    form: Literal["lfw", "two-lines", "cfp", "numbered"]


class ListedFiles(Strict):
    """A list of pictures, the folder they lie in, and the list of those that are noise."""

    list: str
    pictures: str
    noisy: str


class NamedSet(Strict):
    """A row of the table (see the head of ``named_sets.yaml``)."""

    name: str
    title: str
    family: Family
    reader: Literal["training", "pictures", "imdb-wiki", "own", "listed", "ijb", "disfa", "edema"]
    folder: str = ""
    cite: tuple[str, ...]
    bins: tuple[str, ...] = ()
    pairs: PairFile | None = None
    build: Literal["age-gap"] | None = None
    listed: ListedFiles | None = None
    wanted: tuple[str, ...] = ()
    pattern: str | None = None
    genders: str = ""
    pictures: str = ""
    layout: str
    counts: dict[Literal["pictures", "people", "pairs", "templates"], int] = Field(description="as published")
    about: str
    obtained: str
    terms: str
    flaws: str
    tables: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    distractors: str | None = None
    stand_in: str

    @cached_property
    def regex(self) -> re.Pattern[str] | None:
        """``pattern``, compiled; upper and lower case are one."""
        return re.compile(self.pattern, re.IGNORECASE) if self.pattern else None

    @property
    def place(self) -> str:
        """Where the set is expected, for messages."""
        return f"AIFR_DATA/{self.folder or self.name}: {self.layout}"


@cache
def table() -> dict[str, NamedSet]:
    """The table, by name, in its order."""
    path = Path(__file__).with_name("named_sets.yaml")
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {row["name"]: validate(NamedSet, row, f"{path.name}, {row['name']}") for row in rows}


def find(name: str) -> NamedSet:
    """Errors: ConfigError with the nearest name."""
    return choose("data set", name, table())


def folder_of(entry: NamedSet) -> Path:
    """The folder of a set; upper and lower case are one. Errors: FileNotFoundError that says what is expected where."""
    root, name = data_dir(), entry.folder or entry.name
    if entry.name == orl.NAME:
        return orl.folder()
    if root is None:
        raise FileNotFoundError(f"'{entry.name}' is not here: AIFR_DATA is not set. Expected {entry.place}")
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if path.name.lower() == name and path.is_dir():
            return path
    raise FileNotFoundError(
        f"'{entry.name}' is not here: no folder {name} in AIFR_DATA ({root}). Expected {entry.place}"
    )
