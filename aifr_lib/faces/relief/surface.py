"""Tools of a relief face: soft edges, hills and folds, noise, and the outline of the skull.

``x``, ``y`` (float32 [B, S, S]) are face coordinates, ``px`` is the side of a pixel in the same unit: every
edge is one pixel wide and every fold at least that, so that a face looks the same, only coarser, in a smaller
picture.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from aifr_lib.faces.relief.parameters import hash32

GRID = 32
# Exponents of two beyond this vanish in a float of light, and underflow makes exp2 ten times slower.
FAINT = 57.0
LOG2E = math.log2(math.e)


def edge(distance: Tensor, px: float | Tensor) -> Tensor:
    """1 where the distance is positive, 0 where negative, a ramp one pixel wide between."""
    return (distance / px + 0.5).clamp(0, 1)


def step(a: float | Tensor, b: float | Tensor, t: Tensor) -> Tensor:
    """Smooth step: 0 at a, 1 at b."""
    t = ((t - a) / (b - a)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def hill(distance: Tensor, size: float | Tensor) -> Tensor:
    """A Gaussian ridge of height 1 along distance = 0."""
    return falling(distance * distance * (-LOG2E / (size * size)))


def bump(dx: Tensor, dy: Tensor, sx: float | Tensor, sy: float | Tensor) -> Tensor:
    """A Gaussian hill of height 1."""
    across, along = -LOG2E / (sx * sx), -LOG2E / (sy * sy)
    both = dx * dx * across
    both = both + dy * dy * along if isinstance(along, Tensor) else torch.addcmul(both, dy, dy, value=along)
    return falling(both)


def falling(exponent: Tensor) -> Tensor:
    """2 to the power of an exponent that is not positive: a third of the time that powers of e take."""
    return torch.exp2(exponent.clamp(min=-FAINT))


def power(base: Tensor, exponent: float | Tensor) -> Tensor:
    """base ** exponent of a base that is not negative, in half the time."""
    return torch.exp2(torch.log2(base) * exponent)


def valley(distance: Tensor, width: float | Tensor, px: float | Tensor) -> Tensor:
    """A fold along distance = 0, never narrower than a pixel and the shallower for it."""
    a, b = (px * 0.8, width) if isinstance(px, Tensor) else (width, px * 0.8)
    broad = a.clamp(min=b) if isinstance(a, Tensor) else max(a, b)
    return (width / broad) * hill(distance, broad)


def lattice(seeds: Tensor, stream: int, channels: int) -> Tensor:
    """Random values in −1 … 1, float32 [B, channels, GRID, GRID], from each seed."""
    cells = torch.arange(channels * GRID * GRID, device=seeds.device).reshape(channels, GRID, GRID)
    return (hash32(seeds, stream, cells) >> 8).float() / 2**23 - 1


def noise(grid: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read one lattice channel [B, 1, GRID, GRID] at x, y: smooth noise, a feature every 2 / GRID."""
    return noises(grid, x, y)[0]


def noises(grid: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read all channels of a lattice [B, C, GRID, GRID] at x, y: [C, B, S, S]."""
    return sample(grid, torch.stack([x, y], -1), "reflection").transpose(0, 1)


def sample(field: Tensor, place: Tensor, padding: str = "border") -> Tensor:
    """Read [B, C, H, W] at places [B, S, T, 2] in −1 … 1, the centres of the corner cells: [B, C, S, T]."""
    if torch.compiler.is_compiling():
        return torch.ops.aifr_relief.sample(field, place, padding)
    return F.grid_sample(field, place, padding_mode=padding, align_corners=True)


# A compiler that takes the look-up apart makes it four times slower than torch's own, and takes minutes for it.
@torch.library.custom_op("aifr_relief::sample", mutates_args=())
def _sample(field: Tensor, place: Tensor, padding: str) -> Tensor:
    return F.grid_sample(field, place, padding_mode=padding, align_corners=True)


@_sample.register_fake
def _(field: Tensor, place: Tensor, padding: str) -> Tensor:
    return field.new_empty((*field.shape[:2], *place.shape[1:3]))


def skull(m: SimpleNamespace, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(half-width of the head at this height, depth of the smooth head).

    Widest above the ears, then over the cheekbones and the angle of the jaw to the chin.
    """
    u = m.unit
    temple, cheek, jaw = m.root_y - 22 * u, m.eye_y + 12 * u, m.rest_y - 1 * u
    up = ((temple - y) / (temple - m.top_y)).clamp(0, 1)
    narrowing = step(temple, cheek, y)
    t = ((y - cheek) / (jaw - cheek)).clamp(0, 2)
    below = ((y - jaw + 12 * u) / (m.chin_y - jaw + 12 * u)).clamp(0, 1)
    width = m.skull_w + (m.cheek_w - m.skull_w) * narrowing - (m.cheek_w - m.jaw_w) * power(t, 1.7) * 0.92
    width = width * (1 - power(up, 2.3)).clamp(min=1e-6).sqrt()
    width = width * power((1 - power(below, m.jaw_p)).clamp(min=1e-6), m.jaw_q)
    width = width + 0.6 * m.jowl * hill(below - 0.62, 0.2)
    low = ((y - temple) / (m.chin_y - temple)).clamp(0, 1)
    profile = (1 - power(up, 2.6)).clamp(min=1e-6).sqrt() * (1 - low**7).clamp(min=1e-6).sqrt()
    across = power((1 - power((x.abs() / width).clamp(0, 1), 2.1)).clamp(min=0), 0.52)
    return width, 0.56 * profile * across
