"""The leaderboard: one network through the protocols of recognition that the data at hand allow, as a row of a table.

Every network gets the same 112×112 crops: relief faces of test people, ORL, and FG-NET by the years between two
photographs. The table, ``figures/board/board.json``, holds numbers alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import nn

from aifr_lib.data.images import Images
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.protocol_scores import list_scores, measure
from aifr_lib.experiments.available import ALIGNING, SETS, missing_set
from aifr_lib.experiments.measure import embedders, sizes
from aifr_lib.experiments.measure.embedders import Embedder
from aifr_lib.experiments.measure.protocol_rows import accuracy_rows, identification_rows, verification_rows
from aifr_lib.files import atomic_write, repository_root
from aifr_lib.models.foreign.cards import Carded
from aifr_lib.models.foreign.onnx_network import OnnxNetwork
from aifr_lib.models.judges import sface_file
from aifr_lib.names import ConfigError, Strict, choose
from aifr_lib.packages import missing_package
from aifr_lib.reporting.rows import WORDS, Row
from aifr_lib.reporting.runs import compact
from aifr_lib.settings.presets import Preset

BOARD = Path("figures") / "board" / "board.json"
BOARD_SETS = ("relief", *SETS)
LICENCES = {"sface": "Apache-2.0", "tour": "as this repository", "pixels": "none is needed"}


class Entry(Strict):
    """One network of the board.

    command: what makes the row again. network: what tells it from others (``embedders.made_by``). parameters,
    multiply_adds: None where they cannot be counted. missing: by data, why it was not measured on it.
    """

    name: str
    licence: str
    command: str
    network: str
    parameters: int | None
    multiply_adds: float | None
    missing: dict[str, str] = Field(default_factory=dict)
    rows: tuple[Row, ...]


def entry(
    backbone: str | Path,
    preset: Preset,
    *,
    name: str | None = None,
    licence: str | None = None,
    data: Sequence[str] | None = None,
    given: Mapping[str, Any] | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Entry:
    """Measure ``backbone`` (see ``embedders.load``) on each set of ``data``, or on all that are here.

    name, licence: needed for a file of weights. What is not here is left out and said in ``missing``, unless ``data``
    asks for it. Errors: ConfigError for a name or licence that lacks, for unknown data and for data that was asked for
    and is missing, before anything is measured; those of ``embedders.load``.
    """
    embedders.check_backbone(backbone)
    known = backbone in embedders.EMBEDDERS
    if not known and not (name and licence):
        raise ConfigError("a row of the board says whose network it is: give --name and --licence")
    absent = {one: why for one in BOARD_SETS if (why := _missing(one))}
    for one in data or ():
        choose("data of the board", one, dict.fromkeys(BOARD_SETS))
        if one in absent:
            raise ConfigError(f"no row for {one}: {absent[one]}")
    embedder = embedders.load(backbone, preset, given=given, device=device)
    rows: list[Row] = []
    for one in data or [here for here in BOARD_SETS if here not in absent]:
        rows += MEASURED[one](one, preset, lambda images: _embed(embedder, images, device, progress))
    made = embedders.made_by(backbone, embedder, preset)
    return Entry(
        name=name or WORDS[str(backbone)],
        licence=licence or LICENCES[str(backbone)],
        command=_command(backbone, known, name, licence, data),
        network=str(made["network"]),
        parameters=parameters(embedder, backbone),
        multiply_adds=multiply_adds(embedder, backbone),
        missing={one: why for one, why in absent.items() if not data},
        rows=tuple(rows),
    )


def read(path: Path | None = None) -> tuple[Entry, ...]:
    """The rows of the table at ``path`` (default: that of this checkout), none where there is no table yet.

    Errors: ConfigError that names the file for one that is no such table.
    """
    path = path or repository_root() / BOARD
    if not path.is_file():
        return ()
    try:
        return TypeAdapter(tuple[Entry, ...]).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path} is no table of the board: {'.'.join(map(str, first['loc']))} {first['msg']}"
        ) from None


def add(new: Entry, path: Path | None = None) -> None:
    """Write ``new`` into the table: in the place of the same network's row of that name, else at the end.

    Errors: ConfigError where the name is another network's; those of ``read``.
    """
    path = path or repository_root() / BOARD
    there = read(path)
    for old in there:
        if old.name == new.name and old.network != new.network:
            raise ConfigError(f"{path}: the row '{new.name}' is another network's: choose another --name, or remove it")
    rows = [new if old.name == new.name else old for old in there]
    rows += [] if new in rows else [new]
    stored = [one.model_dump(mode="json") for one in rows]
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def parameters(embedder: Embedder, backbone: str | Path) -> int | None:
    """How many weights a network has; None where its file does not tell."""
    if backbone == "pixels":
        return 0
    if backbone == "sface":
        return onnx_weights(sface_file())
    network = _network(embedder)
    return onnx_weights(network.path) if isinstance(network, OnnxNetwork) else sizes.count(network)


def multiply_adds(embedder: Embedder, backbone: str | Path) -> float | None:
    """Of one picture; None for networks in ONNX and TorchScript, in which torch counts nothing."""
    if backbone == "pixels":
        return 0.0
    if backbone == "sface":
        return None
    network = _network(embedder)
    if isinstance(network, OnnxNetwork | torch.jit.ScriptModule):
        return None
    assert embedder.card is not None
    return sizes.multiply_adds(network, embedder.card.input_hw)


def onnx_weights(path: str | Path) -> int:
    """Numbers that a graph holds as weights; scales and zeros of what is stored as int8 are none.

    Errors: ImportError, with the command, without the package onnx.
    """
    if why := missing_package({"onnx": "counting the weights of an ONNX file"}):
        raise ImportError(why)
    import onnx

    graph = onnx.load(str(path)).graph
    beside = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.input[1:]}
    shapes = {name for node in graph.node if node.op_type == "Reshape" for name in node.input[1:]}
    counted = (one for one in graph.initializer if one.name not in beside | shapes)
    return sum(int(np.prod(one.dims)) for one in counted)


def _network(embedder: Embedder) -> nn.Module:
    assert isinstance(embedder.run, Carded)
    return embedder.run.network


Embed = Callable[[Images], np.ndarray]


def _kept(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As a run would keep them, so that a network has the same numbers on the board and on a page."""
    return {name: compact(name, values) for name, values in scores.items()}


