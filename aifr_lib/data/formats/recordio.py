"""MXNet RecordIO, byte by byte, without mxnet: framing, the image header, the ``.idx`` and ``property`` files.

A file is a row of parts, each at a multiple of four bytes: u32 magic, u32 ``cflag << 29 | length``, ``length`` bytes,
zeros up to the next multiple of four; all little-endian. A record is one part with cflag 0; where its payload holds the
magic at a multiple of four, it is cut there (the magic itself left out) into parts with cflag 1, 2, …, 2, 3.
An image record begins with the header ``IfQQ``: flag, label, id, id2. With flag 0 the label is the one in the header;
with flag n > 0, n float32 labels follow. The rest is the encoded picture.
Source: dmlc-core ``recordio.h``; MXNet ``recordio.py`` for the header.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from aifr_lib.data.formats.faults import BadFile

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
PART = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH_BITS = 29
MAX_LENGTH = (1 << LENGTH_BITS) - 1
WHOLE, FIRST, MIDDLE, LAST = range(4)


@dataclass(frozen=True)
class ImageRecord:
    """The payload of an image record: labels float32 [n], id, id2 and the encoded picture (empty in label records)."""

    labels: np.ndarray
    id: int
    picture: bytes
    id2: int = 0


def pack(labels: Sequence[float] | float, id: int, picture: bytes, id2: int = 0) -> bytes:
    """The payload of an image record; a single number goes into the header (flag 0), a sequence behind it."""
    if isinstance(labels, (int, float)):
        return HEADER.pack(0, labels, id, id2) + picture
    return HEADER.pack(len(labels), 0.0, id, id2) + np.asarray(labels, "<f4").tobytes() + picture


def unpack(payload: bytes) -> ImageRecord:
    """Errors: BadFile for a payload that is shorter than its header says."""
    if len(payload) < HEADER.size:
        raise BadFile(f"an image record begins with a header of {HEADER.size} bytes, it has {len(payload)}")
    flag, label, id, id2 = HEADER.unpack_from(payload)
    if flag == 0:
        return ImageRecord(np.array([label], "<f4"), id, payload[HEADER.size :], id2)
    end = HEADER.size + 4 * flag
    if end > len(payload):
        raise BadFile(f"the header says {flag} labels ({end} bytes with it), the record has {len(payload)} bytes")
    return ImageRecord(np.frombuffer(payload[HEADER.size : end], "<f4"), id, payload[end:], id2)


class RecordFile:
    """A ``.rec`` file, mapped read-only. Cheap to send to another process: only the path travels.

    Errors: BadFile for a file too short for a record; FileNotFoundError.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with self.path.open("rb") as file:
            if (size := file.seek(0, 2)) < PART.size:
                raise BadFile(f"a record takes at least {PART.size} bytes, the file has {size}", path)
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __reduce__(self) -> tuple[type[RecordFile], tuple[Path]]:
        return type(self), (self.path,)

    def __len__(self) -> int:
        return len(self.bytes)

    def part(self, offset: int) -> tuple[int, int, int]:
        """(cflag, start, length) of the part at ``offset``: its bytes are ``self.bytes[start : start + length]``.

        Errors: BadFile where no whole part stands at ``offset``.
        """
        start = offset + PART.size
        if offset < 0 or offset % 4:
            raise self.fault("records begin at multiples of four bytes", offset)
        if start > len(self.bytes):
            raise self.fault(f"the head of a record should stand here; the file ends at {len(self.bytes)}", offset)
        magic, word = PART.unpack_from(self.bytes, offset)
        if magic != MAGIC:
            raise self.fault(f"a record begins with {MAGIC:#x}, found {magic:#x}", offset)
        cflag, length = word >> LENGTH_BITS, word & MAX_LENGTH
        if cflag > LAST:
            raise self.fault(f"the continuation flag must be 0 to 3, found {cflag}", offset)
        if start + length > len(self.bytes):
            raise self.fault(f"a record of {length} bytes is cut short: the file ends at {len(self.bytes)}", offset)
        return cflag, start, length

    def parts(self, offset: int) -> Iterator[tuple[int, int]]:
        """(start, length) of each part of the record at ``offset``. Errors: BadFile for parts in a wrong order."""
        cflag, start, length = self.part(offset)
        if cflag in (MIDDLE, LAST):
            raise self.fault("a record begins here with a part that continues another", offset)
        yield start, length
        while cflag not in (WHOLE, LAST):
            offset = start + padded(length)
            cflag, start, length = self.part(offset)
            if cflag not in (MIDDLE, LAST):
                raise self.fault("a part that continues a record was expected, a new record begins", offset)
            yield start, length

    def read(self, offset: int) -> bytes:
        """The payload of the record at ``offset``. Errors: BadFile."""
        return MAGIC_BYTES.join(self.bytes[start : start + length] for start, length in self.parts(offset))

    def scan(self, offset: int = 0) -> Iterator[tuple[int, int]]:
        """(offset, end) of each record from ``offset`` to the end of the file. Errors: BadFile at the first fault."""
        while offset < len(self.bytes):
            begin = offset
            for start, length in self.parts(begin):
                offset = start + padded(length)
            yield begin, offset

    def resume(self, offset: int) -> int | None:
        """The next place after ``offset`` where a record may begin: the way past damaged bytes; None if none is."""
        while (offset := self.bytes.find(MAGIC_BYTES, offset + 1)) >= 0:
            if offset % 4 == 0 and offset + PART.size <= len(self.bytes):
                word = PART.unpack_from(self.bytes, offset)[1]
                if word >> LENGTH_BITS in (WHOLE, FIRST):
                    return offset
        return None

    def fault(self, problem: str, offset: int) -> BadFile:
        return BadFile(problem, self.path, f"byte {offset}")


