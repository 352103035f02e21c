"""Pictures of the data card: what moves and what stays, grids, the sheet for a class."""

from __future__ import annotations

import numpy as np
import pytest

from aifr_lib.data import relief
from aifr_lib.experiments.relief import pictures
from aifr_lib.experiments.relief.pictures import MOVES, UNITS
from aifr_lib.faces.relief.parameters import ACTION_UNITS, RANGES
from aifr_lib.names import ConfigError
from aifr_lib.reporting import plots


def test_every_way_stays_in_range_and_every_action_unit_is_named() -> None:
    assert tuple(UNITS) == ACTION_UNITS
    for parameter, move in MOVES.items():
        low, high = RANGES[parameter]
        assert low <= min(move.values) < max(move.values) <= high
        assert list(move.values) == sorted(move.values)
        assert all(move.text.format(value) for value in move.values)


def test_templates_of_one_person_lie_nearer_in_age_than_those_of_two() -> None:
    assert 0.8 < pictures.template_gaps(impostors=5, identities=60) < 1
    assert set(pictures.STANDS_FOR) == set(relief.SETS)


@pytest.mark.parametrize("parameter", [name for name in MOVES if name != "age"])
def test_one_thing_moves_and_nothing_else(parameter: str) -> None:
    table = pictures.moved(parameter, 5).table()
    assert {name for name, values in table.items() if np.ptp(values) > 0} == {parameter}
    assert table[parameter] == pytest.approx(MOVES[parameter].values, abs=1e-5)


def test_age_moves_with_what_the_years_bring() -> None:
    faces = pictures.moved("age", 5, values=[4, 80])
    assert faces.age.tolist() == [4, 80] and faces.identity[0].tolist() == faces.identity[1].tolist()
    assert not faces.pose.any()
    with pytest.raises(ConfigError, match="did you mean 'yaw'"):
        pictures.moved("yaww", 5, values=[0.0])


def test_frames_fit_their_labels_and_start_in_the_middle_of_life() -> None:
    frames, labels, start = pictures.player_frames("age", 3, 32)
    assert len(frames) == len(labels) == len(MOVES["age"].values) and labels[start] == "35 years"
    assert all(frame.startswith(b"\xff\xd8\xff") for frame in frames)
    assert pictures.player_frames("au12", 3, 32)[2] == 0


def test_a_strip_fills_its_last_row_with_white() -> None:
    pictures = np.stack([np.full((2, 2, 3), 10 * k, np.uint8) for k in range(3)])
    whole = plots.strip(pictures, 2)
    assert whole.shape == (4, 4, 3)
    assert whole[::2, ::2, 0].tolist() == [[0, 10], [20, 255]]
    assert plots.strip(pictures).shape == (2, 6, 3)


def test_lists_can_be_drawn_without_pictures() -> None:
    images = relief.labels_only("test", 40, 6)
    drawn = relief.load("test", size=16, identities=40, per_identity=6, progress=False)
    assert (
        relief.pairs(images, "relief-lfw", count=60).a.tolist()
        == relief.pairs(drawn, "relief-lfw", count=60).a.tolist()
    )


def test_the_sheet_for_a_class_is_two_pages_with_every_name_and_age(tmp_path) -> None:
    path = tmp_path / "cards.pdf"
    pictures.contact_sheet(path, size=24)
    content = path.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page ") == 2
    assert content.count(b"/Subtype /Image") == 60
    pictures.contact_sheet(path, size=24)
    assert path.read_bytes() == content
    pictures.contact_sheet(path, size=24, seed=1)
    assert path.read_bytes() != content
    with pytest.raises(ValueError, match="seed -1"):
        pictures.contact_sheet(path, seed=-1)
