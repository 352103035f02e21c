import os
import signal
from contextlib import closing
from functools import partial
from itertools import chain
from threading import enumerate as enumerate_threads

import numpy as np
import pytest
import torch
from noise_images import make_images

from aifr_lib.data import loader as loading
from aifr_lib.data.images import Images
from aifr_lib.data.loader import (
    PairBatches,
    Rows,
    ShuffledBatches,
    crop_columns,
    loader,
    mirrored,
    random_flip,
    stream_of,
    to_input,
)
from aifr_lib.names import ConfigError


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


PEOPLE = np.array([5, 3, 5, 9, 3, 9, 9, 5, 3, 9, 3, 5])  # twelve pictures of three people, out of order
SOURCES = [ShuffledBatches, partial(PairBatches, PEOPLE)]


@pytest.mark.parametrize("batches", SOURCES)
def test_a_position_is_enough_to_go_on(batches):
    whole = list(batches(12, 5, seed=5, start=0, stop=9))
    assert list(batches(12, 5, seed=5, start=4, stop=9)) == whole[4:]


@pytest.mark.parametrize("batches", SOURCES)
def test_processes_together_see_what_one_sees(batches):
    whole = list(batches(12, 6, seed=2, start=0, stop=5))
    shares = [list(batches(12, 6, seed=2, start=0, stop=5, rank=r, world=2)) for r in range(2)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(chain(*parts))


def test_pairs_are_of_one_person_and_every_partner_is_drawn_alike():
    walk = list(chain(*ShuffledBatches(12, 4, seed=1, start=0, stop=900)))
    pairs = np.array(list(chain(*PairBatches(PEOPLE, 12, 4, seed=1, start=0, stop=900))))
    assert pairs[:, 0].tolist() == walk
    assert (PEOPLE[pairs[:, 0]] == PEOPLE[pairs[:, 1]]).all() and (pairs[:, 0] != pairs[:, 1]).all()
    drawn, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(drawn) == 36 and 60 < counts.min() <= counts.max() < 140, "each of a picture's three partners, 100 times"
    with pytest.raises(ValueError, match="2 people have one picture and make no pair, such as identity 4"):
        PairBatches([1, 1, 4, 6], 4, 2, seed=0, start=0, stop=1)


def test_rows_of_pairs_give_both_pictures_mirrored_alike():
    images = make_images(identities=3, per_identity=4)
    rows = Rows(images, (16, 12), ("age",))
    (batch,) = loader(rows, PairBatches(rows.classes, 12, 6, seed=0, start=0, stop=1), pin=False)
    index = batch["row"].numpy()
    assert (batch["images"].numpy() == images.pixels[index][:, :, :, 2:14]).all()
    assert (batch["identity"].numpy() == images.labels["identity"].to_numpy()[index]).all()
    assert batch["age"].shape == (6, 2)
    straight = to_input(batch["images"])
    assert straight.shape == (6, 2, 3, 16, 12) and torch.equal(straight[:, 1], to_input(batch["images"][:, 1]))
    torch.manual_seed(0)
    seen = mirrored(batch["images"])
    kept = [torch.equal(a, b) for a, b in zip(seen, straight, strict=True)]
    turned = [torch.equal(a, b.flip(-1)) for a, b in zip(seen, straight, strict=True)]
    assert kept == [not one for one in turned] and set(kept) == {True, False}


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
    for batch in loader(rows, batches, pin=False):
        assert set(batch) == set(rows.columns)
        pixels, classes, index = (batch[name] for name in ("images", "identity", "row"))
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


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    rows, batches = Rows(make_images(), (16, 16)), ShuffledBatches(16, 4, seed=0, start=0, stop=1)
    assert loader(rows, batches, pin=True).num_workers == 0, "of an array nothing must be decoded"
    rows.pixels = None
    monkeypatch.setattr(loading, "CGROUPS", ())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)
    found = []
    for processes in ("1", "8", "64"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        found.append(loader(rows, batches, pin=True).num_workers)
    assert found == [8, 4, 1]


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"quota": "300000\n", "period": "100000\n"}, 3),
        ({"quota": "-1\n", "period": "100000\n"}, 8),
        ({}, 8),
    ],
)
def test_a_container_has_the_cores_that_its_quota_grants(monkeypatch, tmp_path, files, granted):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = ((tmp_path / "cpu.max",), (tmp_path / "quota", tmp_path / "period"))
    monkeypatch.setattr(loading, "CGROUPS", paths)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert loading.cores() == granted


def mapped(tmp_path, images):
    np.save(tmp_path / "pixels.npy", images.pixels)
    return Images(images.name, images.version, np.load(tmp_path / "pixels.npy", mmap_mode="r"), images.labels)


def test_a_thread_gathers_the_batches_of_a_memory_map_and_of_nothing_that_is_in_the_memory(tmp_path, images):
    found = []
    for one in (images, mapped(tmp_path, images)):
        batches = ShuffledBatches(len(one), 4, seed=0, start=0, stop=5)
        with closing(stream_of(Rows(one, (16, 12)), batches, pin=False)) as stream:
            first = next(stream)
            threads = [thread.name for thread in enumerate_threads()]
            found.append([first, *stream])
        assert ("batches" in threads) == isinstance(one.pixels, np.memmap)
        assert "batches" not in [thread.name for thread in enumerate_threads()]
    for plain, ahead_of in zip(*found, strict=True):
        assert all(torch.equal(plain[name], ahead_of[name]) for name in plain)


def test_what_goes_wrong_in_the_thread_comes_where_the_batch_would():
    def batches():
        yield {"row": torch.tensor([0])}
        raise OSError("no such disk")

    stream = loading.ahead(batches())
    assert next(stream)["row"].item() == 0
    with pytest.raises(OSError, match="no such disk"):
        next(stream)


def test_a_stream_that_is_left_early_ends_its_thread():
    asked = []

    def batches():
        for number in range(1000):
            asked.append(number)
            yield {"row": torch.tensor([number])}

    with closing(loading.ahead(batches())) as stream:
        next(stream)
    assert len(asked) <= 5 and "batches" not in [thread.name for thread in enumerate_threads()]


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


def test_labels_that_a_recipe_asks_for_come_as_columns():
    images = make_images(identities=3, per_identity=2)
    batch = Rows(images, (16, 16), ("age",)).__getitems__([4, 1])
    assert batch["age"].tolist() == pytest.approx(images.labels["age"].iloc[[4, 1]].tolist())
    with pytest.raises(ConfigError, match="noise has no label 'aeg'; did you mean 'age'"):
        Rows(images, (16, 16), ("aeg",))
    images.labels.loc[3, "age"] = np.nan
    with pytest.raises(ValueError, match="the age of 1 pictures is not known, such as picture-003"):
        Rows(images, (16, 16), ("age",))
