"""Other people's networks: each layout is built here once more, under its own names, and must give what ours gives."""

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from aifr_lib import models
from aifr_lib.files import repository_root
from aifr_lib.models.foreign import layouts, load, networks
from aifr_lib.models.foreign.cards import Card, Carded, fit
from aifr_lib.models.foreign.read import REACHING
from aifr_lib.models.weights import WeightsError
from aifr_lib.names import ConfigError


def randomised(model, seed=0):
    """Weights and statistics that leave no layer without effect and no signal to explode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
            value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.75)
        elif value.is_floating_point():
            scale = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
            value.copy_(torch.randn(value.shape, generator=generator) * scale)
    return model.eval()


def pictures(*hw, count=2):
    return (
        torch.randint(0, 256, (count, 3, *hw), generator=torch.Generator().manual_seed(1)).float().sub(127.5).div(128)
    )


def fed(x, card):
    """What a toolkit feeds its network, written out: levels, colour order, mean, deviation."""
    levels = x * 128 + 127.5
    levels = levels.flip(1) if card.colour == "bgr" else levels
    return torch.stack([(levels[:, c] - card.mean[c]) / card.std[c] for c in range(3)], 1)


def modules(**parts):
    made = nn.Module()
    for name, part in parts.items():
        made.add_module(name, part)
    return made


class ArcfaceTorch(nn.Module):
    def __init__(self, units=(2, 1, 3, 1), cells=4, embedding=16):
        super().__init__()
        self.conv1, self.bn1, self.prelu = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.PReLU(8)
        self.units, inputs = units, 8
        for stage, count in enumerate(units):
            outputs = 8 * 2**stage
            self.add_module(f"layer{stage + 1}", nn.ModuleList())
            for unit in range(count):
                stride = 1 if unit else 2
                block = modules(
                    bn1=nn.BatchNorm2d(inputs),
                    conv1=nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
                    bn2=nn.BatchNorm2d(outputs),
                    prelu=nn.PReLU(outputs),
                    conv2=nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
                    bn3=nn.BatchNorm2d(outputs),
                )
                if not unit:
                    block.downsample = nn.Sequential(
                        nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs)
                    )
                self.get_submodule(f"layer{stage + 1}").append(block)
                inputs = outputs
        self.bn2, self.fc = nn.BatchNorm2d(64), nn.Linear(64 * cells, embedding)
        self.features = nn.BatchNorm1d(embedding)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in range(4):
            for b in self.get_submodule(f"layer{stage + 1}"):
                y = b.bn3(b.conv2(b.prelu(b.bn2(b.conv1(b.bn1(x))))))
                x = y + (b.downsample(x) if hasattr(b, "downsample") else x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


class Excite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, x):
        return x * self.fc2(self.fc1(F.adaptive_avg_pool2d(x, 1)).relu()).sigmoid()


class IR(nn.Module):
    def __init__(self, between=True, excite=None, affine=False, by_stage=False, units=(3, 1, 2, 2)):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.PReLU(8))
        blocks, inputs = [], 8
        for stage, count in enumerate(units):
            outputs = 8 * 2**stage
            for unit in range(count):
                stride = 1 if unit else 2
                layers = [nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)]
                layers += [nn.BatchNorm2d(outputs)] if between else []
                layers += [nn.PReLU(outputs), nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)]
                res_layer = nn.Sequential(*layers, nn.BatchNorm2d(outputs))
                if excite:
                    res_layer.add_module(excite, Excite(outputs))
                shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
                shortcut = nn.MaxPool2d(1, stride) if inputs == outputs else shortcut
                blocks.append(modules(res_layer=res_layer, shortcut_layer=shortcut))
                inputs = outputs
        if by_stage:
            starts = [sum(units[:n]) for n in range(5)]
            for n in range(4):
                self.add_module(f"block{n + 1}", nn.ModuleList(blocks[starts[n] : starts[n + 1]]))
        else:
            self.body = nn.ModuleList(blocks)
        self.blocks = lambda: blocks
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(64), nn.Dropout(0.4), nn.Flatten(), nn.Linear(256, 16), nn.BatchNorm1d(16, affine=affine)
        )

    def forward(self, x):
        x = self.input_layer(x)
        for b in self.blocks():
            x = b.shortcut_layer(x) + b.res_layer(x)
        return self.output_layer(x)


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, prelu=True, padding=None):
    padding = (kernel // 2 if isinstance(kernel, int) else 0) if padding is None else padding
    made = nn.Sequential()
    made.add_module("conv", nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False))
    made.add_module("bn", nn.BatchNorm2d(outputs))
    if prelu:
        made.add_module("prelu", nn.PReLU(outputs))
    return made


class Depthwise(nn.Module):
    def __init__(self, inputs, hidden, outputs, stride):
        super().__init__()
        self.residual = stride == 1
        self.conv = conv_bn(inputs, hidden, 1)
        self.conv_dw = conv_bn(hidden, hidden, 3, stride, hidden)
        self.project = conv_bn(hidden, outputs, 1, prelu=False)

    def forward(self, x):
        y = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class NamedMobileFaceNet(nn.Module):
    def __init__(self, kernel=(7, 7), head=False, c=16, embedding=12):
        super().__init__()
        self.conv1, self.conv2_dw = conv_bn(3, c, 3, 2), conv_bn(c, c, 3, 1, c)
        self.conv_23, self.conv_3 = Depthwise(c, 2 * c, c, 2), self.chain(c, 2 * c, 4)
        self.conv_34, self.conv_4 = Depthwise(c, 4 * c, 2 * c, 2), self.chain(2 * c, 4 * c, 6)
        self.conv_45, self.conv_5 = Depthwise(2 * c, 8 * c, 2 * c, 2), self.chain(2 * c, 4 * c, 2)
        self.conv_6_sep = conv_bn(2 * c, 8 * c, 1)
        tail = modules(
            conv_6_dw=conv_bn(8 * c, 8 * c, kernel, 1, 8 * c, prelu=False),
            linear=nn.Linear(8 * c, embedding, bias=False),
            bn=nn.BatchNorm1d(embedding),
        )
        self.tail = lambda: tail
        for name, part in {"output_layer": tail}.items() if head else tail.named_children():
            self.add_module(name, part)

    @staticmethod
    def chain(channels, hidden, count):
        return modules(model=nn.Sequential(*(Depthwise(channels, hidden, channels, 1) for _ in range(count))))

    def forward(self, x):
        x = self.conv_3.model(self.conv_23(self.conv2_dw(self.conv1(x))))
        x = self.conv_5.model(self.conv_45(self.conv_4.model(self.conv_34(x))))
        tail = self.tail()
        return F.normalize(tail.bn(tail.linear(tail.conv_6_dw(self.conv_6_sep(x)).flatten(1))))


class NumberedBottleneck(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden, self.connect = inputs * expansion, stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *(nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.PReLU(hidden)),
            *(nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden)),
            *(nn.PReLU(hidden), nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )

    def forward(self, x):
        return x + self.conv(x) if self.connect else self.conv(x)


class NumberedMobileFaceNet(nn.Module):
    def __init__(self, kernel=(7, 6), c=16):
        super().__init__()
        self.conv1, self.dw_conv1 = conv_bn(3, c, 3, 2), conv_bn(c, c, 3, 1, c)
        blocks, inputs = [], c
        for t, outputs, n, s in ((2, c, 5, 2), (4, 2 * c, 1, 2), (2, 2 * c, 6, 1), (4, 2 * c, 1, 2), (2, 2 * c, 2, 1)):
            for unit in range(n):
                blocks.append(NumberedBottleneck(inputs, outputs, 1 if unit else s, t))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = conv_bn(2 * c, 8 * c, 1)
        self.linear7 = conv_bn(8 * c, 8 * c, kernel, 1, 8 * c, prelu=False)
        self.linear1 = conv_bn(8 * c, 12, 1, prelu=False)

    def forward(self, x):
        return self.linear1(self.linear7(self.conv2(self.blocks(self.dw_conv1(self.conv1(x)))))).flatten(1)


class Layers(nn.Module):
    """A sequence under the name "layers", with a shortcut around it where asked."""

    def __init__(self, *parts, shortcut=False):
        super().__init__()
        self.layers, self.shortcut = nn.Sequential(*parts), shortcut

    def forward(self, x):
        return x + self.layers(x) if self.shortcut else self.layers(x)


def mbf(scale=2, blocks=(1, 4, 6, 2)):
    def block(inputs, outputs, kernel, stride=1, groups=1, prelu=True):
        return Layers(*conv_bn(inputs, outputs, kernel, stride, groups, prelu=prelu))

    def depthwise(inputs, outputs, hidden, stride, shortcut):
        return Layers(
            block(inputs, hidden, 1),
            block(hidden, hidden, 3, stride, hidden),
            block(hidden, outputs, 1, prelu=False),
            shortcut=shortcut,
        )

    def chain(channels, hidden, count):
        return Layers(*(depthwise(channels, channels, hidden, 1, True) for _ in range(count)))

    c, d = 64 * scale, 128 * scale
    first = block(c, c, 3, 1, 64) if blocks[0] == 1 else chain(c, 128, blocks[0])
    body = [block(3, c, 3, 2), first, depthwise(c, c, 128, 2, False), chain(c, 128, blocks[1])]
    body += [depthwise(c, d, 256, 2, False), chain(d, 256, blocks[2])]
    body += [depthwise(d, d, 512, 2, False), chain(d, 256, blocks[3])]
    gdc = Layers(
        *(block(512, 512, (7, 7), 1, 512, prelu=False), nn.Flatten()),
        *(nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512)),
    )
    network = modules(layers=nn.ModuleList(body), conv_sep=block(d, 512, 1), features=gdc)
    network.forward = lambda x: gdc(network.conv_sep(nn.Sequential(*body)(x)))
    return network


class CaffeBottleneck(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes)
        if inputs != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.bn3(self.conv3(y)) + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class VggFace2(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for stage in range(4):
            planes, made = 64 * 2**stage, []
            for unit in range(1 + stage % 2):
                made.append(CaffeBottleneck(inputs, planes, 2 if stage and not unit else 1))
                inputs = 4 * planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(2048, 8631)

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, ceil_mode=True)
        return F.avg_pool2d(self.layer4(self.layer3(self.layer2(self.layer1(x)))), 7).flatten(1)


class ClipBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // 64, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        hidden = self.mlp.c_fc(self.ln_2(x))
        return x + self.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))


class ClipTower(nn.Module):
    """As FaRL has it, with what it learns beside: the projection to the text and the guesses of masked patches."""

    def __init__(self, width=128, side=32, depth=2):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros((side // 16) ** 2 + 1, width))
        self.proj, self.mask_token = nn.Parameter(torch.zeros(width, 16)), nn.Parameter(torch.zeros(width))
        self.conv1 = nn.Conv2d(3, width, 16, 16, bias=False)
        self.ln_pre, self.ln_post, self.ln_lm = (nn.LayerNorm(width) for _ in range(3))
        self.transformer = modules(resblocks=nn.ModuleList(ClipBlock(width) for _ in range(depth)))
        self.lm_transformer = modules(resblocks=nn.ModuleList([ClipBlock(width)]))
        self.lm_head = nn.Linear(width, 9)

    def forward(self, x):
        x = self.conv1(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x)
        for block in self.transformer.resblocks:
            x = block(x)
        return self.ln_post(x[:, 0])


def timm_transformer():
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 32, "embed_dim": 128, "depth": 2, "num_heads": 2}
    return timm.create_model("vit_base_patch16_224", num_classes=7, **sizes)


class PclAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, channels, 1) for _ in range(3))

    def forward(self, x):
        theta = self.theta(x).flatten(2).softmax(-1)
        alike = torch.einsum("bcn,bdn->bcd", self.phi(x).flatten(2), theta)
        value = torch.einsum("bcd,bdn->bcn", alike, self.g(x).flatten(2).softmax(1))
        return F.leaky_relu(x + value.reshape(x.shape), 0.1)


class PclUnit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1), nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x):
        return F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.1)) + x, 0.1)


class Pcl(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = modules(
            conv1=self.two(3, 64, 64, 7, 2),
            layer1=self.two(64, 64, 64, 3, 1, PclAttention(64)),
            layer2_1=self.two(64, 128, 128, 3, 2, PclAttention(128)),
            resblock1=PclUnit(128),
            resblock2=PclUnit(128),
            layer2_2=self.two(128, 128, 128, 3, 2),
            layer3_1=self.two(128, 256, 128, 3, 2),
            layer3_2_exp=self.two(128, 128, 128, 3, 1),
            layer3_2_pose=self.two(128, 128, 128, 3, 1),
        )
        self.exp_fc = nn.Sequential(nn.Linear(2048, 8))

    @staticmethod
    def two(inputs, between, outputs, kernel, stride, attention=None):
        first = nn.Conv2d(inputs, between, kernel, stride, kernel // 2)
        middle = [] if attention is None else [attention]
        return nn.Sequential(first, nn.LeakyReLU(0.1), *middle, nn.Conv2d(between, outputs, 3, 1, 1), nn.LeakyReLU(0.1))

    def forward(self, x):
        for name, part in self.encoder.named_children():
            x = x if name == "layer3_2_pose" else part(x)
        return x.flatten(1)


# Making TorchScript is deprecated; files of it are still what people have.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit")

CASES = {
    "insightface-iresnet": ("insightface-iresnet", lambda: ArcfaceTorch(), (32, 32)),
    "insightface-iresnet 112×96": ("insightface-iresnet", lambda: ArcfaceTorch((1, 1, 1, 1), cells=42), (112, 96)),
    "ir": ("ir", lambda: IR(), (32, 32)),
    "ir, affine, by stage (MTLFace)": ("ir", lambda: IR(affine=True, by_stage=True), (32, 32)),
    "ir, older": ("ir", lambda: IR(between=False, affine=True), (32, 32)),
    "ir_se, older": ("ir", lambda: IR(between=False, excite="5", affine=True), (32, 32)),
    "ir_se (TFace)": ("ir", lambda: IR(excite="se_block"), (32, 32)),
    "mobilefacenet": ("mobilefacenet", lambda: NamedMobileFaceNet(), (112, 112)),
    "mobilefacenet 112×96, output_layer": ("mobilefacenet", lambda: NamedMobileFaceNet((7, 6), head=True), (112, 96)),
    "mobilefacenet-xiaoccer": ("mobilefacenet-xiaoccer", lambda: NumberedMobileFaceNet(), (112, 96)),
    "mbf": ("insightface-mbf", lambda: mbf(), (112, 112)),
    "mbf_large": ("insightface-mbf", lambda: mbf(4, (2, 1, 2, 1)), (112, 112)),
    "vggface2": ("vggface2-resnet", lambda: VggFace2(), (224, 224)),
    "torchvision": ("torchvision-resnet", lambda: ResNet(Bottleneck, [1, 2, 1, 1]), (224, 224)),
    "timm's ViT": ("timm-vit", timm_transformer, (32, 32)),
    "CLIP's ViT": ("clip-vit", lambda: ClipTower(), (32, 32)),
    "PCL": ("pcl", lambda: Pcl(), (64, 64)),
}


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_each_layout_gives_what_its_own_toolkit_gives(case, tmp_path):
    name, build, hw = CASES[case]
    theirs = randomised(build())
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    network = load(tmp_path / "weights.pth")
    assert (network.card.layout, network.card.input_hw) == (name, hw)
    x = pictures(*hw)
    if name == "torchvision-resnet":
        theirs.fc = nn.Identity()
    if name == "timm-vit":
        theirs.head = nn.Identity()
    expected = theirs(fed(x, network.card))
    assert expected.std(0).mean() > 1e-4
    torch.testing.assert_close(network.run(x), expected, rtol=1e-4, atol=1e-5)


def test_the_known_cards():
    cards = {name: Card.model_validate(layout.card) for name, layout in layouts.LAYOUTS.items()}
    assert str(cards["aifr-iresnet"]) == "112×112 RGB, (x − 127.5) / 128, f(x) + f(mirrored x)"
    assert str(cards["adaface-ir"]) == "112×112 BGR, (x − 127.5) / 127.5, f(x) + f(mirrored x)"
    assert str(cards["mobilefacenet"]).startswith("112×112 BGR, (x − 127.5) / 127.5, length 1, ")
    assert cards["torchvision-resnet"].mean[0] / 255 == pytest.approx(0.485)
    assert cards["torchvision-resnet"].std[2] / 255 == pytest.approx(0.225)


def test_published_sizes():
    """2,059,520 weights in insightface's mbf; 4,224 + 1,024 fewer in the "IR"-50 than in IResNet-50."""
    with torch.device("meta"):
        small, _ = networks.insightface_mbf({})
        large, _ = networks.ir({"output_layer.4.running_mean": torch.empty(512)})
    assert sum(p.numel() for p in small.parameters()) == 2_059_520
    assert sum(p.numel() for p in large.parameters()) == 43_590_848 - 4_224 - 1_024


