"""Networks of other toolkits, built from the sizes in their state dicts, and the names of their layers there.

Each builder takes a state dict and returns the network it belongs to (ours, changed where the other differs)
and a table: layer of the network → its name in the file. For a dict of another layout it builds the usual
size. Names and architectures were read off the public repositories that ``layouts.LAYOUTS`` names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.resnet import Bottleneck as ResNetBottleneck

from aifr_lib.models.blocks import STRIDE
from aifr_lib.models.iresnet import UNITS, IResNet
from aifr_lib.models.mobilefacenet import Bottleneck, MobileFaceNet, conv, stage

State = Mapping[str, Tensor]
Names = dict[str, str]
Built = tuple[nn.Module, Names]


def ours_iresnet(state: State) -> Built:
    network = _iresnet(state, [_count(state, f"stages.{part}.") for part in range(4)], "stem.0", "fc")
    return network, _same(network)


def ours_mobilefacenet(state: State) -> Built:
    network = _mobilefacenet(state, "stem.0", "pool.0", "fc")
    return network, _same(network)


def insightface_iresnet(state: State) -> Built:
    network = _iresnet(state, [_count(state, f"layer{part}.") for part in range(1, 5)], "conv1", "fc")
    names = {"stem.0": "conv1", "stem.1": "bn1", "stem.2": "prelu", "last": "bn2", "fc": "fc", "norm": "features"}
    layers = ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")
    for unit, file in _units(network, lambda part, unit: f"layer{part + 1}.{unit}"):
        names |= {f"{unit}.layers.{n}": f"{file}.{layer}" for n, layer in enumerate(layers)}
        names |= {f"{unit}.shortcut.{n}": f"{file}.downsample.{n}" for n in range(2)}
    return network, names


def ir(state: State) -> Built:
    """The "IR" networks: IResNet whose first shortcut takes every second pixel as it is.

    Units are numbered through (body.N), by MTLFace by stage (blockS.N). Older ones have no batch norm between the
    first convolution and its PReLU; "SE" ones end each unit in a SqueezeExcite; some keep the last batch norm
    without scale and shift.
    """
    by_stage = "block1.0.res_layer.0.weight" in state
    if by_stage:
        units = [_count(state, f"block{part}.") for part in range(1, 5)]
    else:
        # A stage begins where the channels change, the first one with the first unit.
        total = _count(state, "body.")
        starts = [0, *(n for n in range(1, total) if f"body.{n}.shortcut_layer.0.weight" in state)]
        units = [end - start for start, end in zip(starts, [*starts[1:], total], strict=True)]
    network = _iresnet(state, units, "input_layer.0", "output_layer.3")
    network.stages[0][0].shortcut = nn.MaxPool2d(1, 2)  # type: ignore[index]
    _plain_norm(network, state, "output_layer.4")
    first = "block1.0.res_layer" if by_stage else "body.0.res_layer"
    older = f"{first}.2.weight" in state and f"{first}.2.running_mean" not in state
    length = 5 if older else 6
    excite = next((name for name in ("se_block", str(length)) if f"{first}.{name}.fc1.weight" in state), None)
    names = {f"stem.{n}": f"input_layer.{n}" for n in range(3)}
    names |= {"last": "output_layer.0", "fc": "output_layer.3", "norm": "output_layer.4"}
    before = [sum(len(part) for part in network.stages[:n]) for n in range(4)]  # type: ignore[arg-type, misc]
    for unit, file in _units(
        network, lambda part, unit: f"block{part + 1}.{unit}" if by_stage else f"body.{before[part] + unit}"
    ):
        layers = network.get_submodule(f"{unit}.layers")
        assert isinstance(layers, nn.Sequential)
        channels = int(network.get_submodule(f"{unit}.layers.5").num_features)  # type: ignore[arg-type]
        if older:
            del layers[2]
        names |= {f"{unit}.layers.{n}": f"{file}.res_layer.{n}" for n in range(length)}
        names |= {f"{unit}.shortcut.{n}": f"{file}.shortcut_layer.{n}" for n in range(2)}
        if excite is not None:
            hidden = _size(state, f"{first}.{excite}.fc1.weight", 0, 4) * 8 * channels // network.feature_channels
            layers.append(SqueezeExcite(channels, hidden))
            names |= {f"{unit}.layers.{length}.{fc}": f"{file}.res_layer.{excite}.{fc}" for fc in ("fc1", "fc2")}
    return network, names


class SqueezeExcite(nn.Module):
    """Channels weighted by σ(W₂ relu(W₁ mean)), without biases (Hu et al. 2018, arXiv 1709.01507, eqs. 2–4)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


