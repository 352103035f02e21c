import signal
from itertools import chain

import numpy as np
import pytest
import torch
from conftest import make_images

from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows, ShuffledBatches, crop_columns, loader, random_flip, to_input


def test_to_input_scales_as_the_paper_and_moves_no_bytes():
    pixels = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8)
    images = to_input(pixels)
    for b, y, x, c in np.ndindex(2, 4, 5, 3):
        assert images[b, c, y, x].item() == pytest.approx((pixels[b, y, x, c].item() - 127.5) / 128)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_flip_mirrors_about_half_and_nothing_else():
    torch.manual_seed(0)
    images = torch.randn(400, 3, 2, 5)
    flipped = random_flip(images)
    same = (flipped == images).all(dim=(1, 2, 3))
    mirrored = (flipped == images.flip(-1)).all(dim=(1, 2, 3))
    assert bool((same ^ mirrored).all())
    assert 150 < int(mirrored.sum()) < 250


def test_an_epoch_sees_each_picture_once_and_the_next_in_another_order():
    batches = list(ShuffledBatches(12, 4, seed=1, start=0, stop=6))
    first, second = [*chain(*batches[:3])], [*chain(*batches[3:])]
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_a_position_is_enough_to_go_on():
    whole = list(ShuffledBatches(11, 3, seed=5, start=0, stop=9))
    assert list(ShuffledBatches(11, 3, seed=5, start=4, stop=9)) == whole[4:]


def test_processes_together_see_what_one_sees():
    whole = list(ShuffledBatches(20, 6, seed=2, start=0, stop=5))
    shares = [list(ShuffledBatches(20, 6, seed=2, start=0, stop=5, rank=r, world=2)) for r in range(2)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(chain(*parts))


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match="3 pictures do not fill one batch of 4"):
        ShuffledBatches(3, 4, seed=0, start=0, stop=1)
    with pytest.raises(ValueError, match="does not divide over 2 processes"):
        ShuffledBatches(30, 5, seed=0, start=0, stop=1, world=2)


def test_rows_give_classes_from_zero_and_the_right_pixels():
    images = make_images(identities=3, per_identity=2)
    images.labels["identity"] = images.labels["identity"] * 7 + 100
    rows = Rows(images, (16, 12))
    batches = ShuffledBatches(6, 3, seed=0, start=0, stop=2)
    before = torch.get_rng_state()
    for pixels, classes, index in loader(rows, batches, pin=False):
        assert (pixels.numpy() == images.pixels[index.numpy()][:, :, 2:14]).all()
        assert (classes.numpy() == (images.labels["identity"].to_numpy()[index.numpy()] - 100) // 7).all()
    assert (torch.get_rng_state() == before).all(), "loading must not draw from the global generator"


def test_workers_leave_ctrl_c_to_the_training_and_end_by_sigterm():
    class Asked(Rows):
        def __getitems__(self, rows):
            return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    rows = Asked(make_images(identities=3, per_identity=2), (16, 16))
    batches = ShuffledBatches(6, 3, seed=0, start=0, stop=2)
    assert list(loader(rows, batches, pin=False, workers=1)) == [[signal.SIG_IGN, signal.SIG_DFL]] * 2


def test_crop_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="16×16 cannot give the network's input of 32×32"):
        crop_columns(np.zeros((1, 16, 16, 3), np.uint8), (32, 32))


def test_images_refuse_wrong_shapes_and_doubles(images):
    with pytest.raises(ValueError, match=r"uint8 \[N, H, W, 3\], got float64"):
        Images("x", "1", images.pixels.astype(float), images.labels)
    with pytest.raises(ValueError, match="labels lack age"):
        Images("x", "1", images.pixels, images.labels.drop(columns="age"))
    with pytest.raises(ValueError, match="16 pictures but 15 rows"):
        Images("x", "1", images.pixels, images.labels.iloc[1:])
    double = images.labels.assign(record="same")
    with pytest.raises(ValueError, match="'same' stands more than once"):
        Images("x", "1", images.pixels, double)
