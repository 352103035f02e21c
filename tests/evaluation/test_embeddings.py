"""Running a network for a measurement: input, flip sum, modes, batches, errors."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from aifr_lib.data.images import Images
from aifr_lib.evaluation import embeddings as module
from aifr_lib.evaluation.embeddings import embed, normalise


def pictures(count=13, size=12, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = pd.DataFrame({"record": [f"face-{i}" for i in range(count)], "identity": np.arange(count), "age": 30.0})
    return Images("toy", "v0", pixels, labels)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(8), nn.Flatten(), nn.Dropout(0.5), nn.Linear(800, 16)
    )


def test_sum_over_the_mirrored_picture_in_eval_mode():
    net, images = network(), pictures()
    net.eval()
    x = (torch.from_numpy(images.pixels).permute(0, 3, 1, 2).float() - 127.5) / 128
    with torch.no_grad():
        plain, both = net(x).numpy(), (net(x) + net(x.flip(3))).numpy()
    net.train()
    found = embed(net, images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, both, atol=1e-5)
    np.testing.assert_allclose(embed(net, images.pixels, flip=False), plain, atol=1e-5)


def test_modes_and_statistics_are_left_as_they_were():
    net = network().train()
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    embed(net, pictures())
    assert [part.training for part in net] == [True, False, True, True, True, True] and net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_modes_are_restored_after_an_error():
    net = network().train()
    with pytest.raises(RuntimeError):
        embed(net, pictures(size=9))
    assert all(part.training for part in net.modules())


@pytest.mark.parametrize("batch_size", [1, 4, 13, 500])
def test_the_batch_size_changes_nothing(batch_size):
    net, images = network(), pictures()
    np.testing.assert_allclose(embed(net, images, batch_size=batch_size), embed(net, images), atol=1e-5)


def test_wider_pictures_are_cropped_a_batch_at_a_time():
    wide, asked = pictures(size=14), []

    class Stored:
        dtype, ndim, shape = wide.pixels.dtype, 4, (13, 12, 14, 3)

        def __len__(self):
            return 13

        def __getitem__(self, rows):
            asked.append(rows)
            return wide.pixels[rows][:, :12]

    found = embed(network(), Stored(), input_hw=(12, 12), batch_size=5)
    np.testing.assert_allclose(found, embed(network(), wide.pixels[:, :12, 1:13]), atol=1e-5)
    assert asked == [slice(0, 5), slice(5, 10), slice(10, 13)]
    with pytest.raises(ValueError, match="12×14 cannot give the network's input of 14×14"):
        embed(network(), Stored(), input_hw=(14, 14))


def test_any_callable_and_a_read_only_memory_map(tmp_path):
    images = pictures()
    np.save(tmp_path / "pixels.npy", images.pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    found = embed(lambda x: x.mean(dim=(2, 3)).numpy(), mapped, batch_size=5, flip=False)
    np.testing.assert_allclose(found, (images.pixels.mean(axis=(1, 2)) - 127.5) / 128, atol=1e-5)


def test_gradients_are_off():
    embed(lambda x: x.flatten(1) if torch.is_inference_mode_enabled() else None, pictures())


def test_records_are_named_where_the_model_fails():
    images = pictures()

    def poisoned(x):
        e = x.flatten(1).clone()
        e[2] = torch.nan
        return e

    with pytest.raises(ValueError, match=r"^embeddings: 3 of 13 records are NaN or infinite: face-2, face-7, face-12$"):
        embed(poisoned, images, batch_size=5)
    with pytest.raises(ValueError, match=r"^embeddings of face-0, face-1, face-2, face-3 must be \[4, D\], got \[4\]"):
        embed(lambda x: x.mean(dim=(1, 2, 3)), images, batch_size=4)
    with pytest.raises(ValueError, match=r"face-0.* must be \[4, D\], got \[2, 432\]"):
        embed(lambda x: x[:2].flatten(1), images, batch_size=4)
    with pytest.raises(ValueError, match=r"face-12 must be \[1, 4\], got \[1, 1\]"):
        embed(lambda x: x.flatten(1)[:, : len(x)], images, batch_size=4)


@pytest.mark.parametrize("pixels", [np.zeros((2, 8, 8, 3)), np.zeros((2, 3, 8, 8), np.uint8)])
def test_pictures_must_be_uint8_rgb(pixels):
    with pytest.raises(TypeError, match=r"uint8 \[N, H, W, 3\]"):
        embed(network(), pixels)


def test_nothing_to_embed():
    with pytest.raises(ValueError, match="no pictures"):
        embed(network(), np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="batch_size"):
        embed(network(), pictures(), batch_size=0)


def test_a_bar_only_where_it_takes_long(capsys, monkeypatch):
    embed(network(), pictures(), batch_size=1, progress=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "BAR_AFTER", 0)
    embed(network(), pictures(), batch_size=1, progress=True)
    assert "13/13" in capsys.readouterr().err


def test_normalise():
    e = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    unit = normalise(e)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    e[[1, 4]] = 0
    with pytest.raises(ValueError, match=r"^embeddings: 2 of 5 rows are zero and have no direction: 1, 4$"):
        normalise(e)
    e[:4, 2] = np.inf
    with pytest.raises(ValueError, match=r"^embeddings: 4 of 5 rows are NaN or infinite: 0, 1, 2, 3$"):
        normalise(e)
    with pytest.raises(ValueError, match=r"^embeddings must be \[N, D\], got \[5\]$"):
        normalise(e[:, 0])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    net, images = network(), pictures(64)
    on_cpu = embed(net, images)
    embed(net, images, device="cuda")
    np.testing.assert_allclose(embed(net, images, batch_size=8), on_cpu, atol=1e-3)
