"""Augmentation by picture: each step is torchvision's functional form, sample by sample."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from aifr_lib.data import augment as ours
from aifr_lib.names import ConfigError, validate
from aifr_lib.settings.comface import Augmentation


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 3, 24, 24, generator=generator)


def column(values):
    return torch.tensor(values)[:, None, None, None]


@pytest.mark.parametrize(
    ("change", "reference", "values"),
    [
        (ours.brightness, tv.adjust_brightness, [0.6, 0.8, 1.0, 1.1, 1.4, 0.0]),
        (ours.contrast, tv.adjust_contrast, [0.6, 0.8, 1.0, 1.1, 1.4, 0.0]),
        (ours.saturation, tv.adjust_saturation, [0.6, 0.8, 1.0, 1.1, 1.4, 0.0]),
        (ours.hue, tv.adjust_hue, [-0.1, 0.1, 0.0, 0.37, -0.5, 0.05]),
    ],
)
def test_each_colour_step_is_torchvisions(change, reference, values, pictures):
    found = change(pictures, column(values))
    for one, picture, value in zip(found, pictures, values, strict=True):
        torch.testing.assert_close(one, reference(picture, value), atol=2e-5, rtol=1e-4)


def test_grey_pictures_have_no_hue_to_turn():
    grey = torch.full((2, 3, 4, 4), 0.3)
    torch.testing.assert_close(ours.hue(grey, column([0.1, -0.2])), grey)


def test_crops_are_torchvisions(pictures):
    boxes = torch.tensor(
        [[0, 0, 24, 24], [3, 5, 12, 16], [10, 2, 7, 9], [0, 15, 24, 9], [23, 0, 1, 24], [1, 1, 22, 21.0]]
    )
    found = ours.resized_crop(pictures, boxes)
    for one, picture, (top, left, h, w) in zip(found, pictures, boxes.int().tolist(), strict=True):
        expected = tv.resized_crop(picture, top, left, h, w, [24, 24], antialias=False)
        torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-4)


def test_boxes_fit_and_have_the_asked_area():
    torch.manual_seed(0)
    boxes = ours.drawn_boxes((0.2, 1.0), 4000, (64, 64))
    top, left, h, w = boxes.unbind(1)
    assert bool(((top >= 0) & (left >= 0) & (top + h <= 64) & (left + w <= 64)).all())
    share = h * w / 64**2
    assert 0.18 < float(share.min()) < 0.22 and float(share.max()) == 1
    ratio = (w / h)[share < 0.5]
    assert 0.7 < float(ratio.min()) < 0.8 and 1.25 < float(ratio.max()) < 1.4


def test_every_picture_has_its_own_draw_and_the_order_varies():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 2, 16, 16, 3), dtype=np.uint8))
    torch.manual_seed(0)
    found = ours.augment(Augmentation(), pixels.expand(8, -1, -1, -1, -1))
    assert found.shape == (8, 2, 3, 16, 16) and float(found.min()) >= 0 and float(found.max()) <= 1
    flat = found.flatten(0, 1)
    assert len({tuple(one.flatten()[:50].tolist()) for one in flat}) == 16
    _, order = ours.drawn_jitter(Augmentation(), 200)
    assert len({tuple(one) for one in order.tolist()}) == 24


def test_jitter_follows_its_order(pictures):
    factors = torch.tensor([[1.3, 0.7, 1.2, 0.05]]).expand(6, -1)
    order = torch.tensor([[2, 0, 3, 1]]).expand(6, -1)
    chosen = torch.tensor([True, False] * 3)
    found = ours.jitter(pictures, chosen, factors, order)
    for number, picture in enumerate(pictures):
        expected = picture
        if number % 2 == 0:
            expected = tv.adjust_saturation(expected, 1.2)
            expected = tv.adjust_brightness(expected, 1.3)
            expected = tv.adjust_hue(expected, 0.05)
            expected = tv.adjust_contrast(expected, 0.7)
        torch.testing.assert_close(found[number], expected, atol=5e-5, rtol=1e-4)


def test_nothing_is_changed_where_nothing_is_asked():
    pixels = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8)
    still = Augmentation(flip=0, jitter=0, grey=0, crop=None)
    torch.testing.assert_close(ours.augment(still, pixels), pixels.permute(0, 3, 1, 2) / 255)


def test_a_crop_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="share of the area"):
        validate(Augmentation, {"crop": [0.5, 1.2]}, "augmentation")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_changes_pictures_as_the_cpu_does_and_is_not_waited_for():
    pixels = torch.randint(0, 256, (16, 2, 32, 32, 3), dtype=torch.uint8)
    there, found = pixels.cuda(), []
    ours.augment(Augmentation(), there)  # whatever a first call sets up
    for batch in (pixels, there):
        torch.manual_seed(4)
        torch.cuda.set_sync_debug_mode("error" if batch.is_cuda else "default")
        found.append(ours.augment(Augmentation(), batch))
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(found[1].cpu(), found[0], atol=1e-4, rtol=0)
