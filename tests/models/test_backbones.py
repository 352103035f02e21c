import copy
import hashlib

import pytest
import torch
from torch import nn

from aifr_lib import models
from aifr_lib.models.blocks import PReLU, channels, fold_norms
from aifr_lib.models.mobilefacenet import MobileFaceNet
from aifr_lib.models.weights import digest
from aifr_lib.names import ConfigError

SMALL = [name for name in models.BACKBONES if not name.startswith("iresnet") or name == "iresnet18"]


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    "name, count",
    [
        ("iresnet18", 24_025_600),
        ("iresnet34", 34_139_328),
        ("iresnet50", 43_590_848),
        ("iresnet90", 63_677_120),
        ("iresnet100", 65_156_160),
        ("mobilefacenet", 1_201_024),
        ("mobilefacenet-r", 3_790_336),
        ("mobilenetv1", 3_532_800),
        ("mobilenetv2", 2_149_312),
    ],
)
def test_published_parameter_counts(name, count):
    with torch.device("meta"):
        assert parameters(models.build(name)) == count


@pytest.mark.parametrize(
    "options, count",
    [
        ({"bias": False}, 1_200_512),
        ({"embedding": 128}, 1_003_264),
        ({"embedding": 128, "bias": False}, 1_003_136),
        ({"embedding": 128, "input_hw": (112, 96)}, 999_680),
    ],
)
def test_mobilefacenet_variants_have_the_counts_of_the_papers(options, count):
    with torch.device("meta"):
        assert parameters(MobileFaceNet(**options)) == count


def test_the_other_head_of_mobilenetv1_fits_the_printed_count_as_well():
    with torch.device("meta"):
        assert parameters(models.build("mobilenetv1", embedding=256, head="dw256")) == 3_533_056
    with pytest.raises(ConfigError, match="unknown head 'dw512'; did you mean 'g512'"):
        models.build("mobilenetv1", head="dw512")


def test_mobilenetv2_count_by_hand():
    def bottleneck(inputs, outputs):
        hidden = 6 * inputs
        return inputs * hidden + 3 * hidden + 9 * hidden + 3 * hidden + hidden * outputs + 2 * outputs

    count = 3 * 9 * 32 + 3 * 32 + (9 * 32 + 3 * 32 + 32 * 16 + 2 * 16)
    sizes = [(16, 24), (24, 24), (24, 32), *[(32, 32)] * 2, (32, 64), *[(64, 64)] * 3, (64, 96), *[(96, 96)] * 2]
    sizes += [(96, 160), *[(160, 160)] * 2, (160, 320)]
    count += sum(bottleneck(*one) for one in sizes)
    count += 320 * 512 + 3 * 512 + 49 * 512 + 2 * 512 + 512 * 256 + 256 + 2 * 256
    with torch.device("meta"):
        assert parameters(models.build("mobilenetv2")) == count


def test_mobilefacenet_count_by_hand():
    """Weights of each convolution, 2 for a batch norm's channel, 1 for a PReLU's, line by line."""

    def bottleneck(inputs, hidden, outputs):
        return inputs * hidden + 3 * hidden + 9 * hidden + 3 * hidden + hidden * outputs + 2 * outputs

    count = 3 * 9 * 64 + 3 * 64 + 9 * 64 + 3 * 64
    count += bottleneck(64, 128, 64) * 5
    count += bottleneck(64, 256, 128) + 6 * bottleneck(128, 256, 128)
    count += bottleneck(128, 512, 128) + 2 * bottleneck(128, 256, 128)
    count += 128 * 512 + 3 * 512 + 49 * 512 + 2 * 512 + 512 * 512 + 512 + 2 * 512
    with torch.device("meta"):
        assert parameters(MobileFaceNet()) == count