def save(state, path):
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("wrap", "holder", "beside", "left_out"),
    [
        ("module.", "state_dict", {}, 2),
        ("module.encoder_q.", "state_dict", {"module.encoder_k.conv1.weight": 1, "module.queue": 1}, 4),
        ("module.", None, {"module.projection_head.0.weight": 1, "module.prototypes.weight": 1}, 4),
        ("module.backbone.", "model", {"module.projector.0.weight": 1, "module.bn.running_mean": 1}, 4),
        ("module.base_net.", "state_dict", {"module.projection_net.net.0.weight": 1, "module.prototypes.weight": 1}, 4),
        ("base_net.", "state_dict", {"prototypes.weight": 1}, 3),
        ("backbone.", None, {}, 2),
        ("", None, {}, 2),
    ],
    ids=["DataParallel", "MoCo", "SwAV", "Barlow Twins", "Bulat", "Bulat, unwrapped", "backbone", "plain"],
)
def test_wrappers_are_taken_off_and_heads_left_out(wrap, holder, beside, left_out, tmp_path):
    theirs = randomised(ResNet(BasicBlock, [1, 1, 1, 1]))
    state = {wrap + name: value for name, value in theirs.state_dict().items()}
    state |= {name: torch.zeros(2, 2) for name in beside}
    path = save({holder: state, "epoch": 3} if holder else state, tmp_path / "checkpoint.pth.tar")
    network = load(path, {"input_hw": (64, 64)})
    assert network.card.layout == "torchvision-resnet"
    assert len(network.left_out) == left_out and wrap + "fc.weight" in network.left_out
    theirs.fc = nn.Identity()
    x = pictures(64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.run(x), theirs(fed(x, network.card)), rtol=1e-4, atol=1e-5)


