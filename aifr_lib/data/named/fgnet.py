"""FG-NET: 1,002 photographs of 82 people aged 0 to 69, for those who have them.

The photographs are private pictures given for research. They stay where their user keeps them; crops go to
the user's cache and nowhere else. Numbers measured on them may be told.

Layout: ``AIFR_DATA/fgnet/images/001A02.JPG`` (person 1 at age 2; a letter follows where two photographs share
both); upper or lower case, and the pictures may lie in ``fgnet`` itself.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import SUFFIXES
from aifr_lib.data.formats.lines import OnFault, raised
from aifr_lib.data.images import Images
from aifr_lib.data.sets.aligned import aligned
from aifr_lib.files import data_dir

NAME, VERSION = "fgnet", "1002 photographs of 82 people"
# labels_digest of the whole set: names it where the pictures are not there.
DIGEST = "c7a67309beffa384"
PHOTOGRAPHS, PEOPLE = 1002, 82
FILE = re.compile(r"(?P<person>\d{3})A(?P<age>\d{1,3})(?P<letter>[a-z]?)", re.IGNORECASE)
LAYOUT = "AIFR_DATA/fgnet/images/001A02.JPG … (person 001 at age 02; a or b where two photographs share both)"


def folder() -> Path:
    """Where the photographs lie. Errors: FileNotFoundError that says what layout is expected."""
    data = data_dir()
    if data is None:
        raise FileNotFoundError(f"FG-NET is not here: AIFR_DATA is not set. Expected {LAYOUT}")
    # The whole path may come from a system that does not tell upper from lower case.
    root = _child(data, "fgnet") if data.is_dir() else None
    if root is None:
        raise FileNotFoundError(f"FG-NET is not here: no folder fgnet in {data}. Expected {LAYOUT}")
    return _child(root, "images") or root


def available() -> bool:
    """Whether a folder of FG-NET is there."""
    try:
        return folder().is_dir()
    except FileNotFoundError:
        return False


def table(on_fault: OnFault | None = None) -> pd.DataFrame:
    """The photographs in order of name: record (``001A02``), identity, age, path.

    Warns where they are not 1,002 of 82 people. on_fault: called with each fault, which is passed over (None: the
    first is raised).
    Errors: FileNotFoundError without a folder or photographs; BadFile for a picture of another name, or two files of
    one name.
    """
    fault = on_fault or raised
    root = folder()
    rows: dict[str, tuple[int, float, str]] = {}
    for path in sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES):
        match = FILE.fullmatch(path.stem)
        if match is None:
            fault(BadFile(f"not named as an FG-NET photograph. Expected {LAYOUT}", path))
            continue
        record = f"{match['person']}A{int(match['age']):02d}{match['letter'].lower()}"
        if record in rows:
            fault(BadFile(f"the same photograph, {record}, as {rows[record][2]}: remove one", path))
            continue
        rows[record] = (int(match["person"]), float(match["age"]), str(path))
    if not rows:
        raise FileNotFoundError(f"no photographs in {root}. Expected {LAYOUT}")
    records = sorted(rows)
    identity = np.array([rows[record][0] for record in records], dtype=np.int64)
    if (len(records), len(np.unique(identity))) != (PHOTOGRAPHS, PEOPLE):
        warnings.warn(
            f"{root} holds {len(records)} photographs of {len(np.unique(identity))} people; FG-NET has "
            f"{PHOTOGRAPHS} of {PEOPLE}: numbers will differ from those of others",
            stacklevel=2,
        )
    return pd.DataFrame(
        {
            "record": records,
            "identity": identity,
            "age": [rows[record][1] for record in records],
            "path": [rows[record][2] for record in records],
        }
    )


def load(*, identities: int | None = None, progress: bool = True) -> Images:
    """FG-NET aligned to 112×112, RGB; ``identities``: the first so many people. Errors: as ``table``."""
    rows = table()
    if identities is not None:
        chosen = np.unique(rows["identity"])[:identities]
        rows = rows[rows["identity"].isin(chosen)].reset_index(drop=True)
    return aligned(NAME, VERSION, rows, progress=progress)[0]


def _child(folder: Path, name: str) -> Path | None:
    return next((path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() == name), None)