def _relief(data: str, preset: Preset, embed: Embed) -> list[Row]:
    settings = preset.protocols.relief
    images, lists = chosen.faces(settings), chosen.everyday_pairs(settings)
    scores = _kept(list_scores(images, embed(images), lists))
    named = {"data": data}
    return [row for pairs in lists for row in accuracy_rows(scores, pairs.name, {**named, "pairs": pairs.name})]


def _photographs(data: str, preset: Preset, embed: Embed) -> list[Row]:
    images = SETS[data].load(identities=preset.real.identities)
    scores = _kept(measure(images, embed(images)))
    return verification_rows(scores, {"data": data}) + identification_rows(scores, {"data": data})


MEASURED: dict[str, Callable[[str, Preset, Embed], list[Row]]] = {
    "relief": _relief,
    **dict.fromkeys(SETS, _photographs),
}


def _embed(embedder: Embedder, images: Images, device: str | None, progress: bool) -> np.ndarray:
    return embedders.embed_with(embedder, images, device=device, progress=progress)


def _missing(data: str) -> str | None:
    return None if data == "relief" else missing_set(data) or missing_package(ALIGNING)


def _command(
    backbone: str | Path, known: bool, name: str | None, licence: str | None, data: Sequence[str] | None
) -> str:
    """The command without folders of the machine that it was given on; a file of this checkout keeps its own."""
    file, here = Path(backbone).resolve(), repository_root().resolve()
    shown = file.relative_to(here).as_posix() if file.is_relative_to(here) else file.name
    network = f"--backbone {backbone}" if known else f"--weights {shown}"
    said = [f'--{option} "{value}"' for option, value in (("name", name), ("licence", licence)) if value]
    return " ".join(["aifr evaluate --board", network, *said, *(f"--data {one}" for one in data or ())])