def named_mobilefacenet(state: State) -> Built:
    """MobileFaceNet with its parts named conv1, conv_23, conv_3, …; in some the head stands under output_layer."""
    head = "output_layer." if "output_layer.linear.weight" in state else ""
    network = _mobilefacenet(state, "conv1.conv", f"{head}conv_6_dw.conv", f"{head}linear")
    _plain_norm(network, state, f"{head}bn")
    names = _block("stem", "conv1") | _block("stages.0", "conv2_dw") | _block("last", "conv_6_sep")
    names |= {"pool.0": f"{head}conv_6_dw.conv", "pool.1": f"{head}conv_6_dw.bn"}
    names |= {"fc": f"{head}linear", "norm": f"{head}bn"}
    for unit, file in _units(
        network, lambda part, unit: f"conv_{part + 2}.model.{unit - 1}" if unit else f"conv_{part + 1}{part + 2}"
    ):
        names |= _block(f"{unit}.layers.0", f"{file}.conv") | _block(f"{unit}.layers.1", f"{file}.conv_dw")
        names |= {f"{unit}.layers.2": f"{file}.project.conv", f"{unit}.layers.3": f"{file}.project.bn"}
    return network, names


def numbered_mobilefacenet(state: State) -> Built:
    """MobileFaceNet with its bottlenecks numbered through (blocks.N) and a 1×1 convolution as the last layer."""
    network = _mobilefacenet(state, "conv1.conv", "linear7.conv", "linear1.conv")
    names = _block("stem", "conv1") | _block("stages.0", "dw_conv1") | _block("last", "conv2")
    names |= {"pool.0": "linear7.conv", "pool.1": "linear7.bn", "fc": "linear1.conv", "norm": "linear1.bn"}
    for unit, file in _units(network, lambda part, unit: f"blocks.{(0, 0, 5, 12)[part] + unit}"):
        for part in range(2):
            names |= {f"{unit}.layers.{part}.{n}": f"{file}.conv.{3 * part + n}" for n in range(3)}
        names |= {f"{unit}.layers.{n}": f"{file}.conv.{n + 4}" for n in (2, 3)}
    return network, names


