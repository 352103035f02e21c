"""The one interface to edited faces, by relief faces and by a generator of a few lines."""

from __future__ import annotations

import numpy as np
import pytest

from aifr_lib.data.edited import edited as edited_plan
from aifr_lib.faces.generators import sources
from aifr_lib.faces.generators.directions import Direction
from aifr_lib.faces.generators.sources import RELIEF_MOVES, EditedSource, ReliefSource
from aifr_lib.faces.relief.parameters import RANGES
from aifr_lib.names import ConfigError


class Flat:
    """A generator whose picture is its code: four numbers become four grey levels."""

    name, version, width, side = "flat", "1", 4, 2

    def codes(self, seeds, psi=0.7):
        return np.array([[10 * seed, 20, 30, 40] for seed in seeds], dtype=np.float32)

    def synthesise(self, codes):
        return np.repeat(codes.reshape(-1, 2, 2, 1), 3, 3).round().astype(np.uint8)


def edited() -> EditedSource:
    directions = {
        "age": Direction("age", np.array([0, 1.0, 0, 0]), 2.0, {}),
        "smile": Direction("smile", np.array([0, 0, 3.0, 4.0]), 5.0, {}),
    }
    return EditedSource(Flat(), directions)


def test_an_edited_picture_is_that_of_the_moved_code() -> None:
    picture = edited().render(3, "smile", 2)
    assert picture[..., 0].ravel().tolist() == [30, 20, 30 + 6, 40 + 8]
    assert edited().combined(3, {"smile": 2, "age": -1})[..., 0].ravel().tolist() == [30, 18, 36, 48]


def test_zero_is_the_same_picture_for_all_attributes() -> None:
    for source in (edited(), ReliefSource(32)):
        first = source.combined(5, {})
        for attribute in source.attributes:
            np.testing.assert_array_equal(source.render(5, attribute, 0), first)


def test_unknown_attributes_and_strengths_are_refused() -> None:
    for source in (edited(), ReliefSource(32)):
        with pytest.raises(ConfigError, match="did you mean 'smile'"):
            source.render(1, "smiles", 0)
        with pytest.raises(ConfigError, match="strength"):
            source.render(1, "age", 5.5)
        source.render(1, "age", 5.5, beyond=True)
    with pytest.raises(ConfigError, match="did you mean 'latent'"):
        sources.open_source("latents")


def test_directions_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="age has 5 numbers"):
        EditedSource(Flat(), {"age": Direction("age", np.ones(5), 1.0, {})})


def test_the_version_names_the_directions() -> None:
    other = EditedSource(Flat(), {"age": Direction("age", np.ones(4), 2.0, {})})
    assert edited().version == edited().version != other.version


def test_whatever_changes_a_picture_changes_the_set(monkeypatch) -> None:
    class Larger(Flat):
        side = 4

    class Partly(Flat):
        truncated = 8

    directions = edited().directions
    plan = edited_plan((1,), ("age",), (1,))

    def about(source) -> str:
        assert plan.about(source) == plan.about(source)
        return str(plan.about(source)["source"])

    generators = [edited(), *(EditedSource(one(), directions) for one in (Larger, Partly))]
    made = [*generators, EditedSource(Flat(), directions, psi=0.5), ReliefSource(64), ReliefSource(48)]
    said = [about(source) for source in (*made, ReliefSource(64, "aligned"))]
    monkeypatch.setitem(RELIEF_MOVES, "age", ("age", 5.0))
    said.append(about(ReliefSource(64)))
    assert len(set(said)) == len(said)


def test_relief_faces_know_their_age_and_a_generators_do_not() -> None:
    years = float(sources._person(3).age[0])
    assert ReliefSource(32).age(3, {}) == ReliefSource(32).age(3, {"smile": 2}) == pytest.approx(years)
    assert ReliefSource(32).age(3, {"age": -1.5}) == pytest.approx(years - 9)
    assert edited().age(3, {"age": 1}) is None


@pytest.mark.parametrize("attribute", RELIEF_MOVES)
def test_relief_moves_one_parameter_within_its_range(attribute) -> None:
    parameter, unit = RELIEF_MOVES[attribute]
    for identity in range(20):
        face = sources._person(identity)
        value = float(face.column(parameter)[0])
        low, high = RANGES[parameter]
        assert low <= value - 5 * unit and value + 5 * unit <= high
    source = ReliefSource(48)
    assert (source.render(2, attribute, -5) != source.render(2, attribute, 5)).any()


def test_a_sheet_has_a_row_for_each_person_and_a_column_for_each_strength() -> None:
    pixels = sources.sheet(edited(), "age", (-1, 0, 1), (2, 3), side=8)
    assert pixels.shape == (16, 24, 3)
    one = sources.sheet(edited(), "age", (1,), (3,), side=2)
    np.testing.assert_array_equal(one, edited().render(3, "age", 1))
    with pytest.raises(ValueError, match="at least one"):
        sources.sheet(edited(), "age", (), (1,))
