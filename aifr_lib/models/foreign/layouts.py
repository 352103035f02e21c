"""Which network a plain state dict belongs to: compared key by key and shape by shape with the known layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from aifr_lib.models.foreign import networks as networks
from aifr_lib.models.foreign import pcl, transformers
from aifr_lib.models.foreign.networks import Built, State
from aifr_lib.models.weights import WeightsError, differences
from aifr_lib.names import choose


@dataclass(frozen=True)
class Layout:
    """Whose names these are, the builder of the network they name, and what that toolkit feeds it (a card's values).

    when: what the whole file must show for this layout to be tried, where keys and shapes alone look like
    another's. A card may name it all the same.
    """

    source: str
    build: Callable[[State], Built]
    card: Mapping[str, Any] = field(default_factory=dict)
    when: Callable[[State], bool] = lambda state: True


HALF = {"mean": 127.5, "std": 127.5}
CLIP = {
    "input_hw": (224, 224),
    "mean": (122.7709383, 116.7460125, 104.09373615),
    "std": (68.5005327, 66.6321579, 70.32316305),
}
IMAGENET = {"input_hw": (224, 224), "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

# The more particular before the more general: the first of several that fit is taken.
LAYOUTS: dict[str, Layout] = {
    "aifr-iresnet": Layout("this library", networks.ours_iresnet),
    "aifr-mobilefacenet": Layout("this library", networks.ours_mobilefacenet),
    "insightface-iresnet": Layout("insightface recognition/arcface_torch", networks.insightface_iresnet, HALF),
    "insightface-mbf": Layout("insightface recognition/arcface_torch", networks.insightface_mbf, HALF),
    "adaface-ir": Layout(
        "mk-minchul/AdaFace",
        networks.ir,
        {**HALF, "colour": "bgr"},
        when=lambda state: any(key.startswith("head.kernel") for key in state),
    ),
    "ir": Layout("Tencent/TFace, CVLface, CurricularFace, Hzzone/MTLFace", networks.ir, HALF),
    "mobilefacenet": Layout(
        "TreB1eN/InsightFace_Pytorch, Tencent/TFace",
        networks.named_mobilefacenet,
        {**HALF, "colour": "bgr", "normalised": True},
    ),
    "mobilefacenet-xiaoccer": Layout("Xiaoccer/MobileFaceNet_Pytorch", networks.numbered_mobilefacenet),
    "vggface2-resnet": Layout(
        "cydonia999/VGGFace2-pytorch",
        networks.caffe_resnet,
        {"input_hw": (224, 224), "colour": "bgr", "mean": (91.4953, 103.8827, 131.0912), "std": 1.0},
        when=lambda state: any(key.endswith("fc.weight") and len(value) == 8631 for key, value in state.items()),
    ),
    "torchvision-resnet": Layout(
        "torchvision, MoCo, SwAV, Barlow Twins, 1adrianb/unsupervised-face-representation",
        networks.torchvision_resnet,
        IMAGENET,
    ),
    "torchvision-resnet-fc": Layout(
        "torchvision, its last layer the embedding", networks.torchvision_resnet_fc, IMAGENET, when=lambda state: False
    ),
    "timm-vit": Layout("timm, google-research/syn-rep-learn (StableRep)", transformers.timm_vit, IMAGENET),
    "clip-vit": Layout("openai/CLIP, FacePerceiver/FaRL: the tower of pictures", transformers.clip_vit, CLIP),
    "pcl": Layout("DreamMr/PCL, its branch of expression", pcl.pcl, {"input_hw": (64, 64), "mean": 0.0, "std": 255.0}),
}

# Names that training programmes wrap a network in, as the first parts of its keys.
WRAPPERS = (
    "module",
    "_orig_mod",
    "model",
    "net",
    "network",
    "backbone",
    "encoder",
    "encoder_q",
    "base_encoder",
    "teacher",
    "base_net",
    "visual",
)
# What stands beside a network for its training alone.
HEADS = re.compile(
    r"(fc|head|heads|classifier|logits|linear_classifier|projection_head|projector|predictor|prototypes|queue|queue_ptr"
    r"|margin|product|loss|criterion|proj|lm_transformer|ln_lm|lm_head|mask_token|layer3_2_pose)\b"
)


@dataclass(frozen=True)
class Match:
    """A state dict held against one layout.

    network: built on torch's meta device, without weights. values: the weights under the network's own names.
    names: the name of each in the file, without the prefix.
    card: what the layout feeds it, with the input size that the weights tell. left_out: keys of the file that no
    embedding needs. missing, unexpected, shapes: the differences, in the names of the file.
    """

    layout: str
    prefix: str
    network: nn.Module
    values: dict[str, Tensor]
    names: dict[str, str]
    card: dict[str, Any]
    left_out: list[str]
    missing: list[str]
    unexpected: list[str]
    shapes: list[str]

    @property
    def distance(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.shapes)

    def __str__(self) -> str:
        under = f" under '{self.prefix}'" if self.prefix else ""
        return f"{self.layout}{under} ({LAYOUTS[self.layout].source})"


def find(state: State, what: str, layout: str | None = None) -> Match:
    """The layout that ``state`` fits, key by key and shape by shape; ``layout``: only that one.

    Errors: ConfigError for an unknown layout; WeightsError, beginning with ``what``, that names the nearest
    layout and each key that differs.
    """
    if layout is not None:
        choose("layout", layout, LAYOUTS)
    names = [name for name, one in LAYOUTS.items() if (layout or name) == name and (layout or one.when(state))]
    matches = []
    for name, prefix in product(names, prefixes(state)):
        matches.append(compare(state, name, prefix))
        if matches[-1].distance == 0:
            return matches[-1]
    nearest = min(matches, key=lambda match: match.distance)
    least = {name: min(match.distance for match in matches if match.layout == name) for name in names}
    further = ", ".join(f"{name} ({least[name]})" for name in sorted(names, key=least.__getitem__)[1:4])
    raise WeightsError(
        f"{what} fits {f'not the layout {layout}' if layout else 'no layout known here'}. Nearest is {nearest}, "
        f"from which {nearest.distance} key{'s differ' if nearest.distance > 1 else ' differs'}:\n"
        + differences(nearest.missing, nearest.unexpected, nearest.shapes)
        + (f"\nthen, by how many keys: {further}" if further else "")
    )


def compare(state: State, layout: str, prefix: str = "") -> Match:
    """Hold what stands under ``prefix`` in ``state`` against ``layout``."""
    under = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    with torch.device("meta"):
        network, names = LAYOUTS[layout].build(under)
    values, keys, missing, shapes = {}, {}, [], []
    for ours, wanted in network.state_dict().items():
        layer, _, leaf = ours.rpartition(".")
        # A single weight may have a name of its own there.
        key = names.get(ours) or ".".join(filter(None, (names[layer], leaf)))
        keys[ours] = key
        if key in under:
            found = under[key]
            # A 1×1 convolution over one pixel is a linear layer.
            extra = found.shape[wanted.ndim :]
            if found.shape[: wanted.ndim] == wanted.shape and extra.numel() == 1:
                values[ours] = found.reshape(wanted.shape)
            else:
                shapes.append(f"{prefix}{key} {list(found.shape)} instead of {list(wanted.shape)}")
        elif leaf == "num_batches_tracked":  # PyTorch before 0.4.1 did not count, and no embedding needs it.
            values[ours] = torch.zeros((), dtype=torch.long)
        else:
            missing.append(prefix + key)
    used = set(keys.values())
    rest = [key for key in under if key not in used]
    heads = {prefix + key for key in rest if HEADS.match(key)}
    return Match(
        layout=layout,
        prefix=prefix,
        network=network,
        values=values,
        names=keys,
        card={**LAYOUTS[layout].card, **({"input_hw": network.input_hw} if hasattr(network, "input_hw") else {})},
        left_out=[key for key in state if not key.startswith(prefix) or key in heads],
        missing=missing,
        unexpected=[prefix + key for key in rest if prefix + key not in heads],
        shapes=shapes,
    )


def prefixes(state: State) -> list[str]:
    """The beginnings of keys that are made of WRAPPERS alone, the shortest (none at all) first."""
    found = {""}
    for key in state:
        parts = key.split(".")
        for count, part in enumerate(parts[:-1], start=1):
            if part not in WRAPPERS:
                break
            found.add(".".join(parts[:count]) + ".")
    return sorted(found, key=lambda prefix: (len(prefix), prefix))
