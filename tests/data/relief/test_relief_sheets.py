"""Relief faces for the eye: sheets and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aifr_lib.data import relief


def test_sheet_is_a_row_a_person_and_a_column_an_age() -> None:
    grid = relief.sheet(2, [3, 30, 80], 32, seed=4)
    assert grid.shape == (64, 96, 3) and grid.dtype == np.uint8
    assert np.array_equal(grid[:32, 32:64], relief.sheet(1, [30], 32, seed=4))
    assert not np.array_equal(grid, relief.sheet(2, [3, 30, 80], 32, seed=5))
    with pytest.raises(ValueError, match=r"a sheet of 0 identities and 1 ages"):
        relief.sheet(0, [30], 32, seed=0)


def test_folder_holds_pictures_and_all_their_parameters(tmp_path: Path) -> None:
    out = tmp_path / "faces"
    labels = relief.write_folder(out, 3, 2, 32, seed=11)
    read = pd.read_csv(out / "labels.csv")
    assert read.columns[:3].tolist() == ["file", "identity", "age"] and {"yaw", "au12", "skin_tone"} <= set(read)
    assert sorted(path.name for path in out.iterdir()) == sorted([*read["file"], "labels.csv"])
    assert np.allclose(read["age"], labels["age"]) and read["identity"].tolist() == [0, 0, 1, 1, 2, 2]
    assert all(Image.open(out / file).size == (32, 32) for file in read["file"])
    first = (out / read["file"][0]).read_bytes()
    relief.write_folder(out, 3, 2, 32, seed=11)
    assert (out / read["file"][0]).read_bytes() == first
    with pytest.raises(FileExistsError, match=r"already holds 00001_0000.png"):
        relief.write_folder(out, 1, 2, 32, seed=11)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.csv").write_text("precious")
    with pytest.raises(FileExistsError, match=r"already holds labels.csv"):
        relief.write_folder(tmp_path / "mine", 3, 2, 32, seed=11)