@pytest.mark.parametrize("input_hw, cells", [((112, 112), (7, 7)), ((112, 96), (7, 6)), ((64, 64), (4, 4))])
@pytest.mark.parametrize("name", models.BACKBONES)
def test_shapes(name, input_hw, cells):
    with torch.device("meta"):
        model = models.build(name, input_hw=input_hw, embedding=128)
        images = torch.zeros(2, 3, *input_hw)
        features = model.features(images)
        wide = 1024 if name == "mobilenetv1" else 512
        if name == "mobilefacenet-fine":  # its last stage does not halve
            cells = tuple(2 * side for side in cells)
        assert features.shape == (2, wide, *cells) == (2, model.feature_channels, *model.feature_hw)
        assert model.embed(features).shape == (2, 128)
        assert model.input_hw == input_hw and model.embedding == 128


RESNET_MAPS = [(64, 112, 112), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
MOBILE_MAPS = [(64, 56, 56), (64, 56, 56), (64, 28, 28), (128, 14, 14), (128, 7, 7)]
V1_MAPS = [(32, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (1024, 7, 7)]
V2_MAPS = [(16, 112, 112), (24, 56, 56), (64, 28, 28), (96, 14, 14), (320, 7, 7)]


@pytest.mark.parametrize(
    "name, maps",
    [
        ("iresnet18", RESNET_MAPS),
        ("iresnet90", RESNET_MAPS),
        ("mobilefacenet", MOBILE_MAPS),
        ("mobilefacenet-r", [MOBILE_MAPS[0], *RESNET_MAPS[1:]]),
        ("mobilenetv1", V1_MAPS),
        ("mobilenetv2", V2_MAPS),
    ],
)
def test_maps_of_the_stem_and_the_stages(name, maps):
    with torch.device("meta"):
        model = models.build(name)
        x = torch.zeros(1, 3, 112, 112)
        for part, shape in zip([model.stem, *model.stages], maps, strict=True):
            x = part(x)
            assert x.shape[1:] == shape


@pytest.mark.parametrize("name", SMALL)
def test_forward_is_embed_of_features_in_either_memory_format(name):
    torch.manual_seed(0)
    model = models.build(name, input_hw=(32, 48), width=0.25, embedding=20).eval()
    images = torch.randn(3, 3, 32, 48)
    expected = model(images)
    assert expected.shape == (3, 20) and expected.isfinite().all()
    torch.testing.assert_close(model.embed(model.features(images)), expected, rtol=0, atol=0)
    last = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(images.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_training_reaches_every_parameter(name):
    torch.manual_seed(0)
    model = models.build(name, input_hw=(32, 32), width=0.25, embedding=16)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", ["mobilefacenet", "iresnet50"])
def test_initial_maps_neither_vanish_nor_explode(name):
    torch.manual_seed(0)
    model = models.build(name, input_hw=(32, 32), width=0.5)
    features = model.features(torch.randn(8, 3, 32, 32))
    assert 0.1 < features.std() < 10


def test_width_scales_every_channel_but_the_embedding():
    with torch.device("meta"):
        half = MobileFaceNet(width=0.5)
    assert half.feature_channels == 256
    assert half.fc.out_features == 512
    assert [channels(base, 0.3) for base in (64, 128, 256, 512)] == [16, 40, 80, 152]
    assert channels(64, 0.01) == 8


def test_the_dropout_of_iresnet_is_idle_in_evaluation():
    torch.manual_seed(0)
    model = models.build("iresnet18", input_hw=(16, 16), width=0.125, dropout=0.4)
    features = torch.randn(2, model.feature_channels, 1, 1)
    assert not torch.equal(model.embed(features), model.embed(features))
    model.eval()
    assert torch.equal(model.embed(features), model.embed(features))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_quick_prelu_is_torchs(dtype, layout):
    """Values, and both gradients, zeros among the inputs; the weight stays in single precision under autocast."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 4, 6, generator=generator).to(dtype).to(memory_format=layout)
    x[0, :, :2] = 0
    grad = torch.randn(3, 5, 4, 6, generator=generator).to(dtype).to(memory_format=layout)
    ours, reference = PReLU(5).to(dtype), nn.PReLU(5).to(dtype)
    found = []
    for layer in (ours, reference):
        layer.weight.data = torch.tensor([-0.3, 0.0, 0.25, 1.0, 2.0], dtype=dtype)
        own = x.clone().requires_grad_()
        out = layer(own)
        out.backward(grad)
        found.append((out.detach(), own.grad, layer.weight.grad))
    (out, of_x, of_weight), (wanted, wanted_x, wanted_weight) = found
    torch.testing.assert_close(out, wanted, rtol=0, atol=0)
    torch.testing.assert_close(of_x, wanted_x)
    torch.testing.assert_close(of_weight, wanted_weight, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-4)
    assert of_x.is_contiguous(memory_format=layout)


def test_the_quick_prelu_keeps_names_and_follows_autocast():
    layer = PReLU(4)
    assert list(layer.state_dict()) == list(nn.PReLU(4).state_dict())
    x = torch.randn(2, 4, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x.bfloat16()).float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32 and x.grad.dtype == torch.float32


@pytest.mark.parametrize("input_hw", [(112, 100), (0, 112), (-16, 16), (8, 8)])
def test_an_input_size_that_does_not_fit_is_named(input_hw):
    with pytest.raises(ConfigError, match=rf"{input_hw[0]}x{input_hw[1]}.*multiples of 16"):
        models.build("mobilefacenet", input_hw=input_hw)


def test_misspelt_names_and_options_get_the_nearest():
    with pytest.raises(ConfigError, match="unknown backbone 'mobilefacnet'; did you mean 'mobilefacenet'"):
        models.build("mobilefacnet")
    with pytest.raises(ConfigError, match="'iresnet18' has no option 'embeding'; did you mean 'embedding'"):
        models.build("iresnet18", embeding=128)


WEIGHTS = {  # of seed 7, as they were when the stored runs were trained
    "mobilefacenet": "402555e9c74bbc5ff7ed51f40e1bae109a6e16c38e8371d331b247db3db12804",
    "iresnet18": "482a9616e574f114735735680923c64cdde38417a22ec8789d3d40aa09abd7a1",
}
ORDERS = {
    "mobilefacenet": "f9d8260aa7bd3aa0a512556e57f762d6a718898f29b0d65637f9c05b6b9f664c",
    "iresnet18": "2dac033d9a1199425d3296f13c7cd143a3a9d4dc95d0b2f730dfc6ed182bfc1f",
}


@pytest.mark.parametrize(("name", "width"), [("mobilefacenet", 0.25), ("iresnet18", 0.125)])
def test_a_seed_gives_the_weights_that_it_always_gave(name, width):
    torch.manual_seed(7)
    state = models.build(name, input_hw=(48, 48), width=width, embedding=32).state_dict()
    assert digest(state) == WEIGHTS[name]
    assert hashlib.sha256("\n".join(state).encode()).hexdigest() == ORDERS[name]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("input_hw", "width", "last_stride"), [((48, 48), 0.125, 2), ((32, 48), 0.25, 2), ((48, 48), 0.125, 1)]
)
@pytest.mark.parametrize("name", models.BACKBONES)
def test_a_network_entered_after_any_stage_is_the_network(name, input_hw, width, last_stride, training):
    torch.manual_seed(0)
    model = models.build(name, input_hw=input_hw, width=width, embedding=16, last_stride=last_stride).train(training)
    images = torch.randn(3, 3, *input_hw)
    sides = [2, 4, 8, 8 * last_stride]
    for stage in range(1, 5):
        torch.manual_seed(1)
        expected = model(images)
        torch.manual_seed(1)
        maps = model.stage_maps(images)
        assert [one.shape[2:] for one in maps] == [(input_hw[0] // side, input_hw[1] // side) for side in sides]
        assert torch.equal(model.tail(stage, maps[stage - 1]), expected)


@pytest.mark.parametrize("name", SMALL)
def test_the_last_stride_only_keeps_more_cells(name):
    states = []
    for last_stride, cells in ((2, 9), (1, 36)):
        model = models.build(name, input_hw=(48, 48), width=0.125, last_stride=last_stride)
        assert model.feature_hw[0] * model.feature_hw[1] == cells
        assert model(torch.randn(2, 3, 48, 48)).shape == (2, model.embedding)
        states.append({key: value.shape for key, value in model.state_dict().items()})
    differ = {key for key in states[0] if states[0][key] != states[1][key]}
    assert list(states[0]) == list(states[1])
    assert differ == ({"fc.weight"} if name == "iresnet18" else {"pool.0.weight"})
    with pytest.raises(ConfigError, match="last_stride must be 1 or 2, got 3"):
        models.build(name, last_stride=3)


@pytest.mark.parametrize("stage", [0, 5])
def test_a_stage_that_there_is_not_is_named(stage):
    model = models.build("mobilefacenet", input_hw=(16, 16), width=0.125).eval()
    with pytest.raises(ValueError, match=f"stage {stage}: a backbone has the stages 1 to 4"):
        model.tail(stage, torch.zeros(1, 16, 1, 1))
    with pytest.raises(ValueError, match=f"stage {stage}"):
        models.grad_cam(model, stage, torch.zeros(1, 3, 16, 16), lambda embeddings: embeddings[:, 0])


def test_grad_cam_weighs_each_channel_by_what_the_score_gains_from_it():
    """The weight of a channel is the slope of the score when all its cells rise alike, over the cells."""
    torch.manual_seed(0)
    model = models.build("iresnet18", input_hw=(32, 32), width=0.125, embedding=8).double().eval()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    found = models.grad_cam(model, 3, images, lambda embeddings: embeddings[:, 2])
    with torch.no_grad():
        features = model.stage_maps(images)[2]
        expected = torch.zeros(2, *features.shape[2:], dtype=torch.float64)
        for channel in range(features.shape[1]):
            step = torch.zeros_like(features)
            step[:, channel] = 1e-6
            rise = model.tail(3, features + step)[:, 2] - model.tail(3, features - step)[:, 2]
            expected += (rise / 2e-6 / features[0, 0].numel())[:, None, None] * features[:, channel]
    torch.testing.assert_close(found, expected.relu(), rtol=1e-4, atol=1e-6)


def lively(model):
    """In evaluation mode, with running statistics and scales that are not those of a fresh network."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.uniform_(0.5, 2)
    return model.eval()


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("name", SMALL)
def test_all_tails_in_one_batch_are_the_tails(name, count):
    torch.manual_seed(0)
    model = lively(models.build(name, input_hw=(32, 32), width=0.125, embedding=8)).double()
    maps = [one + 0.1 * torch.randn_like(one) for one in model.stage_maps(torch.randn(2, 3, 32, 32).double())[:count]]
    together = model.tails(maps)
    assert len(together) == count
    for stage, (features, found) in enumerate(zip(maps, together, strict=True), 1):
        torch.testing.assert_close(found, model.tail(stage, features))


@pytest.mark.parametrize("name", SMALL)
def test_folded_norms_leave_the_function_and_its_gradient(name):
    torch.manual_seed(0)
    model = lively(models.build(name, input_hw=(32, 32), width=0.125, embedding=8)).double().requires_grad_(False)
    images = torch.randn(2, 3, 32, 32).double().requires_grad_()
    found = []
    for network in (model, fold_norms(copy.deepcopy(model))):
        out = network(images)
        found += [(out, *torch.autograd.grad(out.square().sum(), images))]
    torch.testing.assert_close(found[0], found[1])
    norms = [sum(isinstance(one, nn.BatchNorm2d) for one in part.modules()) for part in (model, network)]
    assert norms[1] < norms[0] / 2


def test_gradients_pass_quickly_through_a_frozen_prelu():
    layer = PReLU(4).eval().requires_grad_(False)
    x = torch.randn(2, 4, 3, requires_grad=True)
    out = layer(x)
    assert type(out.grad_fn).__name__ == "_PReLUBackward", "not torch's slow one"
    out.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(x > 0, 1.0, 0.25))
    assert layer.weight.grad is None and layer(x.detach()).grad_fn is None
