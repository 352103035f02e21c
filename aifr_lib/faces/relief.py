"""Relief faces: pictures of people who do not exist, from a height map, light and skin, in torch.

    faces = Faces.sample(identity_seeds=[7, 7], ages=[8, 70], picture_seeds=[1, 2])
    pixels = render(faces, 112)                       # uint8 [2, 112, 112, 3], RGB

A picture is parameters → measures (``relief_anatomy``) → heights and masks (``relief_surface``) → colour
under a light → camera. Every picture is drawn from its own row alone: the same parameters give the same
pixels in any batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from aifr_lib.config import choose
from aifr_lib.faces import relief_pose
from aifr_lib.faces.relief_anatomy import anatomy, blend
from aifr_lib.faces.relief_parameters import Faces, hash32
from aifr_lib.faces.relief_pose import FRAMES, crop, portrait_landmarks, to_plane, unview, view, whole
from aifr_lib.faces.relief_scene import backdrop, body, ears, hair_colour, hair_layers, over
from aifr_lib.faces.relief_skin import head_layer
from aifr_lib.faces.relief_surface import lattice, turn

__all__ = ["MIN_SIZE", "Faces", "landmarks", "render"]

MIN_SIZE = 16
# Pictures drawn at once, by pixels: a working set that stays in the cache is twice as fast.
CHUNK_PIXELS = 8 * 112 * 112
log = logging.getLogger(__name__)


def render(
    faces: Faces, size: int, *, frame: str = "portrait", compiled: bool = False, device: str | torch.device = "cpu"
) -> Tensor:
    """Draw faces: uint8 [B, size, size, 3], RGB, on ``device``.

    frame: "portrait" (head and shoulders) or "aligned" (what a detector and the similarity onto the 112×112
    template of ``faces.align`` would crop, drawn afresh, not resampled; the detector's small error comes from
    the picture seed).
    compiled: through torch.compile (minutes once a size, then several times faster; may differ by one grey
    level from eager); falls back to eager with a warning where no compiler works.
    Errors: ValueError for a size under 16 or over 1024, ConfigError for an unknown frame.
    """
    px = 2 / size * choose("frame", frame, FRAMES) if size else 0.0
    if not MIN_SIZE <= size <= 1024:
        raise ValueError(f"size {size}: a relief face needs a side of {MIN_SIZE} … 1024 pixels")
    chunk = max(1, CHUNK_PIXELS // size**2)
    parts = []
    with torch.no_grad():
        for start in range(0, len(faces), chunk):
            rows = torch.arange(start, min(start + chunk, len(faces)))
            # A compiled function is compiled again for each new shape: fill the last chunk up.
            filled = rows.repeat(chunk)[:chunk] if compiled else rows
            part = faces[filled].to(device)
            person, picture = lattice(part.identity_seed, 6, 3), lattice(part.picture_seed, 7, 2)
            pixels = _drawer(compiled)(_measures(part, frame), person, picture, part.picture_seed, size, px)
            parts.append(pixels[: len(rows)])
    return torch.cat(parts)


def landmarks(faces: Faces, frame: str = "portrait") -> Tensor:
    """True centres of the eyes, tip of the nose and corners of the mouth: float32 [B, 5, 2].

    (x, y) in fractions of the picture side; the picture's left eye and corner come first, as in the template
    of ``faces.align``. Errors: ConfigError for an unknown frame.
    """
    choose("frame", frame, FRAMES)
    m = SimpleNamespace(**_measures(faces, frame))
    return (unview(m, portrait_landmarks(m)) + 1) / 2


def _measures(faces: Faces, frame: str) -> dict[str, Tensor]:
    measures = anatomy(faces)
    if frame == "portrait":
        return measures | whole(measures["yaw"])
    points = portrait_landmarks(SimpleNamespace(**measures))
    return measures | crop(points, faces.picture_seed, relief_pose.JITTER)


Drawer = Callable[[dict[str, Tensor], Tensor, Tensor, Tensor, int, float], Tensor]


@cache
def _drawer(compiled: bool) -> Drawer:
    if not compiled:
        return draw
    fast = torch.compile(draw, dynamic=False)

    def guarded(*inputs: Any) -> Tensor:
        try:
            return fast(*inputs)
        except (RuntimeError, OSError) as error:
            log.warning("torch.compile does not work here (%s); relief faces are drawn eagerly", type(error).__name__)
            return draw(*inputs)

    return guarded


def draw(measures: dict[str, Tensor], person: Tensor, picture: Tensor, seeds: Tensor, size: int, px: float) -> Tensor:
    """The pure function behind ``render``: measures and two lattices of noise to uint8 [B, size, size, 3].

    px: side of a pixel in half portrait sides.
    """
    m = SimpleNamespace(**measures)
    centre = (torch.arange(size, device=seeds.device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    u0, v0 = view(m, centre.reshape(1, 1, size), centre.reshape(1, size, 1))
    u, v = to_plane(m, u0, v0)
    x, y = turn(m, u, v)

    colour, depth, shine = backdrop(m, picture, u0, v0, u, v, px)
    hair_mask, hair_depth, strand = hair_layers(m, picture, x, y, px)
    layer = over((colour, depth, shine), hair_mask["long"], 0.55 * hair_colour(m, strand), -0.26 + 0.04 * strand, 0.05)
    layer = ears(m, body(m, layer, u, v, x, px), x, y, px)
    colour, depth, shine, glint = head_layer(m, layer, person, x, y, px)
    front = hair_mask["front"]
    colour = blend(colour, hair_colour(m, strand), front)
    depth = blend(depth, torch.maximum(hair_depth, depth), front * hair_mask["root"])
    shine = blend(shine, 0.10 + 0.10 * strand, front)

    lit = _light(m, colour, depth - x * torch.tan(m.yaw) * 0.7 - y * torch.tan(m.pitch) * 0.7, shine, px)
    lit = blend(lit, colour, hair_mask["air"]) + 0.8 * glint
    return _camera(m, lit, seeds, size)


def _light(m: SimpleNamespace, colour: Tensor, depth: Tensor, shine: Tensor, px: float) -> Tensor:
    """Lambert with light that leaks into the shadow (most of it red), Blinn's highlight, cast shadows."""
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
