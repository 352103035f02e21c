import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from aifr_lib.data.images import Images
from aifr_lib.data.loader import to_input
from aifr_lib.evaluation.ser_fiq import quality_of, ser_fiq
from aifr_lib.models import build


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("iresnet18", input_hw=(32, 32), width=0.125, embedding=16).eval()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def test_without_spread_the_quality_is_one():
    found = quality_of(np.zeros(1))
    assert found.raw[0] == 1
    assert found.score[0] == pytest.approx(1 / (1 + np.exp(-15.6)))


def test_against_the_definition(network, pictures):
    """Each pass a whole head, each pair of passes a distance; the dropout written out as a product."""
    found = ser_fiq(network, pictures, passes=7, seed=3)
    kept = torch.rand((7, 64, 2, 2), generator=torch.Generator().manual_seed(3)) >= 0.4
    with torch.no_grad():
        maps = network.last(network.stages(network.stem(to_input(torch.from_numpy(pictures)))))
        for number, one in enumerate(maps):
            embeddings = []
            for mask in kept:
                flat = (one * mask / 0.6).flatten()[None]
                e = network.norm(flat @ network.fc.weight.T + network.fc.bias)[0].double()
                embeddings.append(e / e.norm())
            distances = [float((embeddings[i] - embeddings[j]).norm()) for i in range(7) for j in range(i)]
            mean = sum(distances) / len(distances)
            raw = 2 / (1 + np.exp(mean))
            assert found.distance[number] == pytest.approx(mean, rel=1e-4)
            assert found.raw[number] == pytest.approx(raw, rel=1e-4)
            assert found.score[number] == pytest.approx(1 / (1 + np.exp(-130 * (raw - 0.88))), rel=1e-2)


def test_many_passes_agree_with_the_dropout_of_the_network(network, pictures):
    """The network's own dropout, in its own mode, gives the same mean distance."""
    found = ser_fiq(network, pictures, passes=300)
    torch.manual_seed(1)
    network.dropout.train()
    with torch.no_grad():
        maps = network.features(to_input(torch.from_numpy(pictures)))
        passes = torch.stack([nn.functional.normalize(network.embed(maps), dim=1) for _ in range(300)])
    network.eval()
    expected = [float(torch.pdist(passes[:, k]).mean()) for k in range(len(pictures))]
    np.testing.assert_allclose(found.distance, expected, rtol=0.03)


def test_the_seed_decides_and_the_batch_does_not(network, pictures):
    one = ser_fiq(network, pictures, passes=10, batch_size=1)
    np.testing.assert_allclose(ser_fiq(network, pictures, passes=10, batch_size=3).distance, one.distance, rtol=1e-5)
    alone = ser_fiq(network, pictures[3:4], passes=10)
    np.testing.assert_allclose(alone.distance, one.distance[3:4], rtol=1e-5)
    torch.manual_seed(99)
    np.testing.assert_array_equal(ser_fiq(network, pictures, passes=10, batch_size=1).score, one.score)
    assert not np.allclose(ser_fiq(network, pictures, passes=10, seed=1).distance, one.distance, rtol=1e-4)


def test_the_network_is_left_as_it_was(network, pictures):
    network.train()
    network.last.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ser_fiq(network, pictures, passes=2)
    assert network.training and network.dropout.training and not network.last.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    network.eval()


def test_a_network_without_dropout_is_refused(network, pictures):
    light = build("mobilefacenet", input_hw=(32, 32), width=0.25, embedding=16)
    with pytest.raises(TypeError, match="MobileFaceNet has no dropout"):
        ser_fiq(light, pictures)
    with pytest.raises(ValueError, match="built with dropout 0"):
        ser_fiq(build("iresnet18", input_hw=(32, 32), width=0.125, dropout=0.0), pictures)


def test_errors_say_what_is_wrong(network, pictures):
    with pytest.raises(ValueError, match="at least 2 passes"):
        ser_fiq(network, pictures, passes=1)
    with pytest.raises(ValueError, match="no pictures"):
        ser_fiq(network, pictures[:0])
    with pytest.raises(ValueError, match=r"takes \(32, 32\) pixels, the pictures have \(16, 32\)"):
        ser_fiq(network, pictures[:, :16])
    with pytest.raises(TypeError, match=r"uint8 \[N, H, W, 3\], got float64"):
        ser_fiq(network, pictures / 255)
    labels = pd.DataFrame({"record": list("abcde"), "identity": 0, "age": np.nan})
    broken = build("iresnet18", input_hw=(32, 32), width=0.125, embedding=16)
    nn.init.constant_(broken.norm.bias, torch.nan)
    with pytest.raises(ValueError, match=r"^embeddings: 5 of 5 records of a batch are NaN or infinite: a, b, c, d, e$"):
        ser_fiq(broken, Images("toy", "1", pictures, labels), passes=2)
    for parameter in (broken.norm.weight, broken.norm.bias):
        nn.init.zeros_(parameter)
    with pytest.raises(
        ValueError, match=r"^embeddings: 2 of 2 records of a batch are zero and have no direction: a, b$"
    ):
        ser_fiq(broken, Images("toy", "1", pictures[:2], labels[:2]), passes=2)
