"""Relief faces: pictures of people who do not exist, from a height map, light and skin, in torch.

    faces = Faces.sample(identity_seeds=[7, 7], ages=[8, 70], picture_seeds=[1, 2])
    pixels = render(faces, 112)                       # uint8 [2, 112, 112, 3], RGB

A picture is parameters → measures (``relief_anatomy``) → heights and masks (``relief_surface``) → colour under a
light → camera. Every picture is drawn from its own row alone: the same parameters give the same pixels in any batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from aifr_lib.faces.relief_anatomy import anatomy, blend
from aifr_lib.faces.relief_parameters import Faces, hash32
from aifr_lib.faces.relief_surface import (
    bump,
    edge,
    eyes,
    height,
    lattice,
    mouth,
    noise,
    skull,
    step,
    turn,
    valley,
)  # fmt: skip

__all__ = ["MIN_SIZE", "Faces", "render"]

MIN_SIZE = 16
# Pictures drawn at once, by pixels: a working set that stays in the cache is twice as fast.
CHUNK_PIXELS = 8 * 112 * 112
log = logging.getLogger(__name__)


def render(faces: Faces, size: int, *, compiled: bool = False, device: str | torch.device = "cpu") -> Tensor:
    """Draw faces: uint8 [B, size, size, 3], RGB, on ``device``.

    compiled: through torch.compile (about a minute once, then several times faster; may differ by one grey level from
    eager); falls back to eager with a warning where no compiler works.
    Errors: ValueError for a size under 16 or over 1024.
    """
    if not MIN_SIZE <= size <= 1024:
        raise ValueError(f"size {size}: a relief face needs a side of {MIN_SIZE} … 1024 pixels")
    chunk = max(1, CHUNK_PIXELS // size**2)
    parts = []
    with torch.no_grad():
        for start in range(0, len(faces), chunk):
            part = faces[start : start + chunk].to(device)
            inputs = (
                anatomy(part),
                lattice(part.identity_seed, 6, 3),
                lattice(part.picture_seed, 7, 2),
                part.picture_seed,
            )
            parts.append(_drawer(compiled)(*inputs, size))
    return torch.cat(parts)


Drawer = Callable[[dict[str, Tensor], Tensor, Tensor, Tensor, int], Tensor]


@cache
def _drawer(compiled: bool) -> Drawer:
    if not compiled:
        return draw
    fast = torch.compile(draw, dynamic=False)

    def guarded(*inputs: Any) -> Tensor:
        try:
            return fast(*inputs)
        except (RuntimeError, OSError) as error:
            log.warning(
                "torch.compile does not work here (%s); relief faces are drawn eagerly", type(error).__name__
            )
            return draw(*inputs)

    return guarded


def draw(measures: dict[str, Tensor], person: Tensor, picture: Tensor, seeds: Tensor, size: int) -> Tensor:
    """The pure function behind ``render``: measures and two lattices of noise to uint8 [B, size, size, 3]."""
    m = SimpleNamespace(**measures)
    px = 2.0 / size
    centre = (torch.arange(size, device=seeds.device, dtype=torch.float32) + 0.5) * px - 1
    u0 = centre.reshape(1, 1, size).expand(len(seeds), size, size)
    v0 = centre.reshape(1, size, 1).expand(len(seeds), size, size)
    zoom = torch.exp(-m.zoom)
    u, v = (u0 - m.shift_x) * zoom, (v0 - m.shift_y - 0.02) * zoom
    x, y = turn(m, u, v)

    colour, depth, shine = _backdrop(m, picture, u0, v0, u, v, px)
    hair_mask, hair_depth, strand = _hair(m, picture, x, y, px)
    layer = _over(
        (colour, depth, shine), hair_mask["long"], 0.55 * _hair_colour(m, strand), -0.26 + 0.04 * strand, 0.05
    )
    layer = _ears(m, _body(m, layer, u, v, x, px), x, y, px)
    colour, depth, shine, glint = _head(m, layer, person, x, y, px)
    front = hair_mask["front"]
    colour = blend(colour, _hair_colour(m, strand), front)
    depth = blend(depth, torch.maximum(hair_depth, depth), front * hair_mask["root"])
    shine = blend(shine, 0.10 + 0.10 * strand, front)

    lit = _light(m, colour, depth - x * torch.tan(m.yaw) * 0.7 - y * torch.tan(m.pitch) * 0.7, shine, px)
    lit = blend(lit, colour, hair_mask["air"]) + 0.8 * glint
    return _camera(m, lit, seeds, size)


Layer = tuple[Tensor, Tensor, Tensor]


def _backdrop(
    m: SimpleNamespace, picture: Tensor, u0: Tensor, v0: Tensor, u: Tensor, v: Tensor, px: float
) -> Layer:
    """A soft uneven wall."""
    paint = torch.stack([m.background_red, m.background_green, m.background_blue])
    base = (0.15 + 0.7 * blend(paint.mean(0, keepdim=True), paint, 0 * paint + 0.35)) ** 2.2
    uneven = (
        1
        + 0.45 * m.background_tilt * (0.7 * u0 + 0.5 * v0)
        + 0.25 * noise(picture[:, :1], u0 * 0.12, v0 * 0.12)
    )
    return base * uneven.clamp(min=0.1), torch.full_like(u, -0.3), torch.zeros_like(u)


def _over(below: Layer, mask: Tensor, colour: Tensor, depth: Tensor, shine: float | Tensor) -> Layer:
    return (
        blend(below[0], colour, mask),
        blend(below[1], depth, mask),
        blend(below[2], below[2] * 0 + shine, mask),
    )


def _body(m: SimpleNamespace, below: Layer, u: Tensor, v: Tensor, x: Tensor, px: float) -> Layer:
    """Neck, then clothes with a round collar."""
    cx = 0.5 * (u + x)
    au = cx.abs()
    neck = m.neck_w * (1 + 0.12 * ((v - m.chin_y - 0.05) / 0.2).clamp(-0.5, 1.5) ** 2)
    round_ = (1 - (au / neck).clamp(0, 1) ** 2).clamp(min=1e-4).sqrt()
    shade = 0.75 + 0.25 * step(0.0, 0.35, v - m.chin_y)
    cords = 0.012 * m.sag * torch.cos(cx * 40)
    below = _over(
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
    return _over(
        below,
        edge(v - top, px),
        cloth * (1 - 0.25 * rim),
        -0.12 + 0.25 * (1 - 0.5 * au**2) + 0.02 * rim,
        0.02,
    )


def _ears(m: SimpleNamespace, below: Layer, x: Tensor, y: Tensor, px: float) -> Layer:
    ax = x.abs()
    level = torch.full_like(m.eye_y, 0.0) + m.eye_y + 0.10
    width, _ = skull(m, x * 0, level + x * 0)
    ex, ey = (ax - width - 0.02 + 0.15 * (y - level)) / (0.36 * m.ear_h), (y - level) / m.ear_h
    r = (ex * ex + ey * ey).sqrt()
    bowl = 0.05 * r.clamp(max=1) ** 2 - 0.03 * bump(ex - 0.1, ey, 0.5, 0.5)
    skin = m.skin * torch.stack([1 + 0.05 * r, 0.92 + 0 * r, 0.90 + 0 * r]) * (0.72 + 0.28 * r.clamp(max=1))
    return _over(below, edge((1 - r) * 0.36 * m.ear_h, px), skin, -0.02 + bowl, 0.08)


def _head(
    m: SimpleNamespace, below: Layer, person: Tensor, x: Tensor, y: Tensor, px: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The head without its hair; also the glints of the eyes, which no shadow takes."""
    width, _ = skull(m, x, y)
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
    mask = torch.minimum(edge(width - x.abs(), px), edge(m.chin_y - y, px))
    out = _over(below, mask, colour, depth, shine)
    return *out, eye["glint"] * mask


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
    under = bump(ax - m.eye_x + 0.02, y - m.eye_y - 0.095, 0.09, 0.045) * (
        0.10 + 0.22 * m.bags.clamp(max=1.5)
    )
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
        torch.exp(-((((y - line) / (thick + 0.3 * px)) ** 2) ** 1.8))
        * step(-0.10, 0.08, t)
        * (1 - step(0.85, 1.08, t))
    )
    hairs = 0.82 + 0.45 * noise(person[:, 1:2], (ax + 0.8 * y) * 2.6, (y - ax) * 0.6)
    return (body * hairs * (0.86 - 0.22 * m.child - 0.18 * m.old.clamp(max=1) * (1 - 0.5 * m.male))).clamp(
        0, 1
    )


