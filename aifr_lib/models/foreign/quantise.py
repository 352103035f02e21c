"""Networks in ONNX files with whole numbers of eight bits for weights and maps.

Weights take a quarter of their place; the graph grows by two nodes a map, which in a small network weighs as much.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aifr_lib.data.loader import to_input
from aifr_lib.files import atomic_write
from aifr_lib.models.foreign.cards import Card, write_card
from aifr_lib.models.foreign.export import INPUT
from aifr_lib.models.foreign.onnx_network import OnnxNetwork
from aifr_lib.packages import INSTALL

BATCH = 32  # pictures at once while ranges are read


def quantise(source: str | Path, path: str | Path, pictures: np.ndarray) -> Path:
    """Write the ONNX file ``source`` (of ``export_onnx``) to ``path`` with int8 weights
    and maps, its card beside it.

    Static, as QDQ nodes, per channel, after onnxruntime's own preparation of the graph;
    the ranges of the maps are those that ``pictures`` cause. pictures: uint8 [N, H, W,
    3] RGB at the network's input, faces it was trained on: nothing of a test is looked
    at.
    Errors: ImportError, with the command, without onnxruntime's tools; ValueError for
        pictures of another size.
    """
    try:
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantFormat,
            quantize_static,
        )
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ImportError(f"int8 needs {error.name}: {INSTALL}") from error
    path, card = Path(path), Card(**OnnxNetwork(source).card)
    if len(pictures) == 0 or pictures.shape[1:] != (*card.input_hw, 3):
        height, width = card.input_hw
        needed = f"[N, {height}, {width}, 3] are needed to read ranges from"
        raise ValueError(f"pictures {list(pictures.shape)}: {needed}")

    class Read(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = batches(pictures)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    logger = logging.getLogger()
    level = logger.level
    with tempfile.TemporaryDirectory() as folder, atomic_write(path) as temporary:
        prepared = Path(folder) / "prepared.onnx"
        try:
            logger.setLevel(logging.ERROR)  # it advises to do what was just done
            quant_pre_process(str(source), str(prepared))
            quantize_static(
                str(prepared),
                str(temporary),
                Read(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
            )
        finally:
            logger.setLevel(level)
    write_card(path, card)
    return path


def batches(pictures: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """What a session is fed, batch by batch."""
    for start in range(0, len(pictures), BATCH):
        yield {INPUT: to_input(torch.from_numpy(np.array(pictures[start : start + BATCH]))).numpy()}
