"""Tables that are made once: a Parquet file in the cache for each data set that took long to scan.

An index is valid while all files it was made from (for folders: all folders) have the size and the time of change that
they had then. It is an aid: deleting ``cache_dir()/index`` costs another scan and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aifr_lib.files import atomic_write, cache_dir

LOG = logging.getLogger(__name__)
VERSION = 2  # raised when the meaning of a column changes
WATCHED = b"aifr.watched"


def path_of(kind: str, source: str | Path) -> Path:
    """Where the index of this kind over this file or folder lies."""
    source = Path(source).resolve()
    digest = hashlib.sha256(f"{VERSION}\0{kind}\0{source}".encode()).hexdigest()[:16]
    return cache_dir() / "index" / f"{source.stem}-{digest}.parquet"


def cached(
    kind: str, source: str | Path, make: Callable[[], pa.Table], watched: Callable[[], Iterable[Path]] | None = None
) -> pa.Table:
    """The table that ``make`` gives, from the index where that is valid.

    kind: what the table holds; one source may have indices of several kinds. watched: the files and folders on which
    the table depends, asked for after ``make`` (None: ``source`` alone).
    A damaged index is made again, with a warning.
    """
    path = path_of(kind, source)
    table = _read(path)
    if table is None:
        table = make()
        states = {str(Path(name).resolve()): state(name) for name in (watched() if watched else (Path(source),))}
        marked = table.replace_schema_metadata({**(table.schema.metadata or {}), WATCHED: json.dumps(states)})
        with atomic_write(path) as temporary:
            pq.write_table(marked, temporary, compression="zstd")
    return table


def state(path: str | Path) -> list[int] | None:
    """[size, time of change in ns] of a file, [0, time] of a folder, None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return [0 if Path(path).is_dir() else found.st_size, found.st_mtime_ns]


def _read(path: Path) -> pa.Table | None:
    if not path.is_file():
        return None
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            metadata = dict(file.schema_arrow.metadata or {})
            watched = json.loads(metadata.pop(WATCHED))
            if any(state(name) != then for name, then in watched.items()):
                return None
            return file.read().replace_schema_metadata(metadata)
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError) as error:
        LOG.warning("%s is damaged (%s) and is made again", path, error)
        return None