def padded(length: int) -> int:
    """``length`` rounded up to a multiple of four."""
    return (length + 3) & ~3


def write_record(file: BinaryIO, payload: bytes) -> int:
    """Append a record; returns the offset at which it begins. Errors: ValueError for 512 MiB and more."""
    if len(payload) > MAX_LENGTH:
        raise ValueError(f"a record holds at most {MAX_LENGTH} bytes, this one has {len(payload)}")
    begin = file.tell()
    cuts = []
    at = payload.find(MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0:
            cuts.append(at)
        at = payload.find(MAGIC_BYTES, at + (4 if at % 4 == 0 else 1))
    starts = [0, *(cut + 4 for cut in cuts)]
    for number, (start, end) in enumerate(zip(starts, [*cuts, len(payload)], strict=True)):
        last = number == len(cuts)
        cflag = (LAST if last else MIDDLE) if number else (WHOLE if last else FIRST)
        file.write(PART.pack(MAGIC, cflag << LENGTH_BITS | end - start) + payload[start:end])
        file.write(bytes(padded(end - start) - (end - start)))
    return begin


def read_idx(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys and offsets of an ``.idx`` file (lines of ``key TAB offset``), int64 [N] each, in the file's order.

    Errors: BadFile naming the line that is none, or whose key stood before.
    """
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=["key", "offset"]),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(column_types={"key": pa.int64(), "offset": pa.int64()}, null_values=[]),
        )
    except pa.ArrowInvalid:
        raise _bad_line(Path(path)) from None
    keys, offsets = (table.column(name).to_numpy() for name in ("key", "offset"))
    if not len(keys):
        raise _bad_line(Path(path))
    _, first = np.unique(keys, return_index=True)
    if len(first) < len(keys):
        again = np.setdiff1d(np.arange(len(keys)), first)[0]
        raise BadFile(f"key {keys[again]} stands more than once", path, f"line {again + 1}")
    return keys, offsets


def _bad_line(path: Path) -> BadFile:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        fields = line.split(b"\t")
        if line and (len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields)):
            return BadFile(f"'key TAB offset' was expected, found {line[:60]!r}", path, f"line {number}")
    return BadFile("lines of 'key TAB offset' were expected, there are none", path)


def write_idx(path: str | Path, keys: Sequence[int], offsets: Sequence[int]) -> None:
    """The ``.idx`` file of these records."""
    lines = (f"{key}\t{offset}\n" for key, offset in zip(keys, offsets, strict=True))
    Path(path).write_text("".join(lines), encoding="ascii")


def read_property(path: str | Path) -> tuple[int, int, int]:
    """(number of identities, height, width) of a ``property`` file, one line ``N,H,W``. Errors: BadFile."""
    text = Path(path).read_text(encoding="ascii", errors="replace").strip()
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 3 or not all(field.isascii() and field.isdigit() and len(field) < 19 for field in fields):
        raise BadFile(f"one line 'identities,height,width' was expected, found {text[:60]!r}", path)
    count, height, width = map(int, fields)
    return count, height, width
