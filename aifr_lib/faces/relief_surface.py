"""The height map of a relief face and the masks of its parts, as functions of the place in the face.

``x``, ``y`` (float32 [B, S, S]) are face coordinates, ``px`` is the side of a pixel in the same unit: every
edge is one pixel wide and every fold at least that, so that a face looks the same, only coarser, in a smaller
picture.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from aifr_lib.faces.relief_parameters import hash32

GRID = 32


def edge(distance: Tensor, px: float) -> Tensor:
    """1 where the distance is positive, 0 where negative, a ramp one pixel wide between."""
    return (distance / px + 0.5).clamp(0, 1)


def step(a: float, b: float, t: Tensor) -> Tensor:
    """Smooth step: 0 at a, 1 at b."""
    t = ((t - a) / (b - a)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def bump(dx: Tensor, dy: Tensor, sx: float | Tensor, sy: float | Tensor) -> Tensor:
    """A Gaussian hill of height 1."""
    return torch.exp(-((dx / sx) ** 2) - (dy / sy) ** 2)


def valley(distance: Tensor, width: float, px: float) -> Tensor:
    """A fold along distance = 0, never narrower than a pixel and the shallower for it."""
    broad = max(width, 0.8 * px)
    return (width / broad) * torch.exp(-((distance / broad) ** 2))


def lattice(seeds: Tensor, stream: int, channels: int) -> Tensor:
    """Random values in −1 … 1, float32 [B, channels, GRID, GRID], from each picture's own seed."""
    cells = torch.arange(channels * GRID * GRID, device=seeds.device).reshape(channels, GRID, GRID)
    return (hash32(seeds, stream, cells) >> 8).float() / 2**23 - 1


