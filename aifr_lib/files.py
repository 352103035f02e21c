"""Files written whole or not at all, and the folders that everything lies in."""

from __future__ import annotations

import errno
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock

NO_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}  # what file systems without flock answer


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` on success, remove it on failure.

    Whatever interrupts the write (an error, a full disk, a kill), the old file stays whole.
    Errors: OSError that names ``path`` where the disk takes no more, whatever the writer made of that.
    """
    with atomic_writes(path) as (temporary,):
        yield temporary


@contextmanager
def atomic_writes(*paths: str | Path) -> Iterator[Sequence[Path]]:
    """``atomic_write`` for files that belong together: the first takes its name when the last is whole on the disk."""
    ends = [Path(path) for path in paths]
    temporaries: list[Path] = []
    try:
        for path in ends:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
            os.close(handle)
            temporaries.append(Path(name))
        try:
            yield temporaries
        except Exception as error:
            if not isinstance(error, OSError):
                _say_if_full(temporaries[-1], ends[-1], error)
            raise
        # mkstemp, and some writers, make private files; a result that a group shares must be readable for the group.
        umask = os.umask(0)
        os.umask(umask)
        for temporary in temporaries:
            temporary.chmod(0o666 & ~umask)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        for temporary, path in zip(temporaries, ends, strict=True):
            temporary.replace(path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def _say_if_full(temporary: Path, path: Path, error: Exception) -> None:
    """Errors: OSError where a plain write fails too: writers that are no Python say 'unexpected pos' of a full disk."""
    try:
        with temporary.open("ab") as file:
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as full:
        raise OSError(full.errno or errno.EIO, full.strerror, str(path)) from error


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock ``path``, one process at a time; the operating system drops that of a process that dies.

    Where the file system has no flock, a file of its own holds it instead, and a warning says what that costs.
    Errors: filelock.Timeout, without ``wait``, where another process holds it.
    """
    timeout = -1 if wait else 0
    lock: BaseFileLock = FileLock(path, timeout=timeout)
    try:
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_FLOCK:
            raise
        held = f"{path}.held"
        warnings.warn(
            f"no flock on this file system: {held} stands for the lock, and one that a killed process leaves must be "
            "deleted by hand. Put AIFR_CACHE and results where flock works: a local disk, NFS from version 4, Lustre "
            "mounted with -o flock",
            stacklevel=3,
        )
        lock = SoftFileLock(held, timeout=timeout)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def cache_dir() -> Path:
    """Where rendered data, checkpoints and weights go: ``AIFR_CACHE``, else ``~/.cache/aifr_lib``."""
    return _folder_of("AIFR_CACHE") or Path.home() / ".cache" / "aifr_lib"


def data_dir() -> Path | None:
    """The folder of data sets that a user brings: ``AIFR_DATA``; None when it is not set."""
    return _folder_of("AIFR_DATA")


def settle_folders() -> None:
    """Make the folders of the environment absolute, so that a process that works elsewhere means the same ones."""
    for name in ("AIFR_CACHE", "AIFR_DATA"):
        if (folder := _folder_of(name)) is not None:
            os.environ[name] = str(folder)


def _folder_of(name: str) -> Path | None:
    folder = os.environ.get(name)
    return Path(folder).expanduser().absolute() if folder else None


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
