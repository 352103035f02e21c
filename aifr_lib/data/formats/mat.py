"""MATLAB 5 files as far as tables go: a struct whose fields are rows of numbers, or cells of text.

A reader of its own, since ``scipy.io.loadmat`` ends the whole process on some damaged files.
Source: MathWorks, *MAT-File Format*, chapter 1: the header, data elements and their small form, array subelements.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from aifr_lib.data.formats.faults import BadFile

HEAD = 128
TAG = struct.Struct("<II")
NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR, NUMERIC = 1, 2, 4, range(6, 16)
DEEPEST = 2  # a struct, its cells, their text
LARGEST = 1 << 30  # bytes that one variable may unpack to


def read_struct(path: str | Path, name: str) -> dict[str, Any]:
    """The fields of the struct ``name``: float64 [N] for numbers, str for text, a list of these for cells.

    Errors: BadFile for a file in another format, a damaged one, or one without this struct; FileNotFoundError.
    """
    path = Path(path)
    data = memoryview(path.read_bytes())
    if len(data) < HEAD or bytes(data[124:HEAD]) != b"\x00\x01IM":
        raise BadFile("a file in MATLAB 5 format, little-endian, was expected (save it with -v7)", path)
    at = HEAD
    try:
        while at < len(data):
            kind, body, at = _element(data, at)
            if kind == COMPRESSED:
                kind, body, _ = _element(memoryview(_unpacked(body)), 0)
            if kind != MATRIX:
                raise ValueError(f"a variable was expected, found an element of type {kind}")
            if _name(body) == name:
                value = _matrix(body)
                if not isinstance(value, dict):
                    raise ValueError(f"'{name}' is no struct")
                return value
    except (ValueError, zlib.error) as error:
        raise BadFile(f"the file is damaged, or no table: {error}", path) from None
    raise BadFile(f"it holds no variable '{name}'", path)


def _unpacked(body: memoryview) -> bytes:
    machine = zlib.decompressobj()
    data = machine.decompress(body, LARGEST)
    if not machine.eof:
        raise ValueError(f"a variable is cut short, or unpacks to more than {LARGEST} bytes")
    return data


def _element(data: memoryview, at: int) -> tuple[int, memoryview, int]:
    """(type, content, where the next one begins) of the data element at ``at``."""
    if at + TAG.size > len(data):
        raise ValueError("it ends where an element should begin")
    kind, size = TAG.unpack_from(data, at)
    if kind >> 16:  # the small form: size, type and content in eight bytes
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
        return kind, data[at + 4 : at + 4 + size], at + TAG.size
    end = at + TAG.size + size
    if end > len(data):
        raise ValueError(f"an element of {size} bytes is cut short")
    return kind, data[at + TAG.size : end], end if kind == COMPRESSED else end + -size % 8


def _opening(body: memoryview) -> tuple[int, int, str, int]:
    """What each array begins with: (class, number of values, name, where its content begins)."""
    _, flags, at = _element(body, 0)
    _, shape, at = _element(body, at)
    _, name, at = _element(body, at)
    if len(flags) != 8 or len(shape) % 4:
        raise ValueError("an array begins with its class and its shape")
    sizes = np.frombuffer(shape, "<i4").tolist()
    if any(size < 0 for size in sizes):
        raise ValueError(f"the shape of an array is {sizes}")
    return flags[0], math.prod(sizes), bytes(name).decode("ascii"), at


def _name(body: memoryview) -> str:
    return _opening(body)[2] if len(body) else ""


def _matrix(body: memoryview, depth: int = 0) -> Any:
    if not len(body):
        return np.empty(0)
    kind, count, _, at = _opening(body)
    if kind == CHAR:
        stored, content, _ = _element(body, at)
        if stored not in TEXTS:
            raise ValueError(f"text of type {stored}")
        return bytes(content).decode(TEXTS[stored])
    if kind in NUMERIC:
        stored, content, _ = _element(body, at)
        if stored not in NUMBERS or len(content) != count * np.dtype(NUMBERS[stored]).itemsize:
            raise ValueError(f"{count} numbers were expected, found {len(content)} bytes of type {stored}")
        with np.errstate(invalid="ignore"):  # bits of a NaN that signals
            return np.frombuffer(content, NUMBERS[stored]).astype(np.float64)
    if depth == DEEPEST or kind not in (CELL, STRUCT) or (kind == STRUCT and count != 1):
        raise ValueError("one struct of numbers, text and cells of text was expected")
    fields: list[str] = []
    if kind == STRUCT:
        _, width, at = _element(body, at)
        _, names, at = _element(body, at)
        wide = int.from_bytes(width, "little")
        if not wide or len(names) % wide:
            raise ValueError("the names of the fields are cut short")
        parts = (bytes(names[start : start + wide]) for start in range(0, len(names), wide))
        fields = [part.partition(b"\0")[0].decode("ascii") for part in parts]
        count = len(fields)
    values = []
    for _ in range(count):
        inner, content, at = _element(body, at)
        if inner != MATRIX:
            raise ValueError(f"an array was expected, found an element of type {inner}")
        values.append(_matrix(content, depth + 1))
    return dict(zip(fields, values, strict=True)) if kind == STRUCT else values
