"""The hair of a relief head: a shell about the skull, its border with the face, and its strands.

The shell is the upper half of an ellipsoid that goes on below as an upright elliptic cylinder, so that every
line of sight meets it in closed form, on its near and on its far side. Hair is where the border (a function
of the direction from the head's axis) and the length allow it. All shapes are inferred by eye.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.colours import blend
from aifr_lib.faces.relief.pose import Ray, project, turned
from aifr_lib.faces.relief.surface import edge, hill, noise, step

BACK = -0.06  # z of the shell's axis
DEEP = 0.60  # half depth of a skull


class Shell:
    """The shell's near and far meeting with each line of sight."""

    def __init__(self, m: SimpleNamespace, ray: Ray, volume: Tensor) -> None:
        self.wide = m.skull_w + volume
        self.deep = DEEP + volume
        self.level = m.root_y + 0.22 * (m.top_y - m.root_y)
        self.tall = self.level - m.top_y + 1.25 * volume
        self.ray = ray
        ox, oy, oz = ray.x / self.wide, (ray.y - self.level) / self.tall, -BACK / self.deep
        dx, dy, dz = ray.dx / self.wide, ray.dy / self.tall, 1 / self.deep
        flat, across = dx * dx + dz * dz, ox * dx + oz * dz
        full, along = flat + dy * dy, across + oy * dy
        # Depth and distance from the axis (1: on the shell) where the line comes nearest to the axis.
        middle = -along / full
        away = ox * ox + oy * oy + oz * oz - along * along / full
        middle_low = -across / flat
        away_low = ox * ox + oz * oz - across * across / flat
        root, root_low = ((1 - away).clamp(min=0) / full).sqrt(), ((1 - away_low).clamp(min=0) / flat).sqrt()
        below = oy + dy * middle > 0
        self.beside_y = ray.y + ray.dy * torch.where(below, middle_low, middle)
        self.away = torch.where(below, away_low, away).clamp(min=0).sqrt()
        self.near = self._either(oy, dy, middle + root, middle_low + root_low)
        self.far = self._either(oy, dy, middle - root, middle_low - root_low)

    @staticmethod
    def _either(oy: Tensor, dy: Tensor, dome: Tensor, tube: Tensor) -> Tensor:
        return torch.where(oy + dy * dome < 0, dome, tube)

    def place(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.ray.x + self.ray.dx * z, self.ray.y + self.ray.dy * z

    def direction(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The place on the shell made round: length 1, without height below the dome."""
        nx, ny, nz = x / self.wide, ((y - self.level) / self.tall).clamp(max=0), (z - BACK) / self.deep
        scale = (nx * nx + ny * ny + nz * nz + 1e-6).rsqrt()
        return nx * scale, ny * scale, nz * scale


def pole(m: SimpleNamespace) -> tuple[Tensor, Tensor, Tensor]:
    """Where the strands start: the crown, a parting on top, or the forehead of hair that is swept back."""
    part = m.parted
    x = blend(0.1 * m.parting, 0.5 * m.parting, part) * (1 - m.swept)
    y = blend(blend(x * 0 - 0.86, x * 0 - 0.95, part), x * 0 - 0.35, m.swept)
    z = blend(blend(x * 0 - 0.45, x * 0 + 0.2, part), x * 0 + 0.92, m.swept)
    scale = (x * x + y * y + z * z).rsqrt()
    return x * scale, y * scale, z * scale


def strands(
    m: SimpleNamespace, picture: Tensor, n: tuple[Tensor, Tensor, Tensor], hang: Tensor, px: float
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """(lock, strand, tangent): broad and fine unevenness in −1 … 1, and the way the hair lies."""
    p = pole(m)
    # Angles about the pole are counted from a little below straight ahead.
    rx, ry, rz = 0.0, 0.287, 0.958
    cast = ry * p[1] + rz * p[2]
    ex, ey, ez = rx - p[0] * cast, ry - p[1] * cast, rz - p[2] * cast
    scale = (ex * ex + ey * ey + ez * ez).rsqrt()
    ex, ey, ez = ex * scale, ey * scale, ez * scale
    fx, fy, fz = p[1] * ez - p[2] * ey, p[2] * ex - p[0] * ez, p[0] * ey - p[1] * ex
    dot = n[0] * p[0] + n[1] * p[1] + n[2] * p[2]
    angle = torch.atan2(n[0] * fx + n[1] * fy + n[2] * fz, n[0] * ex + n[1] * ey + n[2] * ez + 1e-6)
    along = (2 - 2 * dot).clamp(min=1e-4).sqrt() + hang
    drift = noise(picture[:, :1], angle * 0.22 + 0.3, along * 0.11)
    wave = m.wave * (0.25 + m.grown).clamp(max=1)
    angle = angle + (0.10 + 0.10 * wave) * drift + 0.05 * wave * torch.sin(along * 11 + 8 * drift)
    lock = noise(picture[:, 1:2], angle * 0.42, along * 0.035 + 0.4)
    mid = noise(picture[:, :1], angle * 1.1, along * 0.06)
    fine = noise(picture[:, 1:2], angle * 2.7, along * 0.10) * min(1.0, 0.022 / px)
    lank = 0.45 * lock + 0.45 * mid + 0.5 * fine
    ringlet = noise(picture[:, 1:2], angle * 0.55 + 0.2 * along, along * 0.55)
    frizz = noise(picture[:, :1], angle * 1.3, along * 1.3)
    curly = 0.75 * ringlet + 0.5 * frizz
    tx, ty, tz = n[0] * dot - p[0], n[1] * dot - p[1], n[2] * dot - p[2]
    down = (hang * 8).clamp(max=1)
    tx, ty, tz = tx * (1 - down), blend(ty, torch.ones_like(ty), down), tz * (1 - down)
    scale = (tx * tx + ty * ty + tz * tz + 1e-6).rsqrt()
    return (
        blend(lock, ringlet, m.curl),
        blend(lank, curly, m.curl),
        (tx * scale, ty * scale, tz * scale),
    )


def border(m: SimpleNamespace, x: Tensor, turn: Tensor, lock: Tensor) -> Tensor:
    """How far down the hair reaches (y) at an angle from straight ahead (0 … π)."""
    front = 1 - step(0.95, 1.35, turn)
    line = m.hairline_y + m.peak * hill(x, 0.07) - m.temples * hill(turn - 0.74, 0.36)
    line = line - 0.42 * m.bald * (1 - step(0.9, 1.3, turn))
    sweep = 1 - 0.75 * torch.sigmoid(9 * (m.parting * x - 0.05)) * m.parting.abs()
    line = line + m.fringe * (0.27 + 0.07 * lock) * front * sweep + 0.03 * lock
    # Down the temple to the sideburn, over the ear, down behind it to the nape.
    ear = m.eye_y + 0.02
    side = blend(line, ear - 0.16, step(0.84, 1.16, turn))
    side = blend(side, ear + 0.12, step(1.18, 1.32, turn))
    side = blend(side, ear - 0.10, step(1.38, 1.50, turn))
    side = blend(side, m.nape_y, step(1.60, 1.85, turn))
    fallen = step(0.18, 0.30, m.grown)
    curtain = blend(side, m.tip_y + 0.06 * lock, step(1.10 - 0.26 * m.cover, 1.32 - 0.30 * m.cover, turn))
    return blend(side, torch.maximum(side, curtain), fallen)


def hair(
    m: SimpleNamespace, picture: Tensor, ray: Ray, light: tuple[Tensor, Tensor, Tensor], px: float
) -> SimpleNamespace:
    """Layers of hair: near (mask, colour, normal, depth, gleam), far (mask, colour, depth); the bare skull behind."""
    shell = Shell(m, ray, m.hair_volume)
    z = shell.near
    x, y = shell.place(z)
    n = shell.direction(x, y, z)
    turn = torch.atan2(x.abs() / shell.wide, (z - BACK) / shell.deep)
    hang = (y - shell.level).clamp(min=0)
    lock, strand, tangent = strands(m, picture, n, hang, px)

    reach = border(m, x, turn, lock) - y
    loose = 0.5 + 0.7 * m.curl + 0.5 * m.fringe
    softness = 0.040 + 1.2 * px
    mask = step(-softness, softness, reach + (0.030 + 0.018 * loose) * strand)
    # Where it thins, the scalp shows between the strands, first on top.
    top = step(0.25, 0.75, -n[1]) * (1 - step(1.5, 2.2, turn))
    sparse = (m.thinning * top * 1.15).clamp(0, 1)
    mask = mask * (1 - step(-0.35, 0.35, sparse * 1.6 - 0.75 + 0.55 * strand) * step(0.0, 0.12, sparse))
    silhouette = 1 - shell.away + (0.018 + 0.035 * m.curl * m.hair_volume / 0.1) * strand + 0.02 * lock
    drop = (shell.beside_y - shell.level).clamp(min=0)
    # Short hair draws in towards the nape; long hair hangs straight or swells.
    fallen = step(0.18, 0.30, m.grown)
    silhouette = silhouette + (m.flare * drop).clamp(max=0.25) * fallen - 0.8 * drop * (1 - fallen)
    # Ends of single hairs beyond the mass: the curlier, the wider the soft rim.
    inside = step(-1, 1, silhouette * shell.wide / (px + 0.014 + 0.02 * m.curl))

    normal = turned(m, *_normal(shell, n))
    low = (y - m.eye_y - 0.06).clamp(min=0)
    bare = edge((1 - shell.away) * shell.wide - m.hair_volume - 2.5 * low * low, px) * (z < 0.06) * (low < 0.36)
    far = shell.far
    far_x, far_y = shell.place(far)
    far_turn = torch.atan2(far_x.abs() / shell.wide, (far - BACK) / shell.deep)
    behind = inside * edge(border(m, far_x, far_turn, lock) + 0.03 * strand - far_y, 2 * px)
    tone = 1 + 0.30 * strand + 0.10 * lock
    depth_of_border = step(0.0, 0.10, reach)
    colour = hair_colour(m, strand) * tone * (0.72 + 0.28 * depth_of_border)
    return SimpleNamespace(
        mask=mask * inside, fallen=fallen, colour=colour, normal=normal,
        depth=project(m, x, y, z + 0.02 * lock)[2],
        gleam=_gleam(m, tangent, normal, light, strand) * m.gloss, bare=bare,
        far_mask=behind * (1 - m.bald), far_depth=project(m, far_x, far_y, far)[2],
        far_colour=0.34 * hair_colour(m, strand) * tone,
    )  # fmt: skip


def _normal(shell: Shell, n: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    x, y, z = n[0] / shell.wide, n[1] / shell.tall, n[2] / shell.deep
    scale = (x * x + y * y + z * z).rsqrt()
    return x * scale, y * scale, z * scale


def _gleam(
    m: SimpleNamespace,
    tangent: tuple[Tensor, Tensor, Tensor],
    normal: tuple[Tensor, Tensor, Tensor],
    light: tuple[Tensor, Tensor, Tensor],
    strand: Tensor,
) -> Tensor:
    """The band of light across the strands (Kajiya and Kay, 1989): sine of tangent and half vector, to a power.

    It fades where the head turns away from the half vector, since the strands lie on a head.
    """
    t = turned(m, *tangent)
    scale = (light[0] ** 2 + light[1] ** 2 + (light[2] + 1) ** 2 + 1e-6).rsqrt()
    dot = (t[0] * light[0] + t[1] * light[1] + t[2] * (light[2] + 1)) * scale + 0.12 * strand
    shine = (1 - dot * dot).clamp(min=0) ** 2
    facing = (normal[0] * light[0] + normal[1] * light[1] + normal[2] * (light[2] + 1)) * scale
    return (shine * shine) ** 4 * (0.55 + 0.6 * strand).clamp(min=0) * facing.clamp(min=0) ** 3


def hair_colour(m: SimpleNamespace, strand: Tensor) -> Tensor:
    """Colour of each strand: single strands turn grey one after the other."""
    white = torch.sigmoid((m.grey - 0.5) * 7 + 2.2 * strand) * step(0.02, 0.25, m.grey)
    return blend(m.hair, m.silver * 0.85, white)


def bun(m: SimpleNamespace, u: Tensor, v: Tensor, px: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tied hair behind the head: (mask, nx, ny, depth) of a ball seen from the front."""
    zero = torch.zeros_like(m.tied)
    cu, cv, cd = project(m, zero, blend(zero + 0.1, m.top_y + 0.03, m.tied), zero - 0.56)
    r = 0.10 + 0.12 * m.tied
    dx, dy = (u - cu) / r, (v - cv) / r
    inside = 1 - dx * dx - dy * dy
    mask = edge(inside * 0.5 * r, px) * step(0.05, 0.3, m.tied)
    return mask, dx.clamp(-1, 1), dy.clamp(-1, 1), cd + r * inside.clamp(min=0).sqrt()
