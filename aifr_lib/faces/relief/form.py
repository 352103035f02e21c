"""The height map of a relief face: bone and flesh over the smooth skull, then folds and pores.

Lengths in the text are millimetres of a grown head, ``u`` = ``m.unit`` of the picture's unit each.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.folds import folds
from aifr_lib.faces.relief.surface import LOG2E, bump, falling, hill, power, skull, step


def height(m: SimpleNamespace, x: Tensor, y: Tensor, px: float, rough: Tensor, wander: Tensor) -> tuple[Tensor, Tensor]:
    """(height of the head, depth of its folds in 0 … 1 that darken the skin).

    rough: fine noise of the skin; wander: smooth noise that bends the folds, both the person's own.
    """
    u = m.unit
    ax = (x * (1 + m.asymmetry * torch.sign(x))).abs() / u
    _, z = skull(m, x, y)
    z = z + u * (_upper(m, ax, y) + _nose(m, ax, y) + _lower(m, ax, y))
    depth, raised = folds(m, ax, y, px / u, wander)
    fine = 0.14 + 0.50 * m.worn
    return z + u * (raised - 2.5 * depth + fine * rough), depth.clamp(0, 1)


def _upper(m: SimpleNamespace, ax: Tensor, y: Tensor) -> Tensor:
    """Forehead, brow ridge, orbits, eyeballs under their lids, cheekbones; mm."""
    u = m.unit
    ex, ey, by = ax - m.eye_x / u, (y - m.eye_y) / u, (y - m.brow_y) / u
    z = 1.6 * bump(ax - 27, by + 30, 22, 20) * (1 - 0.4 * m.male)
    z = z + (m.brow_ridge / u) * (bump(ax - 22, by - 3, 20, 7.5) + 0.5 * bump(ax, by - 2, 11, 9))
    z = z - (m.temple / u) * bump(ax - m.skull_w / u + 7, ey + 20, 12, 22)
    z = z - (m.socket / u) * (bump(ex + 2, ey + 1, 19, 11.5) + 0.45 * bump(ax - 15, ey + 2, 6, 9))
    z = z + 4.6 * bump(ex, ey - 0.5, 12.5, 9.0) + 2.4 * m.bags * bump(ex + 2, ey - m.lid_low / u - 5.8, 11, 3.2)
    # The fold of skin over the lid hangs lower with age.
    over = m.lid_up / u + m.crease_y / u
    z = z + 1.5 * m.hood * bump(ex - 3, ey + over + 3.6, 14, 3.4) * (1 - 0.5 * m.child)
    cheek = (m.cheekbone / u) * bump(ax - 45, ey - 25 + 3 * m.cheek_raise, 19, 13)
    return z + cheek + 1.8 * m.cheek_raise * bump(ax - 33, ey - 26, 15, 9)


def _nose(m: SimpleNamespace, ax: Tensor, y: Tensor) -> Tensor:
    """A ridge that rises and widens to the tip, the ball of the tip, the wings, the drop beneath; mm."""
    u = m.unit
    ny = (y - m.nose_y) / u
    down = ((y - m.root_y - 3 * u) / (m.nose_y - m.tip_up - m.root_y - 3 * u)).clamp(-0.6, 1.2)
    along = down.clamp(0, 1)
    bridge = m.bridge_h * step(-0.55, 0.15, down) + m.hump * hill(down - 0.36, 0.2)
    rise = (bridge + (m.nose_h - m.bridge_h) * power(along, 1.5)) / u
    # The wings end a little higher than the septum.
    beneath = 1 - step(-m.tip_up / u, 2.5, ny + 0.014 * ax * ax)
    side = (m.bridge_w + (m.tip_w - m.bridge_w) * along**2) / u
    across = -LOG2E * (ax / side) ** 2
    z = rise * beneath * (0.70 * falling(across) + 0.30 * falling(0.28 * across))
    z = z + 2.6 * bump(ax, ny + m.tip_up / u, 0.85 * m.tip_w / u, 6.5)
    wing = m.nose_w / u - 5.0
    z = z + 6.5 * bump(ax - wing, ny + 4.6, 5.4, 5.4)
    # Septum and openings.
    return z + 3.0 * bump(ax, ny + 1.5, 3.2, 4.0) - 2.5 * bump(ax - 0.52 * m.nose_w / u, ny - 0.3, 3.8, 2.2)


def _lower(m: SimpleNamespace, ax: Tensor, y: Tensor) -> Tensor:
    """Cheeks, the arch of the teeth, philtrum, two rolls of lip, chin, jowls; mm."""
    u = m.unit
    ny, my, cy = (y - m.nose_y) / u, (y - m.mouth_y) / u, (y - m.chin_y) / u
    width, up, low, gap = m.mouth_w / u, m.lip_up / u, m.lip_low / u, m.gap / u
    soft = m.fullness.clamp(-1.6, 3)
    z = 2.6 * soft * bump(ax - 37, ny - 8, 18, 20) - 3.2 * m.hollow * bump(ax - 43, my + 4, 12, 18)
    z = z - 2.5 * (1 - 0.4 * soft) * bump(ax - 50, my + 1, 13, 20)
    z = z + (m.jowl / u) * bump(ax - 0.78 * m.jaw_w / u, cy + 17, 10, 11)
    z = z + 4.5 * bump(ax, my + 1, 27, 19) * (1 - 0.25 * m.thinned)
    between = (m.mouth_y - m.nose_y) / u
    philtrum = (1 - 0.6 * m.thinned) * hill(my + 0.5 * (between + up), 0.4 * (between - up).clamp(min=3) + 1)
    z = z + philtrum * (0.9 * hill(ax - 5.2, 2.4) - 1.5 * hill(ax, 2.8))
    s = ax / width
    inside = (1 - s * s).clamp(min=0)
    curve = my - (m.corner / u) * s.clamp(max=1.3) ** 2
    roll = power(inside, 0.55)
    z = z + roll * 3.0 * hill(curve + 0.55 * up + 0.5 * gap, 0.62 * up + 0.8)
    z = z + roll * 3.9 * hill(curve - 0.55 * low - 0.5 * gap, 0.62 * low + 0.8)
    z = z - 2.0 * bump(ax - width - 1.5, curve, 4.0, 4.0)
    z = z - (2.8 + 1.0 * m.pucker) * bump(ax, my - low - gap - 4.5, 17, 4.6)
    z = z + (m.chin_h / u) * bump(ax, cy + 15, 16, 12)
    # Under AU 17 the chin puckers.
    return (
        z
        - (m.cleft / u) * bump(ax, cy + 12, 3, 8)
        + 0.5 * m.pucker * bump(ax, cy + 16, 13, 9) * torch.cos(1.3 * ax) * torch.cos(1.3 * cy)
    )
