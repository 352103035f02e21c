"""Where a point of a relief face lies in the picture: the turn of the head, the framing, the aligned crop.

Face coordinates are x right, y down, z to the viewer; ``plane`` coordinates are the same after the turn of the
head; the picture's run from −1 to 1, right and down. Seen from far away: no perspective.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from aifr_lib.faces.align import SIDE, TEMPLATE
from aifr_lib.faces.relief.form import height
from aifr_lib.faces.relief.parameters import normal
from aifr_lib.faces.relief.surface import sample, skull

# The head turns about an axis this far before the ears, so that it stays in the picture.
PIVOT = 0.2
# Half picture sides of a portrait that a half side of an aligned crop covers, for the width of a pixel.
FRAMES = {"portrait": 1.0, "aligned": 0.72}
# Error of a detector's landmarks: standard deviation in distances between the eyes (inferred; MTCNN's is larger).
JITTER = 0.015
STREAM = 9


def project(m: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Face coordinates to (u, v, depth to the viewer) of the plane: yaw about the vertical, then pitch."""
    z = z - PIVOT
    u = x * m.yaw.cos() + z * m.yaw.sin()
    ahead = z * m.yaw.cos() - x * m.yaw.sin()
    return u, y * m.pitch.cos() + ahead * m.pitch.sin(), ahead * m.pitch.cos() - y * m.pitch.sin()


