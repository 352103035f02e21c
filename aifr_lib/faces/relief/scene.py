"""What surrounds a relief face: wall, neck, clothes and ears, each a layer, and how one layer lies over another."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.colours import blend
from aifr_lib.faces.relief.parameters import uniform
from aifr_lib.faces.relief.pose import PIVOT, Ray, project, turned
from aifr_lib.faces.relief.surface import bump, edge, hill, noise, power, sample, skull, step, valley

# colour [3, B, S, S] in linear light; slopes x and y of the surface's normal, depth to the viewer, gloss [B, S, S]
Layer = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
DISCS = 7
COARSE = 48


def over(below: Layer, mask: Tensor, above: tuple[Tensor | float, ...]) -> Layer:
    """The upper layer where the mask is 1, the lower where it is 0."""
    colour, nx, ny, depth, shine = (b + (a - b) * mask for a, b in zip(above, below, strict=True))
    return colour, nx, ny, depth, shine


def backdrop(m: SimpleNamespace, picture: Tensor, seeds: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """What lies behind, out of focus: a wall, lights and shapes of a room, or sky over ground."""
    device = u.device
    side = torch.linspace(-1.6, 1.6, COARSE, device=device)
    x, y = side.reshape(1, 1, -1), side.reshape(1, -1, 1)
    paint = torch.stack([m.background_red, m.background_green, m.background_blue])
    grey = paint.mean(0, keepdim=True)
    wall = power(0.06 + 0.86 * blend(grey, paint, 0 * grey + 0.22), 2.2)
    wall = wall * (1 + 0.45 * m.background_tilt * (0.7 * x + 0.5 * y))
    flat_x, flat_y = x + 0 * y + 0 * m.yaw, y + 0 * x + 0 * m.yaw
    clouds = torch.stack([
        noise(picture[:, k % 2 : k % 2 + 1], 0.09 * flat_x + 0.3 * k, 0.09 * flat_y - 0.2 * k) for k in range(3)
    ])  # fmt: skip
    wall = wall * (1 + 0.25 * clouds[:1])
    room = wall * torch.exp(0.5 * clouds[:1] + 0.25 * clouds)
    # Soft discs and panes, all at once: where several lie, their colours mix.
    spots = uniform(seeds, 10, 5 * DISCS).float().reshape(-1, DISCS, 5, 1, 1)
    cx, cy, r, bright, hue = spots.unbind(2)
    dx, dy = (x - 3 * cx + 1.5).abs(), (y - 2.6 * cy + 1.5).abs()
    near = torch.where(hue < 0.4, torch.maximum(dx, 0.5 * dy), (dx * dx + dy * dy).sqrt())
    weight = 5 * step(0.12, -0.12, near - 0.12 - 0.35 * r)
    tint = torch.stack([0.8 + 0.5 * hue, 0.95 + 0 * hue, 1.25 - 0.6 * hue]) * (0.02 + 1.1 * bright**3)
    room = (room + (weight * tint).sum(2)) / (1 + weight.sum(1))
    horizon = step(-0.25, 0.25, y - 0.5 * m.background_tilt + 0.25 * clouds[0])
    sky = torch.stack([0.45 + 0 * grey[0], 0.60 + 0 * grey[0], 0.80 + 0.1 * m.background_blue]) * (0.5 + grey[0])
    ground = torch.stack([0.20 + 0.2 * m.background_red, 0.24 + 0.15 * m.background_green, 0.08 + 0 * grey[0]])
    nature = blend(sky, ground * (0.4 + grey[0]) * torch.exp(0.6 * clouds[:1] + 0.2 * clouds), horizon)
    kind = m.backdrop
    coarse = blend(wall, room, step(0.40, 0.46, kind))
    coarse = blend(coarse, nature, step(0.74, 0.80, kind)).clamp(0.004, 1.2).transpose(0, 1)
    return sample(coarse.contiguous(), torch.stack([u / 1.6, v / 1.6], -1)).transpose(0, 1)


def body(m: SimpleNamespace, picture: Tensor, below: Layer, u: Tensor, v: Tensor, px: float) -> Layer:
    """Neck, then shoulders in clothes; the body turns less than the head."""
    zero = torch.zeros_like(m.yaw)
    top_u, chin_v, top_d = project(m, zero, m.chin_y, zero - 0.10)
    low_u, low_d = -0.45 * PIVOT * m.yaw.sin(), -0.42 + zero
    fall = ((v - chin_v + 0.25) / 0.6).clamp(0, 1)
    cx = u - blend(top_u, low_u, fall)
    au = cx.abs()
    neck = m.neck_w * (1 + 0.35 * ((v - chin_v - 0.08) / 0.30).clamp(0, 1.2) ** 2)
    s = (cx / neck).clamp(-1, 1)
    round_ = (1 - s * s).clamp(min=1e-4).sqrt()
    # The two cords that run from behind the ears to the pit of the neck, and the larynx of men.
    cord_at = au - m.neck_w * (0.80 - 0.75 * fall)
    cord = hill(cord_at, 0.05) * (0.25 + 0.75 * m.cords)
    apple = m.apple * bump(cx, v - chin_v - 0.20, 0.05, 0.07)
    nx = 0.92 * s - cord * torch.sign(cx) * cord_at * 6 + 6 * apple * cx
    ny = 0.25 + 3 * apple * (v - chin_v - 0.2) + m.cords * 0.25 * torch.sin(v * 46 + 3 * s * s) * (m.old > 0.3)
    mask = edge(neck - au, px) * edge(v - chin_v + 0.52, px)
    depth = blend(top_d, low_d, fall) - m.neck_w * 0.9 * (1 - round_)
    under = 0.62 + 0.38 * step(0.0, 0.30, v - chin_v)
    below = over(below, mask, (m.skin * under, nx, ny, depth, 0.04))

    dye = torch.stack([m.cloth_red, m.cloth_green, m.cloth_blue])
    cloth = power(0.05 + 0.80 * blend(dye.mean(0, keepdim=True), dye, 0 * dye + 0.42), 2.2)
    out = (au - 0.85 * m.neck_w).clamp(min=0)
    slope = m.chin_low + 0.30 * out + 0.06 * (1 - hill(out, 0.12))
    slope = slope + 0.55 * (au - m.shoulder_w).clamp(min=0) ** 2 * 2
    cut = 1 - power((au / (1.08 * m.neck_w)).clamp(0, 1), blend(zero + 2.2, zero + 1.0, step(0.45, 0.55, m.collar)))
    collar = m.chin_low - 0.02 + (0.05 + 0.34 * m.collar) * cut
    top = torch.maximum(slope, collar)
    beyond = v - top
    rim = valley(beyond - 0.035, 0.03, px) * (1 - 0.5 * step(0.45, 0.55, m.collar))
    drape = noise(picture[:, :1], cx * 0.35 + 0.5, v * 0.16)
    weave = noise(picture[:, 1:2], cx * 2.2, v * 2.2)
    stripes = step(0.62, 0.7, m.pattern) * step(-0.25, 0.25, torch.sin(v * 58 + 2 * cx * cx))
    checks = step(0.85, 0.9, m.pattern) * step(-0.25, 0.25, torch.sin(cx * 52))
    tone = 1 + 0.10 * weave - 0.40 * stripes + 0.28 * checks
    lapel = valley(au - 0.20 - 0.5 * beyond, 0.02, px) * step(0.52, 0.6, m.collar) * step(0.02, 0.06, beyond)
    tone = tone * (1 - 0.30 * rim) * (1 - 0.5 * lapel)
    depth = low_d + 0.10 - 0.28 * au * au + 0.02 * rim
    return over(below, edge(beyond, 1.2 * px), (cloth * tone, 0.55 * cx + 0.45 * drape, -0.35 + 0.2 * drape,
                                                depth, 0.02))  # fmt: skip


def ears(m: SimpleNamespace, u: Tensor, ray: Ray, px: float) -> tuple[Tensor, Layer]:
    """(mask, layer) of both ears: plates that stand off the sides of the head."""
    zero = torch.zeros_like(m.eye_y)
    level = m.eye_y + 0.115 - 0.03 * m.child
    width, _ = skull(m, zero, level)
    root_z = -0.02
    # The picture's halves left and right of the line between the ears: one ear each.
    side = torch.where(u > (root_z - PIVOT) * m.yaw.sin(), 1.0, -1.0)
    flare, back = m.ear_flare.sin(), m.ear_flare.cos()
    root_x = width - 0.012
    # Plane through the root: normal (side · back, 0, flare).
    top = side * back * (side * root_x - ray.x) + flare * root_z
    under = side * back * ray.dx + flare
    under = torch.where(under.abs() < 0.12, torch.where(under < 0, -0.12, 0.12), under)
    z = top / under
    x, y = ray.x + ray.dx * z, ray.y + ray.dy * z
    across = (side * x - root_x) * flare - (z - root_z) * back
    ey = (y - level + 0.28 * across) / m.ear_h
    reach = 0.60 * m.ear_h
    ex = (across - 0.40 * reach) / (reach * (1 - 0.28 * ey.clamp(-1, 1)) * 0.9)
    r = (ex * ex + ey * ey + 1e-6).sqrt()
    helix = hill(r - 0.86, 0.14) * step(0.9, 0.3, ey)
    concha = bump(ex + 0.10, ey - 0.10, 0.40, 0.42)
    groove = hill(r - 0.66, 0.10) * step(0.6, 0.1, ey) * step(-0.6, 0.1, ex)
    tone = 1 + 0.12 * helix - 0.60 * concha - 0.36 * groove
    red = torch.stack([1 + 0 * r, 0.90 - 0.05 * concha, 0.88 - 0.06 * concha])
    nx, ny, _ = turned(m, side * back * 0.8 + 0.5 * (helix - concha) * ex * side, 0.35 * (helix - concha) * ey, flare)
    _, _, depth = project(m, x, y, z)
    mask = edge((1 - r) * 0.55 * m.ear_h, px)
    return mask, (m.skin * red * tone, nx, ny, depth + 0.02 * helix, 0.06 + 0 * depth)
