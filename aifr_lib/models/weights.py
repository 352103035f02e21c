"""Weights in safetensors files: saved whole or not at all, loaded only where they fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aifr_lib.files import atomic_write
from aifr_lib.names import Model, validate

LISTED = 8  # names an error message shows of each kind of difference


class WeightsError(ValueError):
    """A weights file that is damaged or belongs to another network."""


def digest(state: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes, in the order of names; the same on every device."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the state of ``model``, atomically, with ``metadata`` (strings) in the header.

    Added to it: "architecture", the class of the model unless ``metadata`` says more, and "digest", which
    ``load_weights`` checks.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    header = {"architecture": type(model).__name__, **(metadata or {}), "digest": digest(state)}
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata=header)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The header's strings, without reading the weights. Errors: FileNotFoundError, WeightsError."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except FileNotFoundError:
        raise FileNotFoundError(f"no weights file at {path}") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(_damaged(path, str(error))) from error


def read_settings(path: str | Path, name: str, kind: type[Model], what: str) -> Model:
    """The settings that a training wrote into the header under ``name``, validated.

    Errors: ValueError for weights that hold none, which are no ``what``; ConfigError naming the setting at fault; those
    of ``read_metadata``.
    """
    metadata = read_metadata(path)
    if name not in metadata:
        raise ValueError(f"{path} is no {what} of this library: it names no settings of one")
    return validate(kind, json.loads(metadata[name]), str(path))


def load_weights(model: nn.Module, path: str | Path) -> dict[str, str]:
    """Copy the weights at ``path`` into ``model``, which stays as it was on any error; returns the metadata.

    Errors: FileNotFoundError; WeightsError for a damaged file, or for weights of another network, with the
    keys and shapes that differ and the architecture that the file says it holds.
    """
    metadata = read_metadata(path)
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(_damaged(path, str(error))) from error
    holds = metadata.get("architecture", "an architecture it does not name")
    compare_states(model.state_dict(), found, f"{path}, which holds {holds}, does not fit {type(model).__name__}")
    if "digest" in metadata and metadata["digest"] != digest(found):
        raise WeightsError(_damaged(path, "its weights do not match the digest in its header"))
    model.load_state_dict(found)
    return metadata


def compare_states(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Raise a WeightsError, ``what`` and then the missing and unexpected keys and the differing shapes."""
    shapes = [
        f"{name} {list(found[name].shape)} instead of {list(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    if missing or unexpected or shapes:
        raise WeightsError(f"{what}:\n{differences(missing, unexpected, shapes)}")


def differences(missing: Sequence[str], unexpected: Sequence[str], shapes: Sequence[str]) -> str:
    """A line for each kind of difference between two states, with the first names."""
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return "\n".join(f"  {kind}: {_listed(names)}" for kind, names in kinds.items() if names)


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest


def _damaged(path: str | Path, why: str) -> str:
    return f"{path} is not a whole safetensors file ({why}); fetch or train it again"
