"""From parameters to measures of what surrounds a relief face: ears, neck, shoulders and hair.

Adult breadths follow common anthropometric means (neck 99 mm in women, 121 mm in men, ear 63 mm, at 63 mm between
the pupils, which are 0.47 here); a child's are from neck girths of 24 cm at three and 28 cm at ten years.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor


def surroundings(
    i: SimpleNamespace, style: SimpleNamespace, age: Tensor, gender: Tensor, weight: Tensor, head: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Measures [B, 1, 1] by name. ``head`` gives child, old, sag, male and the skull's."""
    child, old, sag, male = (head[name] for name in ("child", "old", "sag", "male"))
    adult = 1 - child
    m: dict[str, Tensor] = {}
    m["ear_h"] = 0.195 * (1 + 0.06 * i.ear_size + 0.12 * old) - 0.015 * child
    m["ear_flare"] = torch.deg2rad((24 + 5 * i.ear_size + 8 * child).clamp(12, 45))
    m["neck_w"] = 0.365 + 0.045 * male - 0.085 * child + 0.030 * weight
    m["chin_low"] = head["chin_y"] + 0.20 + 0.02 * male - 0.07 * child - 0.015 * weight
    m["shoulder_w"] = 1.10 + 0.14 * male - 0.42 * child
    m["cords"] = (0.25 + 0.5 * sag - 0.2 * weight).clamp(0, 1) * adult
    m["apple"] = 0.5 * gender * adult**3

    # Loss of hair: temples first, then the crown; women thin out without a bare front.
    lost = torch.sigmoid((age - (54 - 11 * i.ageing_recession)) / 8)
    m["bald"] = lost * gender * torch.sigmoid(2.2 * i.ageing_recession - 0.2)
    m["thinning"] = (0.5 * (old - 0.4).clamp(min=0) * (1 - gender) + 0.9 * m["bald"] + 0.25 * lost * gender).clamp(
        max=1
    )
    receding = torch.sigmoid((age - (42 - 10 * i.ageing_recession)) / 7) * gender
    m["hairline_y"] = (head["root_y"] - 58 * head["unit"] + 0.03 * i.hairline - 0.02 * male + 0.05 * child - 0.012 * i.cranium
                       - 0.05 * receding)  # fmt: skip
    m["temples"] = 0.04 * (1 + male).clamp(min=0) + 0.02 * i.hairline - 0.03 * child + 0.17 * receding
    m["peak"] = 0.045 * i.widows_peak.clamp(min=0) * adult + 0.03 * receding
    keep = 1 - m["bald"]
    m["fringe"] = style.fringe * (1 - 0.9 * m["bald"]) * (1 - 0.3 * old) * (1 - style.swept)
    m["parting"], m["parted"], m["swept"], m["wave"] = style.parting, style.parted, style.swept, style.wave
    m["tied"] = style.tied
    m["curl"] = torch.sigmoid(2.2 * i.hair_curl - 1.6)
    m["grown"] = style.hair_length * (1 - 0.8 * m["bald"]) * (style.tied < 0.05)
    m["hair_volume"] = (0.030 + 0.050 * style.hair_volume + 0.045 * m["curl"]) * (1 - 0.35 * old.clamp(max=1)) * keep
    m["hair_volume"] = (m["hair_volume"] * (1 - 0.4 * style.swept)).clamp(min=0.008)
    m["tip_y"] = head["eye_y"] + 0.20 + 0.95 * m["grown"]
    m["cover"] = (0.5 + 0.5 * style.fringe - 0.8 * style.swept).clamp(0, 1)
    m["flare"] = 0.05 + 0.25 * m["curl"] * m["grown"]
    m["gloss"] = 0.22 * (1 - 0.6 * m["curl"]) * (1 - 0.4 * old.clamp(max=1))
    return m