def to_plane(m: SimpleNamespace, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Portrait coordinates to the plane's: framing and roll undone."""
    u, v = _scale(m) * (u - m.shift_x), _scale(m) * (v - m.shift_y + 0.005)
    return u * m.roll.cos() + v * m.roll.sin(), v * m.roll.cos() - u * m.roll.sin()


def to_portrait(m: SimpleNamespace, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of ``to_plane``."""
    u, v = u * m.roll.cos() - v * m.roll.sin(), v * m.roll.cos() + u * m.roll.sin()
    return u / _scale(m) + m.shift_x, v / _scale(m) + m.shift_y - 0.005


def _scale(m: SimpleNamespace) -> Tensor:
    return 1.13 * torch.exp(-m.zoom)


def portrait_landmarks(m: SimpleNamespace) -> Tensor:
    """Eye centres, nose tip, corners of the mouth, float32 [B, 5, 2], in portrait coordinates."""
    zero = torch.zeros_like(m.eye_x)
    corner = 0.94 * m.mouth_w
    x = torch.cat([-m.eye_x, m.eye_x, zero, -corner, corner], -1)
    lips = m.mouth_y + 0.88 * m.corner
    y = torch.cat([m.eye_y, m.eye_y, m.nose_y - 0.015, lips, lips], -1)
    z, _ = height(m, x, y, 0.02, 0 * x, 0 * x)
    u, v = to_portrait(m, *project(m, x, y, z)[:2])
    return torch.stack([u[:, 0], v[:, 0]], -1)


def crop(points: Tensor, seeds: Tensor) -> dict[str, Tensor]:
    """The aligned crop as a map of its coordinates to the portrait's: p = (a + ib)(q) + (x + iy), [B, 1, 1] each.

    points: [B, 5, 2] true landmarks in portrait coordinates, which a detector sees with an error of SD
    ``JITTER`` × the distance between the eyes. In the plane the least-squares similarity without mirroring
    (Umeyama, 1991) is a division of complex numbers.
    """
    eyes = (points[:, 1] - points[:, 0]).square().sum(-1).sqrt().reshape(-1, 1, 1)
    error = normal(seeds, STREAM, 10).to(points.dtype).reshape(-1, 5, 2)
    seen = torch.view_as_complex((points + JITTER * eyes * error).contiguous())
    template = torch.as_tensor(TEMPLATE / SIDE * 2 - 1, dtype=points.dtype, device=points.device)
    wanted = torch.view_as_complex(template.contiguous())
    centre, wanted_centre = seen.mean(-1, keepdim=True), wanted.mean()
    seen = seen - centre
    # Least squares from the portrait to the template, then its inverse.
    turn = (seen.conj() * (wanted - wanted_centre)).sum(-1, keepdim=True) / seen.abs().square().sum(-1, keepdim=True)
    back = 1 / turn
    shift = centre - back * wanted_centre
    names = {"view_a": back.real, "view_b": back.imag, "view_x": shift.real, "view_y": shift.imag}
    return {name: value.reshape(-1, 1, 1).contiguous() for name, value in names.items()}


def whole(like: Tensor) -> dict[str, Tensor]:
    """The portrait as such a map."""
    one, zero = torch.ones_like(like), torch.zeros_like(like)
    return {"view_a": one, "view_b": zero, "view_x": zero, "view_y": zero}


def view(m: SimpleNamespace, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of the drawn picture to the portrait's."""
    return m.view_a * u - m.view_b * v + m.view_x, m.view_b * u + m.view_a * v + m.view_y


def unview(m: SimpleNamespace, points: Tensor) -> Tensor:
    """The inverse of ``view`` for points [B, K, 2]."""
    back = torch.complex(m.view_a, m.view_b)[:, 0]
    shift = torch.complex(m.view_x, m.view_y)[:, 0]
    return torch.view_as_real((torch.view_as_complex(points.contiguous()) - shift) / back)


def turned(m: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A direction of the face in the plane's axes."""
    ahead = z * m.yaw.cos() - x * m.yaw.sin()
    across = x * m.yaw.cos() + z * m.yaw.sin()
    return across, y * m.pitch.cos() + ahead * m.pitch.sin(), ahead * m.pitch.cos() - y * m.pitch.sin()


@dataclass(frozen=True)
class Ray:
    """The line of sight through each pixel in face coordinates: (x, y, 0) + z (dx, dy, 1).

    x, y: [B, S, S]; dx, dy: [B, 1, 1]; depth to the viewer = near + z / (cos yaw cos pitch).
    """

    x: Tensor
    y: Tensor
    dx: Tensor
    dy: Tensor


def sight(m: SimpleNamespace, u: Tensor, v: Tensor) -> Ray:
    """The lines of sight through (u, v) of the plane."""
    cos, sin, up, tilt = m.yaw.cos(), m.yaw.sin(), m.pitch.cos(), m.pitch.sin()
    # From z to the distance ahead, from there to the depth, from there to y: each is linear in z.
    ahead = (-PIVOT - u * sin) / cos
    depth = (ahead - v * tilt) / up
    return Ray(u * cos - ahead * sin, v * up - depth * tilt, -sin / cos, -tilt / (up * cos))


# The coarse map of heights covers x in 0 … WIDE and y in LOW … HIGH: the smooth skull finely, its features less so.
LOW, HIGH, WIDE = -1.05, 1.0, 0.70
SKULL_GRID, FEATURE_GRID = (128, 64), (48, 32)
STEEP = 4.0
PLANES, TOP = 16, 0.86


def height_map(m: SimpleNamespace) -> Tensor:
    """Heights of the face, [B, 1, rows, columns]; they fall away outside the head. Half a face is looked up twice."""

    def grid(rows: int, columns: int) -> tuple[Tensor, Tensor]:
        x = torch.linspace(0, WIDE, columns, device=m.eye_x.device).reshape(1, 1, -1)
        y = torch.linspace(LOW, HIGH, rows, device=m.eye_x.device).reshape(1, -1, 1)
        return x + 0 * m.eye_x + 0 * y, y + 0 * m.eye_x + 0 * x

    x, y = grid(*FEATURE_GRID)
    features = height(m, x, y, 0.03, 0 * x, 0 * x)[0] - skull(m, x, y)[1]
    features = F.interpolate(features.unsqueeze(1), SKULL_GRID, mode="bilinear", align_corners=True)
    x, y = grid(*SKULL_GRID)
    width, dome = skull(m, x, y)
    outside = (x - width).clamp(min=0) + (y - m.chin_y).clamp(min=0) + (m.top_y - y).clamp(min=0)
    half = (dome - STEEP * outside).unsqueeze(1) + features * (outside <= 0).unsqueeze(1)
    return torch.cat([half.flip(-1)[..., :-1], half], -1)


def first_hit(m: SimpleNamespace, ray: Ray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where each line of sight first meets the face: (x, y, z, 1 or minus the miss).

    Planes from the tip of the nose down to the ears, then two steps of regula falsi.
    """
    ground = height_map(m)
    start = torch.stack([ray.x / WIDE, (ray.y - LOW) * (2 / (HIGH - LOW)) - 1], -1)
    way = torch.stack([ray.dx / WIDE, ray.dy * (2 / (HIGH - LOW))], -1)

    def above(z: Tensor | float) -> Tensor:
        place = start + way * (z.unsqueeze(-1) if isinstance(z, Tensor) else z)
        return z - sample(ground, place)[:, 0]

    gap = above(TOP)
    low, low_gap = torch.zeros_like(gap), torch.zeros_like(gap) - 1
    high, high_gap = torch.full_like(gap, TOP), gap
    missed, nearest = gap > 0, gap
    for k in range(1, PLANES + 1):
        plane = TOP * (1 - k / PLANES)
        gap = above(plane)
        nearest = torch.minimum(nearest, gap)
        first = missed & (gap <= 0)
        low, low_gap = torch.where(first, plane, low), torch.where(first, gap, low_gap)
        missed = missed & (gap > 0)
        high, high_gap = torch.where(missed, plane, high), torch.where(missed, gap, high_gap)
    for _ in range(2):
        z = high + (low - high) * high_gap / (high_gap - low_gap)
        gap = above(z)
        over = gap > 0
        high, high_gap = torch.where(over, z, high), torch.where(over, gap, high_gap)
        low, low_gap = torch.where(over, low, z), torch.where(over, low_gap, gap)
    z = high + (low - high) * high_gap / (high_gap - low_gap)
    z = torch.where(missed, torch.zeros_like(z), z)
    beside = nearest * (1 / STEEP + ray.dx.abs().clamp(max=1))
    return ray.x + ray.dx * z, ray.y + ray.dy * z, z, torch.where(missed, -beside, torch.ones_like(z))
