"""The bare face of a relief picture: skin with its blood, spots and folds, eyes, lips, brows and beard."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.colours import blend
from aifr_lib.faces.relief.features import beard, brows, eyes, mouth
from aifr_lib.faces.relief.form import height
from aifr_lib.faces.relief.surface import bump, edge, noises, skull


def head_layer(
    m: SimpleNamespace, person: Tensor, x: Tensor, y: Tensor, px: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour, height and gloss of the head without its hair; the glints of the eyes, which no shadow takes."""
    width, _ = skull(m, x, y)
    # Turned, so that no row of cells lies along the mouth or the brows.
    tx, ty = 0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x
    # Noise of three grains, three fields each: blotches of 2 cm, spots of 5 mm, pores of 2 mm.
    broad = noises(person, x * 0.42, y * 0.42)
    spots = noises(person, tx * 1.45, ty * 1.45)
    pores = noises(person, tx * 3.9, ty * 3.9) * min(1.0, 0.012 / px)
    depth, folds = height(m, x, y, px, 0.6 * pores[0] + 0.5 * spots[0], broad[1])
    colour, shine = _skin(m, x, y, px, folds, broad, spots, pores)
    colour = blend(
        colour,
        blend(m.brows * 0.9, 0.5 * m.silver, 0.8 * m.grey),
        beard(m, x, y, px, width, pores[2]),
    )
    colour, shine, glint = _eyes(m, x, y, px, colour, shine, pores[1])
    colour, shine = _mouth(m, x, y, px, colour, shine, pores[1])
    colour = blend(colour, m.brows, brows(m, person, x, y, px))
    return colour, depth, shine, glint


def _tint(amount: Tensor, red: float, green: float, blue: float) -> Tensor:
    """What is left of each colour's light where a stain takes a part of it: [3, B, S, S]."""
    return torch.stack([1 - red * amount, 1 - green * amount, 1 - blue * amount])


