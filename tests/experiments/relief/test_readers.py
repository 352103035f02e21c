"""Trained readers: they find what is there, and no more than chance where nothing is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.experiments.relief import readers
from aifr_lib.settings.presets import load_preset


def painted(people: int, pictures: int, told: float, seed: int) -> Images:
    """Glare, and in the top left block of 6×6 pixels ``told`` times the person's own colour too."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), pictures)
    glare = rng.normal(0, 40, (len(identity), 1, 1, 1))
    own = rng.normal(0, 25, (people, 3))[identity][:, None, None]
    canvas = 128 + glare + np.zeros((len(identity), 48, 48, 3))
    canvas[:, :6, :6] += told * own
    pixels = np.clip(canvas + rng.normal(0, 4, canvas.shape), 0, 255).astype(np.uint8)
    labels = pd.DataFrame({"record": [str(row) for row in range(len(identity))], "identity": identity, "age": 30.0})
    return Images("painted", "1", pixels, labels)


@pytest.mark.parametrize(("told", "low", "high"), [(1.0, 0.90, 1.0), (0.0, 0.35, 0.65)])
def test_a_reader_finds_a_weak_colour_under_strong_glare(told: float, low: float, high: float) -> None:
    learnt, seen = painted(120, 6, told, seed=0), painted(60, 2, told, seed=1)
    unit = readers.read(readers.READERS["8×8 colour"], learnt, seen)
    same = (unit[::2] * unit[1::2]).sum(1)
    other = (unit[::2] * np.roll(unit[1::2], 1, axis=0)).sum(1)
    auc = (same[:, None] > other).mean()
    assert low <= auc <= high


def test_blocks_are_means_of_equal_parts() -> None:
    pixels = np.zeros((1, 48, 48, 3), np.uint8)
    pixels[0, :12, :6] = (10, 20, 30)
    assert readers.blocks(pixels, 8, 8)[0].reshape(8, 8, 3)[:2, 0].tolist() == [[10, 20, 30]] * 2
    assert readers.top_quarter(pixels)[0].reshape(2, 8, 3)[:, 0].tolist() == [[10, 20, 30]] * 2
    assert readers.top_quarter(pixels)[0].sum() == 120
    with pytest.raises(ValueError, match=r"12×12 blocks of 48×50 pixels"):
        readers.blocks(np.zeros((1, 48, 50, 3), np.uint8), 12, 12)


def test_a_feature_that_never_changes_is_left_out() -> None:
    learnt, seen = painted(20, 3, 1.0, seed=2), painted(6, 2, 1.0, seed=3)
    flat = readers.read(lambda pixels: np.c_[readers.mean_colour(pixels), np.ones(len(pixels))], learnt, seen)
    assert np.isfinite(flat).all() and len(flat) == 12


def test_one_colouring_is_that_of_the_mean_person_and_has_another_name() -> None:
    settings = load_preset("smoke").relief_card.calibration.train.relief
    drawn, plain = (readers.plan_of(settings, "test", which) for which in (readers.AS_DRAWN, readers.ONE_COLOURING))
    assert drawn.digest(48) != plain.digest(48)
    before, after = drawn.faces().table(), plain.faces().table()
    assert all(not after[name].any() and before[name].any() for name in readers.COLOURING)
    assert all((after[name] == before[name]).all() for name in before if name not in readers.COLOURING)


def test_the_table_has_every_list_and_reader_and_is_drawn_from_what_is_stored(tmp_path) -> None:
    artefact = readers.READER_TABLE(load_preset("smoke"), out=tmp_path)
    everyday = [name for name, one in relief.PAIR_LISTS.items() if one.view == "everyday"]
    assert {str(row.keys["set"]) for row in artefact.rows} <= set(everyday)
    assert len(artefact.rows) == 2 * 2 * len(readers.READERS)
    assert all(row.measured and row.measured.interval == "identities" for row in artefact.rows)
    assert (tmp_path / "relief_readers" / "relief_readers.svg").is_file()
    assert readers.READER_TABLE(load_preset("smoke"), out=tmp_path, compute=False).rows == artefact.rows
