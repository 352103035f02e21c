"""The environment of processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path


def importing(*folders: str | Path, **variables: str) -> dict[str, str]:
    """The environment of this process, in which ``folders`` are imported from first, before what it named already."""
    path = [*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **variables}
