"""Features [N, D] of a protocol: an array, or a ``.npy`` file of which a block at a time is in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aifr_lib.evaluation.checks import matrix

Features = np.ndarray | str | Path


def open_features(features: Features) -> np.ndarray:
    """The array, or a read-only map of the file.

    Blocks of a file are read through a map of their own: the pages of one map would stay in memory.
    Errors: FileNotFoundError; ValueError for a file that is not a whole ``.npy`` array [N, D].
    """
    if isinstance(features, np.ndarray):
        return features
    try:
        values = np.load(features, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(f"{features} is not a whole .npy file of features: {error}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        found = f"an array {list(values.shape)}" if isinstance(values, np.ndarray) else "an archive of arrays (.npz)"
        raise ValueError(f"{features}: one array [N, D] of features was expected, found {found}")
    return values


def checked(features: Features, what: str, width: int | None = None) -> tuple[np.ndarray, str]:
    """The features opened, and what errors call them: their path, or ``what``.

    Errors: ValueError unless they are floating point [N, D], with D = ``width`` where that is given.
    """
    name = what if isinstance(features, np.ndarray) else str(features)
    values = open_features(features)
    matrix(name, values, width)
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{name}: expected floating point features, got {values.dtype}")
    return values, name