def _beard(m: SimpleNamespace, person: Tensor, x: Tensor, y: Tensor, px: float) -> Tensor:
    ax = x.abs()
    width, _ = skull(m, x, y)
    bare = noise(person[:, :1], x * 2.5, y * 1.5) * 0.15
    cheek = (
        y
        - (m.nose_y + 0.12 + 0.25 * (1 - (ax / width).clamp(0, 1) ** 1.5))
        + 0.30 * ((ax / width) - 0.8).clamp(min=0)
    )
    jaw = step(-0.03, 0.10, cheek + 0.2 * bare) * (
        1 - 0.9 * bump(ax, y - m.mouth_y - 0.005, 0.9 * m.mouth_w, 0.065)
    )
    lip = bump(ax, y - m.mouth_y + m.lip_up + 0.035, 0.75 * m.mouth_w, 0.035)
    shadow = 0.16 * m.stubble * torch.maximum(jaw, lip)
    full = torch.maximum((m.beard * 1.5).clamp(max=0.92) * jaw, (m.moustache * 1.2).clamp(max=0.9) * lip)
    return torch.maximum(shadow, full * (0.85 + bare)).clamp(0, 0.95)


def _hair(
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
    outline = blend(
        raised + volume * (1 - 0.45 * drop), hang + 0.02 * torch.sin(y * 9 + 3 * m.parting), falls * drop
    )
    tip = ear + 0.06 + grown * 1.05
    hanging = outline - ax + 0.030 * strand * (0.4 + m.curl)
    outer = torch.minimum(hanging, (tip - y) * 0.8 + 0.05 * strand)
    outer = torch.minimum(outer, y - ear - (m.top_y - ear) * swell + 0.015 * strand)

    # Inner border: forehead, temples, and down the side of the face.
    line = (
        m.hairline_y + m.peak * torch.exp(-((x / 0.06) ** 2)) - m.temples * bump(ax - 0.27, y * 0, 0.12, 1.0)
    )
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
    scalp = m.thinning * bump(ax, y + 0.75, 0.34, 0.34)
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


def _hair_colour(m: SimpleNamespace, strand: Tensor) -> Tensor:
    white = torch.sigmoid((m.grey - 0.5) * 7 + 1.6 * strand) * step(0.02, 0.2, m.grey)
    return blend(m.hair, m.silver * 0.85, white) * (1 + 0.34 * strand)


def _light(m: SimpleNamespace, colour: Tensor, depth: Tensor, shine: Tensor, px: float) -> Tensor:
    """Lambert with light that leaks into the shadow (more of the red), Blinn's highlight, and cast shadows."""
    dzx = (torch.roll(depth, -1, 2) - torch.roll(depth, 1, 2)) / (2 * px)
    dzy = (torch.roll(depth, -1, 1) - torch.roll(depth, 1, 1)) / (2 * px)
    steep = (dzx * dzx + dzy * dzy).sqrt()
    soft = 1 / (1 + 0.12 * steep)
    nx, ny = -dzx * soft, -dzy * soft
    nz = 1 / (nx * nx + ny * ny + 1).sqrt()
    nx, ny = nx * nz, ny * nz
    flat = m.light_elevation.cos()
    lx, ly, lz = m.light_azimuth.sin() * flat, -m.light_elevation.sin(), m.light_azimuth.cos() * flat
    facing = nx * lx + ny * ly + nz * lz
    shadow = _shadow(depth, lx, ly, lz, px)
    leak = torch.tensor((0.30, 0.20, 0.16), device=depth.device).reshape(3, 1, 1, 1)
    diffuse = ((facing + leak) / (1 + leak)).clamp(min=0) * (1 - 0.65 * shadow * (1 - 0.5 * leak))
    warmth = torch.stack([1 + 0.16 * m.light_warmth, 1 + 0 * m.light_warmth, 1 - 0.20 * m.light_warmth])
    sky = m.light_ambient * (0.72 + 0.28 * nz - 0.12 * ny)
    half = (lx * lx + ly * ly + (lz + 1) ** 2).sqrt()
    gleam = ((nx * lx + ny * ly + nz * (lz + 1)) / half).clamp(min=0) ** 24 * (1 - shadow)
    return colour * (m.light_key * warmth * diffuse + sky) + 0.55 * m.light_key * warmth * shine * gleam


def _shadow(depth: Tensor, lx: Tensor, ly: Tensor, lz: Tensor, px: float) -> Tensor:
    """How far higher ground stands before the light, 0 … 1, looked up at four distances."""
    along = (lx * lx + ly * ly + 1e-6).sqrt()
    size = depth.shape[-1]
    centre = (torch.arange(size, device=depth.device, dtype=torch.float32) + 0.5) * px - 1
    blocked = torch.zeros_like(depth)
    for reach in (0.05, 0.10, 0.17, 0.27):
        gx = (centre.reshape(1, 1, size) + reach * lx / along).expand_as(depth)
        gy = (centre.reshape(1, size, 1) + reach * ly / along).expand_as(depth)
        there = torch.nn.functional.grid_sample(
            depth.unsqueeze(1), torch.stack([gx, gy], -1), padding_mode="border", align_corners=False
        )[:, 0]
        rise = there - depth - reach * lz / along
        blocked = torch.maximum(blocked, (rise / (0.05 + 0.5 * reach)).clamp(0, 1))
    return blocked


def _camera(m: SimpleNamespace, lit: Tensor, seeds: Tensor, size: int) -> Tensor:
    """Exposure, white balance, lens blur, sensor noise, tone curve, eight bits."""
    gains = torch.stack([m.balance_red, 0 * m.balance_red, m.balance_blue])
    lit = lit * torch.exp(m.exposure + gains)
    lit = lit / (1 + 0.22 * lit**2).sqrt()
    sigma = m.blur * size / 112
    side = (sigma * sigma / 2).clamp(max=0.25)
    for axis in (2, 3):
        lit = lit * (1 - 2 * side) + side * (torch.roll(lit, 1, axis) + torch.roll(lit, -1, axis))
    grey = lit.clamp(min=1e-4) ** (torch.exp(m.contrast) / 2.2)
    cells = torch.arange(3 * size * size, device=seeds.device).reshape(3, size, size)
    bits = hash32(seeds, 8, cells)
    # The sum of two 16-bit halves is noise enough like a Gaussian: triangular, variance 1 after scaling.
    grain = ((bits & 0xFFFF) + (bits >> 16)).float() / 65536 - 1
    grey = grey + 2.45 * m.noise * grain.transpose(0, 1)
    return (grey * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous()
