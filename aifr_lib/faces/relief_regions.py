"""Regions of a relief face: which part of it each pixel shows, from the geometry that draws it."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief_features import brows, eyes, mouth
from aifr_lib.faces.relief_surface import edge, step

REGIONS = ("face", "eyes", "brows", "nose", "mouth", "hair", "background")
FIGURE = (-1.38, -1.25)  # depths between which a wall ends and a person begins


def parts(
    m: SimpleNamespace, person: Tensor, place: tuple[Tensor, Tensor], face: Tensor, front: Tensor, back: Tensor,
    depth: Tensor, px: float,
) -> dict[str, Tensor]:  # fmt: skip
    """Cover of each of ``REGIONS``, [B, S, S] in 0 … 1.

    face: the head where no hair hides it, from chin to hairline; eyes (with lids), brows, nose and mouth are parts of
    it. hair: before and behind the head. background: what is neither person nor clothes.
    place: face coordinates of what each pixel shows; depth: of what lies behind the face.
    """
    x, y = place
    u, bare = m.unit, face * (1 - front)
    eye, lips = eyes(m, x, y, px), mouth(m, x, y, px)
    lids = torch.maximum(eye["white"], torch.maximum(eye["lash"], eye["plate"]))
    # A nose widens from the bridge to its wings.
    down = ((y - m.root_y) / (m.nose_y - m.root_y)).clamp(0, 1)
    wide = m.bridge_w + (m.nose_w + u - m.bridge_w) * down * down
    nose = edge(torch.minimum(wide - x.abs(), torch.minimum(y - m.root_y, m.nose_y + 3 * u - y)), px)
    hair = torch.maximum(front, back * (1 - face))
    figure = torch.maximum(torch.maximum(face, hair), step(*FIGURE, depth))
    found = (bare, bare * lids, bare * brows(m, person, x, y, px), bare * nose,
             bare * torch.maximum(lips["lips"], lips["inside"]), hair, 1 - figure)  # fmt: skip
    return {name: cover.clamp(0, 1) for name, cover in zip(REGIONS, found, strict=True)}
