"""Shortcuts: what each baseline sees, and that none of them verifies relief faces."""

from __future__ import annotations

import numpy as np
import pytest

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.experiments.relief import shortcuts
from aifr_lib.experiments.relief.shortcuts import LIMIT, SHORTCUTS, verify_shortcut
from aifr_lib.settings.presets import load_preset


@pytest.fixture(scope="module", params=sorted({one.view for one in relief.PAIR_LISTS.values()}))
def drawn(request: pytest.FixtureRequest) -> tuple[str, Images]:
    images = relief.load("test", size=32, identities=150, per_identity=6, view=request.param, progress=False)
    return request.param, images


def test_no_shortcut_verifies_relief_faces(drawn: tuple[str, Images]) -> None:
    view, images = drawn
    for name in [name for name, one in relief.PAIR_LISTS.items() if one.view == view]:
        for shortcut in SHORTCUTS:
            # 600 pairs of 150 people have a standard error of 2 points or more; the values lie near 52.
            _, accuracy, (low, _) = verify_shortcut(images, name, shortcut, count=600)
            assert low < LIMIT - 5 and accuracy <= LIMIT, (name, shortcut, accuracy)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_shortcut_that_is_there_is_found(drawn: tuple[str, Images], shortcut: str) -> None:
    """Pictures painted with a colour pattern of each person's own: every baseline must verify them."""
    view, images = drawn
    rng = np.random.default_rng(0)
    people, owner = np.unique(images.labels["identity"], return_inverse=True)
    pattern = rng.integers(0, 256, (len(people), 4, 4, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    painted = Images(images.name, images.version, pattern[owner], images.labels)
    name = next(name for name, one in relief.PAIR_LISTS.items() if one.view == view)
    correct, accuracy, (low, high) = verify_shortcut(painted, name, shortcut, count=200)
    assert accuracy > 90 and correct.shape == (200,) and low <= accuracy <= high


def test_features_are_means_over_their_places() -> None:
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    pixels[0, :4] = (30, 60, 90)
    assert shortcuts.hair_colour(pixels)[0] == pytest.approx([30, 60, 90])
    assert shortcuts.mean_chromaticity(pixels)[0] == pytest.approx([1 / 6, 1 / 3])
    assert shortcuts.coarse(pixels).reshape(8, 8, 3)[0, 5] == pytest.approx([15, 30, 45])
    assert shortcuts.border(pixels)[0].reshape(8, 3)[:2] == pytest.approx(np.array([[30, 60, 90]] * 2))
    assert not shortcuts.border(pixels)[0].reshape(8, 3)[2:4].any()
    pixels[0, 37:45, 13:19] = pixels[0, 37:45, 45:51] = pixels[0, 12:19, 24:40] = (200, 100, 100)
    assert shortcuts.skin_chromaticity(pixels)[0] == pytest.approx([0.5, 0.25] * 3)
    assert np.linalg.norm(shortcuts.coarse_pattern(pixels)) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"8×8 blocks of 33×64 pixels"):
        shortcuts.coarse(np.zeros((1, 33, 64, 3), np.uint8))


def test_the_table_has_every_list_and_shortcut(tmp_path) -> None:
    artefact = shortcuts.SHORTCUT_TABLE(load_preset("smoke"), out=tmp_path)
    assert len(artefact.rows) == len(relief.PAIR_LISTS) * len(SHORTCUTS)
    assert all(row.measured and row.measured.interval == "identities" for row in artefact.rows)
    assert (tmp_path / "relief_shortcuts" / "relief_shortcuts.svg").is_file()
    again = shortcuts.SHORTCUT_TABLE(load_preset("smoke"), out=tmp_path, compute=False)
    assert again.rows == artefact.rows
