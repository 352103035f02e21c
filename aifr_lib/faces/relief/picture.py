"""Relief faces: pictures of people who do not exist, from a height map, light and skin, in torch.

    faces = Faces.sample(identity_seeds=[7, 7], ages=[8, 70], picture_seeds=[1, 2])
    pixels = render(faces, 112)                       # uint8 [2, 112, 112, 3], RGB

A picture is parameters → measures (``anatomy``) → heights and masks (``surface``) → colour
under a light → camera. Every picture is drawn from its own row alone: the same parameters give the same
pixels in any batch, but for one grey level in a pixel of a million or so, where the last bit of a function that the
processor computes alone or eight at a time decides a rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache
from numbers import Integral
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from aifr_lib.faces.relief.anatomy import anatomy
from aifr_lib.faces.relief.camera import develop, expose
from aifr_lib.faces.relief.colours import blend
from aifr_lib.faces.relief.features import parts
from aifr_lib.faces.relief.hair import bun, hair
from aifr_lib.faces.relief.light import direction, shade, side_normal, slopes
from aifr_lib.faces.relief.parameters import RANGES, Faces
from aifr_lib.faces.relief.pose import (
    FRAMES,
    Ray,
    crop,
    first_hit,
    portrait_landmarks,
    project,
    sight,
    to_plane,
    unview,
    view,
    whole,
)
from aifr_lib.faces.relief.scene import Layer, backdrop, body, ears, over
from aifr_lib.faces.relief.skin import head_layer
from aifr_lib.faces.relief.surface import edge, lattice, skull, step
from aifr_lib.names import choose

MIN_SIZE, MAX_SIZE = 16, 1024
STEP = 0.01  # of a parameter's range, for a central difference
WALL = -1.4  # depth of what lies behind
# Pictures drawn at once, by pixels: a working set that stays in the cache is twice as fast.
CHUNK_PIXELS = 8 * 112 * 112
MEASURED = 256  # faces measured at once
_without_compiler: list[str] = []  # why torch.compile does not work in this process: it is tried once
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
    px = _pixel(size, frame)
    via = _compiled if compiled else _as_it_is
    parts = []
    with torch.no_grad():
        for count, inputs in _chunks(faces, size, frame, device, filled=compiled):
            parts.append(draw(*inputs, size, px, via)[:count])
    return torch.cat(parts)


def sensitivity(
    faces: Faces, parameter: str, size: int, *, step: float | None = None, frame: str = "portrait"
) -> Tensor:
    """How much each pixel changes with a parameter: |∂ grey level / ∂ parameter|, float32 [B, size, size].

    parameter: any name in ``COLUMNS``. Central difference over ± ``step`` (default: ``STEP`` of the parameter's
    range; one-sided where the range ends) of the picture before noise, JPEG and rounding, grey levels in 0 … 1,
    averaged over the three channels. In the aligned frame the crop follows the landmarks as they move. Texture,
    the seeds' hair strands and the drawing of other parameters stay as they are.
    Errors: ConfigError for an unknown parameter or frame; ValueError for a step that is not above 0, or so small
    that it vanishes in float32, and for a size out of range.
    """
    low, high = choose("parameter", parameter, RANGES)
    step = STEP * (high - low) if step is None else step
    if not step > 0:
        raise ValueError(f"step {step:g}: must be above 0")
    px = _pixel(size, frame)
    value = faces.column(parameter)
    ends = [(value + by).clamp(low, high) for by in (-step, step)]
    if bool((ends[0] == ends[1]).any()):
        raise ValueError(f"step {step:g}: too small for {parameter} of {low:g} … {high:g} in float32")
    parts = []
    with torch.no_grad():
        below, above = (_chunks(faces.replaced(parameter, end), size, frame) for end in ends)
        for (_, before), (_, after) in zip(below, above, strict=True):
            less, more = (picture_before_noise(*inputs, size, px) for inputs in (before, after))
            parts.append((more - less).abs().mean(0))
    return torch.cat(parts) / (ends[1] - ends[0]).reshape(-1, 1, 1)


def regions(faces: Faces, size: int, frame: str = "portrait") -> dict[str, Tensor]:
    """How much of each pixel a region covers: float32 [B, size, size] in 0 … 1, by the names of ``features.REGIONS``.

    From the geometry that ``render`` draws, before the lens; a boolean mask is ``> 0.5``.
    Errors: as ``render``.
    """
    px = _pixel(size, frame)
    found = []
    with torch.no_grad():
        for _, (m, person, picture, seeds) in _chunks(faces, size, frame):
            _, u, v, ray = _lines_of_sight(m, size, seeds.device)
            locks = hair(m, picture, ray, direction(m), px)
            ear, lobes = ears(m, u, ray, px)
            behind = _behind(m, picture, 0 * locks.colour, locks, ear, lobes, u, v, px)
            x, y, *hit = first_hit(m, ray)
            fine = head_layer(m, person, x, y, px)[1]
            face, front, _ = _masks(m, behind[3], (x, y, *hit), fine, locks, ear, lobes, px)
            tied = bun(m, u, v, px)[0]
            found.append(parts(m, person, (x, y), face, front, torch.maximum(tied, locks.far_mask), behind[3], px))
    return {name: torch.cat([part[name] for part in found]) for name in found[0]}


def check_size(size: int) -> None:
    """Errors: ValueError for a side in pixels that cannot be drawn."""
    if not isinstance(size, Integral) or not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size {size}: a relief face needs a side of {MIN_SIZE} … {MAX_SIZE} pixels, a whole number")


def _pixel(size: int, frame: str) -> float:
    check_size(size)
    return 2 / size * choose("frame", frame, FRAMES)


Inputs = tuple[SimpleNamespace, Tensor, Tensor, Tensor]


def _chunks(
    faces: Faces, size: int, frame: str, device: str | torch.device = "cpu", filled: bool = False
) -> Iterator[tuple[int, Inputs]]:
    """(how many pictures, measures with the person's lattice, the picture's and its seeds) of a few faces at a time.

    filled: the last chunk is filled up to the size of the others, since each new shape is compiled afresh.
    """
    faces, chunk = faces.to("cpu"), max(1, CHUNK_PIXELS // size**2)
    for start in range(0, len(faces), MEASURED):
        block = faces[start : start + MEASURED]
        measures = _measures(block, frame)
        for first in range(0, len(block), chunk):
            rows = torch.arange(first, min(first + chunk, len(block)))
            count, rows = len(rows), rows.repeat(chunk)[:chunk] if filled else rows
            m = SimpleNamespace(**{name: value.index_select(-3, rows).to(device) for name, value in measures.items()})
            person, picture = block.identity_seed[rows].to(device), block.picture_seed[rows].to(device)
            yield count, (m, lattice(person, 6, 3), lattice(picture, 7, 2), picture)


def landmarks(faces: Faces, frame: str = "portrait") -> Tensor:
    """True centres of the eyes, tip of the nose and corners of the mouth: float32 [B, 5, 2].

    (x, y) in fractions of the picture side; the picture's left eye and corner come first, as in the template
    of ``faces.align``. Errors: ConfigError for an unknown frame.
    """
    choose("frame", frame, FRAMES)
    m = SimpleNamespace(**_measures(faces, frame))
    return (unview(m, portrait_landmarks(m)) + 1) / 2


def _measures(faces: Faces, frame: str) -> dict[str, Tensor]:
    # In double on the CPU, then rounded: the last bit of a float32 function depends on its place in a vector register,
    # and a face must not depend on its place in a batch.
    device = faces.age.device
    measures = anatomy(faces.to("cpu").double())
    if frame == "portrait":
        measures |= whole(measures["yaw"])
    else:
        points = portrait_landmarks(SimpleNamespace(**measures))
        measures |= crop(points, faces.picture_seed.cpu())
    # From the picture's axes to the plane's: the turn of the crop and the roll of the head.
    turn = torch.atan2(measures["view_b"], measures["view_a"]) - measures["roll"]
    measures |= {"turn_cos": turn.cos(), "turn_sin": turn.sin()}
    return {name: value.float().to(device) for name, value in measures.items()}


@cache
def _fast(part: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(part, dynamic=False)


def _compiled(part: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*inputs: Any) -> Any:
        if _without_compiler:
            return part(*inputs)
        try:
            return _fast(part)(*inputs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, OSError) as error:
            drawn = part(*inputs)  # where this fails too, it was not for the compiler
            _without_compiler.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
            log.warning("torch.compile does not work here (%s); relief faces are drawn eagerly", _without_compiler[0])
            return drawn

    return guarded


def _as_it_is(part: Callable[..., Any]) -> Callable[..., Any]:
    return part


Via = Callable[[Callable[..., Any]], Callable[..., Any]]


def draw(
    m: SimpleNamespace, person: Tensor, picture: Tensor, seeds: Tensor, size: int, px: float, via: Via = _as_it_is
) -> Tensor:
    """What is behind ``render``: measures and two lattices of noise to uint8 [B, size, size, 3].

    via: what each part is passed through before it is called. Parts are compiled one by one, since the time
    that takes grows faster than their length.
    """
    return via(expose)(m, picture_before_noise(m, person, picture, seeds, size, px, via), seeds)


def picture_before_noise(
    m: SimpleNamespace, person: Tensor, picture: Tensor, seeds: Tensor, size: int, px: float, via: Via = _as_it_is
) -> Tensor:
    """Grey levels in 0 … 1 without noise, JPEG or rounding: float32 [3, B, S, S].

    px: side of a pixel in half portrait sides.
    """
    (u0, v0), u, v, ray = _lines_of_sight(m, size, seeds.device)
    lamp = direction(m)
    wall = via(backdrop)(m, picture, seeds, u0, v0)
    locks = via(hair)(m, picture, ray, lamp, px)
    ear, lobes = via(ears)(m, u, ray, px)
    layer = via(_behind)(m, picture, wall, locks, ear, lobes, u, v, px)
    x, y, z, filled = via(first_hit)(m, ray)
    skin = via(head_layer)(m, person, x, y, px)
    layer, glint, gleam = via(_before)(m, layer, (x, y, z, filled), skin, locks, ear, lobes, px)
    lit = via(shade)(m, layer, lamp, gleam, px)
    return via(_finish)(m, wall, lit, glint, layer[3], size)


def _lines_of_sight(
    m: SimpleNamespace, size: int, device: torch.device
) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor, Ray]:
    """Of each pixel: its place in the portrait, its place (u, v) in the plane, the line through it."""
    centre = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    u0, v0 = view(m, centre.reshape(1, 1, size), centre.reshape(1, size, 1))
    u, v = to_plane(m, u0, v0)
    return (u0, v0), u, v, sight(m, u, v)


def _behind(
    m: SimpleNamespace, picture: Tensor, wall: Tensor, locks: SimpleNamespace, ear: Tensor, lobes: Layer,
    u: Tensor, v: Tensor, px: float,
) -> Layer:  # fmt: skip
    """Everything behind the face: tied hair, the far side of hair, neck and clothes, the bare skull, ears."""
    none = torch.zeros_like(u)
    layer = (wall, none, none, none + WALL, none)
    knot, knot_x, knot_y, knot_depth = bun(m, u, v, px)
    layer = over(layer, knot, (locks.colour, knot_x, knot_y, knot_depth, 0.05))
    layer = over(layer, locks.far_mask, (locks.far_colour, none, none, locks.far_depth, 0.0))
    layer = body(m, picture, layer, u, v, px)
    layer = over(layer, locks.bare, (m.skin, *locks.normal[:2], locks.depth, 0.08))
    return over(layer, ear, lobes)


def _before(
    m: SimpleNamespace, layer: Layer, hit: tuple[Tensor, ...], skin: tuple[Tensor, ...], locks: SimpleNamespace,
    ear: Tensor, lobes: Layer, px: float,
) -> tuple[Layer, Tensor, Tensor]:  # fmt: skip
    """(all layers, glint of the eyes, gleam of the hair) with the face and the hair before it."""
    colour, fine, shine, glint = skin
    face, front, (nx, ny, depth) = _masks(m, layer[3], hit, fine, locks, ear, lobes, px)
    layer = over(layer, face, (colour, nx, ny, depth, shine))
    layer = over(layer, front, (locks.colour, *locks.normal[:2], locks.depth, 0.0))
    return layer, glint * face * (1 - front), locks.gleam * front


def _masks(
    m: SimpleNamespace, behind: Tensor, hit: tuple[Tensor, ...], fine: Tensor, locks: SimpleNamespace, ear: Tensor,
    lobes: Layer, px: float,
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:  # fmt: skip
    """(the face, the hair before it, slopes and depth of the face) over what lies at the depth ``behind``."""
    x, y, z, filled = hit
    width, _ = skull(m, x, y)
    # At the steep sides of the head a small error of x is a large one of the height: there the coarse map and the
    # smooth skull decide.
    gentle = step(0.10, 0.24, z)
    depth = project(m, x, y, blend(z, fine, gentle))[2]
    smooth = side_normal(m, x, y, z, width)
    nx, ny = (blend(a, b, gentle) for a, b in zip(smooth, slopes(m, depth, px), strict=True))
    rim = (width - x.abs()) * m.yaw.cos() + z.clamp(min=0) * m.yaw.sin().abs()
    face = edge(torch.where(filled < 0, filled, torch.minimum(rim, m.chin_y - y + 0.5 * z.clamp(min=0))), px)
    face = face * edge(depth - behind + 0.04, 0.02)
    behind = blend(behind, depth, face)
    front = locks.mask * step(-0.16, -0.12, locks.depth - behind)
    # Short hair goes round the ear, long hair over it.
    front = front * (1 - ear * (1 - locks.fallen) * step(0.14, 0.08, locks.depth - lobes[3]))
    return face, front, (nx, ny, depth)


def _finish(m: SimpleNamespace, wall: Tensor, lit: Tensor, glint: Tensor, depth: Tensor, size: int) -> Tensor:
    # No lamp of the portrait reaches what lies behind.
    figure = step(WALL + 0.02, WALL + 0.15, depth)
    return develop(m, blend(wall, lit + 0.8 * glint, figure), size)
