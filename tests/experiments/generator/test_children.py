"""Pairs sorted by the younger one's age and the years between."""

import numpy as np
import pytest

from aifr_lib.experiments.generator import children
from aifr_lib.reporting.rows import measured


def test_cells_count_the_pairs_of_their_ages_and_few_people_have_none():
    people = np.repeat(np.arange(12), 2)
    same = np.tile([True, False], 12)
    young = np.where(people < 8, 3.0, 20.0)
    ages = {"pair_ages": np.column_stack([young + 2, young]), "pair_a": people}
    random = np.random.default_rng(0)
    scores = {
        "pair_same": same,
        "pair_a": people,
        "pair_score": np.where(same & (people % 2 == 0), 0.9, 0.0),
        "impostor_score": random.uniform(-0.2, 0.2, 1000),
        "impostor_a": random.integers(0, 12, 1000),
        "impostor_b": random.integers(0, 12, 1000),
        "impostor_ages": np.full((1000, 2), 2.0),
    }
    rows = list(children._rows(scores, ages, {"embedder": "pixels"}))
    cell = {"younger": "0–4", "gap": "0–4"}
    assert measured(rows, children.ACCEPTED, cell).mean == 50
    assert measured(rows, "people", cell).mean == 8
    assert measured(rows, children.ACCEPTED, {"younger": "18–29"}) is None  # four people
    assert measured(rows, children.LET_IN, {"younger": "0–4"}).mean == pytest.approx(1, abs=0.2)
    with pytest.raises(ValueError, match="pixels are not those whose ages are known"):
        list(children._rows(scores, {**ages, "pair_a": people[::-1]}, {"embedder": "pixels"}))


def test_ages_fall_into_their_bins():
    assert children.age_bins(np.array([0, 4, 5, 17, 18, 30, 69, -1, np.nan])).tolist() == [0, 0, 1, 2, 3, 4, 4, -1, -1]
