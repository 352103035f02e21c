"""What surrounds a relief face: wall, neck, clothes, ears and hair, as layers of colour, depth and gloss."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief_anatomy import blend
from aifr_lib.faces.relief_surface import bump, edge, noise, skull, step, valley

Layer = tuple[Tensor, Tensor, Tensor]


def over(below: Layer, mask: Tensor, colour: Tensor, depth: Tensor, shine: float | Tensor) -> Layer:
    return (
        blend(below[0], colour, mask),
        blend(below[1], depth, mask),
        blend(below[2], below[2] * 0 + shine, mask),
    )


def backdrop(m: SimpleNamespace, picture: Tensor, u0: Tensor, v0: Tensor, u: Tensor, v: Tensor, px: float) -> Layer:
    """A soft uneven wall."""
    paint = torch.stack([m.background_red, m.background_green, m.background_blue])
    base = (0.15 + 0.7 * blend(paint.mean(0, keepdim=True), paint, 0 * paint + 0.35)) ** 2.2
    uneven = 1 + 0.45 * m.background_tilt * (0.7 * u0 + 0.5 * v0) + 0.25 * noise(picture[:, :1], u0 * 0.12, v0 * 0.12)
    return base * uneven.clamp(min=0.1), torch.full_like(u, -0.3), torch.zeros_like(u)


def body(m: SimpleNamespace, below: Layer, u: Tensor, v: Tensor, x: Tensor, px: float) -> Layer:
    """Neck, then clothes with a round collar."""
    cx = 0.5 * (u + x)
    au = cx.abs()
    neck = m.neck_w * (1 + 0.12 * ((v - m.chin_y - 0.05) / 0.2).clamp(-0.5, 1.5) ** 2)
    round_ = (1 - (au / neck).clamp(0, 1) ** 2).clamp(min=1e-4).sqrt()
    shade = 0.75 + 0.25 * step(0.0, 0.35, v - m.chin_y)
    cords = 0.012 * m.sag * torch.cos(cx * 40)
    below = over(
        below,
        edge(neck - au, px) * edge(v - m.mouth_y, px),
        m.skin * shade,
        -0.22 + 0.26 * round_ + cords,
        0.05,
    )
    dye = torch.stack([m.cloth_red, m.cloth_green, m.cloth_blue])
    cloth = (0.08 + 0.75 * blend(dye.mean(0, keepdim=True), dye, 0 * dye + 0.6)) ** 2.2
    shoulder = m.chin_y + 0.16 + 0.34 * (au - m.neck_w).clamp(min=0)
    collar = m.chin_y + 0.12 + (0.04 + 0.22 * m.collar) * (1 - (au / m.neck_w).clamp(0, 1) ** 2)
    top = torch.maximum(shoulder, collar)
    rim = valley(v - top - 0.02, 0.02, px)
    return over(
        below,
        edge(v - top, px),
        cloth * (1 - 0.25 * rim),
        -0.12 + 0.25 * (1 - 0.5 * au**2) + 0.02 * rim,
        0.02,
    )


def ears(m: SimpleNamespace, below: Layer, x: Tensor, y: Tensor, px: float) -> Layer:
    ax = x.abs()
    level = torch.full_like(m.eye_y, 0.0) + m.eye_y + 0.10
    width, _ = skull(m, x * 0, level + x * 0)
    ex, ey = (ax - width - 0.02 + 0.15 * (y - level)) / (0.36 * m.ear_h), (y - level) / m.ear_h
    r = (ex * ex + ey * ey).sqrt()
    bowl = 0.05 * r.clamp(max=1) ** 2 - 0.03 * bump(ex - 0.1, ey, 0.5, 0.5)
    skin = m.skin * torch.stack([1 + 0.05 * r, 0.92 + 0 * r, 0.90 + 0 * r]) * (0.72 + 0.28 * r.clamp(max=1))
    return over(below, edge((1 - r) * 0.36 * m.ear_h, px), skin, -0.02 + bowl, 0.08)


def hair_layers(
    m: SimpleNamespace, picture: Tensor, x: Tensor, y: Tensor, px: float
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """(masks front, long, air), height of the hair, strands in −1 … 1."""
    ax = x.abs()
    # Strands run from the crown outwards; curls have no direction.
    cx, cy = x - 0.45 * m.parting, y + 0.95
    radius = (cx * cx + cy * cy + 1e-4).sqrt()
    angle = torch.atan2(cx, cy.clamp(min=0.02))
    lank = 0.6 * noise(picture[:, :1], angle * 2.6, radius * 0.16 + 0.2)
    lank = lank + 0.3 * noise(picture[:, 1:2], angle * 5.5, radius * 0.3)
    lank = lank + 0.35 * noise(picture[:, 1:2], angle * 0.5, radius * 0.12)
    curls = noise(picture[:, 1:2], x * 0.55, y * 0.55) * 0.6 + 0.5 * noise(picture[:, :1], x * 1.1, y * 1.1)
    strand = blend(lank, curls, m.curl)

    width, _ = skull(m, x, y)
    ear = m.eye_y + 0.10
    volume = m.hair_volume * (1 - 0.7 * m.bald)
    grown = m.hair_length * (1 - 0.5 * m.bald)
    # Outer outline: the skull made larger; below the eyes long hair hangs down to its length.
    swell = 1 + volume / 0.55
    raised = skull(m, x, ear + (y - ear) / swell)[0] * swell - 0.02
    hang = (m.skull_w + 0.5 * volume + 0.05 * grown) * (1 + 0.10 * m.curl * grown)
    falls = step(0.20, 0.45, grown)
    drop = step(-0.35, 0.1, y)
    outline = blend(raised + volume * (1 - 0.45 * drop), hang + 0.02 * torch.sin(y * 9 + 3 * m.parting), falls * drop)
    tip = ear + 0.06 + grown * 1.05
    hanging = outline - ax + 0.030 * strand * (0.4 + m.curl)
    outer = torch.minimum(hanging, (tip - y) * 0.8 + 0.05 * strand)
    outer = torch.minimum(outer, y - ear - (m.top_y - ear) * swell + 0.015 * strand)

    # Inner border: forehead, temples, and down the side of the face.
    line = m.hairline_y + m.peak * torch.exp(-((x / 0.06) ** 2)) - m.temples * bump(ax - 0.27, y * 0, 0.12, 1.0)
    sweep = 1 + 0.7 * torch.tanh(3 * (x - 0.3 * m.parting) * m.parting)
    fringe = m.fringe * 0.30 * (1 - 0.5 * (ax / 0.5) ** 2) * (sweep * 0.6 + 0.4)
    line = line + fringe - 0.30 * m.bald * torch.exp(-((ax / 0.30) ** 4))
    low = blend(ear + 0.0 * x, ear + 0.06 + grown, falls)
    edge_at = (0.90 + 0.03 * m.bald - 0.07 * falls) * torch.maximum(width, 0.72 * m.skull_w * falls)
    cap, strip = line - y, torch.minimum(ax - edge_at, low - y)
    inner = torch.maximum(cap, strip) + 0.03 * torch.exp(-(cap - strip).abs() / 0.05)
    inner = inner + 0.035 * strand * (0.6 + m.fringe)
    front = torch.minimum(edge(outer, px + 0.01), step(-0.5, 0.9, inner / (px + 0.045)))
    # Where it thins, the scalp shows between the strands.
    scalp = m.thinning * bump(ax, y + 0.75, 0.34, 0.34) * edge(width - 0.06 - ax, 0.08) * step(0.0, 0.1, y - m.top_y)
    front = front * (1 - (scalp * 1.1 - 0.35 * strand * (scalp > 0.02)).clamp(0, 1))
    long = edge(outer, 1.5 * px) * step(0.02, 0.06, outline - ax + 0.04) * (y > m.hairline_y)
    dome = 0.56 * (1 - (ax / (outline + 1e-3)).clamp(0, 1) ** 2.2).clamp(min=0) ** 0.5
    crown = (1 - ((y + 0.2) / (m.top_y - volume + 0.2)).clamp(0, 1) ** 2.5).clamp(min=0).sqrt()
    # Hair lies flat at its border and stands off the skull further in.
    relief = dome * crown + 0.045 + 0.010 * strand
    masks = {"front": front, "long": long, "root": step(-0.04, 0.22, inner), "air": _air(m, x, y, outer, px)}
    return masks, relief, strand


def _air(m: SimpleNamespace, x: Tensor, y: Tensor, outer: Tensor, px: float) -> Tensor:
    """The wall beside head, hair, neck and clothes: it takes no light from the key lamp."""
    width, _ = skull(m, x, y)
    ear = bump(x.abs() - m.skull_w, y - m.eye_y - 0.1, 0.10, 0.2)
    return (
        edge(x.abs() - width - 0.12 * ear, 2 * px)
        * edge(-outer, 2 * px)
        * (1 - step(m.chin_y.mean() * 0 + 0.35, 0.5, y))
    )


def hair_colour(m: SimpleNamespace, strand: Tensor) -> Tensor:
    white = torch.sigmoid((m.grey - 0.5) * 7 + 1.6 * strand) * step(0.02, 0.2, m.grey)
    return blend(m.hair, m.silver * 0.85, white) * (1 + 0.34 * strand)
