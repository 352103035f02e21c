"""What a network expects of a picture: a small card, kept in a YAML file beside its weights.

``FILE.yaml`` beside ``FILE`` says what the weights alone cannot: size of the input, order of the colours,
scaling. What it leaves out is taken from the layout of the weights, and the command line has the last word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import yaml
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.files import atomic_write
from aifr_lib.models.weights import read_metadata
from aifr_lib.names import ConfigError, Strict, validate


def _three(value: Any) -> Any:
    """One number stands for all three channels."""
    return (value,) * 3 if isinstance(value, int | float) else value


Channels = Annotated[tuple[float, float, float], BeforeValidator(_three)]
PositiveChannels = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
    BeforeValidator(_three),
]


class Card(Strict):
    """How pictures enter a network and how its embeddings are used.

    Levels 0 … 255 enter as (level − mean) / std; mean and std are one number, or three in the order of
    ``colour``. Our own networks: RGB, (x − 127.5) / 128 (TML section IV-B).
    """

    layout: str | None = Field(None, description="names of a state dict's keys; None: found by comparing")
    input_hw: tuple[int, int] = Field((112, 112), description="height and width of the input")
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: Channels = (127.5, 127.5, 127.5)
    std: PositiveChannels = (128.0, 128.0, 128.0)
    flip: bool = Field(True, description="add the embedding of the mirrored picture (P1)")
    normalised: bool = Field(False, description="each embedding has length 1 before the mirrored one is added")
    output: str | None = Field(None, description="which of several outputs of an ONNX file is the embedding")
    embedding: int | None = Field(None, ge=2, description="dimensions of the embedding; others are refused")

    def __str__(self) -> str:
        height, width = self.input_hw
        scaling = f"(x − {_short(self.mean)}) / {_short(self.std)}"
        after = f"{', length 1' if self.normalised else ''}, {'f(x) + f(mirrored x)' if self.flip else 'f(x) alone'}"
        return f"{height}×{width} {self.colour.upper()}, {scaling}{after}"


def card_path(weights: str | Path) -> Path:
    """Where the card of a file of weights lies: FILE.yaml beside FILE."""
    return Path(f"{weights}.yaml")


def read_card(weights: str | Path) -> dict[str, Any]:
    """The keys that the card beside ``weights`` sets, over those of a card in the header of our own ``.safetensors``.

    Errors: ConfigError that names the card for what is no mapping, an unknown key (with the nearest valid
    one) or a value of the wrong type.
    """
    path, header = card_path(weights), _in_header(Path(weights))
    if not path.is_file():
        return header
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold keys and values, such as 'colour: bgr'")
    validate(Card, values, str(path))
    return {**header, **values}


def _in_header(path: Path) -> dict[str, Any]:
    held = read_metadata(path).get("card") if path.suffix == ".safetensors" else None
    return {} if held is None else validate(Card, json.loads(held), str(path)).model_dump(exclude_unset=True)


def write_card(weights: str | Path, card: Card) -> Path:
    """Write ``card`` beside ``weights``, without the layout: the file holds one network."""
    path = card_path(weights)
    values = card.model_dump(mode="json", exclude={"layout"}, exclude_none=True)
    for name in ("mean", "std"):
        values[name] = values[name][0] if len(set(values[name])) == 1 else values[name]
    with atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False, default_flow_style=None), encoding="utf-8")
    return path


def settle(defaults: Mapping[str, Any], beside: Mapping[str, Any], given: Mapping[str, Any], what: str) -> Card:
    """The card in force: the defaults of the layout, over them the card beside the file, over that ``given``."""
    return validate(Card, {**defaults, **beside, **given}, what)


def fit(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """Pictures float [B, C, H, W] at a network's input: the middle columns of its aspect, resized.

    Errors: ValueError for pictures narrower than that, whose faces would be stretched.
    """
    height, width = x.shape[-2:]
    wanted = round(height * hw[1] / hw[0])
    if width < wanted:
        raise ValueError(
            f"pictures of {height}×{width} are too narrow for an input of {hw[0]}×{hw[1]}, which would stretch the "
            "faces: align the photographs at 112x112 ('aifr align --size')"
        )
    left = (width - wanted) // 2
    x = x[..., left : left + wanted]
    if tuple(x.shape[-2:]) == tuple(hw):
        return x
    return F.interpolate(x, size=tuple(hw), mode="bilinear", antialias=True, align_corners=False)


class Carded(nn.Module):
    """A network behind its card: pictures as ``to_input`` gives them, of any size, to embeddings [B, D].

    Errors: ValueError where the network gives no [B, D], or another D than the card says.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, card: Card, name: str = "the network") -> None:
        super().__init__()
        self.network, self.card, self.name = network, card, name
        self.register_buffer("mean", torch.tensor(card.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(card.std).view(3, 1, 1))

    def prepare(self, x: Tensor) -> Tensor:
        """What the network itself is given."""
        # Exact: 128 is a power of two, so the levels come back as they were.
        levels = fit(x * 128 + 127.5, self.card.input_hw)
        if self.card.colour == "bgr":
            levels = levels.flip(1)
        return (levels - self.mean.to(x.device)) / self.std.to(x.device)

    def forward(self, x: Tensor) -> Tensor:
        out = self.network(self.prepare(x))
        if not isinstance(out, Tensor):
            kind = f"{len(out)} values" if isinstance(out, tuple | list) else type(out).__name__
            raise ValueError(f"{self.name} gives {kind}, not one embedding: save it so that it returns that alone")
        if out.ndim > 2 and out.shape[2:].numel() == 1:
            out = out.flatten(1)
        if out.ndim != 2 or len(out) != len(x):
            raise ValueError(f"{self.name} gives {list(out.shape)} for {len(x)} pictures, not [{len(x)}, D]")
        if self.card.embedding not in (None, out.shape[1]):
            raise ValueError(
                f"{self.name} gives {out.shape[1]} dimensions, but its card says embedding: {self.card.embedding}"
            )
        return F.normalize(out) if self.card.normalised else out


def _short(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else f"({', '.join(f'{value:g}' for value in values)})"