TABLE_G = {  # the file's name, the network, what stands before its keys, what beside them, where the dict is held
    "StableRep": ("cc12m.1x.pth", timm_transformer, "visual.", ["image_mlp.layer1.weight"], "model"),
    "FaRL": ("FaRL-Base.pth", lambda: ClipTower(), "visual.", ["transformer.resblocks.0.ln_1.weight"], "state_dict"),
    "PCL": ("best.pth", lambda: Pcl(), "", ["pose_fc.0.weight", "decoder.fc.weight"], "state_dict"),
}


@pytest.mark.parametrize("module", ["", "module."])
@pytest.mark.parametrize("case", TABLE_G)
@torch.no_grad()
def test_checkpoints_of_table_g(case, module, tmp_path):
    file, build, before, beside, holder = TABLE_G[case]
    theirs = randomised(build())
    state = {module + before + name: value for name, value in theirs.state_dict().items()}
    state |= {module + name: torch.zeros(2, 2) for name in beside}
    path = save({holder: state, "epoch": 15}, tmp_path / file)
    network = load(path)
    if case == "StableRep":
        theirs.head = nn.Identity()
    x = pictures(*network.card.input_hw)
    torch.testing.assert_close(network.run(x), theirs(fed(x, network.card)), rtol=1e-4, atol=1e-5)
    assert {module + name for name in beside} <= set(network.left_out)
    gone = next(name for name in state if name.endswith(("conv1.weight", "proj.weight", "conv1.0.weight")))
    del state[gone]
    with pytest.raises(WeightsError, match=re.escape(f"missing: {gone}")):
        load(save({holder: state}, path))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged, cut short"):
        load(path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("module", ["", "module."])
@torch.no_grad()
def test_a_pickled_dict_of_arrays(module, protocol, tmp_path):
    """VGGFace2's resnet50_scratch_weight.pkl: nothing in it is called."""
    theirs = randomised(VggFace2())
    state = {module + name: value.numpy() for name, value in theirs.state_dict().items() if "num_batches" not in name}
    path = tmp_path / "resnet50_scratch_weight.pkl"
    path.write_bytes(pickle.dumps(state, protocol))
    network = load(path)
    assert network.card.layout == "vggface2-resnet" and network.card.colour == "bgr"
    x = pictures(224, 224)
    torch.testing.assert_close(network.run(x), theirs(fed(x, network.card)), rtol=1e-4, atol=1e-5)
    path.write_bytes(pickle.dumps(state, protocol)[:5000])
    with pytest.raises(WeightsError, match="cannot be read as weights alone"):
        load(path)
    path.write_bytes(pickle.dumps({**state, "more": Hostile()}, protocol))
    with pytest.raises(WeightsError, match=r"as a dict of arrays, at byte \d+ of the pickle: it wants"):
        load(path)
    path.write_bytes(pickle.dumps({"conv1.weight": [1, 2]}, protocol))
    with pytest.raises(WeightsError, match=r"a dict of arrays by name was expected, found list as 'conv1\.weight'"):
        load(path)


def test_adaface_is_told_by_its_head_and_takes_bgr(tmp_path):
    state = {f"model.{name}": value for name, value in randomised(IR()).state_dict().items()}
    path = save({"state_dict": {**state, "head.kernel": torch.zeros(16, 9)}}, tmp_path / "adaface.ckpt")
    network = load(path)
    assert (network.card.layout, network.card.colour, network.left_out) == ("adaface-ir", "bgr", ("head.kernel",))
    assert load(save({"state_dict": state}, path)).card.colour == "rgb"
    assert load(path, {"layout": "adaface-ir"}).card.colour == "bgr"


def test_a_last_layer_can_be_asked_for_as_the_embedding(tmp_path):
    theirs = randomised(ResNet(BasicBlock, [1, 1, 1, 1], num_classes=12))
    path = save(theirs.state_dict(), tmp_path / "face.pth")
    x = pictures(224, 224)
    network = load(path, {"layout": "torchvision-resnet-fc"})
    assert not network.left_out
    with torch.no_grad():
        torch.testing.assert_close(network.run(x), theirs(fed(x, network.card)), rtol=1e-4, atol=1e-5)


def test_our_own_weights_in_half_precision_and_safetensors(tmp_path):
    ours = randomised(models.build("mobilefacenet", input_hw=(48, 32), width=0.25, embedding=8))
    halved = {name: value.half() for name, value in ours.state_dict().items() if value.is_floating_point()}
    save_file(halved, tmp_path / "a.safetensors")
    ours.load_state_dict({name: value.float() for name, value in halved.items()}, strict=False)
    network = load(tmp_path / "a.safetensors")
    assert (network.card.layout, network.card.input_hw, network.card.std) == (
        "aifr-mobilefacenet",
        (48, 32),
        (128, 128, 128),
    )
    x = pictures(48, 32)
    with torch.no_grad():
        torch.testing.assert_close(network.run(x), ours(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_torchscript(tmp_path):
    ours = randomised(models.build("mobilefacenet", input_hw=(32, 32), width=0.125, embedding=8))
    torch.jit.trace(ours, pictures(32, 32)).save(tmp_path / "net.pt")
    (tmp_path / "net.pt.yaml").write_text("input_hw: [32, 32]\ncolour: bgr\nmean: [1, 2, 3]\nstd: 4\nembedding: 8\n")
    network = load(tmp_path / "net.pt")
    assert network.kind == "TorchScript"
    x = pictures(32, 32, count=3)
    torch.testing.assert_close(network.run(x), ours(fed(x, network.card)), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"net\.pt gives 8 dimensions, but its card says embedding: 9"):
        load(tmp_path / "net.pt", {"embedding": 9}).run(x)


class Two(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x.sum()


@pytest.mark.parametrize(
    ("network", "message"),
    [(Two(), "gives 2 values, not one embedding"), (nn.Identity(), re.escape("gives [2, 3, 16, 16] for 2 pictures"))],
)
def test_what_is_no_embedding_is_refused(network, message):
    with pytest.raises(ValueError, match=message):
        Carded(network, Card(input_hw=(16, 16)))(pictures(16, 16))


def test_the_card_beside_the_file_yields_to_what_is_given(tmp_path):
    path = save(randomised(ArcfaceTorch()).state_dict(), tmp_path / "net.pth")
    (tmp_path / "net.pth.yaml").write_text("std: 128\nflip: false\n")
    card = load(path, {"flip": True, "colour": "bgr"}).card
    assert (card.mean[0], card.std[0], card.flip, card.colour) == (127.5, 128, True, "bgr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("color: bgr", r"net\.pth\.yaml: unknown key 'color'; did you mean 'colour'"),
        ("colour: grb", r"net\.pth\.yaml: 'colour': Input should be 'rgb' or 'bgr' \(got 'grb'\)"),
        ("mean: [1, 2]", r"net\.pth\.yaml: 'mean"),
        ("std: 0", r"net\.pth\.yaml: 'std\.0': Input should be greater than 0"),
        ("- rgb", r"net\.pth\.yaml must hold keys and values"),
        ("a: [", r"net\.pth\.yaml is no YAML"),
        ("layout: insightface", r"unknown layout 'insightface'; did you mean 'insightface-"),
    ],
)
def test_a_wrong_card_says_what_is_wrong(text, message, tmp_path):
    path = save(randomised(ArcfaceTorch()).state_dict(), tmp_path / "net.pth")
    (tmp_path / "net.pth.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(path)


def test_a_value_given_is_not_blamed_on_the_file(tmp_path):
    path = save(randomised(ArcfaceTorch()).state_dict(), tmp_path / "net.pth")
    with pytest.raises(ConfigError, match="values given: unknown key 'colur'; did you mean 'colour'"):
        load(path, {"colur": "bgr"})


def test_a_state_dict_that_does_not_fit_names_the_keys_and_the_nearest_layout(tmp_path):
    state = {f"module.{name}": value for name, value in randomised(ArcfaceTorch()).state_dict().items()}
    state["module.layer3.1.attention.weight"] = state.pop("module.layer3.1.prelu.weight")
    state["module.bn2.bias"] = torch.zeros(7)
    with pytest.raises(WeightsError) as error:
        load(save(state, tmp_path / "net.pth"))
    said = str(error.value)
    assert "Nearest is insightface-iresnet under 'module.' (insightface recognition/arcface_torch)" in said
    assert "from which 3 keys differ" in said
    assert "missing: module.layer3.1.prelu.weight\n" in said
    assert "unexpected: module.layer3.1.attention.weight\n" in said
    assert "of another shape: module.bn2.bias [7] instead of [64]\n" in said
    assert re.search(r"then, by how many keys: [a-z0-9-]+ \(\d+\), ", said)
    with pytest.raises(WeightsError, match="fits not the layout ir"):
        load(tmp_path / "net.pth", {"layout": "ir"})


class Hostile:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: path.write_bytes(pickle.dumps(Hostile())), "cannot be read as weights alone"),
        (lambda path: torch.save({"net": Hostile()}, path), "could run any code and is refused"),
        (lambda path: path.write_bytes(b"\x80\x02garbage"), "cannot be read as weights alone"),
        (lambda path: torch.save(torch.zeros(3), path), "holds a Tensor and no state dict"),
        (lambda path: torch.save({"epoch": 3, "lr": 0.1}, path), "holds the keys epoch, lr and no state dict"),
        (
            lambda path: torch.save({n: {"a.b": torch.zeros(1)} for n in ("model", "net")}, path),
            r"several of them may hold it \(model, net\)",
        ),
        (lambda path: torch.save({"conv1.weight": torch.full((2, 2), torch.nan)}, path), "'conv1.weight' holds NaN"),
    ],
)
def test_files_that_hold_no_weights_are_refused(content, message, tmp_path):
    content(tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=message):
        load(tmp_path / "net.pth")


def test_a_file_cut_short_and_one_that_is_not_there(tmp_path):
    path = save(randomised(ArcfaceTorch()).state_dict(), tmp_path / "net.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cannot be read as weights alone"):
        load(path)
    (tmp_path / "net.safetensors").write_bytes(b"12345678{\xff\0")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load(tmp_path / "net.safetensors")
    torch.jit.script(nn.Flatten()).save(tmp_path / "cut.pt")
    whole = (tmp_path / "cut.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cannot be read as weights alone"):
        load(tmp_path / "cut.pt")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        load(tmp_path / "absent.pth")


def test_a_size_that_the_network_does_not_take(tmp_path):
    path = save(randomised(ArcfaceTorch()).state_dict(), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="takes pictures of 32×32, but input_hw says 112×112"):
        load(path, {"input_hw": (112, 112)})


def test_every_layout_names_each_of_its_layers():
    for name, layout in layouts.LAYOUTS.items():
        with torch.device("meta"):
            network, names = layout.build({})
        keys = [key.rpartition(".")[0] for key in network.state_dict()]
        assert all(key in names for key in keys), name
        assert len({names[key] for key in keys}) == len(set(keys)), name


def test_the_page_on_networks_tells_each_layout_and_how_it_is_fed():
    page = (repository_root() / "book" / "how-to" / "networks.md").read_text(encoding="utf-8")
    for name, layout in layouts.LAYOUTS.items():
        (line,) = (line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line)
        fed = str(Card.model_validate(layout.card)).rsplit(", ", 1)[0]
        assert fed in line or "as above" in line, (name, fed)


class Reaching(nn.Module):
    def forward(self, x):
        return x + torch.from_file("written", True, 8, dtype=torch.float32).sum()


class ReachingWhenLoaded(nn.Module):
    def forward(self, x):
        return x

    @torch.jit.export
    def __getstate__(self):
        return (0, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]):
        torch.save(torch.zeros(3), "written")
        self.training = state[1]


