"""Vision transformers of other toolkits: timm's (StableRep's) and CLIP's (FaRL's), built from their state dicts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.models.foreign.networks import Built, State

HEAD = 64  # numbers of an attention head, in both; no weight tells it


class QuickGelu(nn.Module):
    """x σ(1.702 x), CLIP's activation (openai/CLIP)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x), over tokens [B, N, D]."""

    def __init__(self, width: int, hidden: int, activation: nn.Module, eps: float) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.activation, self.down = nn.Linear(width, hidden), activation, nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(self.activation(self.up(self.norm2(x))))


class VisionTransformer(nn.Module):
    """[B, 3, S, S] to the class token after the last norm, [B, D] (Dosovitskiy et al. 2021).

    before: whether tokens are normalised before the first block and patches have no bias, as in CLIP.
    first: the axes of length one before the class token (timm writes it [1, 1, D], CLIP [D]).
    """

    def __init__(
        self, side: int, patch: int, width: int, hidden: int, depth: int, before: bool, first: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.input_hw = (side, side)
        eps, activation = (1e-5, QuickGelu()) if before else (1e-6, nn.GELU())
        self.patches = nn.Conv2d(3, width, patch, patch, bias=not before)
        self.token = nn.Parameter(torch.empty(*first, width))
        self.place = nn.Parameter(torch.empty(*first[:1], (side // patch) ** 2 + 1, width))
        self.before = nn.LayerNorm(width, eps) if before else nn.Identity()
        self.blocks = nn.Sequential(*(Block(width, hidden, activation, eps) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        token = self.token.reshape(1, 1, -1).expand(len(x), -1, -1)
        tokens = torch.cat([token, patches], dim=1) + self.place.reshape(1, *self.place.shape[-2:])
        return self.norm(self.blocks(self.before(tokens))[:, 0])


def timm_vit(state: State) -> Built:
    """timm's ViT without a classifier; StableRep's encoder (under ``visual.``)."""
    network = _built(state, "patch_embed.proj.weight", "pos_embed", "blocks", "mlp.fc1.weight", False, (1, 1))
    names = {"": "", "patches": "patch_embed.proj", "token": "cls_token", "place": "pos_embed", "norm": "norm"}
    layers = {"norm1": "norm1", "qkv": "attn.qkv", "out": "attn.proj", "norm2": "norm2"}
    return network, names | _blocks(network, "blocks", {**layers, "up": "mlp.fc1", "down": "mlp.fc2"})


def clip_vit(state: State) -> Built:
    """The tower of pictures of CLIP and FaRL (under ``visual.``) up to its last norm: the projection towards the text
    is a head, as is what FaRL adds to predict masked patches.
    """
    above = "transformer.resblocks"
    network = _built(state, "conv1.weight", "positional_embedding", above, "mlp.c_fc.weight", True, ())
    names = {"": "", "patches": "conv1", "token": "class_embedding", "place": "positional_embedding"}
    names |= {"before": "ln_pre", "norm": "ln_post"}
    layers = {"norm1": "ln_1", "out": "attn.out_proj", "norm2": "ln_2", "up": "mlp.c_fc", "down": "mlp.c_proj"}
    names |= _blocks(network, above, layers)
    for number in range(len(network.blocks)):
        names |= {f"blocks.{number}.qkv.{leaf}": f"{above}.{number}.attn.in_proj_{leaf}" for leaf in ("weight", "bias")}
        names[f"blocks.{number}.qkv"] = f"{above}.{number}.attn"
    return network, names


def _built(
    state: State, patches: str, place: str, blocks: str, up: str, before: bool, first: tuple[int, ...]
) -> VisionTransformer:
    width, _, patch, _ = state[patches].shape if patches in state and state[patches].ndim == 4 else (768, 3, 16, 16)
    tokens = state[place].shape[-2] if place in state and state[place].ndim >= 2 else 197
    side = patch * max(1, round((tokens - 1) ** 0.5))
    numbers = {key[len(blocks) + 1 :].partition(".")[0] for key in state if key.startswith(f"{blocks}.")}
    one = f"{blocks}.0.{up}"
    hidden = state[one].shape[0] if one in state else 4 * width
    depth = sum(number.isdigit() for number in numbers) or 12
    return VisionTransformer(side, patch, width, hidden, depth, before, first)


def _blocks(network: VisionTransformer, above: str, layers: dict[str, str]) -> dict[str, str]:
    return {
        f"blocks.{number}.{ours}": f"{above}.{number}.{theirs}"
        for number in range(len(network.blocks))
        for ours, theirs in layers.items()
    }
