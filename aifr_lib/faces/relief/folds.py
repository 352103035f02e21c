"""Folds and wrinkles of a relief face: grooves in the height map, each at the place that anatomy gives it.

A groove deepens with its own sign of age and with the action unit that folds the skin there. All lengths are
millimetres of a grown head; ``px`` too, so that no groove is narrower than a pixel.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.surface import bump, hill, step, valley


def folds(m: SimpleNamespace, ax: Tensor, y: Tensor, px: Tensor, wander: Tensor) -> tuple[Tensor, Tensor]:
    """(depth of the grooves, about 0 … 1; what bulges beside them, in mm).

    ax: distance from the middle, in mm; y: face coordinate; px: side of a pixel in mm, [B, 1, 1].
    """
    u = m.unit
    bent = 3.2 * wander
    fade = (3.0 / px).clamp(max=1)
    groove, raised = _cheeks(m, ax, y, px, bent)
    depth = groove + _eyes(m, ax, y, px, bent, fade) + _forehead(m, ax, y, px, bent, fade)
    my, ey = (y - m.mouth_y) / u, (y - m.eye_y) / u
    lips = torch.cos((ax + 0.5 * bent) * 1.15).clamp(min=0) ** 3 * bump(ax, my + m.lip_up / u + 4.5, 20, 5)
    crepe = torch.sin(0.62 * ax - 0.30 * ey + 1.1 * bent).clamp(min=0) ** 3 * bump(ax - 48, my + 12, 12, 24)
    nose = torch.sin(0.9 * ey + 0.2 * ax).clamp(min=0) ** 2 * bump(ax - 4, ey - 4, 9, 8)
    return depth + fade * (0.3 * m.lip_lines * lips + 0.45 * m.crepe * crepe) + 0.8 * m.wrinkle_nose * nose, raised


def _cheeks(m: SimpleNamespace, ax: Tensor, y: Tensor, px: Tensor, bent: Tensor) -> tuple[Tensor, Tensor]:
    """From the wing of the nose past the corner of the mouth; from the corner down; round the wing."""
    u = m.unit
    ny, my, ey = (y - m.nose_y) / u, (y - m.mouth_y) / u, (y - m.eye_y) / u
    wing, corner = m.nose_w / u, m.mouth_w / u
    t = ((ny + 6) / ((m.mouth_y - m.nose_y) / u + 12)).clamp(0, 1)
    path = wing + 2.0 + (corner - wing + 10.0 - 1.5 * (1 - m.smile)) * t
    path = path + (5.0 + 3.0 * m.smile) * t * (1 - t)
    along = step(-12, 2, ny) * (1 - step(-12, 8, my))
    strength = 0.06 + 1.1 * m.laugh_lines + 0.75 * m.smile * (1 - 0.5 * m.child) + 0.35 * m.wrinkle_nose
    side = ax - path + 0.35 * bent
    groove = strength * along * (0.45 * valley(side, 2.0, px) + 0.62 * hill(side, 5.0))
    raised = along * (0.4 + 2.2 * m.laugh_lines + 1.8 * m.smile) * hill(side - 7, 6.0)
    droop = hill(my - 9, 9) * step(-2, 3, my)
    down = ax - corner - 1.0 - 0.12 * my + 0.35 * bent
    groove = groove + 0.95 * m.marionette * (0.6 * valley(down, 1.6, px) + 0.4 * hill(down, 4.0)) * droop
    groove = groove + 0.35 * hill(my, 6) * m.stretch * valley(ax - corner - 4, 1.8, px)
    r = ((ax - wing + 5.5) ** 2 + (ny + 5.0) ** 2 + 1e-3).sqrt()
    round_wing = valley(r - 6.6, 1.3, px) * step(-1.0, 2.5, ax - wing + 5.5) * step(-11, -5, ny)
    # The cheek's lower border under a raised cheek, and the dimple of an old one.
    trough = valley(ey - 21 - 0.18 * (ax - 20), 2.2, px) * hill(ax - 28, 11)
    return groove + 0.55 * round_wing + 0.45 * m.bags.clamp(max=1.3) * trough, raised


def _eyes(m: SimpleNamespace, ax: Tensor, y: Tensor, px: Tensor, bent: Tensor, fade: Tensor) -> Tensor:
    """The hollow from the inner corner, bags below the lid, crow's feet at the outer corner."""
    u = m.unit
    ex, ey = (ax - m.eye_x / u), (y - m.eye_y) / u
    width = m.eye_w / u
    under = ey - m.lid_low / u
    arc = under + 0.022 * (ex + 3) ** 2
    bag = valley(arc - 9.0, 2.3, px) * hill(ex + 3, 13)
    lid = valley(arc - 3.4, 1.4, px) * hill(ex, 12)
    depth = 1.25 * m.bags * bag + (0.10 + 0.35 * m.crows_feet + 0.7 * m.lid_squeeze) * lid
    lines = torch.sin((arc + 0.3 * bent) * 1.9).clamp(min=0) ** 3 * bump(ex - 2, under - 7, 13, 5)
    depth = depth + fade * 0.32 * m.crepe * lines
    out, level = ex - width - 1.0, ey + 0.5
    angle = torch.atan2(level, out.clamp(min=0.3))
    ray = (torch.cos(angle * 6.5 + 0.35 * bent).clamp(min=0)) ** 4 * step(0.0, 4.0, out) * bump(out - 8, level, 9, 12)
    return depth + fade * (1.35 * m.crows_feet + 0.7 * m.lid_squeeze * (1 - 0.7 * m.child)) * ray


def _forehead(m: SimpleNamespace, ax: Tensor, y: Tensor, px: Tensor, bent: Tensor, fade: Tensor) -> Tensor:
    """Lines across the forehead, in the middle when AU 1 lifts it and at the sides for AU 2; the frown."""
    u = m.unit
    brow = (m.brow_y - y) / u
    wave = torch.cos((brow + bent - 0.004 * ax * ax - 14) * 0.62).clamp(min=0) ** 4
    whole, middle, side = (
        bump(ax, brow - 27, 38, 17),
        bump(ax, brow - 20, 17, 12),
        bump(ax - 30, brow - 20, 15, 11),
    )
    broken = (1 + 0.31 * bent).clamp(0.25, 1.6)
    lines = (
        fade * wave * (1.25 * m.brow_lines * whole * broken + 0.8 * m.raise_inner * middle + 0.7 * m.raise_outer * side)
    )
    frown = valley(ax - 5.5 - 0.10 * brow + 0.2 * bent, 1.7, px) * hill(brow - 1, 10)
    root = valley((y - m.root_y) / u - 1 + 0.05 * ax, 1.4, px) * hill(ax, 7)
    return lines + 0.9 * m.frown * frown + 0.3 * m.frown_lines * root
