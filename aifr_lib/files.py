"""Files written whole or not at all, and the folders that everything lies in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` on success, remove it on failure.

    Whatever interrupts the write (an error, a full disk, a kill), the old file stays whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp, and some writers, make private files; a result that a group shares must be readable for the group.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def cache_dir() -> Path:
    """Where rendered data, checkpoints and weights go: ``AIFR_CACHE``, else ``~/.cache/aifr_lib``."""
    return Path(os.environ.get("AIFR_CACHE") or Path.home() / ".cache" / "aifr_lib")


def data_dir() -> Path | None:
    """The folder of data sets that a user brings: ``AIFR_DATA``; None when it is not set."""
    folder = os.environ.get("AIFR_DATA")
    return Path(folder) if folder else None


def repository_root() -> Path:
    """The companion's folder: the nearest one above the working folder that holds ``_toc.yml`` and ``notebooks/``.

    Errors: FileNotFoundError where neither the working folder nor the installed package lies in a checkout.
    """
    for start in (Path.cwd(), Path(__file__)):
        for folder in (start, *start.resolve().parents):
            if (folder / "_toc.yml").is_file() and (folder / "notebooks").is_dir():
                return folder
    raise FileNotFoundError(
        "no checkout of the companion here: run this inside the folder that holds _toc.yml and notebooks/"
    )