def insightface_mbf(state: State) -> Built:
    """insightface's "mbf": MobileFaceNet with twice the channels (mbf_large: four times) between its bottlenecks."""
    wide = _size(state, "layers.0.layers.0.weight", 0, 128)
    chain = _count(state, "layers.1.layers.1.layers.") > 0
    counts = [_count(state, f"layers.{n}.layers.") or usual for n, usual in ((1, 1), (3, 4), (5, 6), (7, 2))]
    network = MobileFaceNet(embedding=_size(state, "features.layers.2.weight", 0, 512), bias=False)
    network.stem = conv(3, wide, 3, stride=2)
    network.stages = nn.Sequential(
        nn.Sequential(*(Bottleneck(wide, 128, wide, stride=1) for _ in range(counts[0])))
        if chain
        else conv(wide, wide, 3, groups=wide // _size(state, "layers.1.layers.0.weight", 1, 2)),
        stage(wide, wide, 128, 128, counts[1]),
        stage(wide, 2 * wide, 256, 256, counts[2]),
        stage(2 * wide, 2 * wide, 512, 256, counts[3]),
    )
    network.last = conv(2 * wide, 512, 1)
    names = {"fc": "features.layers.2", "norm": "features.layers.3"}
    for ours, theirs in (("stem", "layers.0"), ("stages.0", "layers.1"), ("last", "conv_sep")):
        names |= {f"{ours}.{n}": f"{theirs}.layers.{n}" for n in range(3)}
    names |= {f"pool.{n}": f"features.layers.0.layers.{n}" for n in range(2)}
    for unit, file in _units(
        network,
        lambda part, unit: (
            f"layers.{2 * part + 1}.layers.{unit - (part > 0)}" if unit or not part else f"layers.{2 * part}"
        ),
        first=0 if chain else 1,
    ):
        for part in range(2):
            names |= {f"{unit}.layers.{part}.{n}": f"{file}.layers.{part}.layers.{n}" for n in range(3)}
        names |= {f"{unit}.layers.{2 + n}": f"{file}.layers.2.layers.{n}" for n in range(2)}
    return network, names


def torchvision_resnet_fc(state: State) -> Built:
    units = [_count(state, f"layer{part}.") for part in range(1, 5)]
    basic = "layer1.0.conv2.weight" in state and "layer1.0.conv3.weight" not in state
    network = ResNet(BasicBlock if basic else ResNetBottleneck, units if min(units) else [3, 4, 6, 3])
    network.fc = nn.Linear(network.fc.in_features, _size(state, "fc.weight", 0, 1000), bias="fc.bias" in state)
    return network, _same(network)


def torchvision_resnet(state: State) -> Built:
    """torchvision's ResNets up to the pooled map (512 or 2048 numbers)."""
    network, names = torchvision_resnet_fc(state)
    network.fc = nn.Identity()
    return network, names


def caffe_resnet(state: State) -> Built:
    """ResNets ported from Caffe: the stride in the first 1×1 convolution, the pooling cut at the far edge."""
    network, names = torchvision_resnet(state)
    network.maxpool = nn.MaxPool2d(3, 2, 0, ceil_mode=True)
    for block in network.modules():
        if isinstance(block, ResNetBottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return network, names


def _same(network: nn.Module) -> Names:
    return {name: name for name, _ in network.named_modules()}


def _count(state: State, before: str) -> int:
    """How many numbered parts stand under ``before``: with layer1.0.… and layer1.1.… two under "layer1."."""
    parts = {key[len(before) :].partition(".")[0] for key in state if key.startswith(before)}
    return sum(part.isdigit() for part in parts)


def _size(state: State, key: str, axis: int, usual: int) -> int:
    """The length of an axis of a weight, or the usual one where there is no such weight or axis."""
    return state[key].shape[axis] if key in state and state[key].ndim > axis else usual


def _units(
    network: IResNet | MobileFaceNet, name: Callable[[int, int], str], first: int | None = None
) -> Iterator[tuple[str, str]]:
    """Each unit of the stages beside ``name(stage, unit)``; a MobileFaceNet's first stage has none."""
    first = int(isinstance(network, MobileFaceNet)) if first is None else first
    for part in range(first, 4):
        for unit in range(len(network.stages[part])):  # type: ignore[arg-type]
            yield f"stages.{part}.{unit}", name(part, unit)


def _block(ours: str, theirs: str) -> Names:
    return {f"{ours}.{n}": f"{theirs}.{layer}" for n, layer in enumerate(("conv", "bn", "prelu"))}


def _plain_norm(network: IResNet | MobileFaceNet, state: State, name: str) -> None:
    """A last batch norm without scale and shift, where the file has none."""
    if f"{name}.running_mean" in state and f"{name}.weight" not in state:
        network.norm = nn.BatchNorm1d(network.embedding, affine=False)


def _iresnet(state: State, units: list[int], stem: str, fc: str) -> IResNet:
    width = _size(state, f"{stem}.weight", 0, 64) / 64
    cells = max(1, _size(state, f"{fc}.weight", 1, 25088) // max(8, int(512 * width)))
    side = STRIDE * round(cells**0.5)
    return IResNet(
        units if len(units) == 4 and min(units) else UNITS["iresnet50"],
        {42: (112, 96)}.get(cells, (side, side)),
        _size(state, f"{fc}.weight", 0, 512),
        width,
        dropout=0.0,
    )


def _mobilefacenet(state: State, stem: str, pool: str, fc: str) -> MobileFaceNet:
    height, width = (_size(state, f"{pool}.weight", axis, 7) for axis in (2, 3))
    return MobileFaceNet(
        (STRIDE * height, STRIDE * width),
        _size(state, f"{fc}.weight", 0, 512),
        _size(state, f"{stem}.weight", 0, 64) / 64,
        bias=f"{fc}.bias" in state,
    )
