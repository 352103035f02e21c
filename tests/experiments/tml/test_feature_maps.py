"""Figs. 1, 3 and 4: who is shown, how far cells lie apart, and rows of maps made up."""

import numpy as np
import pandas as pd
import pytest
import torch

from aifr_lib.data.images import Images
from aifr_lib.experiments.tml import alpha_sweep, feature_maps
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import load_preset


@pytest.fixture(scope="module")
def preset():
    return load_preset("smoke")


def made_up(cells=(2, 3), people=5):
    """A run whose maps follow from who is seen: one person's young and old maps are alike, two people's are not."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(people, 1, 8, 8))
    stages = {f"stage{number}": own + 0.1 * rng.normal(size=(people, 2, 8, 8)) for number in range(1, 5)}
    distance = feature_maps.apart_by(cells)
    near = np.broadcast_to(np.where(distance == 0, 1.0, 0.8 / np.maximum(distance, 1)), (people, 2, 6, 6))
    scores = {
        "pixels": rng.integers(0, 256, (people, 2, 16, 16, 3), dtype=np.uint8),
        "ages": np.tile([10.0, 70.0], (people, 1)),
        **stages,
        "cosines": near,
        "cosines_untrained": np.full((people, 2, 6, 6), 0.9),
    }
    return {feature_maps.MAPS: Run("k", None, scores, {"cells": list(cells)}, "cpu", {}, None, 0.0)}


def test_the_network_is_a_run_of_the_sweep(preset):
    (job,) = feature_maps.maps_jobs(preset).values()
    assert job.needs["network"].spec == alpha_sweep.alpha_sweep_jobs(preset)[0.4, 0].spec
    assert job.spec.values["network"] == job.needs["network"].spec.key


def test_youngest_and_oldest_of_each_person():
    labels = pd.DataFrame({"record": list("abcdef"), "identity": [1, 1, 1, 2, 2, 2], "age": [30, 5, 60, 80, 40, 41]})
    images = Images("made up", "1", np.zeros((6, 4, 4, 3), np.uint8), labels)
    assert feature_maps.young_and_old(images).tolist() == [[1, 2], [4, 3]]


def test_cells_are_counted_row_by_row():
    found = feature_maps.apart_by((2, 3))
    assert found[0].tolist() == [0, 1, 2, 1, 1, 2] and (found == found.T).all()


def test_cosines_of_cells_by_hand():
    maps = torch.randn(2, 5, 2, 3, generator=torch.Generator().manual_seed(0))
    found = feature_maps.cell_cosines(maps)
    one, other = maps[1, :, 0, 2], maps[1, :, 1, 0]
    assert found[1, 2, 3].item() == pytest.approx(float(one @ other / one.norm() / other.norm()), abs=1e-6)


def test_rows_say_whose_maps_are_alike_and_which_cells(preset):
    runs = made_up()
    kept = {(row.keys["stage"], row.keys["pair"]): row.measured.mean for row in feature_maps.fig3_rows(preset, runs)}
    assert all(kept[stage, "one person"] > 0.9 > abs(kept[stage, "two people"]) for stage in range(1, 5))
    cells = {
        (row.keys["network"], row.keys["apart"]): row.measured.mean for row in feature_maps.fig4_rows(preset, runs)
    }
    assert cells["trained", 1] == pytest.approx(0.8) and cells["trained", 2] == pytest.approx(0.4)
    assert [cells["untrained", away] for away in (1, 2)] == pytest.approx([0.9, 0.9])
    ages = {
        (row.keys["person"], row.keys["picture"]): row.measured.mean for row in feature_maps.fig1_rows(preset, runs)
    }
    assert ages[1, "young"] == 10 and ages[5, "old"] == 70


def test_galleries_are_drawn():
    runs = made_up()
    for draw in (feature_maps.fig1_figure, feature_maps.fig3_figure, feature_maps.fig4_figure):
        assert draw(None, runs).axes
    frames, labels = feature_maps.age_frames(runs[feature_maps.MAPS])
    assert len(frames) == len(labels) == 5 and labels[0] == "person 1, 10 and 70 years"
