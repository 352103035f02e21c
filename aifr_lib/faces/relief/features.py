"""Where the eyes, the lips and the brows of a relief face are, and its regions: masks in 0 … 1."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.surface import LOG2E, bump, edge, falling, hill, noise, power, step, valley

REGIONS = ("face", "eyes", "brows", "nose", "mouth", "hair", "background")
FIGURE = (-1.38, -1.25)  # depths between which a wall ends and a person begins


def eyes(m: SimpleNamespace, x: Tensor, y: Tensor, px: float) -> dict[str, Tensor]:
    """Masks in 0 … 1, [B, S, S] each.

    white: the opening, with its sides (side), the upper lid's shade and the inner corner; iris, with its rim, a ring
    and the lower half (low); pupil; glint. Of the lids: lashes (lash, and wing past the outer corner), crease, plate
    (the upper lid under it), rose (the lower lid's edge) and liner (the line below that).
    """
    u = m.unit
    side = torch.sign(x)
    ax = (x * (1 + m.asymmetry * side)).abs()
    ex, ey = ax - m.eye_x, y - m.eye_y
    ey = ey + ex * m.eye_tilt
    s = ex / m.eye_w
    # The upper lid is highest over the iris, towards the nose; the lower is lowest towards the temple.
    upper = -m.lid_up * (1 - power((s + 0.12).abs() / 1.06, 2.2)).clamp(min=-0.6) + 0.9 * u * m.sag * (s - 0.1).clamp(
        min=0
    )
    lower = m.lid_low * (1 - (s - 0.14) ** 2)
    over, under = ey - upper, lower - ey
    corner = (1 - s.abs()) * m.eye_w
    white = edge(torch.minimum(torch.minimum(over, under), corner), px)
    gx, gy = ex - side * m.gaze_x, ey - m.gaze_y + 0.9 * u
    r = (gx * gx + gy * gy + 1e-8).sqrt()
    lid = step(1.22, 0.95, s.abs())
    thick = (0.75 + 0.25 * s.clamp(-1, 1)) * (1.25 - 0.15 * m.male) * u
    return {
        "white": white,
        "side": step(0.35, 1.0, s.abs()),
        "shade": falling((over * (-LOG2E / (3.2 * u))).clamp(max=0)),
        "iris": edge(m.iris_r - r, px) * white,
        "rim": step(0.70, 1.02, r / m.iris_r),
        "ring": hill(r / m.iris_r - 0.52, 0.14),
        "low": step(-0.6, 0.9, gy / m.iris_r),
        "pupil": edge(0.36 * m.iris_r - r, px) * white,
        "glint": bump(gx * side + 1.9 * u, gy + 2.1 * u, 1.1 * u, 1.1 * u) * white,
        "lash": valley(over + 0.4 * thick, thick.clamp(min=0.35 * u), px) * lid,
        "wing": valley(ey - upper + 0.9 * u + 0.35 * (s - 0.9) * m.eye_w, 1.0 * u, px) * hill(s - 1.02, 0.16),
        "crease": valley(over + m.crease_y, 1.0 * u, px) * step(1.35, 0.9, s.abs()) * m.crease,
        "plate": hill(over + 0.5 * m.crease_y, 0.45 * m.crease_y + 0.6 * u) * step(1.15, 0.7, s.abs()),
        "rose": hill(under + 0.5 * u, 0.9 * u) * step(1.05, 0.85, s.abs()),
        "liner": valley(under + 0.9 * u, 0.8 * u, px) * step(1.1, 0.9, s.abs()) * step(-0.6, 0.4, s),
        "corner": bump(s + 0.92, ey - 0.2 * u, 0.13, 1.7 * u) * white,
    }


def mouth(m: SimpleNamespace, x: Tensor, y: Tensor, px: float) -> dict[str, Tensor]:
    """Masks in 0 … 1, [B, S, S] each; ``far`` is the distance from the middle, 1 at the corner.

    lips (both), upper, line (where they meet), pit (of the corner), glow (of the lower); inside (the open mouth),
    teeth, gaps (between teeth).
    """
    u = m.unit
    ax = x.abs()
    s = (ax / m.mouth_w).clamp(max=1.3)
    inside = (1 - s * s).clamp(min=0)
    # Where the lips meet, the middle of the upper one dips.
    curve = y - m.mouth_y - m.corner * s * s - 0.5 * u * (hill(s, 0.16) - 0.7 * hill(s - 0.42, 0.25))
    half_gap = m.gap * inside * 0.5
    bow = 1 - m.bow * hill(ax, 3.0 * u) + 0.6 * m.bow * hill(ax - 5.2 * u, 4.0 * u)
    top = -(m.lip_up * bow * power(inside, 0.85)) - half_gap
    bottom = m.lip_low * power(inside, 0.62) * (1 - 0.12 * step(0.25, 0.9, s)) + half_gap
    soft = 1.1 * u + 0.6 * px
    body = step(-0.7, 0.8, (curve - top) / soft) * step(-0.7, 0.8, (bottom - curve) / soft) * step(1.04, 0.92, s)
    opened = edge(half_gap - curve.abs() - 0.3 * px, px) * step(0.5, 2.5, m.gap * inside / u)
    return {
        "lips": body,
        "upper": step(0.4 * u, -0.4 * u, curve),
        "line": valley(curve, 0.85 * u, px) * step(1.06, 0.96, s) * (1 - opened),
        "pit": bump(ax - m.mouth_w, curve, 2.0 * u, 1.6 * u),
        "inside": opened,
        "teeth": edge(half_gap * (1.6 * m.teeth - 0.6) - curve, px) * opened,
        "gaps": valley(((ax / (4.2 * u)) % 1 - 0.5) * 4.2 * u, 0.35 * u, px),
        "far": s,
        "glow": bump(
            ax - 0.2 * m.mouth_w,
            curve - half_gap - 0.55 * m.lip_low,
            0.25 * m.mouth_w,
            0.3 * m.lip_low,
        ),
    }


def brows(m: SimpleNamespace, person: Tensor, x: Tensor, y: Tensor, px: float) -> Tensor:
    """How much hair of the brow covers the skin: short strands that fan from upright to the temple."""
    u = m.unit
    ax = (x * (1 + m.asymmetry * torch.sign(x))).abs()
    t = (ax - m.brow_gap) / (m.eye_x + m.eye_w + 5 * u - m.brow_gap)
    within = t.clamp(0, 1)
    line = m.brow_y + m.brow_inner * power(1 - within, 1.4) + m.brow_outer * power(within, 2.2)
    line = line - m.brow_arch * torch.sin(2.1 * power(within, 1.25))
    line = line + 7.48 * u * power((t - 0.55).clamp(min=0), 1.5)
    half = 0.5 * m.brow_h * (1.55 - 1.05 * power(within, 1.5)) + 0.25 * px
    across = (y - line) / half
    body = falling(-0.5 * LOG2E * power(across.abs(), 2.6)) * step(-0.10, 0.20, t) * (1 - step(0.82, 1.06, t))
    strands = noise(person[:, 1:2], (ax + (1.1 - 1.5 * t) * y) * 5.0, (y - 0.6 * ax) * 1.4)
    return (body * (0.84 + 0.34 * strands) * m.brow_dark).clamp(0, 1)


def beard(m: SimpleNamespace, x: Tensor, y: Tensor, px: float, width: Tensor, fine: Tensor) -> Tensor:
    """How much of the skin hair of the beard covers: a shadow where it is shaved."""
    u = m.unit
    ax = x.abs()
    far = (ax / width).clamp(0, 1)
    below = y - (m.nose_y + 16 * u + 30 * u * (1 - power(far, 1.5))) + 40 * u * (far - 0.8).clamp(min=0)
    open_lips = bump(ax, y - m.mouth_y - 0.5 * u, 0.85 * m.mouth_w, 9 * u)
    jaw = step(-6 * u, 12 * u, below + 4 * u * fine) * (1 - 0.95 * open_lips)
    lip = bump(ax, y - m.mouth_y + m.lip_up + 5.0 * u, 0.85 * m.mouth_w, 5 * u) * (1 - 0.5 * hill(ax, 3 * u))
    shadow = 0.20 * m.stubble * torch.maximum(jaw, lip) * (1 + 0.5 * fine)
    full = torch.maximum((m.beard * 1.5).clamp(max=0.92) * jaw, (m.moustache * 1.2).clamp(max=0.9) * lip)
    return torch.maximum(shadow, full * (0.82 + 0.3 * fine)).clamp(0, 0.95)


def parts(
    m: SimpleNamespace, person: Tensor, place: tuple[Tensor, Tensor], face: Tensor, front: Tensor, back: Tensor,
    depth: Tensor, px: float,
) -> dict[str, Tensor]:  # fmt: skip
    """Cover of each of ``REGIONS``, [B, S, S] in 0 … 1.

    face: the head where no hair hides it, from chin to hairline; eyes (with lids), brows, nose and mouth are parts of
    it. hair: before and behind the head. background: what is neither person nor clothes.
    place: face coordinates of what each pixel shows; depth: of what lies behind the face.
    """
    x, y = place
    u, bare = m.unit, face * (1 - front)
    eye, lips = eyes(m, x, y, px), mouth(m, x, y, px)
    lids = torch.maximum(eye["white"], torch.maximum(eye["lash"], eye["plate"]))
    # A nose widens from the bridge to its wings.
    down = ((y - m.root_y) / (m.nose_y - m.root_y)).clamp(0, 1)
    wide = m.bridge_w + (m.nose_w + u - m.bridge_w) * down * down
    nose = edge(torch.minimum(wide - x.abs(), torch.minimum(y - m.root_y, m.nose_y + 3 * u - y)), px)
    hair = torch.maximum(front, back * (1 - face))
    figure = torch.maximum(bare + hair, step(*FIGURE, depth))
    found = (bare, bare * lids, bare * brows(m, person, x, y, px), bare * nose,
             bare * torch.maximum(lips["lips"], lips["inside"]), hair, 1 - figure)  # fmt: skip
    return {name: cover.clamp(0, 1) for name, cover in zip(REGIONS, found, strict=True)}
