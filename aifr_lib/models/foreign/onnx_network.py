"""A network in an ONNX file, run by onnxruntime on the CPU behind the face of a torch module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aifr_lib.models.weights import WeightsError
from aifr_lib.packages import session

CARD_KEY = "aifr_card"  # in the metadata of the files that ``export`` writes
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxNetwork(nn.Module):
    """Float pictures [B, 3, H, W], already scaled, to float32 [B, D] on the CPU.

    input_hw: the size that the graph takes; None where it takes any. card: what the file says of itself, if
    ``export`` wrote it. A graph made for one picture at a time gets one at a time.
    Errors: ImportError, with the command, without onnxruntime; WeightsError for a damaged file, for a graph whose
    inputs are not one batch of pictures, and for several outputs of which ``output`` names none.
    """

    def __init__(self, path: str | Path, output: str | None = None) -> None:
        super().__init__()
        try:
            self.session = session(str(path), str(path))
        except ImportError:
            raise
        except Exception as error:  # onnxruntime's own errors share no base class
            raise WeightsError(f"{path} is no ONNX file that runs: {' '.join(str(error).split())[:200]}") from error
        self.path = path
        self.input = self._only_input()
        self.output = self._chosen_output(output)
        batch, _, height, width = self.input.shape
        self.one_by_one = batch == 1
        whole = isinstance(height, int) and isinstance(width, int)
        self.input_hw: tuple[int, int] | None = (height, width) if whole else None

    @property
    def card(self) -> dict[str, Any]:
        stored = self.session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        try:
            values = json.loads(stored or "{}")
        except json.JSONDecodeError as error:
            raise WeightsError(f"{self.path}: its metadata {CARD_KEY} is no JSON ({error})") from None
        return dict(values)

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.detach().cpu().numpy().astype(TYPES[self.input.type])
        parts = np.split(pixels, len(pixels)) if self.one_by_one else [pixels]
        try:
            found = [self.session.run([self.output], {self.input.name: part})[0] for part in parts]
        except Exception as error:
            raise WeightsError(f"{self.path} fails on {list(x.shape)}: {' '.join(str(error).split())[:200]}") from error
        return torch.from_numpy(np.concatenate(found).astype(np.float32))

    def _only_input(self) -> Any:
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(node.name for node in inputs[:3]) + (", …" if len(inputs) > 3 else "")
            raise WeightsError(f"{self.path} takes {len(inputs)} inputs ({names}), not pictures alone: export it anew")
        (node,) = inputs
        if node.type not in TYPES or len(node.shape) != 4 or (node.shape[1] not in (3, None) and _whole(node.shape[1])):
            raise WeightsError(
                f"{self.path}: its input '{node.name}' is {node.type} {node.shape}, not float pictures [B, 3, H, W]"
            )
        if _whole(node.shape[0]) and node.shape[0] != 1:
            raise WeightsError(
                f"{self.path} takes exactly {node.shape[0]} pictures at a time: export it for any number"
            )
        return node

    def _chosen_output(self, wanted: str | None) -> str:
        names = [node.name for node in self.session.get_outputs()]
        chosen = names[0] if wanted is None and len(names) == 1 else wanted
        if chosen is None or chosen not in names:
            asked = f"and no '{wanted}'" if wanted else "of which one is the embedding"
            raise WeightsError(f"{self.path} has the outputs {', '.join(names)} {asked}: say output: NAME in its card")
        return chosen


def _whole(length: Any) -> bool:
    return isinstance(length, int)
