"""Pictures with labels, and lists of pairs over them: what every reader returns and every protocol takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

COLUMNS = ("record", "identity", "age")


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
