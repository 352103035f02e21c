"""Regions of a face and what a prediction loses without each."""

import numpy as np
import pytest

from aifr_lib.experiments.comface.occlusion import REGIONS, effects, flattened, regions


@pytest.mark.parametrize("side", [32, 64, 112])
def test_each_pixel_lies_in_one_region(side):
    masks = regions(side)
    assert tuple(masks) == REGIONS and all(mask.any() for mask in masks.values())
    assert (np.sum(list(masks.values()), axis=0) == 1).all()


def test_landmarks_lie_in_their_regions():
    from aifr_lib.faces.align import TEMPLATE

    masks = regions(112)
    for (x, y), name in zip(TEMPLATE.astype(int), ("eyes", "eyes", "nose", "mouth", "mouth"), strict=True):
        assert masks[name][y, x]


def test_a_flat_region_holds_no_difference_and_the_rest_stays():
    x, y = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8)
    mask = regions(32)["mouth"]
    before = x.copy()
    a, b = flattened(x, y, mask)
    np.testing.assert_array_equal(a[:, mask], b[:, mask])
    np.testing.assert_array_equal(a[:, ~mask], x[:, ~mask])
    np.testing.assert_array_equal(x, before)
    expected = (x[:, mask].astype(float).mean(1) + y[:, mask].astype(float).mean(1)) / 2
    assert np.abs(a[:, mask][:, 0] - expected).max() <= 0.5


def test_a_prediction_that_reads_the_nose_loses_all_of_it_there():
    x, y = np.random.default_rng(1).integers(0, 256, (2, 5, 32, 32, 3), dtype=np.uint8)
    nose = regions(32)["nose"]

    def predict(x, y):
        return y[:, nose].mean((1, 2)) - x[:, nose].mean((1, 2))

    found = effects(predict, x, y)
    place = REGIONS.index("nose")
    np.testing.assert_allclose(found[:, place], predict(x, y))
    assert np.abs(np.delete(found, place, axis=1)).max() == 0
