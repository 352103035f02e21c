"""From parameters to measures: where a relief face's features lie and how its surfaces look, at its age.

Lengths are in half picture sides; x runs right, y down, z to the viewer; an adult's eyes lie at y = −0.1.
Adult proportions follow common anthropometric means (pupils 63 mm apart, face 120 mm from nasion to chin);
the child's large cranium, low wide eyes, short jaw and small nose, and the signs of age, are inferred by eye.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief_groom import surroundings
from aifr_lib.faces.relief_parameters import ACTION_UNITS, GROUPS, IDENTITY, Faces, uniform

LIGHT_SKIN, MEDIUM_SKIN, DARK_SKIN = (0.95, 0.77, 0.67), (0.80, 0.58, 0.44), (0.40, 0.25, 0.17)
BLACK_HAIR, BROWN_HAIR, BLOND_HAIR, RED_HAIR = (
    (0.09, 0.07, 0.06),
    (0.30, 0.19, 0.12),
    (0.74, 0.58, 0.36),
    (0.56, 0.26, 0.10),
)
GREY_HAIR, WHITE_HAIR = (0.62, 0.61, 0.60), (0.90, 0.89, 0.87)
BROWN_EYE, GREEN_EYE, BLUE_EYE = (0.25, 0.14, 0.07), (0.36, 0.38, 0.22), (0.36, 0.50, 0.64)
LIP, BLOOD = (0.72, 0.36, 0.34), (0.86, 0.42, 0.36)
# Shapes differ more than the means of anthropometry say, so that small pictures still tell people apart.
SPREAD = dict.fromkeys(IDENTITY[: IDENTITY.index("masculinity")], 1.8)


def linear(colour: tuple[float, float, float]) -> Tensor:
    """sRGB in 0 … 1 to linear light (power 2.2), float32 [3, 1, 1, 1]."""
    return torch.tensor(colour).reshape(3, 1, 1, 1) ** 2.2


def blend(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """a where t = 0, b where t = 1."""
    return a + (b - a) * t


def anatomy(faces: Faces) -> dict[str, Tensor]:
    """Measures of each face: float32 [B, 1, 1] each; colours [3, B, 1, 1] in linear light."""

    def column(group: str, name: str) -> Tensor:
        return getattr(faces, group)[:, GROUPS[group].index(name)].reshape(-1, 1, 1)

    i = SimpleNamespace(**{name: column("identity", name) * SPREAD.get(name, 1.0) for name in IDENTITY})
    au = SimpleNamespace(**{name: column("action_units", name) for name in ACTION_UNITS})
    style = SimpleNamespace(**{name: column("style", name) for name in GROUPS["style"]})
    age, gender, weight = (v.reshape(-1, 1, 1) for v in (faces.age, faces.gender, faces.weight))

    child = ((19 - age) / 19).clamp(0, 1) ** 1.2
    adult = 1 - child
    old = ((age - 27) / 50).clamp(0, 1.4)
    sag = old**1.3 * (0.35 * i.ageing_sag).exp()
    male = (2 * gender - 1 + 0.3 * i.masculinity) * adult
    own = 1 - 0.4 * child  # what tells faces apart is still soft in a child
    m: dict[str, Tensor] = {"child": child, "old": old, "sag": sag, "male": male}
    m["folds"] = old**1.2 * (0.35 * i.ageing_folds).exp() * (1 - 0.12 * weight)
    m["fullness"] = 0.5 * i.cheek_fullness + 0.9 * weight + 1.4 * child - 0.9 * old

    # Skull
    m["eye_y"] = -0.10 + 0.15 * child + 0.018 * own * i.eye_height
    m["chin_y"] = 0.80 + 0.035 * own * i.face_length + 0.02 * male + 0.015 * own * i.chin_size - 0.17 * child
    m["top_y"] = -0.87 - 0.025 * i.cranium + 0.02 * child
    m["skull_w"] = 0.535 + 0.022 * i.face_width + 0.012 * male + 0.012 * weight + 0.025 * child
    m["jaw_p"] = 2.45 + 0.22 * own * i.jaw_square + 0.20 * male + 0.15 * weight + 0.1 * sag
    m["jaw_q"] = 0.555 - 0.055 * own * i.jaw_width - 0.055 * male - 0.03 * weight - 0.07 * child
    m["cheek_w"] = 0.018 * i.cheekbones + 0.03 * m["fullness"].clamp(-1, 3) * 0.5
    m["jowl_w"] = 0.030 * sag + 0.014 * weight.clamp(min=0)
    m["asymmetry"] = 0.012 * i.asymmetry

    # Brows and eyes
    m["eye_x"] = 0.235 + 0.012 * i.eye_spacing + 0.004 * child
    m["eye_w"] = (0.108 + 0.006 * own * i.eye_size) * (1 + 0.14 * child)
    m["eye_tilt"] = 0.07 * i.eye_tilt + 0.03 - 0.10 * sag
    m["lid_up"] = (0.42 + 0.05 * i.eye_size + 0.15 * child - 0.06 * male - 0.11 * sag
                   - 0.05 * i.lid_fold + 0.22 * au.au5 - 0.10 * au.au4
                   - 0.12 * au.au6 - 0.12 * au.au9).clamp(min=0.12)  # fmt: skip
    m["lid_low"] = (0.22 + 0.06 * child + 0.03 * sag - 0.10 * au.au6 - 0.08 * au.au9 - 0.05 * au.au12).clamp(min=0.03)
    m["hood"] = (0.35 + 0.25 * i.lid_fold + 0.7 * sag).clamp(0, 1.6)
    m["iris_r"] = 0.045 * (1 + 0.16 * child)
    m["gaze_x"], m["gaze_y"] = 0.035 * style.gaze_x, 0.02 * style.gaze_y
    m["socket"] = 0.040 + 0.010 * own * i.eye_depth + 0.010 * male - 0.018 * child + 0.014 * old
    m["bags"] = (0.10 + 0.9 * sag + 0.1 * i.ageing_sag) * adult + 0.35 * au.au6
    m["brow_y"] = (m["eye_y"] - 0.165 - 0.016 * own * i.brow_height + 0.020 * male - 0.035 * child
                   + 0.035 * sag + 0.045 * au.au4 - 0.035 * au.au2
                   + 0.03 * au.au9 + 0.01 * au.au6)  # fmt: skip
    m["brow_inner"] = -0.055 * au.au1 + 0.03 * au.au4 + 0.02 * i.brow_tilt
    m["brow_arch"] = 0.035 + 0.012 * i.brow_arch - 0.010 * male + 0.03 * au.au2
    m["brow_gap"] = 0.085 + 0.014 * i.brow_gap - 0.02 * au.au4
    m["brow_h"] = (0.027 + 0.006 * i.brow_thickness + 0.009 * male - 0.006 * child).clamp(min=0.010)
    m["brow_ridge"] = 0.022 + 0.014 * male + 0.006 * own * i.eye_depth - 0.012 * child
    m["frown"] = au.au4 + 0.35 * au.au9 + 0.35 * m["folds"]
    m["raise_"] = 0.8 * au.au1 + 0.8 * au.au2

    # Nose
    m["nose_y"] = m["eye_y"] + 0.335 + 0.022 * own * i.nose_length - 0.115 * child + 0.018 * old - 0.02 * au.au9
    m["nose_w"] = (0.088 + 0.010 * own * i.nose_width + 0.006 * male - 0.012 * child + 0.008 * old
                   + 0.012 * au.au9 + 0.008 * au.au12)  # fmt: skip
    m["nose_h"] = 0.175 + 0.018 * own * i.nose_tip + 0.012 * male - 0.06 * child + 0.008 * old
    m["bridge_h"] = (0.075 + 0.016 * own * i.nose_bridge + 0.012 * male - 0.05 * child).clamp(min=0.005)
    m["hump"] = 0.012 * own * i.nose_hump + 0.008 * male
    m["bridge_w"] = 0.058 + 0.006 * i.nose_width + 0.012 * child
    m["wrinkle_nose"] = au.au9

    # Mouth and chin
    m["mouth_y"] = (blend(m["nose_y"], m["chin_y"], torch.full_like(age, 0.405))
                    + 0.016 * own * i.mouth_height + 0.012 * old - 0.02 * au.au17)  # fmt: skip
    m["mouth_w"] = (0.188 + 0.016 * own * i.mouth_width - 0.045 * child + 0.004 * male
                    + 0.048 * au.au12 + 0.060 * au.au20 - 0.018 * au.au17)  # fmt: skip
    thin = (1 - 0.45 * old.clamp(max=1.2)) * (1 - 0.16 * male) * (1 - 0.25 * au.au20 - 0.15 * au.au12)
    m["lip_up"] = ((0.052 + 0.009 * i.upper_lip) * thin * (1 - 0.08 * child)).clamp(min=0.012)
    m["lip_low"] = ((0.068 + 0.010 * i.lower_lip) * thin * (1 - 0.10 * child) * (1 + 0.2 * au.au17)).clamp(min=0.016)
    m["corner"] = (
        -0.014 * i.mouth_curve
        - 0.006
        + 0.016 * sag
        - 0.100 * au.au12
        + 0.05 * au.au17
        + 0.012 * au.au20
        - 0.008 * child
    )
    m["gap"] = 0.075 * au.au25 * (1 - 0.2 * child)
    m["teeth"] = (0.35 + 1.2 * au.au12 + 0.8 * au.au20).clamp(max=1.0)
    m["cleft"] = (0.010 * i.chin_cleft).clamp(min=0) * adult
    m["chin_h"] = 0.045 + 0.010 * own * i.chin_size + 0.010 * male - 0.015 * child + 0.02 * au.au17
    m["smile"] = au.au12 + 0.5 * au.au6 + 0.6 * au.au9
    m["cheek_raise"] = 0.5 * au.au6 + 0.5 * au.au12
    m["pucker"] = au.au17

    m |= surroundings(i, style, age, gender, weight, m)
    m["beard"] = style.beard * gender * adult**4
    m["moustache"] = style.moustache * gender * adult**4
    m["stubble"] = (0.5 + 0.25 * i.masculinity).clamp(0, 1) * gender * adult**4

    _colours(m, i, style, age)
    # Moles keep their place in the face for life: drawn from the person's own seed.
    place = uniform(faces.identity_seed, 5, 6).float().reshape(-1, 6, 1, 1)
    for n in range(3):
        m[f"mole_x{n}"] = 0.8 * place[:, 2 * n] - 0.4
        m[f"mole_y{n}"] = -0.35 + 0.95 * place[:, 2 * n + 1]
        m[f"mole_a{n}"] = (i.moles - 0.2 - 0.6 * n).clamp(0, 1) * (age / 15).clamp(0, 1)

    for group in ("pose", "framing", "light", "white_balance", "camera", "scene"):
        m |= {name: column(group, name) for name in GROUPS[group]}
    for name in ("yaw", "pitch", "roll", "light_azimuth", "light_elevation"):
        m[name] = torch.deg2rad(m[name])
    return {name: value.contiguous() for name, value in m.items()}


def _colours(m: dict[str, Tensor], i: SimpleNamespace, style: SimpleNamespace, age: Tensor) -> None:
    device = age.device

    def colour(value: tuple[float, float, float]) -> Tensor:
        return linear(value).to(device)

    def mix(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        return blend(a, b, t.clamp(0, 1))

    child, old = m["child"], m["old"]
    melanin = (0.36 + 0.24 * i.skin_tone + 0.05 * style.tan * (1 - 0.5 * child)).clamp(0, 1)
    skin = mix(colour(LIGHT_SKIN), colour(MEDIUM_SKIN), 2 * melanin)
    skin = mix(skin, colour(DARK_SKIN), 2 * melanin - 1)
    blood = (0.16 + 0.05 * i.skin_red) * (1 - 0.6 * melanin)
    skin = mix(skin, skin * colour(BLOOD) / colour(LIGHT_SKIN), 0.5 * blood + 0.08 * child)
    # Old skin is paler and yellower.
    skin = mix(
        skin,
        skin.mean(0, keepdim=True) * torch.tensor((1.18, 0.98, 0.72), device=device).reshape(3, 1, 1, 1),
        0.28 * old,
    )
    m["skin"] = skin
    m["melanin"] = melanin
    m["flush"] = (0.20 + 0.10 * i.skin_red + 0.22 * child - 0.05 * old).clamp(0.02, 0.7) * (1 - 0.5 * melanin)
    m["lips"] = mix(
        mix(colour(LIP), skin, 0.42 + 0.14 * m["male"] + 0.22 * old.clamp(max=1)),
        colour((0.42, 0.22, 0.20)),
        1.6 * melanin - 0.8,
    )

    dark = 0.25 + 0.30 * i.hair_colour + 0.55 * (i.skin_tone + 0.3)
    light = torch.sigmoid(-2.2 * dark - 0.3 + 1.6 * child * (melanin < 0.45))
    hair = mix(colour(BROWN_HAIR), colour(BLACK_HAIR), (1.5 * dark - 0.2))
    hair = mix(hair, colour(BLOND_HAIR), 1.5 * light - 0.25)
    hair = mix(hair, colour(RED_HAIR), (0.9 * i.hair_red - 0.9) * (melanin < 0.4))
    grey = torch.sigmoid((age - (52 - 7 * i.ageing_grey)) / 5)
    m["grey"] = grey
    silver = mix(colour(GREY_HAIR), colour(WHITE_HAIR), (age - 58) / 24)
    m["hair"], m["silver"] = hair, silver.expand_as(hair)
    m["brows"] = mix(mix(hair, colour(BROWN_HAIR), torch.full_like(age, 0.35)), silver, 0.75 * grey)
    m["iris"] = mix(mix(colour(BLUE_EYE), colour(GREEN_EYE), 0.5 + 0.9 * i.eye_colour),
                    colour(BROWN_EYE), 0.6 * i.eye_colour + 1.6 * melanin - 0.05)  # fmt: skip
    m["spots"] = old**1.4 * (0.45 * i.ageing_spots).exp() * (1 - 0.5 * melanin)
    m["freckles"] = (0.6 * i.freckles - 0.4).clamp(0, 1) * (1 - old).clamp(0, 1) * (melanin < 0.45)