@pytest.mark.parametrize("network", [Reaching, ReachingWhenLoaded])
def test_torchscript_that_opens_files_is_not_run(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.jit.script(network()).save("net.pth")
    with pytest.raises(WeightsError, match=r"names '(from_file|save)', which can do more than compute"):
        load(tmp_path / "net.pth")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    "call", [b"ops.image.read_file(x)", b"__torch__.torch.classes.dist_c10d.Store", b"rpc_sync(x)"]
)
def test_operators_of_other_libraries_are_more_than_computing(call):
    assert REACHING.search(b"    _0 = " + call)
    assert not REACHING.search(b"    _0 = ops.quantized.linear(x, torch.classes.quantized.P)\n    _1 = torch.saved(x)")


@pytest.mark.parametrize("name", ["net.pth", "net.onnx", "net.safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><title>Sign in</title>", "is text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"7767517\n75 83\n", "ncnn"),
        (b"\x12\x01\0\0\0\0\0\0\0", "mxnet"),
    ],
)
def test_what_is_no_network_is_called_by_its_name(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load(tmp_path / name)


def test_bytes_of_no_known_kind(tmp_path):
    (tmp_path / "net.bin").write_bytes(b"\x47\x6b\x30\x01" + bytes(40))
    with pytest.raises(WeightsError, match=r"is no file of weights \(it begins with 47 6b"):
        load(tmp_path / "net.bin")


def test_advice_to_load_without_safeguard_is_not_passed_on(tmp_path):
    torch.save({"net": Hostile()}, tmp_path / "net.pth")
    with pytest.raises(WeightsError) as caught:
        load(tmp_path / "net.pth")
    assert "weights_only" not in str(caught.value)


def test_pictures_too_narrow_for_the_input_are_not_stretched():
    assert fit(torch.zeros(1, 3, 112, 112), (112, 96)).shape == (1, 3, 112, 96)
    with pytest.raises(ValueError, match="pictures of 112×96 are too narrow for an input of 112×112"):
        fit(torch.zeros(1, 3, 112, 96), (112, 112))
