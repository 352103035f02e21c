"""The bare face of a relief picture: skin with its blood, spots and folds, eyes, lips, brows and beard."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief_anatomy import blend
from aifr_lib.faces.relief_surface import bump, edge, eyes, height, mouth, noise, skull, step


def head_layer(
    m: SimpleNamespace, person: Tensor, x: Tensor, y: Tensor, px: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour, height and gloss of the head without its hair; the glints of the eyes, which no shadow takes."""
    rough = noise(person[:, :1], x * 1.6, y * 1.6)
    wander = noise(person[:, 1:2], x * 0.3, y * 0.3)
    depth, folds = height(m, x, y, px, rough, wander)
    colour, shine = _skin(m, person, x, y, px, folds, rough, wander)

    eye = eyes(m, x, y, px)
    socket = bump(x.abs() - m.eye_x, y - m.eye_y + 0.01, 0.13, 0.085)
    colour = colour * (1 - (0.10 + 0.05 * m.old) * socket)
    colour = colour * (1 - 0.45 * m.hood.clamp(max=1.2) * eye["crease"]) * (1 - 0.20 * eye["liner"])
    sclera = torch.stack([0.60 - 0.05 * m.old, 0.56 - 0.07 * m.old, 0.54 - 0.10 * m.old])
    sclera = sclera * (1 - 0.35 * eye["side"])
    iris = m.iris * (1.25 - 0.85 * eye["rim"]) * (1 + 0.25 * rough)
    ball = blend(sclera * (1 - 0.25 * (1 - eye["white"])), iris, eye["iris"])
    ball = blend(ball, ball * 0 + 0.008, eye["pupil"])
    ball = blend(ball, m.lips, 0.7 * eye["corner"]) * (1 - 0.6 * eye["shade"])
    colour = blend(colour, ball, eye["white"])
    lash = (0.62 + 0.2 * (1 - m.male)).clamp(max=0.95) * eye["lash"] * (1 - 0.25 * m.old.clamp(max=1))
    colour = blend(colour, m.brows * 0.25, lash)
    shine = blend(shine, 0.25 + 0 * shine, eye["white"])

    lips = mouth(m, x, y, px)
    tint = (0.88 + 0.18 * step(-0.01, 0.01, y - m.mouth_y)) * (1 + 0.12 * rough)
    colour = blend(colour, m.lips * tint, 0.88 * lips["lips"])
    colour = colour * (1 - 0.62 * lips["line"])
    dark = m.lips * 0.10
    colour = blend(
        colour, blend(dark.expand_as(colour), 0 * colour + 0.70 - 0.15 * m.old, lips["teeth"]), lips["inside"]
    )
    shine = shine + 0.16 * lips["lips"] * (1 - lips["inside"])

    colour = blend(colour, m.brows, _brows(m, person, x, y, px))
    colour = blend(colour, m.brows * 0.8 + 0.1 * m.silver * m.grey, _beard(m, person, x, y, px))
    return colour, depth, shine, eye["glint"]


