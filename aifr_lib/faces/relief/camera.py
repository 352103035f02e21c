"""The camera of a relief picture: exposure, white balance, lens, tone curve, sensor noise, JPEG."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from aifr_lib.faces.relief.light import beside
from aifr_lib.faces.relief.parameters import hash32
from aifr_lib.faces.relief.surface import power

# Quantisation tables of ITU-T T.81 (JPEG), annex K.1, for luminance and chrominance.
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, *[99] * 36,
)  # fmt: skip
STAIRS = 2  # passes of the smooth staircase


def _cosines() -> Tensor:
    n = torch.arange(8, dtype=torch.float64)
    rows = torch.cos((2 * n + 1) * n[:, None] * math.pi / 16) * 0.5
    rows[0] *= 0.5**0.5
    return torch.kron(rows, rows)


# The two-dimensional DCT-II of an 8 × 8 block as one orthogonal 64 × 64 matrix.
DCT = _cosines()


def develop(m: SimpleNamespace, lit: Tensor, size: int) -> Tensor:
    """Linear light [3, B, S, S] through lens and tone curve: grey levels 0 … 1 before noise and JPEG."""
    gains = torch.stack([m.balance_red, 0 * m.balance_red, m.balance_blue])
    lit = lit * torch.exp(m.exposure + gains)
    # Highlights roll off before the sensor is full.
    lit = lit * (1 + 0.22 * lit * lit).rsqrt()
    variance = (m.blur * size / 112) ** 2
    for by in (1, 2, 4):
        # Three taps with these side weights have this variance; wider ones take what is left.
        side = (variance / (2 * by * by)).clamp(max=0.25)
        variance = variance - 2 * by * by * side
        for axis in (2, 3):
            lit = lit * (1 - 2 * side) + side * (beside(lit, axis, by) + beside(lit, axis, -by))
    return power(lit.clamp(min=1e-4), torch.exp(m.contrast) / 2.2)


def expose(m: SimpleNamespace, grey: Tensor, seeds: Tensor) -> Tensor:
    """Noise, JPEG, eight bits: uint8 [B, S, S, 3]."""
    size = grey.shape[-1]
    cells = torch.arange(3 * size * size, device=seeds.device).reshape(3, size, size)
    bits = hash32(seeds, 8, cells)
    # The sum of two 16-bit halves is noise enough like a Gaussian: triangular, variance 1 after scaling.
    grain = ((bits & 0xFFFF) + (bits >> 16)).float() / 65536 - 1
    grey = (grey + 2.45 * m.noise * grain.transpose(0, 1)).clamp(0, 1) * 255
    grey = torch.where(m.quality < 100, jpeg(grey, m.quality), grey)
    return grey.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous()


def jpeg(rgb: Tensor, quality: Tensor) -> Tensor:
    """What baseline JPEG with halved colour leaves of [3, B, H, W] in 0 … 255, any H and W; quality [B, 1, 1].

    ITU-T T.81 with the annex K tables, scaled by quality in the manner of the Independent JPEG Group. The
    rounding of coefficients is a steep smooth staircase instead of steps: a last bit that differs between
    compilers then stays a last bit. Chroma returns by repetition.
    """
    r, g, b = rgb
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    blue, red = 0.564 * (b - luma), 0.713 * (r - luma)
    height, width = luma.shape[-2:]
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    luma = _blocks(luma - 128, LUMINANCE, scale) + 128
    blue, red = (
        _blocks(_halved(chroma), CHROMINANCE, scale)
        .repeat_interleave(2, -1)
        .repeat_interleave(2, -2)[..., :height, :width]
        for chroma in (blue, red)
    )
    return torch.stack([luma + red / 0.713, luma - (0.299 * red / 0.713 + 0.114 * blue / 0.564) / 0.587,
                        luma + blue / 0.564])  # fmt: skip


def _halved(plane: Tensor) -> Tensor:
    plane = _padded(plane, 2)
    return 0.25 * (plane[:, ::2, ::2] + plane[:, 1::2, ::2] + plane[:, ::2, 1::2] + plane[:, 1::2, 1::2])


def _padded(plane: Tensor, step: int) -> Tensor:
    height, width = plane.shape[-2:]
    return F.pad(plane.unsqueeze(1), (0, -width % step, 0, -height % step), mode="replicate").squeeze(1)


def _blocks(plane: Tensor, table: tuple[int, ...], scale: Tensor) -> Tensor:
    """One plane [B, H, W], coded and decoded in 8 × 8 blocks."""
    height, width = plane.shape[-2:]
    full = _padded(plane, 8)
    rows, columns = full.shape[-2] // 8, full.shape[-1] // 8
    cells = full.reshape(-1, rows, 8, columns, 8).permute(2, 4, 0, 1, 3).reshape(64, -1)
    # How a matrix product rounds may depend on the batch; in float64 that lies far below a step of float32.
    dct = DCT.to(plane.device)
    coded = (dct @ cells.double()).float().reshape(64, -1, rows * columns)
    steps = torch.tensor(table, dtype=torch.float32, device=plane.device).reshape(64, 1, 1)
    steps = (steps * scale.reshape(1, -1, 1)).clamp(1, 255)
    level = coded / steps
    for _ in range(STAIRS):
        level = level - torch.sin(2 * torch.pi * level) / (2 * torch.pi)
    decoded = (dct.T @ (level * steps).reshape(64, -1).double()).float()
    return decoded.reshape(8, 8, -1, rows, columns).permute(2, 3, 0, 4, 1).reshape(full.shape)[:, :height, :width]
