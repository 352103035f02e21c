"""Pictures with labels, and lists over them (pairs, templates, changes): what readers return and protocols take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

COLUMNS = ("record", "identity", "age")
UNKNOWN = -1  # identity or gender
OLDEST = 120  # years
FOLDS = 10  # of a verification list


@dataclass(frozen=True)
class Images:
    """Pictures of one size with one row of labels each.

    name, version: of the data set, as artefacts print them.
    pixels: uint8 [N, H, W, 3], RGB; may be a read-only memory map.
    labels: N rows with at least ``record`` (unique str), ``identity`` (int) and ``age`` (years; NaN if unknown).
    Errors: ValueError where shapes, types or columns differ from this.
    """

    name: str
    version: str
    pixels: np.ndarray
    labels: pd.DataFrame

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[-1] != 3:
            raise ValueError(
                f"{self.name}: pixels must be uint8 [N, H, W, 3], got {self.pixels.dtype} {self.pixels.shape}"
            )
        if missing := [column for column in COLUMNS if column not in self.labels]:
            raise ValueError(f"{self.name}: labels lack {', '.join(missing)}")
        if len(self.labels) != len(self.pixels):
            raise ValueError(f"{self.name}: {len(self.pixels)} pictures but {len(self.labels)} rows of labels")
        if not self.labels["record"].is_unique:
            double = self.labels["record"][self.labels["record"].duplicated()].iloc[0]
            raise ValueError(f"{self.name}: record '{double}' stands more than once")

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> Images:
        """The pictures of these rows, in this order."""
        return Images(self.name, self.version, self.pixels[rows], self.labels.iloc[rows].reset_index(drop=True))


@dataclass(frozen=True)
class Pairs:
    """A verification list over one Images.

    a, b: int64 [P], rows of the Images. same: bool [P]. fold: int64 [P], the fold of each pair (0 … 9).
    Errors: ValueError where lengths differ.
    """

    name: str
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    fold: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.a) == len(self.b) == len(self.same) == len(self.fold):
            raise ValueError(f"{self.name}: a, b, same and fold differ in length")

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class Templates:
    """Sets of pictures that are compared as wholes (IJB 1:1 verification, protocol P4).

    row [M]: rows of the Images; template [M]: the template each belongs to; media [M]: the still or the video it
    comes from (an id that no two templates share). a, b [P]: template ids of the pairs. All int64. same: bool [P].
    Errors: ValueError where lengths differ, a pair names a template without pictures, or a template is a pair
    with itself.
    """

    name: str
    row: np.ndarray
    template: np.ndarray
    media: np.ndarray
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.row) == len(self.template) == len(self.media):
            raise ValueError(f"{self.name}: row, template and media differ in length")
        if not len(self.a) == len(self.b) == len(self.same):
            raise ValueError(f"{self.name}: a, b and same differ in length")
        if len(unknown := np.setdiff1d(np.union1d(self.a, self.b), self.template)):
            raise ValueError(f"{self.name}: template {unknown[0]} stands in a pair but has no pictures")
        if np.any(self.a == self.b):
            raise ValueError(f"{self.name}: template {self.a[self.a == self.b][0]} is paired with itself")

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class ChangePairs:
    """Pairs of pictures of one subject, with what changed from the first to the second (protocol P5).

    a, b: int64 [P], rows of the Images. d: float64 [P], the value of b minus that of a, in ``unit``.
    Errors: ValueError where lengths differ or a change is not finite.
    """

    name: str
    a: np.ndarray
    b: np.ndarray
    d: np.ndarray
    unit: str

    def __post_init__(self) -> None:
        if not len(self.a) == len(self.b) == len(self.d):
            raise ValueError(f"{self.name}: a, b and d differ in length")
        if not np.isfinite(self.d).all():
            raise ValueError(f"{self.name}: the change of pair {int(np.argmin(np.isfinite(self.d)))} is not finite")

    def __len__(self) -> int:
        return len(self.a)


def crop_columns(pixels: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """The middle ``w`` columns of uint8 [N, H, W, 3]: 112×112 → the 112×96 of TML Table I, without a copy.

    Errors: ValueError where the height differs or the picture is narrower than ``w``.
    """
    check_columns(pixels.shape, hw)
    if pixels.shape[2] == hw[1]:
        return pixels
    left = (pixels.shape[2] - hw[1]) // 2
    return pixels[:, :, left : left + hw[1]]


def check_columns(shape: tuple[int, ...], hw: tuple[int, int]) -> None:
    """Errors: ValueError where pictures of ``shape`` [N, H, W, 3] are not ``hw`` high, or are narrower."""
    if shape[1] != hw[0] or shape[2] < hw[1]:
        raise ValueError(f"pictures of {shape[1]}×{shape[2]} cannot give the network's input of {hw[0]}×{hw[1]}")