def _skin(
    m: SimpleNamespace,
    person: Tensor,
    x: Tensor,
    y: Tensor,
    px: float,
    folds: Tensor,
    rough: Tensor,
    wander: Tensor,
) -> tuple[Tensor, Tensor]:
    """(colour [3, B, S, S], gloss) of bare skin: blood, blotches, freckles, spots, moles, folds."""
    ax = x.abs()
    flush = bump(ax - 0.29, y - m.nose_y + 0.02, 0.15, 0.13) + 0.8 * bump(ax, y - m.nose_y + 0.02, 0.09, 0.08)
    flush = flush + 0.35 * bump(ax, y - m.chin_y + 0.1, 0.15, 0.1)
    red = (m.flush * flush * (1 + 0.4 * wander)).clamp(0, 1)
    colour = m.skin * torch.stack([1 - 0.04 * red, 1 - 0.42 * red, 1 - 0.40 * red])
    blotch = noise(person[:, 2:3], x * 0.45 + 3, y * 0.45)
    colour = colour * (1 + (0.03 + 0.07 * m.old) * blotch + 0.03 * m.old * rough)
    stain = noise(person[:, 2:3], x * 0.85, y * 0.85) + 0.35 * blotch
    place = bump(ax - 0.32, y - m.eye_y - 0.02, 0.22, 0.45)
    spots = (
        ((stain - 0.82 + 0.30 * m.spots.clamp(max=1.5)) * 3).clamp(0, 1)
        * (m.spots * 0.75).clamp(max=0.8)
        * (0.35 + 0.65 * place)
    )
    specks = ((noise(person[:, :1], x * 2.1 + 5, y * 2.1) - 0.25) * 2).clamp(0, 1) * bump(
        ax - 0.16, y - m.nose_y + 0.12, 0.22, 0.13
    )
    colour = colour * (
        1
        - torch.stack([0.35 + 0 * spots, 0.5 + 0 * spots, 0.6 + 0 * spots])
        * (spots + 0.6 * m.freckles * specks).clamp(max=1)
    )
    for n in range(3):
        dx, dy = x - getattr(m, f"mole_x{n}"), y - getattr(m, f"mole_y{n}")
        mole = getattr(m, f"mole_a{n}") * edge(0.015 - (dx * dx + dy * dy + 1e-9).sqrt(), max(px, 0.012))
        colour = colour * (1 - 0.75 * mole)
    # Blood shows in a fold: it darkens green and blue more than red.
    colour = colour * (1 - torch.stack([0.34 * folds, 0.46 * folds, 0.48 * folds]))
    under = bump(ax - m.eye_x + 0.02, y - m.eye_y - 0.095, 0.09, 0.045) * (0.10 + 0.22 * m.bags.clamp(max=1.5))
    colour = colour * (1 - torch.stack([0.6 * under, 0.75 * under, 0.5 * under]))
    nostril = bump(ax - 0.50 * m.nose_w, y - m.nose_y - 0.024 + 0.2 * (ax - 0.5 * m.nose_w), 0.024, 0.014)
    colour = colour * (1 - 0.72 * nostril.clamp(max=1))
    oily = 0.10 + 0.10 * bump(ax, y + 0.45, 0.25, 0.2) + 0.14 * bump(ax, y - m.nose_y + 0.05, 0.06, 0.15)
    return colour, oily * (1 - 0.35 * m.old.clamp(max=1))


def _brows(m: SimpleNamespace, person: Tensor, x: Tensor, y: Tensor, px: float) -> Tensor:
    ax = (x * (1 + m.asymmetry * torch.sign(x))).abs()
    t = (ax - m.brow_gap) / (m.eye_x + 0.13 - m.brow_gap)
    line = (
        m.brow_y
        + m.brow_inner * (1 - t).clamp(0, 1) ** 1.5
        - m.brow_arch * torch.sin(torch.pi * (t * 0.72 + 0.05).clamp(0, 1))
    )
    line = line + 0.035 * (t - 0.7).clamp(min=0)
    thick = m.brow_h * (1.05 - 0.75 * t.clamp(0, 1) ** 1.6)
    body = (
        torch.exp(-((((y - line) / (thick + 0.3 * px)) ** 2) ** 1.8)) * step(-0.10, 0.08, t) * (1 - step(0.85, 1.08, t))
    )
    hairs = 0.82 + 0.45 * noise(person[:, 1:2], (ax + 0.8 * y) * 2.6, (y - ax) * 0.6)
    return (body * hairs * (0.86 - 0.22 * m.child - 0.18 * m.old.clamp(max=1) * (1 - 0.5 * m.male))).clamp(0, 1)


def _beard(m: SimpleNamespace, person: Tensor, x: Tensor, y: Tensor, px: float) -> Tensor:
    ax = x.abs()
    width, _ = skull(m, x, y)
    bare = noise(person[:, :1], x * 2.5, y * 1.5) * 0.15
    cheek = (
        y - (m.nose_y + 0.12 + 0.25 * (1 - (ax / width).clamp(0, 1) ** 1.5)) + 0.30 * ((ax / width) - 0.8).clamp(min=0)
    )
    jaw = step(-0.03, 0.10, cheek + 0.2 * bare) * (1 - 0.9 * bump(ax, y - m.mouth_y - 0.005, 0.9 * m.mouth_w, 0.065))
    lip = bump(ax, y - m.mouth_y + m.lip_up + 0.035, 0.75 * m.mouth_w, 0.035)
    shadow = 0.16 * m.stubble * torch.maximum(jaw, lip)
    full = torch.maximum((m.beard * 1.5).clamp(max=0.92) * jaw, (m.moustache * 1.2).clamp(max=0.9) * lip)
    return torch.maximum(shadow, full * (0.85 + bare)).clamp(0, 0.95)
