"""One face at another age, by the weights of any method of this wing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aifr_lib.data.formats.pictures import read_picture
from aifr_lib.experiments.mtlface.judges import groups
from aifr_lib.files import atomic_write
from aifr_lib.models import weights
from aifr_lib.models.mtlface_synthesis import MtlFace
from aifr_lib.models.synthesis_rivals import AgeDrawer
from aifr_lib.settings.mtlface import OLDEST_CLASS
from aifr_lib.training import mtlface, synthesis_rivals
from aifr_lib.training.sheets import drawn

ALIGNED = (112, 112)


def load(path: Path) -> tuple[MtlFace | AgeDrawer, tuple[float, ...]]:
    """A network that draws faces at age groups (``at_groups``), in eval mode, and the bounds of the groups.

    Errors: ValueError for weights of another training, or of recognition alone; those of ``weights.read_metadata``.
    """
    held = weights.read_metadata(path)
    if any(recipe in held for recipe in synthesis_rivals.SETTINGS):
        network, config = synthesis_rivals.load(path)
        return network, config.bounds
    if mtlface.RECIPE in held:
        both, asked = mtlface.load(path)
        if both.generator is None:
            raise ValueError(f"{path} was trained to recognise alone and draws nothing: train it with a synthesis")
        return both, asked.recognition.bounds
    raise ValueError(f"{path} draws no faces: give weights that 'aifr train mtlface' (or caae, ipcgan) wrote")


def aged(face: Path, years: float, weights_at: Path, device: torch.device | str = "cpu") -> np.ndarray:
    """The picture ``face``, an aligned crop, at the age group of ``years``: uint8 [H, W, 3] of the network's size.

    Errors: ValueError for an age outside 0 … 100, a picture that is no aligned crop, and those of ``load``.
    """
    if not 0 <= years <= OLDEST_CLASS:
        raise ValueError(f"an age of 0 to {OLDEST_CLASS} years can be asked for, got {years:g}")
    network, bounds = load(weights_at)
    pixels = read_picture(face)
    hw = tuple(network.input_hw)
    if pixels.shape[:2] not in (ALIGNED, hw):
        raise ValueError(
            f"{face} has {pixels.shape[0]}×{pixels.shape[1]} pixels and is no aligned crop of {ALIGNED[0]}×{ALIGNED[1]}"
            f" or {hw[0]}×{hw[1]}: align the photograph first ('aifr align')"
        )
    if pixels.shape[:2] != hw:
        pixels = np.asarray(Image.fromarray(pixels).resize((hw[1], hw[0]), Image.Resampling.BOX))
    group = int(groups(np.array([years]), bounds)[0])
    return drawn(network.to(device).at_groups, pixels[None], device)[0, group]


def write(face: Path, years: float, weights_at: Path, out: Path | None = None) -> Path:
    """``aged`` as a PNG; ``out`` None writes FACE-60.png beside the picture."""
    path = face.with_name(f"{face.stem}-{years:g}.png") if out is None else out
    picture = aged(face, years, weights_at)
    with atomic_write(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    return path
