"""Networks as ONNX files that run without torch, each with its card and held against the network it came from."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import to_input
from aifr_lib.files import atomic_write
from aifr_lib.models.foreign.cards import Card, Carded, write_card
from aifr_lib.models.foreign.onnx_network import CARD_KEY, OnnxNetwork
from aifr_lib.packages import INSTALL

INPUT, OUTPUT = "pictures", "embeddings"
OPSET = 18
CLOSE = 1e-4  # of the cosine between torch's embedding and onnxruntime's


def export_onnx(
    network: Carded,
    path: str | Path,
    pictures: np.ndarray,
    metadata: Mapping[str, str] | None = None,
    relu_pairs: bool = False,
) -> float:
    """Write ``network`` to ``path`` and its card beside it; returns the largest 1 − cosine to torch on ``pictures``.

    The graph takes scaled float32 pictures [B, 3, H, W], any B, as the card says, and gives embeddings [B, D]. The
    card and ``metadata`` (strings) stand in the file's own metadata too.
    pictures: uint8 [N ≥ 2, H, W, 3] RGB, on which both are compared, all at once and one alone. relu_pairs: write each
    PReLU as relu(x) − a · relu(−x), the same function, for which onnxruntime has quicker kernels, of eight bits too.
    Errors: ImportError, with the command, without onnxscript or onnxruntime; ValueError where the two differ by more
    than ``CLOSE``: then nothing is written.
    """
    path, card = Path(path), network.card
    inner = network.network.eval().to("cpu")
    inner = with_relu_pairs(inner) if relu_pairs else inner
    x = to_input(torch.from_numpy(pictures))
    with torch.inference_mode():
        expected = network.to("cpu")(x)
    with atomic_write(path) as temporary:
        _write(inner, card, temporary, metadata or {})
        written = Carded(OnnxNetwork(temporary), card, str(path))
        away = max(apart(written(x), expected), apart(written(x[:1]), expected[:1]))
        if not away <= CLOSE:
            raise ValueError(f"{path} is not written: its embeddings are {away:.2g} (1 − cosine) from torch's")
    write_card(path, card.model_copy(update={"embedding": expected.shape[1]}))
    return away


class ReluPair(nn.Module):
    """PReLU as relu(x) − a · relu(−x), a for each channel of ``[B, C, …]``.

    >>> ReluPair(torch.tensor([0.25]))(torch.tensor([[-2.0], [2.0]])).tolist()
    [[-0.5], [2.0]]
    """

    def __init__(self, slope: Tensor) -> None:
        super().__init__()
        self.slope = nn.Parameter(slope.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) - self.slope.reshape(-1, *[1] * (x.dim() - 2)) * F.relu(-x)


def with_relu_pairs(network: nn.Module) -> nn.Module:
    """A copy whose every PReLU is a ``ReluPair``."""
    copied = copy.deepcopy(network)
    for part in list(copied.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.PReLU):
                setattr(part, name, ReluPair(child.weight))
    return copied


def apart(a: Tensor, b: Tensor) -> float:
    """The largest 1 − cosine between rows of [B, D] that belong together; NaN where either is not finite."""
    return float((1 - F.cosine_similarity(a.double(), b.double())).clamp(min=0).max())


def _write(network: nn.Module, card: Card, path: Path, metadata: Mapping[str, str]) -> None:
    sample = torch.zeros(2, 3, *card.input_hw)
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                (sample,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except ImportError as error:
        raise ImportError(f"export needs {error.name}: {INSTALL}") from error
    assert program is not None
    stored = card.model_dump(mode="json", exclude={"layout", "output"}, exclude_none=True)
    program.model.metadata_props.update({**metadata, CARD_KEY: json.dumps(stored)})
    program.save(str(path), external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its own progress and deprecations, none of which a user can act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
