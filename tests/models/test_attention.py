"""Masks of maps, the student that sees through its own, and the age estimator that teaches where to look."""

import math

import numpy as np
import pytest
import torch

from aifr_lib import models
from aifr_lib.models import attention, weights
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.models.attention import AgeAttention, Attended, attended, attention_mask
from aifr_lib.names import ConfigError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_eq_3_is_the_sigmoid_of_the_mean_over_channels():
    features = torch.randn(2, 5, 3, 4)
    mask = attention_mask(features)
    for b in range(2):
        for y in range(3):
            for x in range(4):
                mean = sum(features[b, c, y, x].item() for c in range(5)) / 5
                assert mask[b, 0, y, x].item() == pytest.approx(1 / (1 + math.exp(-mean)), abs=1e-6)
    scored = attention_mask(features, "zscore")
    plane = features.mean(1)[1].double()
    plane = (plane - plane.mean()) / plane.std(unbiased=False)
    np.testing.assert_allclose(scored[1, 0], 1 / (1 + np.exp(-plane.numpy())), atol=1e-5)
    assert attention_mask(torch.ones(1, 2, 2, 2), "zscore").isfinite().all(), "a map that does not vary"
    with pytest.raises(ConfigError, match="unknown norm 'zcore'; did you mean 'zscore'"):
        attention_mask(features, "zcore")


def small(**options):
    return models.build("mobilefacenet", **{"input_hw": (32, 32), "width": 0.125, "embedding": 8, **options})


def test_the_block_multiplies_by_its_mask_and_gives_it_before_dropout():
    features = torch.randn(2, 3, 4, 4)
    block = AgeAttention("element", 0.5)
    out, mask = block(features)
    assert torch.equal(mask, attention_mask(features))
    shares = (out / features / mask).round(decimals=4)
    assert set(shares.unique().tolist()) == {0.0, 2.0}, "dropout of .5 leaves twice the mask or nothing"
    for channel in range(3):
        assert torch.equal(shares[:, channel], shares[:, 0]), "one mask for all channels"
    out, mask = block.eval()(features)
    torch.testing.assert_close(out, features * mask)


def test_attention_based_dropout_hides_the_peak_three_times_of_four_and_is_idle_at_test():
    features = torch.rand(2, 3, 4, 4)
    block = AgeAttention("adl")
    mean = features.mean(1, keepdim=True)
    kept = features * torch.stack([(one <= 0.8 * one.max()).float() for one in mean])
    weighed = features * mean.sigmoid()
    drawn = [block(features)[0] for _ in range(400)]
    dropped = sum(torch.equal(one, kept) for one in drawn)
    assert all(torch.equal(one, kept) or torch.allclose(one, weighed) for one in drawn)
    assert abs(dropped / 400 - attention.DROPPING) < 0.1
    out, mask = block.eval()(features)
    assert torch.equal(out, features) and torch.equal(mask, mean.sigmoid())


def test_a_block_of_another_kind_is_named():
    with pytest.raises(ConfigError, match="unknown attention 'adle'; did you mean 'adl'"):
        AgeAttention("adle")
    with pytest.raises(ConfigError, match=r"dropout 1.0: must lie in \[0, 1\)"):
        AgeAttention(dropout=1.0)


@pytest.mark.parametrize("training", [False, True])
def test_an_attended_network_entered_after_any_stage_is_the_network(training):
    network = Attended(small()).train(training)
    images = torch.randn(3, 3, 32, 32)
    expected = network(images)
    maps = network.stage_maps(images)
    for stage in range(1, 5):
        torch.testing.assert_close(network.tail(stage, maps[stage - 1]), expected, rtol=0, atol=0)
    with pytest.raises(ValueError, match="stage 5"):
        network.tail(5, maps[3])


@pytest.mark.parametrize("norm", ["none", "zscore"])
def test_feedback_written_out_stage_by_stage(norm):
    network, images = small().eval(), torch.randn(2, 3, 32, 32)
    maps, masks = attended(network, images, norm=norm)
    x = network.stages[0](network.stem(images))
    assert torch.equal(x, maps[0])
    for number in (1, 2, 3):
        x = network.stages[number](x)
        mask = attention_mask(x, norm)
        assert torch.equal(mask, masks[number - 1])
        x = x * mask
        assert torch.equal(x, maps[number])
    plain, own = attended(network, images, "none")
    assert all(torch.equal(a, b) for a, b in zip(plain, network.stage_maps(images), strict=True))
    given = attended(network, images, [mask * 0 + 2 for mask in own])[0]
    torch.testing.assert_close(given[1], plain[1] * 2)


def test_neither_network_takes_the_weights_of_the_other(tmp_path):
    plain, through = small(), Attended(small())
    weights.save_weights(through, tmp_path / "through.safetensors")
    weights.save_weights(plain, tmp_path / "plain.safetensors")
    with pytest.raises(weights.WeightsError, match="holds Attended, does not fit MobileFaceNet"):
        weights.load_weights(plain, tmp_path / "through.safetensors")
    with pytest.raises(weights.WeightsError, match="holds MobileFaceNet, does not fit Attended"):
        weights.load_weights(through, tmp_path / "plain.safetensors")


def test_the_age_estimator_is_a_resnet_18():
    """Torchvision's without its head, but for the stem and the first stage's shortcut."""
    from torchvision.models import resnet18

    with torch.device("meta"):
        ours, theirs = AgeEstimator(), resnet18(num_classes=101)
    count = sum(p.numel() for p in ours.parameters())
    stem, shortcut = 3 * 64 * (49 - 9), 64 * 64 + 2 * 64
    assert count == sum(p.numel() for p in theirs.parameters()) - stem + shortcut == 11_224_869


def test_maps_and_masks_of_the_age_estimator_halve_four_times():
    with torch.device("meta"):
        logits, masks = AgeEstimator().look(torch.zeros(2, 3, 112, 112))
    assert logits.shape == (2, 101)
    assert [tuple(mask.shape) for mask in masks] == [(2, 1, side, side) for side in (56, 28, 14, 7)]
    network = AgeEstimator(input_hw=(32, 32), width=0.125)
    logits = network(torch.randn(3, 3, 32, 32))
    logits.square().sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in network.parameters())
    masks = network.eval().requires_grad_(False).masks(torch.randn(3, 3, 32, 32))
    assert all(float(mask.min()) >= 0.5 and float(mask.max()) < 1 for mask in masks), "behind a ReLU"


def test_the_expected_age_is_a_mean_over_years():
    logits = torch.full((1, 101), -1e9)
    logits[0, 20] = logits[0, 40] = 0.0
    assert expected_age(logits).item() == pytest.approx(30)
    half = torch.randn(4, 101).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = expected_age(half)
    torch.testing.assert_close(found, expected_age(half.float()), rtol=0, atol=0)
