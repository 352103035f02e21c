"""Pictures that stay encoded on the disk and are decoded when they are asked for.

``StoredPixels`` reads like the uint8 array [N, H, W, 3] that an ``Images`` holds, so that training and evaluation take
data sets larger than the memory: ``pixels[rows]`` decodes these rows and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa

from aifr_lib.data.formats import image_records, recordio
from aifr_lib.data.formats.pictures import BadPicture, decode, decode_into, size_of
from aifr_lib.data.formats.recordio import RecordFile


class Source(Protocol):
    """Where the encoded pictures lie. It must be cheap to send to a worker process."""

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes | np.ndarray:
        """The picture of a row: encoded bytes, or uint8 pixels [H, W, 3]."""

    def where(self, row: int) -> tuple[Path, str | None]:
        """The file of a row and the record in it, for messages."""


class Records:
    """Pictures in a ``.rec`` file, at the places that ``image_records.read_table`` found."""

    def __init__(self, file: RecordFile, key: np.ndarray, offset: np.ndarray, size: np.ndarray):
        self.file, self.key, self.offset, self.size = file, key, offset, size

    @classmethod
    def of(cls, path: Path, table: pa.Table) -> Records:
        """The pictures of ``path`` that its table lists."""
        return cls(RecordFile(path), *(table.column(name).to_numpy() for name in ("key", "offset", "size")))

    def __len__(self) -> int:
        return len(self.key)

    def read(self, row: int) -> bytes:
        offset, size = self.offset.item(row), self.size.item(row)
        if size == image_records.SPLIT:
            return recordio.unpack(self.file.read(offset)).picture
        return self.file.bytes[offset : offset + size]

    def where(self, row: int) -> tuple[Path, str]:
        return self.file.path, f"record {self.key[row]}"


class Files:
    """Pictures in files of their own: a column of paths below a folder."""

    def __init__(self, root: Path, paths: pa.ChunkedArray):
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int) -> bytes:
        try:
            return self.where(row)[0].read_bytes()
        except OSError as error:
            raise BadPicture(f"cannot read the picture: {error.strerror}") from error

    def where(self, row: int) -> tuple[Path, None]:
        return self.root / self.paths[row].as_py(), None


class Members:
    """Pictures in the memory, as the list of a ``.bin`` file holds them."""

    def __init__(self, path: Path, pictures: Sequence[bytes | np.ndarray]):
        self.path, self.pictures = path, pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, row: int) -> bytes | np.ndarray:
        return self.pictures[row]

    def where(self, row: int) -> tuple[Path, str]:
        return self.path, f"picture {row}"


class StoredPixels:
    """uint8 [N, H, W, 3], RGB, read-only: pictures of one size, decoded on access.

    An index is a row, a slice, a list or array of rows, or a mask; behind it may stand indices of rows, columns and
    channels of pixels, as in ``pixels[:, :, 8:-8]``, which decodes all of the rows named first.
    size: height and width (None: those of the first picture).
    Errors on access: IndexError; BadPicture naming file and record for a picture that is broken or of another size.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, source: Source, size: tuple[int, int] | None = None):
        self.source = source
        if size is None:
            first = source.read(0)
            try:
                size = first.shape[:2] if isinstance(first, np.ndarray) else size_of(first)
            except BadPicture as error:
                raise BadPicture(error.problem, *source.where(0)) from error
        self.size = size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.source), *self.size, 3)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            rest = key[1:] if isinstance(key[0], (int, np.integer)) else (slice(None), *key[1:])
            inner: np.ndarray = self[key[0]][rest]
            return inner
        if isinstance(key, (int, np.integer)):
            return self._gather([self._row(int(key))])[0]
        if isinstance(key, slice):
            return self._gather(range(*key.indices(len(self))))
        rows = np.asarray(key)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise IndexError(f"a mask over {len(self)} pictures has shape {rows.shape}")
            rows = np.flatnonzero(rows)
        return self._gather([self._row(row) for row in rows.tolist()])

    def _row(self, row: int) -> int:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} pictures")
        return row % len(self)

    def _gather(self, rows: Sequence[int]) -> np.ndarray:
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        read = self.source.read
        for place, row in zip(out, rows, strict=True):
            try:
                picture = read(row)
                if isinstance(picture, np.ndarray):
                    place[:] = checked(picture, place.shape)
                else:
                    decode_into(picture, place)
            except BadPicture as error:
                raise BadPicture(error.problem, *self.source.where(row)) from error
        return out


def as_array(pixels: StoredPixels) -> np.ndarray:
    """The same, typed as the array it reads as: Images and their users index it, and do nothing else with it."""
    return cast("np.ndarray", pixels)


def checked(picture: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A stored array as a picture [H, W, 3]. Errors: BadPicture unless it is one, of this shape if that is given."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise BadPicture(f"an array uint8 [H, W, 3] was expected, found {picture.dtype} {picture.shape}")
    if shape is not None and picture.shape != shape:
        raise BadPicture(f"the picture is {picture.shape}, the others of its set are {shape}")
    return picture


def pixels_of(picture: bytes | np.ndarray) -> np.ndarray:
    """One stored picture, encoded or not, as uint8 [H, W, 3]. Errors: BadPicture."""
    return checked(picture) if isinstance(picture, np.ndarray) else decode(picture)
