"""``aifr faces --attribute``: a sheet and a folder, as a user would ask for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from aifr_lib.cli import app
from aifr_lib.data import edited
from aifr_lib.faces import align

pytest.importorskip("cv2")


def aifr(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_sheet_of_edited_relief_faces(tmp_path) -> None:
    out = tmp_path / "sheet.png"
    said = aifr(
        "faces", "--attribute", "age", "--alpha", "-5:5:5", "--identities", "2", "--size", "48", "--out", str(out)
    )
    assert str(out) in said
    pixels = np.asarray(Image.open(out))
    assert pixels.shape == (2 * 48, 3 * 48, 3)
    young, old = pixels[:48, :48], pixels[:48, 96:]
    assert (young != old).any()


def test_a_folder_of_edited_relief_faces(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(align, "align", lambda picture: None)  # centre crops, to be quick
    monkeypatch.setattr("aifr_lib.models.judges.AgeJudge", lambda: pytest.fail("relief faces know their age"))
    out = tmp_path / "set"
    command = ("faces", "--attribute", "smile", "--alpha", "-5,0,5", "--identities", "2", "--out", str(out))
    aifr(*command)
    table = pd.read_parquet(out / "labels.parquet")
    assert list(table["alpha"]) == [0, -5, 5] * 2
    assert table["age"].between(35, 45).all() and table["age"].nunique() == 2
    aifr(*command)  # everything is there already
    images = edited.load(out)
    assert images.pixels[:].shape == (6, 112, 112, 3)
