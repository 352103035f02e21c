"""What a relief face is made of: named parameters with ranges, and how they are drawn from seeds.

Everything random is a hash of a seed and a counter, so that a face depends on its own seeds alone, never on
its place in a batch. All distributions are this project's own (inferred: no paper states any).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aifr_lib.names import ConfigError, choose, nearest

# Standard normal scores of one person. "ageing_*" say how fast this person changes, not what is seen today.
IDENTITY = (
    "face_width", "face_length", "cranium", "jaw_width", "jaw_square", "chin_size", "chin_cleft",
    "cheekbones", "cheek_fullness", "eye_spacing", "eye_size", "eye_tilt", "eye_depth", "lid_fold",
    "eye_height",
    "brow_height", "brow_arch", "brow_thickness", "brow_tilt", "brow_gap", "nose_length", "nose_width",
    "nose_bridge", "nose_hump", "nose_tip", "mouth_width", "mouth_height", "upper_lip", "lower_lip",
    "mouth_curve", "ear_size", "asymmetry", "masculinity", "skin_tone", "skin_red", "eye_colour",
    "hair_colour", "hair_red",
    "hair_curl", "hairline", "widows_peak", "freckles", "moles", "build",
    "ageing_folds", "ageing_sag", "ageing_spots", "ageing_grey", "ageing_recession", "ageing_weight",
)  # fmt: skip
ACTION_UNITS = ("au1", "au2", "au4", "au5", "au6", "au9", "au12", "au17", "au20", "au25")
POSE = ("yaw", "pitch", "roll")  # degrees; yaw > 0 turns to the picture's right, pitch > 0 looks down
FRAMING = ("shift_x", "shift_y", "zoom")  # half picture sides; log scale
LIGHT = ("light_azimuth", "light_elevation", "light_key", "light_fill", "light_ambient", "light_warmth")
WHITE_BALANCE = ("balance_red", "balance_blue")  # log gains against green
# Log gain, log gamma, SD in pixels at 112, SD in grey levels / 255, quality of JPEG (100: none).
CAMERA = ("exposure", "contrast", "blur", "noise", "quality")
# parting: side, −1 … 1; parted, swept back, tied: how much; wave: of single strands; dye: hair lighter or darker.
STYLE = ("hair_length", "fringe", "hair_volume", "parting", "parted", "swept", "tied", "wave",
         "beard", "moustache", "tan", "gaze_x", "gaze_y", "dye")  # fmt: skip
# backdrop: under .4 a wall, under .75 a room, above it nature; collar: round, from .5 on open; pattern: from .65 on
# stripes, from .87 on checks.
SCENE = ("background_red", "background_green", "background_blue", "background_tilt", "backdrop",
         "cloth_red", "cloth_green", "cloth_blue", "collar", "pattern")  # fmt: skip
GROUPS = {
    "identity": IDENTITY, "action_units": ACTION_UNITS, "pose": POSE, "framing": FRAMING, "light": LIGHT,
    "white_balance": WHITE_BALANCE, "camera": CAMERA, "style": STYLE, "scene": SCENE,
}  # fmt: skip
SCALARS = ("age", "gender", "weight")  # years; 0 female … 1 male; standard scores
COLUMNS = SCALARS + tuple(name for names in GROUPS.values() for name in names)

_GROUP_OF = {name: name for name in SCALARS} | {name: group for group, names in GROUPS.items() for name in names}
_UNIT = (0.0, 1.0)
RANGES: dict[str, tuple[float, float]] = (
    dict.fromkeys(IDENTITY, (-4.0, 4.0))
    | dict.fromkeys(ACTION_UNITS + STYLE + SCENE, _UNIT)
    | {"age": (0.0, 100.0), "gender": _UNIT, "weight": (-4.0, 4.0)}
    | {"yaw": (-60.0, 60.0), "pitch": (-30.0, 30.0), "roll": (-45.0, 45.0)}
    | {"shift_x": (-0.5, 0.5), "shift_y": (-0.5, 0.5), "zoom": (-0.7, 0.7)}
    | {"light_azimuth": (-90.0, 90.0), "light_elevation": (-60.0, 90.0), "light_key": (0.0, 3.0)}
    | {"light_fill": (0.0, 2.0), "light_ambient": (0.0, 2.0), "light_warmth": (-1.0, 1.0)}
    | dict.fromkeys(WHITE_BALANCE, (-1.0, 1.0))
    | {"exposure": (-1.5, 1.5), "contrast": (-0.7, 0.7), "blur": (0.0, 3.0), "noise": (0.0, 0.2)}
    | {"quality": (5.0, 100.0)}
    | {"tan": (-2.0, 2.0), "dye": (-2.0, 2.0), "gaze_x": (-1.0, 1.0), "gaze_y": (-1.0, 1.0), "parting": (-1.0, 1.0)}
    | {"background_tilt": (-1.0, 1.0)}
)
# How much pictures of one person differ in pose: standard deviations of yaw, pitch and roll in degrees.
POSE_SD = (12.0, 6.0, 3.0)
_MASK = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    # 32-bit finaliser held in int64: the multiplier is under 2^27, so no product overflows on any backend.
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & _MASK
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & _MASK
    return x ^ (x >> 16)


def hash32(seeds: Tensor, stream: int, counters: Tensor) -> Tensor:
    """int64 [B, *counters.shape] in 0 … 2^32 − 1: a hash of (seed, stream, counter)."""
    key = _mix(_mix(_mix(seeds & _MASK) ^ (seeds >> 32)) ^ _mix(torch.full_like(seeds, stream + 1)))
    return _mix((key.reshape(-1, *[1] * counters.dim()) + (counters + 1) * 0x9E3779B9) & _MASK)


def uniform(seeds: Tensor, stream: int, count: int) -> Tensor:
    """float64 [B, count], uniform in (0, 1)."""
    return (hash32(seeds, stream, torch.arange(count, device=seeds.device)).double() + 0.5) / 2**32


def normal(seeds: Tensor, stream: int, count: int, limit: float = 2.8) -> Tensor:
    """float64 [B, count], standard normal, clipped at ± limit."""
    return torch.special.ndtri(uniform(seeds, stream, count)).clamp(-limit, limit)


@dataclass(frozen=True)
class Faces:
    """Parameters of B pictures, one row each; float32 but for the two int64 seeds.

    age [B] years; gender [B], 0 female … 1 male; weight [B] standard score; the other fields are [B, n] with
    the columns that ``GROUPS`` names. ``identity_seed`` fixes the person's own texture (moles, course of the
    folds), ``picture_seed`` the picture's (hair strands, drape, background, camera noise, the detector's error).
    Errors: ValueError for a parameter outside ``RANGES`` (named, with its row), a wrong shape or an empty
    batch.
    """

    identity_seed: Tensor
    picture_seed: Tensor
    age: Tensor
    gender: Tensor
    weight: Tensor
    identity: Tensor
    action_units: Tensor
    pose: Tensor
    framing: Tensor
    light: Tensor
    white_balance: Tensor
    camera: Tensor
    style: Tensor
    scene: Tensor

    def __post_init__(self) -> None:
        count = len(self.identity_seed)
        if count == 0:
            raise ValueError("a batch of no faces: at least one identity seed is needed")
        for field in dataclasses.fields(self):
            value, names = getattr(self, field.name), GROUPS.get(field.name)
            expected = (count, len(names)) if names else (count,)
            if tuple(value.shape) != expected:
                raise ValueError(f"{field.name}: expected shape {list(expected)}, got {list(value.shape)}")
            if field.name.endswith("_seed"):
                _check(field.name, value, 0, 2**63 - 1)
            for name, column in zip(names or (), value.unbind(-1), strict=False):
                _check(name, column, *RANGES[name])
            if field.name in RANGES:
                _check(field.name, value, *RANGES[field.name])

    def __len__(self) -> int:
        return len(self.identity_seed)

    def __getitem__(self, rows: Any) -> Faces:
        """The faces of these rows (a slice or an index tensor). Errors: TypeError for a single number."""
        if isinstance(rows, Integral) or getattr(rows, "shape", None) == ():
            raise TypeError(f"faces[{int(rows)}]: one face is a batch of one, faces[{int(rows)} : {int(rows) + 1}]")
        return Faces(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})

    def to(self, device: str | torch.device) -> Faces:
        """The same faces on another device."""
        return Faces(**{f.name: getattr(self, f.name).to(device) for f in dataclasses.fields(self)})

    def double(self) -> Faces:
        """The same faces in float64."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Faces(**{name: v.double() if v.is_floating_point() else v for name, v in fields.items()})

    def column(self, name: str) -> Tensor:
        """One scalar parameter, [B]. Errors: ConfigError for a name that is not in ``COLUMNS``."""
        group = choose("face parameter", name, _GROUP_OF)
        return getattr(self, group)[:, GROUPS[group].index(name)] if group in GROUPS else getattr(self, group)

    def replaced(self, name: str, values: Tensor) -> Faces:
        """The same faces with other values [B] of one scalar parameter, or one value for all of them.

        Errors: as ``column`` and the class; ValueError for another number of values.
        """
        group = choose("face parameter", name, _GROUP_OF)
        values = _given(name, values, (len(self),)).to(self.age)
        if group not in GROUPS:
            return dataclasses.replace(self, **{name: values})
        whole = getattr(self, group).clone()
        whole[:, GROUPS[group].index(name)] = values
        return dataclasses.replace(self, **{group: whole})

    def table(self) -> dict[str, np.ndarray]:
        """Every scalar parameter by name: float64 [B] each, in the order of ``COLUMNS``."""
        columns = {name: getattr(self, name) for name in SCALARS}
        for group, names in GROUPS.items():
            columns |= dict(zip(names, getattr(self, group).unbind(-1), strict=True))
        return {name: column.cpu().double().numpy() for name, column in columns.items()}

    @staticmethod
    def sample(identity_seeds: Any, ages: Any, picture_seeds: Any, **fixed: Any) -> Faces:
        """Draw faces: who from the identity seeds, how they are pictured from the picture seeds.

        identity_seeds, picture_seeds: B integers ≥ 0. ages: B years. ``fixed`` sets fields (``pose=[0, 0,
        0]``) or single parameters (``yaw=10``, ``au12=0.8``), one value or one a row.
        Errors: ConfigError for a parameter that does not exist; ValueError as the class, and for values that are not
        numbers or not as many as there are faces.
        """
        who, when = _seeds("identity_seeds", identity_seeds), _seeds("picture_seeds", picture_seeds)
        age = _numbers("ages", ages)
        if age.dim() != 1:
            raise ValueError(f"ages: expected a list of years, got the shape {list(age.shape)}")
        if not len(who) == len(when) == len(age):
            raise ValueError(f"{len(who)} identity seeds, {len(age)} ages and {len(when)} picture seeds: must agree")
        _check("age", age, *RANGES["age"])
        fields = {"identity_seed": who, "picture_seed": when, **_draw(who, age, when)}
        for name, value in fixed.items():
            group = next((g for g, names in GROUPS.items() if name in names), None)
            if group:
                fields[group] = fields[group].clone()
                fields[group][:, GROUPS[group].index(name)] = _given(name, value, (len(who),))
            elif name in fields and not name.endswith("_seed"):
                fields[name] = _given(name, value, tuple(fields[name].shape)).clone()
            else:
                raise ConfigError(f"unknown face parameter '{name}'{nearest(name, (*COLUMNS, *GROUPS))}")
        return Faces(**{name: v if v.dtype == torch.int64 else v.float() for name, v in fields.items()})


