"""From parameters to measures of what surrounds a relief face: ears, neck, shoulders and hair.

Numbers are millimetres of a head, ``unit`` the picture's measure of one. They follow common anthropometric means:
girth of the neck 31 cm in women, 38 in men, 24 at three and 28 at ten years, here a little wider for the slope of
the shoulders; ear 60 mm and growing. Hair is inferred by eye.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor


def surroundings(
    i: SimpleNamespace,
    pace: SimpleNamespace,
    style: SimpleNamespace,
    age: Tensor,
    gender: Tensor,
    weight: Tensor,
    head: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Measures [B, 1, 1] by name. ``head`` gives child, old, sag, male and the skull's."""
    child, old, sag, male = (head[name] for name in ("child", "old", "sag", "male"))
    adult = 1 - child
    m: dict[str, Tensor] = {}
    u = head["unit"]
    m["ear_h"] = (29.5 + 1.5 * male + 1.4 * i.ear_size + 4 * old - 3.5 * child) * u
    m["ear_flare"] = torch.deg2rad((24 + 5 * i.ear_size + 8 * child).clamp(12, 45))
    m["neck_w"] = (48 + 6 * male - 12 * child + 4.5 * weight) * u
    m["chin_low"] = head["chin_y"] + (14 + 3 * male - 6 * child - 2 * weight) * u
    m["shoulder_w"] = (180 + 18 * male - 85 * child) * u
    m["cords"] = (0.25 + 0.5 * sag - 0.2 * weight).clamp(0, 1) * adult
    m["apple"] = 0.5 * gender * adult**3

    # Loss of hair: temples first, then the crown; women thin out without a bare front.
    lost = torch.sigmoid((age - (56 - 10 * i.ageing_recession)) / 8)
    m["bald"] = lost * gender * torch.sigmoid(2.2 * i.ageing_recession - 0.6)
    thin = 0.5 * (old - 0.4).clamp(min=0) * (1 - gender) + 0.9 * m["bald"] + 0.25 * lost * gender
    m["thinning"] = thin.clamp(max=1)
    # A third of men have lost hair at the temples by 30, half by 50 (Hamilton, 1951; Rhodes et al., 1998).
    receding = torch.sigmoid((age - (45 - 10 * i.ageing_recession - 2 * pace.recession)) / 8) * gender
    rise = 62 + 2.8 * i.hairline - 4 * child + 8 * receding + 2 * old
    m["hairline_y"] = head["root_y"] - rise * u
    m["temples"] = (4 + 3 * male + 2 * i.hairline - 3 * child + 14 * receding).clamp(min=0) * u
    m["peak"] = (6 * i.widows_peak.clamp(min=0) * adult + 2 * receding) * u
    m["fringe"] = style.fringe * (1 - 0.9 * m["bald"]) * (1 - 0.3 * old) * (1 - style.swept)
    m["parting"], m["parted"], m["swept"], m["wave"] = style.parting, style.parted, style.swept, style.wave
    m["tied"] = style.tied
    m["curl"] = torch.sigmoid(2.2 * i.hair_curl - 1.6)
    m["grown"] = style.hair_length * (1 - 0.8 * m["bald"]) * (style.tied < 0.05)
    volume = (5 + 13 * style.hair_volume + 8 * m["curl"]) * (1 - 0.35 * old.clamp(max=1)) * (1 - 0.4 * style.swept)
    m["hair_volume"] = (volume * (1 - m["bald"])).clamp(min=1) * u
    m["tip_y"] = head["eye_y"] + 0.20 + 0.95 * m["grown"]
    m["nape_y"] = head["eye_y"] + 46 * u
    m["cover"] = (0.3 + 0.5 * style.fringe - 0.8 * style.swept).clamp(0, 1)
    m["flare"] = 0.04 + 0.16 * style.hair_volume + 0.25 * m["curl"] * m["grown"]
    m["gloss"] = 0.13 * (1 - 0.6 * m["curl"]) * (1 - 0.4 * old.clamp(max=1))
    return m
