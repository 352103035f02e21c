"""Light on a relief face: slopes of the depth, one lamp, a weak one opposite, the sky, and shadows."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.pose import turned
from aifr_lib.faces.relief.scene import Layer
from aifr_lib.faces.relief.surface import sample

JUMP = 0.08  # a step of depth within one pixel that is another surface, not a slope
REACHES = (0.05, 0.10, 0.17, 0.27)


def beside(field: Tensor, axis: int, by: int) -> Tensor:
    """The field moved by ``by`` pixels, its border repeated."""
    size = field.shape[axis]
    places = (torch.arange(size, device=field.device) + by).clamp(0, size - 1)
    return field.index_select(axis, places)


def direction(m: SimpleNamespace) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vector to the lamp in the plane's axes."""
    flat = m.light_elevation.cos()
    return m.light_azimuth.sin() * flat, -m.light_elevation.sin(), m.light_azimuth.cos() * flat


def slopes(m: SimpleNamespace, depth: Tensor, px: float) -> tuple[Tensor, Tensor]:
    """(nx, ny) of the unit normal in the plane's axes; where one surface hides another, from one side."""
    sides = []
    for axis in (2, 1):
        ahead, behind = beside(depth, axis, 1) - depth, depth - beside(depth, axis, -1)
        smaller = torch.where(ahead.abs() < behind.abs(), ahead, behind)
        sides.append(torch.where((ahead - behind).abs() > JUMP, smaller, 0.5 * (ahead + behind)) / px)
    dx, dy = sides[0] * m.turn_cos - sides[1] * m.turn_sin, sides[1] * m.turn_cos + sides[0] * m.turn_sin
    soft = 1 / (1 + 0.10 * (dx * dx + dy * dy).sqrt())
    dx, dy = dx * soft, dy * soft
    unit = (dx * dx + dy * dy + 1).rsqrt()
    return -dx * unit, -dy * unit


def side_normal(m: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """(nx, ny) of the unit normal of the smooth skull, in the plane's axes; for its steep sides."""
    long = m.chin_y - m.root_y
    low = ((y - m.root_y) / long).clamp(0, 1)
    nx, ny, nz = 1.15 * x / (width * width), 3.5 * low**6 / long, z.clamp(min=0) / 0.31
    scale = (nx * nx + ny * ny + nz * nz + 1e-6).rsqrt()
    across, down, _ = turned(m, nx * scale, ny * scale, nz * scale)
    return across, down


def shade(
    m: SimpleNamespace, layer: Layer, lamp: tuple[Tensor, Tensor, Tensor], gleam_of_hair: Tensor, px: float
) -> Tensor:
    """Lambert with light that leaks into the shadow (most of it red), Blinn's highlight, cast shadows."""
    colour, nx, ny, depth, shine = layer
    slant = nx * nx + ny * ny
    scale = (1 / slant.clamp(min=1e-6).sqrt()).clamp(max=1.0) * 0.999
    nx, ny = nx * scale, ny * scale
    nz = (1 - (nx * nx + ny * ny)).clamp(min=1e-4).sqrt()
    lx, ly, lz = lamp
    facing = nx * lx + ny * ly + nz * lz
    shadow = cast_shadow(m, depth, lx, ly, lz, px)
    leak = torch.tensor((0.24, 0.17, 0.14), device=depth.device).reshape(3, 1, 1, 1)
    diffuse = ((facing + leak) / (1 + leak)).clamp(min=0) * (1 - 0.72 * shadow * (1 - 0.5 * leak))
    warmth = torch.stack([1 + 0.10 * m.light_warmth, 1 + 0 * m.light_warmth, 1 - 0.13 * m.light_warmth])
    fill = m.light_fill * (0.75 * nz - 0.66 * nx * torch.sign(lx)).clamp(min=0)
    sky = m.light_ambient * (0.70 + 0.28 * nz - 0.16 * ny) * (1 - 0.25 * shadow)
    half = (lx * lx + ly * ly + (lz + 1) ** 2).rsqrt()
    gleam = ((nx * lx + ny * ly + nz * (lz + 1)) * half).clamp(min=0)
    gleam = gleam * gleam * gleam
    gleam = (gleam * gleam) ** 4 * (1 - shadow)
    bright = 0.55 * shine * gleam + gleam_of_hair * (1 - 0.8 * shadow)
    # The cold light of the sky stands against the warm lamp.
    cool = torch.stack([1 - 0.05 * m.light_warmth, 1 + 0 * m.light_warmth, 1 + 0.07 * m.light_warmth])
    return colour * (m.light_key * warmth * diffuse + cool * (fill + sky)) + m.light_key * warmth * bright


def cast_shadow(m: SimpleNamespace, depth: Tensor, lx: Tensor, ly: Tensor, lz: Tensor, px: float) -> Tensor:
    """How far higher ground stands before the light, 0 … 1, looked up at four distances."""
    along = (lx * lx + ly * ly + 1e-6).sqrt()
    size = depth.shape[-1]
    per_unit = 2 / (px * (size - 1))
    gx = (lx * m.turn_cos + ly * m.turn_sin) / along * per_unit
    gy = (ly * m.turn_cos - lx * m.turn_sin) / along * per_unit
    centre = torch.linspace(-1, 1, size, device=depth.device)
    blocked = torch.zeros_like(depth)
    for reach in REACHES:
        x = (centre.reshape(1, 1, size) + reach * gx).expand_as(depth)
        y = (centre.reshape(1, size, 1) + reach * gy).expand_as(depth)
        there = sample(depth.unsqueeze(1), torch.stack([x, y], -1))[:, 0]
        rise = there - depth - reach * lz / along
        blocked = torch.maximum(blocked, (rise / (0.05 + 0.5 * reach)).clamp(0, 1))
    return blocked