def _seeds(what: str, seeds: Any) -> Tensor:
    try:
        values = torch.as_tensor(seeds)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what}: expected a list of integers, got {seeds!r}") from error
    if values.dim() != 1 or (len(values) and values.is_floating_point()):
        raise ValueError(f"{what}: expected a list of integers, got {values.dtype} {list(values.shape)}")
    return values.long()


def _numbers(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: expected numbers, got {value!r} ({error})") from error


def _given(name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """``value`` in float64, one for all faces or one for each."""
    given = _numbers(name, value)
    if given.shape not in ((), shape[1:], shape):
        raise ValueError(f"{name}: expected one value or {list(shape)}, got {list(given.shape)}")
    return given.expand(shape)


def _check(name: str, values: Tensor, low: float, high: float) -> None:
    # In float32, as faces hold them: 0.2 in float32 is more than 0.2 in double.
    single = values.float() if values.is_floating_point() else values
    inside = (single >= low) & (single <= high)
    if not bool(inside.all()):
        row = int((~inside).nonzero()[0])
        raise ValueError(f"{name} of face {row} is {values[row].item():g}: must lie in {low:g} … {high:g}")


def _draw(who: Tensor, age: Tensor, when: Tensor) -> dict[str, Tensor]:
    identity = normal(who, 0, len(IDENTITY), limit=2.2)
    column = {name: identity[:, i] for i, name in enumerate(IDENTITY)}
    gender = (uniform(who, 1, 1)[:, 0] < 0.5).double()
    # Middle age puts on weight, at a pace that is the person's own.
    gain = ((age - 22) / 28).clamp(0, 1) * (0.35 + 0.4 * column["ageing_weight"])
    weight = 0.55 * column["build"] + gain + 0.45 * normal(when, 2, 1)[:, 0]

    u, n = uniform(when, 3, 40), normal(when, 4, 32)
    # An expression is a few units together, so that most pictures are calm and some are not.
    smile = (u[:, 0] < 0.36) * (0.3 + 0.7 * u[:, 1])
    mood = (u[:, 2] < 0.35) * u[:, 3]
    units = {
        "au1": 0.7 * mood * (u[:, 4] < 0.4), "au2": 0.7 * mood * (u[:, 4] < 0.55),
        "au4": mood * (u[:, 4] > 0.6),
        "au5": 0.6 * mood * (u[:, 5] < 0.4), "au6": 0.8 * smile * u[:, 6],
        "au9": 0.5 * mood * (u[:, 5] > 0.8),
        "au12": smile, "au17": 0.6 * mood * (u[:, 7] < 0.4), "au20": 0.5 * mood * (u[:, 7] > 0.7),
        "au25": ((u[:, 8] < 0.30 + 0.4 * (smile > 0)) * (0.25 + 0.75 * u[:, 9]) * (0.35 + 0.65 * smile)),
    }  # fmt: skip
    lit = torch.stack([30 * n[:, 3], 22 + 14 * n[:, 4], 0.86 + 0.22 * n[:, 5].clamp(-2, 2),
                       0.04 + 0.18 * u[:, 21], 0.15 + 0.24 * u[:, 18], 0.4 * n[:, 6].clamp(-2, 2)], -1)  # fmt: skip
    lit[:, 0].clamp_(-85, 85)
    lit[:, 1].clamp_(-25, 75)
    pose = torch.stack([sd * n[:, 7 + k] for k, sd in enumerate(POSE_SD)], -1)
    limits = torch.tensor([RANGES[name][1] for name in POSE])
    style = _style(who, age, when, gender)
    # A camera exposes for the face: longer for dark skin, though not by as much as it is darker.
    exposure = 0.18 * n[:, 15] + 0.15 * column["skin_tone"].clamp(min=0)
    return {
        "age": age, "gender": gender, "weight": weight.clamp(-3, 3), "identity": identity,
        "action_units": torch.stack([units[name] for name in ACTION_UNITS], -1),
        "pose": pose.clamp(-limits, limits),
        "framing": torch.stack([0.014 * n[:, 10], 0.014 * n[:, 11], 0.02 * n[:, 12]], -1),
        "light": lit,
        "white_balance": torch.stack([0.10 * n[:, 13], 0.12 * n[:, 14]], -1),
        "camera": torch.stack([exposure, 0.12 * n[:, 16], 0.10 + 0.55 * u[:, 19] ** 2,
                               0.004 + 0.016 * u[:, 20] ** 2, 98 - 60 * u[:, 22] ** 2], -1),
        "style": torch.stack([style[name] for name in STYLE], -1),
        "scene": torch.cat([u[:, 23:26], 2 * u[:, 26:27] - 1, u[:, 27:33]], -1),
    }  # fmt: skip


def _style(who: Tensor, age: Tensor, when: Tensor, gender: Tensor) -> dict[str, Tensor]:
    """Hair and beard: a person's habit, which drifts over the years, and much of the picture's own."""
    own = normal(who, 12, 10)
    # Two habits of neighbouring decades, faded into each other.
    decade = (age / 10).floor()
    fade = age / 10 - decade
    now, then = (normal(who * 64 + (decade + k).long(), 13, 10) for k in (0, 1))
    drift = now * (1 - fade[:, None]).sqrt() + then * fade[:, None].sqrt()
    # Mostly the picture's own: what surrounds a face must not tell whose it is.
    score = 0.15 * own + 0.40 * drift + 0.90 * normal(when, 14, 10)
    level = torch.special.ndtr(score)
    u, n = uniform(when, 15, 3), normal(when, 16, 4)
    adult = ((age - 16) / 4).clamp(0, 1)
    female = 1 - gender
    length = (0.05 + 0.95 * level[:, 0]) * female + 0.30 * level[:, 0] ** 4 * gender
    tied = female * (level[:, 1] > 0.78) * (length > 0.4) * u[:, 0]
    bearded = (level[:, 5] > 0.62) * adult * gender
    return {
        "hair_length": length * (1 - 0.45 * ((age - 45) / 30).clamp(0, 1)) * (0.35 + 0.65 * (age / 5).clamp(0, 1)),
        "fringe": (level[:, 2] > 0.45) * ((level[:, 2] - 0.45) / 0.55) * (tied < 0.05),
        "hair_volume": level[:, 3],
        "parting": torch.where(score[:, 4] > 0, 1.0, -1.0) * (0.15 + 0.85 * (score[:, 4].abs() / 2).clamp(max=1)),
        "parted": ((level[:, 6] - 0.35) * 2.5).clamp(0, 1),
        "swept": torch.maximum((level[:, 7] > 0.78).double() * (0.5 + 0.5 * u[:, 1]), (tied > 0.05).double()),
        "tied": tied, "wave": level[:, 8],
        "beard": bearded * level[:, 9], "moustache": bearded * u[:, 2] ** 0.5,
        "tan": 0.5 * n[:, 0].clamp(-2, 2), "gaze_x": 0.40 * n[:, 1].clamp(-2, 2), "gaze_y": 0.25 * n[:, 2].clamp(-2, 2),
        "dye": (0.4 * drift[:, 9] + 0.9 * n[:, 3]).clamp(-2, 2),
    }  # fmt: skip
