"""MegaFace: feature files, and the lists of the development kit.

A feature file is an OpenCV matrix: four int32 (dimension, 1, 4 bytes a number, type 5 = float32), then the numbers,
little-endian. A list is JSON: ``{"path": [...], "id": [...]}``; a picture's features lie in PATH + SUFFIX.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.image_list import inside
from aifr_lib.files import atomic_write
from aifr_lib.progress import tqdm

HEAD = struct.Struct("<4i")
LARGEST = 1 << 16


def read_features(path: str | Path, dimension: int | None = None) -> np.ndarray:
    """The embedding in a feature file, float32 [D].

    dimension: the D that is wanted (None: any).
    Errors: BadFile for another header, another dimension, a file of another length, NaN or infinity.
    """
    data = Path(path).read_bytes()
    if len(data) < HEAD.size:
        raise BadFile(f"a header of {HEAD.size} bytes was expected, the file has {len(data)}", path)
    rows, columns, width, kind = HEAD.unpack_from(data)
    found = rows * columns
    if (width, kind) != (4, 5) or 1 not in (rows, columns) or not 0 < found <= LARGEST:
        raise BadFile(f"the header must be (dimension, 1, 4, 5), found {(rows, columns, width, kind)}", path)
    if len(data) != HEAD.size + 4 * found:
        raise BadFile(f"{found} numbers need {HEAD.size + 4 * found} bytes, the file has {len(data)}", path)
    if dimension is not None and found != dimension:
        raise BadFile(f"features of dimension {dimension} were expected, found {found}", path)
    values = np.frombuffer(data, "<f4", offset=HEAD.size)
    if not np.isfinite(values).all():
        raise BadFile(f"NaN or infinity in place {int(np.flatnonzero(~np.isfinite(values))[0])}", path)
    return values


def read_list(path: str | Path) -> tuple[list[str], list[str]]:
    """The paths and the identities of a development-kit list (identities empty where it has none).

    Errors: BadFile for other JSON, lists of different lengths, a path that leaves its folder.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadFile(f"not JSON: {error}", path) from None
    if not isinstance(content, dict) or not isinstance(content.get("path"), list) or not content["path"]:
        raise BadFile('{"path": [...], "id": [...]} was expected', path)
    paths, identities = content["path"], content.get("id") or []
    if not isinstance(identities, list) or (identities and len(identities) != len(paths)):
        raise BadFile(f"{len(paths)} paths need as many ids", path)
    for number, name in enumerate(paths):
        if not isinstance(name, str):
            raise BadFile("a path must be a string", path, f"path {number}")
        try:
            inside(name)
        except BadFile as error:
            raise BadFile(error.problem, path, f"path {number}") from None
    return paths, [str(identity) for identity in identities]


def stack_features(
    folder: str | Path, paths: Sequence[str], out: str | Path, *, suffix: str = "", progress: bool = True
) -> np.ndarray:
    """Many feature files as one array on disk, float32 [N, D] in the order of ``paths``: a read-only memory map.

    Errors: BadFile naming the first file that is missing, broken, or of another dimension than the first.
    """
    folder, out = Path(folder), Path(out)
    if not paths:
        raise BadFile("no feature file is listed", folder)
    if out.suffix != ".npy":
        raise ValueError(f"{out}: the array is written as .npy")
    first = _features(folder / (paths[0] + suffix), None)
    with atomic_write(out) as temporary:
        array = open_memmap(temporary, mode="w+", dtype=np.float32, shape=(len(paths), len(first)))
        for row, name in enumerate(tqdm(paths, desc="features", unit="file", delay=1, disable=not progress)):
            array[row] = _features(folder / (name + suffix), len(first))
        array.flush()
    return np.load(out, mmap_mode="r")


def _features(path: Path, dimension: int | None) -> np.ndarray:
    try:
        return read_features(path, dimension)
    except OSError as error:
        raise BadFile(f"cannot read the features: {error.strerror}", path) from None
