"""Any embedder on any pictures by either protocol: what ``aifr evaluate`` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.config import ConfigError, Preset, choose, nearest
from aifr_lib.data import fgnet, orl
from aifr_lib.data.aligned import load_folder
from aifr_lib.data.images import Images
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.experiments import recognise, tour
from aifr_lib.experiments.photographs import identification_rows, list_rows, measure, verification_rows
from aifr_lib.models import judges
from aifr_lib.reporting.artefacts import Key, Row
from aifr_lib.training import recognition
from aifr_lib.training.engine import accelerator_for

EMBEDDERS = ("sface", "pixels", "tour")
DATA = ("orl", "fgnet", "relief")


def fit(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """Pictures float [B, 3, H, W] at a network's input: the middle columns of its aspect, resized."""
    height, width = x.shape[-2:]
    wanted = min(width, round(height * hw[1] / hw[0]))
    left = (width - wanted) // 2
    x = x[..., left : left + wanted]
    if tuple(x.shape[-2:]) == tuple(hw):
        return x
    return F.interpolate(x, size=tuple(hw), mode="bilinear", antialias=True, align_corners=False)


class Fitted(nn.Module):
    """A network behind ``fit``: takes pictures of any size."""

    def __init__(self, network: nn.Module, hw: tuple[int, int]):
        super().__init__()
        self.network, self.hw = network, hw

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(fit(x, self.hw))
        return out


def judged(judge: judges.Judge) -> Callable[[Tensor], np.ndarray]:
    """A judge, which takes uint8 crops, as the function of scaled tensors that ``embed`` runs."""

    def run(x: Tensor) -> np.ndarray:
        levels = (fit(x, (112, 112)) * 128 + 127.5).round().clamp(0, 255).to(torch.uint8)
        return judge(levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())

    return run


def check_backbone(backbone: str | Path) -> None:
    """Errors: ConfigError unless it is ``sface``, ``pixels``, ``tour`` or names a weights file."""
    if backbone not in EMBEDDERS and Path(backbone).suffix != ".safetensors":
        known = nearest(str(backbone), EMBEDDERS)
        raise ConfigError(f"unknown backbone '{backbone}'{known}, or a file of weights (.safetensors)")


def embeddings_of(
    backbone: str | Path, images: Images, preset: Preset, *, device: str | None = None, progress: bool = True
) -> np.ndarray:
    """Embeddings float32 [N, D], f(x) + f(mirrored x), by ``sface``, ``pixels``, ``tour`` or a weights file.

    Errors: ConfigError for another name; ImportError, with the command, where the extra ``real`` is missing;
    what ``recognition.load`` raises for a weights file.
    """
    check_backbone(backbone)
    if backbone in judges.JUDGES:
        return embed(judged(judges.build(str(backbone))), images, batch_size=64, progress=progress)
    if backbone == "tour":
        network, config = tour.network(preset, device)
    else:
        network, config = recognition.load(Path(backbone))
    target = accelerator_for(device, "no").device
    return embed(Fitted(network, config.input_hw), images, batch_size=64, device=target, progress=progress)


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` found: rows of numbers, pictures, people, records without a face, bad files."""

    rows: tuple[Row, ...]
    pictures: int
    people: int
    missed: tuple[str, ...]
    bad: tuple[str, ...]


def evaluate(
    backbone: str | Path,
    data: str | Path,
    protocol: str,
    *,
    preset: Preset,
    skip_bad: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Embed the pictures of ``data`` (orl, fgnet, relief or a folder) with ``backbone`` and measure by
    ``protocol``.

    Relief faces are the test faces of the preset's tour; they are verified on the preset's pair lists. All
    else is aligned first, and verified on all genuine pairs with as many impostors.
    Errors: ConfigError with the nearest name for an unknown backbone, data or protocol; those of the readers.
    """
    # Before minutes of aligning are spent on a name that does not exist.
    check_backbone(backbone)
    rows_of = choose("protocol", protocol, {"verification": verification_rows, "loo": identification_rows})
    settings = preset.tour.train.relief
    bad: list[str] = []
    if data == "orl":
        images = orl.load(progress=progress)
    elif data == "fgnet":
        images = fgnet.load(progress=progress)
    elif data == "relief":
        images = recognise.faces(settings)
    elif Path(data).is_dir():
        images, bad = load_folder(data, skip_bad=skip_bad, progress=progress)
    else:
        raise ConfigError(f"unknown data '{data}'{nearest(str(data), DATA)}, or a folder of pictures")
    embeddings = embeddings_of(backbone, images, preset, device=device, progress=progress)
    keys: dict[str, Key] = {"data": images.name, "embedder": str(backbone)}
    if data == "relief" and protocol == "verification":
        lists = [recognise.face_pairs(settings, name) for name in settings.pair_lists]
        rows = [row for pairs in lists for row in list_rows(embeddings, images, pairs, keys)]
    else:
        rows = rows_of(measure(images, embeddings), keys)
    found = images.labels.get("found")
    missed = () if found is None else tuple(images.labels["record"][~found.astype(bool)])
    people = int(images.labels["identity"].nunique())
    return Evaluation(tuple(rows), len(images), people, missed, tuple(bad))
