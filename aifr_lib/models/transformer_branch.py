"""The training-only branch of the transformer-metric loss (TML): the last map read as tokens."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from aifr_lib.names import ConfigError, nearest

POS_ENCODINGS = ("none", "sinusoidal", "learned")


def sinusoids(tokens: int, channels: int) -> Tensor:
    """Position code ``[tokens, channels]`` of Vaswani et al. 2017, section 3.5: sines even, cosines odd."""
    position = torch.arange(tokens)[:, None]
    rate = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    return torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=2).flatten(1)


class TransformerBranch(nn.Module):
    """Map O_f ``[B, channels, h, w]`` to the branch's embedding T_eps ``[B, channels]`` (TML eqs. 6 to 8).

    Each of the h * w cells is one token (eq. 3). Six layers of eight heads are the paper's; the feed-forward
    width 2048, ReLU, dropout .1 and norm after each addition are inferred from Vaswani et al. 2017, whose
    encoder the paper calls standard. 18,914,304 parameters at 512 channels without position code.

    tokens: h * w of the map, 49 for 112 x 112 faces and 42 for 112 x 96. pos_encoding: the paper names none,
    and without one the branch cannot tell the order of the tokens, of which the paper speaks; "sinusoidal"
    and "learned" number the cells row by row. Initialisation (inferred): Xavier uniform matrices, zero
    biases, learned positions N(0, .02). Errors: ConfigError for an unknown ``pos_encoding``, channels that
    do not divide among the heads, a map of one cell or no layers; ValueError for a map that has not ``tokens`` cells.
    """

    def __init__(
        self,
        channels: int,
        layers: int = 6,
        heads: int = 8,
        feedforward: int = 2048,
        dropout: float = 0.1,
        tokens: int = 49,
        pos_encoding: Literal["none", "sinusoidal", "learned"] = "none",
    ) -> None:
        super().__init__()
        if pos_encoding not in POS_ENCODINGS:
            raise ConfigError(f"unknown pos_encoding '{pos_encoding}'{nearest(pos_encoding, POS_ENCODINGS)}")
        if channels % heads or channels % 2:
            raise ConfigError(f"{channels} channels do not divide among {heads} heads (and must be even)")
        if tokens < 2:
            raise ConfigError(
                "a map of one cell leaves a branch nothing to relate: take a larger input_hw, or a backbone that keeps "
                "more cells, such as mobilefacenet-fine"
            )
        if layers < 1:
            raise ConfigError(f"layers {layers}: an encoder has at least one")
        self.channels = channels
        self.tokens = tokens
        self.encoder = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(channels, heads, feedforward, dropout, batch_first=True)
                for _ in range(layers)
            )
        )
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for layer in self.encoder.modules():
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.position: Tensor | None
        if pos_encoding == "learned":
            self.position = nn.Parameter(torch.empty(tokens, channels))
            nn.init.normal_(self.position, std=0.02)
        else:
            code = sinusoids(tokens, channels) if pos_encoding == "sinusoidal" else None
            self.register_buffer("position", code, persistent=False)

    def freeze(self) -> TransformerBranch:
        """Leave the encoder, and learned positions, as they were drawn at random: a control of ours."""
        return self.requires_grad_(False)

    def tokens_of(self, features: Tensor) -> Tensor:
        """V_f ``[B, h * w, channels]``: the cells row by row, with their positions where there are any (eq. 3)."""
        height, width = features.shape[2:]
        if height * width != self.tokens:
            raise ValueError(
                f"the map has {height}x{width} = {height * width} cells, the branch was built for "
                f"{self.tokens} tokens; build it with tokens = height * width of the backbone's feature_hw"
            )
        sequence = features.flatten(2).transpose(1, 2)
        return sequence if self.position is None else sequence + self.position

    def encode(self, features: Tensor) -> Tensor:
        """T_S ``[B, h * w, channels]``: the encoded tokens in row-major order (eqs. 6, 7)."""
        return self.encoder(self.tokens_of(features))

    def attention(self, features: Tensor) -> list[Tensor]:
        """Of each layer the weights ``[B, h * w, h * w]``, the mean over heads; row i: what token i takes from each."""
        sequence, found = self.tokens_of(features), []
        for layer in self.encoder:
            assert isinstance(layer, nn.TransformerEncoderLayer)
            found.append(layer.self_attn(sequence, sequence, sequence, need_weights=True)[1])
            sequence = layer(sequence)
        return found

    def forward(self, features: Tensor) -> Tensor:
        """T_eps, the mean over tokens (eq. 8; the printed sum runs from 0 to S_f, one term too many)."""
        return self.encode(features).mean(1)


class MeanBranch(nn.Module):
    """The branch without its encoder: eq. 8 of the cells of O_f ``[B, channels, h, w]``, ``[B, channels]``.

    A control of ours: what is left is a second classifier over the mean of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))
