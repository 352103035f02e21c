"""MTLFace's networks: known sizes, what is split adds up, two forms agree, gradients go where they may."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from aifr_lib import models
from aifr_lib.models.mtlface import AgeHead, Decomposition, Recogniser, pyramid
from aifr_lib.models.mtlface_synthesis import (
    Decoder,
    Generator,
    IdentityConditional,
    MtlFace,
    OneHot,
    PatchCritic,
    group_of,
)
from aifr_lib.names import ConfigError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def recogniser(name="mobilefacenet", hw=(32, 32), **options):
    network = models.build(name, input_hw=hw, width=0.125, embedding=8)
    return Recogniser(network, groups=3, hidden=8, **options)


def generator(of, condition=None, **options):
    condition = condition or IdentityConditional(of.map_shape[0], 3, filters=8, share=0.25, blocks=1)
    return Generator(of, condition, widths=(8, 8, 8, 8), **options)


def test_sizes_are_those_of_the_code_that_the_paper_came_with():
    with torch.device("meta"):
        assert count(Decomposition(512, "channel")) == 3_441_664
        assert count(Decomposition(512, "spatial")) == 100
        assert count(AgeHead(512, (7, 7), groups=7)) == 12_899_119
        assert count(PatchCritic(7)) == 5_135_297
        icm, one_hot = IdentityConditional(512, 7), OneHot(512, 7)
        assert IdentityConditional(512, 7, share=0).width == 896
    assert icm.width == 800 and [icm.own(t).start for t in range(7)] == [112 * t for t in range(7)]
    assert len(icm.blocks) == len(one_hot.blocks) == 4


def test_neighbouring_groups_share_an_eighth_of_their_filters():
    icm = IdentityConditional(4, 7, filters=16, blocks=1)
    assert icm.masks.sum(1).tolist() == [16] * 7
    assert [(icm.masks[a] * icm.masks[b]).sum().item() for a, b in itertools.pairwise(range(7))] == [2] * 6
    assert (icm.masks[0] * icm.masks[2]).sum() == 0


def test_the_critic_gives_seven_by_seven_confidences_that_hang_on_the_group():
    critic = PatchCritic(3, width=0.125).eval()
    x = torch.randn(1, 3, 112, 112).repeat(2, 1, 1, 1)
    first, second = critic(x, torch.tensor([0, 2]))
    assert first.shape == (1, 7, 7) and not torch.equal(first, second)
    strides = [layer.stride[0] for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert strides == [2, 2, 2, 2, 1, 1]
    normed = [hasattr(layer, "parametrizations") for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert normed == [True] * 5 + [False]


@pytest.mark.parametrize("kind", ["both", "channel", "spatial"])
def test_the_parts_of_a_map_add_up_and_the_mask_is_the_ages(kind):
    afd = Decomposition(8, kind)
    x = torch.randn(3, 8, 4, 5)
    identity, age = afd(x)
    torch.testing.assert_close(identity + age, x)
    mask = afd.eval().mask(x).expand_as(x)
    assert (mask > 0).all() and (mask < 1).all()
    identity, age = afd(x)
    torch.testing.assert_close(age, x * mask)
    torch.testing.assert_close(identity, x * (1 - mask))


def test_without_decomposition_both_parts_are_the_map():
    afd = Decomposition(8, "none")
    x = torch.randn(2, 8, 4, 4)
    assert all(torch.equal(part, x) for part in afd(x)) and count(afd) == 0
    with pytest.raises(ConfigError, match="unknown afd 'chanel'; did you mean 'channel'"):
        Decomposition(8, "chanel")


def test_both_masks_count_alike():
    afd = Decomposition(4).eval()
    x = torch.randn(1, 4, 3, 3)
    channel = afd.channel(pyramid(x)).sigmoid()
    cells = torch.stack([x[0].max(0).values, x[0].mean(0)])[None]
    spatial = afd.spatial(cells).sigmoid()
    for c, y, z in itertools.product(range(4), range(3), range(3)):
        expected = (channel[0, c, 0, 0] + spatial[0, 0, y, z]) / 2
        assert afd.mask(x)[0, c, y, z].item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_pyramid_is_means_plus_maxima_over_the_cells_of_three_grids():
    x = torch.randn(1, 2, 6, 6)
    found = pyramid(x).flatten().tolist()
    slow = [
        (block.mean() + block.max()).item()
        for side in (1, 2, 3)
        for c in range(2)
        for rows in x[0, c].split(6 // side, 0)
        for block in rows.split(6 // side, 1)
    ]
    assert found == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("name", sorted(models.BACKBONES)[:1] + ["iresnet18", "mobilefacenet-r", "mobilenetv2"])
def test_any_backbone_is_split_after_its_fourth_stage(name):
    network = recogniser(name).eval()
    x = torch.randn(2, 3, 32, 32)
    seen = network.look(x)
    torch.testing.assert_close(seen.identity + seen.age, network.network.stage_maps(x)[-1])
    assert seen.identity.shape[1:] == network.map_shape
    expected = network.network.embed(network.network.last(seen.identity))
    torch.testing.assert_close(network(x), expected)
    assert network.estimated_age(x).shape == (2,)


def test_a_network_that_does_not_show_its_stages_is_refused():
    with pytest.raises(ConfigError, match="Flatten does not show its stages"):
        Recogniser(nn.Flatten(), 3)


def icms(**options):
    gather = IdentityConditional(6, 4, filters=8, share=0.25, blocks=2, **options)
    for weight in gather.parameters():
        nn.init.normal_(weight, std=0.5)
    mask = IdentityConditional(6, 4, filters=8, share=0.25, blocks=2, form="mask")
    mask.load_state_dict(gather.state_dict())
    return gather, mask


def test_icm_computes_a_groups_filters_alone_to_the_same_values_and_gradients():
    gather, mask = icms()
    x, group = torch.randn(5, 6, 3, 3), torch.tensor([3, 0, 2, 3, 0])
    found, expected = gather(x, group), mask(x, group)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    (found**3).sum().backward()
    (expected**3).sum().backward()
    for name, weight in gather.named_parameters():
        torch.testing.assert_close(weight.grad, mask.get_parameter(name).grad, rtol=1e-3, atol=1e-3)
    own = gather.entry.conv.weight.grad[gather.own(1)][2:6]
    assert own.abs().sum() == 0, "filters of the group that no face was asked for are left alone"


def test_a_block_of_icm_is_the_printed_one():
    gather, _ = icms()
    block, own = gather.blocks[0], gather.own(1)
    x = torch.zeros(1, 26, 3, 3)
    x[:, own] = torch.randn(1, 8, 3, 3)
    mask = gather.masks[1][None, :, None, None]

    def layer(one, given):
        drawn = nn.functional.conv2d(given, one.conv.weight, padding=1)
        mean, spread = drawn.mean((2, 3), keepdim=True), drawn.var((2, 3), unbiased=False, keepdim=True)
        drawn = (drawn - mean) / (spread + 1e-5).sqrt()
        return mask * (drawn * one.norm.weight[None, :, None, None] + one.norm.bias[None, :, None, None])

    inner = block.inner(layer(block.first, x))
    expected = block.outer(x + layer(block.second, inner))
    torch.testing.assert_close(block(x, mask=mask), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(block(x[:, own], own), expected[:, own], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.75])
def test_a_share_is_a_whole_number_of_filters_and_at_most_half(share):
    with pytest.raises(ConfigError, match=r"a share of 0\.\d+ of 8 filters is .*: it must be a whole number"):
        IdentityConditional(6, 4, filters=8, share=share)


def test_the_one_hot_condition_hangs_on_the_group_and_on_nothing_of_its_own():
    one_hot = OneHot(6, 4, filters=8, blocks=1)
    x = torch.randn(1, 6, 3, 3).repeat(2, 1, 1, 1)
    alike = one_hot(x, torch.tensor([1, 1]))
    torch.testing.assert_close(alike[0], alike[1])
    assert one_hot.entry.conv.weight.shape == (8, 10, 1, 1)


def test_the_decoder_has_the_levels_of_the_paper():
    with torch.device("meta"):
        decoder = Decoder(512, (256, 128, 64, 3))
    assert [(level.shortcut.in_channels, level.shortcut.out_channels) for level in decoder.levels] == [
        (512, 256), (256, 128), (128, 64), (64, 32)
    ]  # fmt: skip
    assert [level.first[2].in_channels for level in decoder.levels] == [768, 384, 192, 67]
    assert decoder.colours.weight.shape == (3, 32, 1, 1)


@pytest.mark.parametrize(("name", "skip"), [("mobilefacenet", "image"), ("iresnet18", "image"), ("iresnet18", "stem")])
def test_faces_at_all_ages_in_one_batch_are_those_drawn_one_by_one(name, skip):
    of = recogniser(name).eval()
    network = MtlFace(of, generator(of, skip=skip)).eval()
    for weight in network.generator.decoder.parameters():
        nn.init.normal_(weight, std=0.2)
    x = torch.rand(2, 3, 32, 32) - 0.5
    found = network.at_groups(x)
    assert found.shape == (2, 3, 3, 32, 32)
    seen = of.look(x)
    for group in range(3):
        one = network.generator(x, seen, torch.full((2,), group)).clamp(-1, 1)
        torch.testing.assert_close(found[:, group], one, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found[:, 0], found[:, 2])


def test_the_picture_is_changed_or_drawn_anew():
    of = recogniser().eval()
    x, group = torch.rand(2, 3, 32, 32), torch.tensor([0, 2])
    changes = generator(of)
    anew = generator(of, residual=False)
    anew.load_state_dict(changes.state_dict())
    torch.testing.assert_close(changes(x, of.look(x), group), x + anew(x, of.look(x), group))


def test_every_weight_of_the_generator_learns():
    of = recogniser().eval()
    drawn = generator(of)
    x = torch.rand(4, 3, 32, 32)
    drawn(x, of.look(x), torch.tensor([0, 1, 2, 1])).square().mean().backward()
    idle = [name for name, weight in drawn.named_parameters() if weight.grad is None or not weight.grad.abs().sum()]
    assert idle == []


def test_what_cannot_be_drawn_is_refused():
    of = recogniser(hw=(16, 16))
    with pytest.raises(ConfigError, match="16×16 leaves one cell to draw from"):
        generator(of)
    with pytest.raises(ConfigError, match=r"skip 'stem': .*16×16 cells and the picture 32×32: use skip 'image'"):
        generator(recogniser(), skip="stem")
    with pytest.raises(ConfigError, match="trained to recognise alone"):
        MtlFace(recogniser()).at_groups(torch.zeros(1, 3, 32, 32))


def test_groups_are_counted_by_the_bounds_they_pass():
    bounds = (10, 20, 30, 40, 50, 60)
    ages = torch.tensor([0.0, 10.0, 10.01, 29.9, 30.0, 59.0, 60.5, 100.0])
    assert group_of(ages, bounds).tolist() == [sum(age > bound for bound in bounds) for age in ages.tolist()]