def noise(grid: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read one lattice channel [B, 1, GRID, GRID] at x, y: smooth noise, a feature every 2 / GRID."""
    return F.grid_sample(grid, torch.stack([x, y], -1), padding_mode="reflection", align_corners=True)[:, 0]


def skull(m: SimpleNamespace, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(half-width of the head at this height, depth of the smooth head)."""
    middle = -0.22 + 0.1 * m.child
    up = ((middle - y) / (middle - m.top_y)).clamp(0, 1)
    low = ((y - middle) / (m.chin_y - middle)).clamp(0, 1)
    width = m.skull_w * (1 - up**2.3).clamp(min=1e-6).sqrt() * (1 - low**m.jaw_p).clamp(min=1e-6) ** m.jaw_q
    width = (
        width + m.cheek_w * torch.exp(-(((low - 0.42) / 0.2) ** 2)) - 0.008 * torch.exp(-(((low - 0.08) / 0.12) ** 2))
    )
    width = width + m.jowl_w * torch.exp(-(((low - 0.78) / 0.14) ** 2))
    profile = (1 - up**2.6).clamp(min=1e-6).sqrt() * (1 - low**5).clamp(min=1e-6).sqrt()
    across = (1 - (x.abs() / width).clamp(0, 1) ** 2.2).clamp(min=0) ** 0.55
    return width, 0.56 * profile * across


def height(m: SimpleNamespace, x: Tensor, y: Tensor, px: float, rough: Tensor, wander: Tensor) -> tuple[Tensor, Tensor]:
    """(height of the head, depth of its folds in 0 … 1 that darken the skin).

    rough: fine noise of the skin; wander: smooth noise that bends the folds, both the person's own.
    """
    ax = (x * (1 + m.asymmetry * torch.sign(x))).abs()
    _, z = skull(m, x, y)
    ey, my, ny = y - m.eye_y, y - m.mouth_y, y - m.nose_y
    ex = ax - m.eye_x
    z = z + m.brow_ridge * bump(ax - 0.19, y - m.brow_y - 0.035, 0.17, 0.06)
    z = z - m.socket * bump(ex + 0.015, ey, 0.14, 0.085) + 0.036 * bump(ex, ey - 0.005, 0.082, 0.062)
    z = z - 0.022 * bump(ax - 0.115, ey - 0.005, 0.045, 0.07)
    z = z + (0.026 + 0.01 * m.cheek_raise) * bump(ax - 0.33, ey - 0.24 + 0.03 * m.cheek_raise, 0.15, 0.10)
    z = z + (0.020 * m.fullness.clamp(-1.5, 3) + 0.012 * m.cheek_raise) * bump(ax - 0.27, ny - 0.09, 0.14, 0.15)
    z = z - 0.02 * bump(ax - 0.49, y - m.eye_y + 0.12, 0.06, 0.14) * (1 - m.child)
    z = z + 0.030 * m.sag * bump(ax - 0.27, y - m.chin_y + 0.19, 0.09, 0.10)

    # Nose: a ridge that rises and widens to the tip, wings, and the drop beneath it.
    down = ((y - m.eye_y + 0.03) / (m.nose_y - m.eye_y + 0.03)).clamp(-0.4, 1.2)
    rise = m.bridge_h * step(-0.35, 0.15, down) + (m.nose_h - m.bridge_h) * down.clamp(0, 1) ** 1.7
    rise = rise + m.hump * torch.exp(-(((down - 0.42) / 0.22) ** 2))
    end = 1 - step(-0.035, 0.075, ny)
    side = m.bridge_w * (0.95 + 0.60 * down.clamp(0, 1) ** 2)
    z = z + rise * end * torch.exp(-(((ax / side) ** 2) ** 1.05))
    z = z + 0.055 * bump(ax - 0.74 * m.nose_w, ny + 0.012, 0.42 * m.nose_w, 0.042)
    z = z + 0.030 * bump(ax, ny + 0.022, 0.062, 0.055)

    # Mouth: the arch of the teeth, the groove over the lip, the two rolls, the hollow above the chin.
    curve = my - m.corner * (ax / m.mouth_w) ** 2
    inside = (1 - (ax / m.mouth_w) ** 2).clamp(min=0)
    z = z + 0.035 * bump(ax, my + 0.01, 0.21, 0.15) - 0.010 * bump(ax, my + 0.115, 0.022, 0.06)
    roll = inside**0.6
    z = z + 0.024 * roll * torch.exp(-(((curve + 0.5 * m.lip_up + 0.5 * m.gap) / (0.6 * m.lip_up + 0.006)) ** 2))
    z = z + 0.028 * roll * torch.exp(-(((curve - 0.5 * m.lip_low - 0.5 * m.gap) / (0.6 * m.lip_low + 0.006)) ** 2))
    z = z - 0.030 * bump(ax, my - m.lip_low - 0.055 - m.gap, 0.13, 0.035)
    z = z + m.chin_h * bump(ax, y - m.chin_y + 0.13, 0.13, 0.085) - m.cleft * bump(ax, y - m.chin_y + 0.1, 0.02, 0.06)

    folds = _folds(m, ax, y, ex, ey, my, ny, px, wander)
    return z - 0.016 * folds + 0.0035 * (0.25 + m.old) * rough, folds.clamp(0, 1)


def _folds(
    m: SimpleNamespace,
    ax: Tensor,
    y: Tensor,
    ex: Tensor,
    ey: Tensor,
    my: Tensor,
    ny: Tensor,
    px: float,
    wander: Tensor,
) -> Tensor:
    bent = wander * 0.035
    # From the wing of the nose to beside the mouth, and from the mouth's corner down.
    t = ((ny + 0.05) / (m.mouth_y + 0.10 - m.nose_y + 0.05)).clamp(0, 1)
    path = m.nose_w + 0.030 + (m.mouth_w * 0.62 + 0.01) * t**0.65
    along = step(-0.07, 0.02, ny) * (1 - step(0.02, 0.14, my))
    folds = (
        (0.10 + 0.65 * m.folds + 0.7 * m.smile * (1 - 0.6 * m.child))
        * along
        * valley(ax - path + 0.3 * bent, 0.022, px)
    )
    folds = folds + 0.5 * m.sag * valley(ax - m.mouth_w - 0.02 - 0.12 * my + 0.3 * bent, 0.018, px) * bump(
        ax * 0, my - 0.10, 1.0, 0.09
    )
    # Bags and the hollow from the inner corner of the eye.
    arc = ey - 0.085 + 0.6 * (ex + 0.01) ** 2 / m.eye_w
    folds = folds + 0.8 * m.bags * valley(arc - 0.015, 0.020, px) * bump(ex + 0.02, ey * 0, 0.11, 1.0)
    # Forehead, frown, crow's feet.
    brow = m.brow_y - y
    lines = torch.sin((brow + bent + 0.12 * ax * ax) * (2 * torch.pi / 0.105)).clamp(min=0) ** 6
    fade = min(1.0, 0.03 / px)
    folds = folds + fade * (0.65 * m.folds + 0.9 * m.raise_) * lines * bump(ax, brow - 0.21, 0.30, 0.14)
    folds = folds + m.frown * 0.8 * valley(ax - 0.035 - 0.2 * bent, 0.014, px) * bump(ax * 0, brow + 0.02, 1.0, 0.085)
    outer_x, outer_y = ex - m.eye_w - 0.005, ey + 0.01
    angle = torch.atan2(outer_y, outer_x.clamp(min=1e-3))
    feet = (
        torch.cos(angle * 7 + 5 * bent).clamp(min=0) ** 4
        * step(0.0, 0.03, outer_x)
        * bump(outer_x - 0.06, outer_y, 0.075, 0.10)
    )
    folds = folds + fade * (0.7 * m.folds + 0.6 * m.cheek_raise * (1 - m.child) ** 2) * feet
    # Fine lines over the lip and across the bridge, creases of the cheek.
    folds = folds + fade * 0.45 * (m.folds - 0.45).clamp(min=0) * torch.cos((ax + bent) * 95).clamp(min=0) ** 3 * bump(
        ax, my + m.lip_up + 0.045, 0.14, 0.04
    )
    folds = folds + 0.7 * m.wrinkle_nose * torch.sin(ey * 75).clamp(min=0) ** 3 * bump(ax, ey - 0.05, 0.07, 0.06)
    crease = torch.sin((ax * 0.9 - 0.35 * y + 1.6 * bent) * 62).clamp(min=0) ** 4
    folds = folds + fade * 0.45 * (m.folds - 0.5).clamp(min=0) * crease * bump(ax - 0.36, my + 0.05, 0.09, 0.16)
    return folds


def eyes(m: SimpleNamespace, x: Tensor, y: Tensor, px: float) -> dict[str, Tensor]:
    """Masks in 0 … 1: white (opening), iris, pupil, glint, lash (upper lid's line), crease, liner below."""
    side = torch.sign(x)
    ax = (x * (1 + m.asymmetry * side)).abs()
    ex, ey = ax - m.eye_x, y - m.eye_y
    ey = ey + ex * m.eye_tilt
    s = ex / m.eye_w
    arch = (1 - (s + 0.10).abs() ** 2.3).clamp(min=-1)
    upper = -m.eye_w * m.lid_up * arch
    lower = m.eye_w * m.lid_low * (1 - (s - 0.05) ** 2)
    opening = torch.minimum(torch.minimum(ey - upper, lower - ey), (1 - s.abs()) * m.eye_w)
    white = edge(opening, px)
    gx, gy = ex - side * m.gaze_x, ey - m.gaze_y + 0.006
    r = (gx * gx + gy * gy + 1e-8).sqrt()
    over = ey - upper
    lid = (s.abs() < 1.12) * step(1.15, 0.85, s.abs())
    return {
        "white": white,
        "side": step(0.45, 1.0, s.abs()),
        "shade": torch.exp(-(over.clamp(min=0) / 0.022)),
        "iris": edge(m.iris_r - r, px) * white,
        "rim": step(0.7, 1.0, r / m.iris_r),
        "pupil": edge(0.42 * m.iris_r - r, px) * white,
        "glint": torch.exp(-(((gx * side - 0.016) / 0.011) ** 2) - ((gy + 0.018) / 0.011) ** 2) * white,
        "lash": valley(over + 0.004, 0.011, px) * lid * step(-1.1, -0.5, s),
        "crease": valley(over + 0.030 - 0.012 * m.sag, 0.010, px) * lid,
        "liner": valley(lower - ey, 0.008, px) * lid,
        "corner": bump(s + 0.93, ey, 0.16, 0.03) * white,
    }


def mouth(m: SimpleNamespace, x: Tensor, y: Tensor, px: float) -> dict[str, Tensor]:
    """Masks in 0 … 1: lips (both), line (where they meet), inside (the open mouth), teeth."""
    ax = x.abs()
    s = (ax / m.mouth_w).clamp(max=1.3)
    inside = (1 - s * s).clamp(min=0)
    curve = y - m.mouth_y - m.corner * s * s
    half_gap = m.gap * inside * 0.5
    bow = 1 - 0.22 * torch.exp(-((x / 0.028) ** 2)) + 0.10 * torch.exp(-(((ax - 0.05) / 0.03) ** 2))
    top = -(m.lip_up * bow * inside**0.75) - half_gap
    bottom = m.lip_low * inside**0.55 + half_gap
    body = torch.minimum(torch.minimum(curve - top, bottom - curve), (1.02 - s) * m.mouth_w)
    opened = edge(half_gap - curve.abs() - 0.3 * px, px) * step(0.004, 0.02, half_gap * 2)
    teeth = edge(half_gap * (0.4 * m.teeth) - (curve + half_gap * 0.5), px)
    return {
        "lips": (body / (1.6 * px) + 0.5).clamp(0, 1),
        "line": valley(curve, 0.009, px) * step(1.08, 0.92, s) * (1 - opened),
        "inside": opened,
        "teeth": teeth * opened * m.teeth,
    }