def _skin(m: SimpleNamespace, x: Tensor, y: Tensor, px: float, folds: Tensor, broad: Tensor, spots: Tensor,
          pores: Tensor) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(colour [3, B, S, S], gloss) of bare skin: blood, blotches, freckles, spots, moles, folds."""
    u = m.unit
    ax = x.abs()
    ny, ey, cy = (y - m.nose_y) / u, (y - m.eye_y) / u, (y - m.chin_y) / u
    mm = ax / u
    blood = bump(mm - 38, ny + 2, 17, 15) + 0.75 * bump(mm, ny + 6, 13, 9) + 0.35 * bump(mm, cy + 12, 16, 10)
    blood = m.flush * blood * (1 + 0.5 * broad[0]) + (0.05 + 0.22 * m.worn) * (broad[2] - 0.15).clamp(min=0)
    red = blood.clamp(0, 1)
    colour = m.skin * _tint(red, 0.05, 0.36, 0.32)
    # Much melanin hides what is uneven beneath it.
    uneven = (
        (0.02 + 0.10 * m.worn) * broad[0] + (0.01 + 0.075 * m.worn) * spots[1] + (0.015 + 0.055 * m.worn) * pores[0]
    )
    colour = colour * (1 + (1 - 0.6 * m.melanin) * uneven)
    # Thin skin round the eyes is darker and violet, more so in some and with age.
    orbit = bump(mm - m.eye_x / u, ey + 2, 19, 13)
    # What the surrounding flesh keeps the sky's light from.
    my = (y - m.mouth_y) / u
    shade = 0.20 * bump(mm - 13, ey + 1, 5, 8) + 0.20 * bump(mm, ny - 3, 13, 4)
    shade = shade + 0.15 * bump(mm, my - (m.lip_low + m.gap) / u - 3.5, 14, 4)
    below = bump(mm - m.eye_x / u + 4, ey - 10, 13, 6) * (0.10 + 0.55 * m.bags.clamp(max=1.4))
    colour = colour * _tint((0.22 + 0.12 * m.old) * orbit + shade, 0.78, 1.0, 0.94) * _tint(below, 0.58, 0.64, 0.50)
    # Spots of age: few and large, at the temples, cheeks and forehead.
    stain = spots[2] + 0.45 * broad[2]
    place = 0.35 + 0.65 * bump(mm - 46, ey - 4, 30, 60)
    brown = ((stain - 0.86 + 0.34 * m.spots.clamp(max=1.5)) * 2.4).clamp(0, 1) * (0.65 * m.spots).clamp(max=0.7) * place
    specks = ((pores[1] + 0.4 * spots[1] - 0.18) * 3).clamp(0, 1) * bump(mm - 22, ny + 16, 30, 18) * m.freckles
    colour = colour * _tint((brown + 0.7 * specks).clamp(max=1), 0.34, 0.50, 0.60)
    for n in range(3):
        dx, dy = x - getattr(m, f"mole_x{n}"), y - getattr(m, f"mole_y{n}")
        mole = getattr(m, f"mole_a{n}") * edge(0.013 - (dx * dx + dy * dy + 1e-9).sqrt(), max(px, 0.010))
        colour = colour * (1 - 0.72 * mole)
    # Little light reaches the bottom of a fold, and what returns is red.
    colour = colour * _tint(folds, 0.27, 0.38, 0.38)
    nostril = bump(
        mm - 0.50 * m.nose_w / u,
        ny - 0.2 + 0.25 * (mm - 0.5 * m.nose_w / u),
        3.1,
        1.35 + 0.08 * m.tip_up / u,
    )
    colour = colour * _tint(nostril, 0.80, 0.88, 0.88)
    oily = (
        0.09 + 0.08 * bump(mm, ey + 42, 32, 24) + 0.12 * bump(mm, ny + 8, 7, 16) + 0.05 * bump(mm - 40, ey - 24, 14, 12)
    )
    # Dark skin shows its form by its gloss, since it returns little other light.
    return colour, oily * (1 - 0.35 * m.old.clamp(max=1)) * (1 + 0.3 * pores[2]) * (1 + 0.8 * m.melanin)


def _eyes(m: SimpleNamespace, x: Tensor, y: Tensor, px: float, colour: Tensor, shine: Tensor,
          grain: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    eye = eyes(m, x, y, px)
    colour = colour * (1 - 0.5 * eye["crease"]) * _tint(eye["plate"], 0.10, 0.18, 0.16)
    colour = colour * _tint(eye["rose"], 0.02, 0.22, 0.20) * (1 - 0.30 * eye["liner"])
    sclera = (1 - 0.45 * m.melanin) * torch.stack([0.52 - 0.05 * m.old, 0.48 - 0.07 * m.old, 0.46 - 0.11 * m.old])
    sclera = sclera * _tint(eye["side"], 0.22, 0.34, 0.32)
    # Light that enters from above brightens the lower half of the iris.
    iris = m.iris * (0.85 + 0.55 * eye["low"] + 0.35 * eye["ring"] + 0.3 * grain) * (1 - 0.78 * eye["rim"])
    ball = blend(sclera, iris, eye["iris"])
    ball = blend(ball, 0 * ball + 0.006, eye["pupil"])
    ball = blend(ball, m.lips, 0.75 * eye["corner"]) * (1 - 0.68 * eye["shade"])
    colour = blend(colour, ball, eye["white"])
    dark = (0.80 - 0.10 * m.male - 0.15 * m.old.clamp(max=1)).clamp(0, 0.95)
    colour = blend(
        colour,
        m.brows * 0.22,
        (dark * (eye["lash"] + 0.6 * eye["wing"])).clamp(max=0.92),
    )
    return colour, blend(shine, 0.05 + 0 * shine, eye["white"]), eye["glint"]


def _mouth(m: SimpleNamespace, x: Tensor, y: Tensor, px: float, colour: Tensor, shine: Tensor,
           grain: Tensor) -> tuple[Tensor, Tensor]:  # fmt: skip
    lips = mouth(m, x, y, px)
    creases = 1 + (0.05 + 0.10 * m.thinned) * torch.cos(x / m.unit * 2.1 + 2 * grain)
    red = m.lips * (1 - 0.16 * lips["upper"]) * (creases + 0.10 * grain)
    colour = blend(colour, red, 0.9 * lips["lips"])
    colour = colour * _tint(lips["line"], 0.74, 0.86, 0.84) * _tint(lips["pit"], 0.35, 0.45, 0.42)
    teeth = torch.stack([0.50 - 0.06 * m.old, 0.46 - 0.09 * m.old, 0.41 - 0.12 * m.old])
    teeth = teeth * (1 - 0.55 * lips["far"].clamp(max=1) ** 2) * (1 - 0.30 * lips["gaps"])
    inner = blend((m.lips * 0.10).expand_as(colour), teeth, lips["teeth"])
    colour = blend(colour, inner, lips["inside"])
    gloss = (
        (0.10 - 0.07 * lips["upper"] + 0.14 * lips["glow"])
        * lips["lips"]
        * (1 - lips["inside"])
        * (1 - 0.5 * m.thinned.clamp(max=1))
    )
    return colour, shine + gloss
