"""The colours of a relief face: skin, lips, hair, brows and iris, in linear light (all inferred by eye)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

# sRGB, from hardly any melanin to much, in even steps.
SKIN = (
    (0.95, 0.80, 0.73),
    (0.89, 0.70, 0.59),
    (0.77, 0.55, 0.42),
    (0.55, 0.385, 0.295),
    (0.35, 0.245, 0.20),
)
BLACK_HAIR, BROWN_HAIR, BLOND_HAIR, RED_HAIR = (
    (0.09, 0.07, 0.06),
    (0.30, 0.19, 0.12),
    (0.74, 0.58, 0.36),
    (0.56, 0.26, 0.10),
)
GREY_HAIR, WHITE_HAIR = (0.62, 0.61, 0.60), (0.90, 0.89, 0.87)
BROWN_EYE, GREEN_EYE, BLUE_EYE = (
    (0.25, 0.14, 0.07),
    (0.36, 0.36, 0.24),
    (0.38, 0.48, 0.56),
)
# What the red of the lips leaves of the skin's linear light.
PALE_LIP, DARK_LIP = (0.68, 0.27, 0.33), (0.72, 0.52, 0.62)


def linear(colour: tuple[float, float, float]) -> Tensor:
    """sRGB in 0 … 1 to linear light (power 2.2), float32 [3, 1, 1, 1]."""
    return torch.tensor(colour).reshape(3, 1, 1, 1) ** 2.2


def blend(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """a where t = 0, b where t = 1."""
    return a + (b - a) * t


def colours(
    m: dict[str, Tensor], i: SimpleNamespace, pace: SimpleNamespace, style: SimpleNamespace, age: Tensor
) -> dict[str, Tensor]:
    """Colours [3, B, 1, 1] in linear light, and strengths [B, 1, 1] of flush, freckles, spots and grey hair."""
    child, old, worn = m["child"], m["old"], m["worn"]

    def colour(value: tuple[float, float, float]) -> Tensor:
        return linear(value).to(age.device)

    def factors(*value: float) -> Tensor:
        return torch.tensor(value, device=age.device).reshape(3, 1, 1, 1)

    def mix(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        return blend(a, b, t.clamp(0, 1))

    # The normal distribution function makes all tones equally common.
    melanin = (torch.special.ndtr(i.skin_tone) + 0.05 * style.tan * (1 - 0.5 * child)).clamp(0, 1)
    skin = colour(SKIN[0]).expand(3, *melanin.shape)
    for n, tone in enumerate(SKIN[1:]):
        skin = mix(skin, colour(tone), melanin * (len(SKIN) - 1) - n)
    under = i.skin_red * (1 - 0.4 * melanin)
    skin = skin * torch.exp(under * factors(0.02, -0.04, 0.02)) * torch.exp(child * factors(0.02, 0.0, 0.01))
    # Old skin is yellower and duller.
    skin = skin * torch.exp(worn * factors(-0.08, -0.12, -0.17))

    lip = mix(factors(*PALE_LIP), factors(*DARK_LIP), 1.3 * melanin - 0.15)
    faded = 0.12 + 0.12 * m["male"] + 0.38 * m["thinned"] - 0.05 * i.skin_red
    dark = 0.25 + 0.22 * i.hair_colour + 0.55 * (i.skin_tone + 0.3) - 0.5 * style.dye
    light = torch.sigmoid(-2.2 * dark - 0.3 + 1.6 * child * (melanin < 0.45))
    hair = mix(colour(BROWN_HAIR), colour(BLACK_HAIR), 1.5 * dark - 0.2)
    hair = mix(hair, colour(BLOND_HAIR), 1.5 * light - 0.25)
    # Sun, water and dye: hair is now lighter, now darker and redder than the person's own.
    hair = hair * torch.exp(style.dye * factors(0.14, 0.13, 0.12))
    hair = mix(hair, colour(RED_HAIR), (0.9 * i.hair_red - 0.9) * (melanin < 0.4))
    # The old rule, give or take a decade: half of all people are half grey at 50 (too early by some years, Panhard et
    # al., 2012).
    grey = torch.sigmoid((age - (51 - 6.5 * i.ageing_grey - 2 * pace.grey)) / 6)
    silver = mix(colour(GREY_HAIR), colour(WHITE_HAIR), (age - 58) / 24).expand_as(hair)
    brows = mix(hair, colour(BROWN_HAIR), 0.45 + 0 * age)
    return {
        "skin": skin,
        "melanin": melanin,
        "flush": (0.42 + 0.10 * i.skin_red + 0.22 * child).clamp(0.1, 0.9) * (1 - 0.6 * melanin),
        "lips": skin * mix(lip, torch.ones_like(lip), faded),
        "hair": hair,
        "silver": silver,
        "grey": grey,
        "brows": mix(brows, (0.62 - 0.32 * melanin) * silver, 0.75 * grey),
        "iris": mix(
            mix(colour(BLUE_EYE), colour(GREEN_EYE), 0.5 + 0.9 * i.eye_colour),
            colour(BROWN_EYE),
            0.5 * i.eye_colour + 3.0 * melanin - 0.65,
        ),
        "spots": ((age - 33 - pace.spots) / 36).clamp(0, 1.4) * (0.45 * i.ageing_spots).exp() * (1 - 0.4 * melanin),
        "freckles": (0.6 * i.freckles - 0.4).clamp(0, 1) * (1 - 0.8 * old).clamp(0, 1) * (melanin < 0.45),
    }
