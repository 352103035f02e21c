"""Packages that are not always installed: which one lacks and how to add it; networks in ONNX files, opened."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

# What trains or runs a network: the extra "train", which the light installation leaves out.
HEAVY = ("torch", "torchvision", "accelerate", "safetensors")
INSTALL = "in the repository, pip install -e '.[real]'"
INSTALL_HEAVY = "in the repository, pip install -e '.[train]'"


def session(model: str | bytes, what: str) -> Any:
    """onnxruntime's session on the CPU for a file, or for its content.

    Errors: ImportError, with the command, saying that ``what`` needs it; onnxruntime's own for a damaged model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"{what} needs {error.name}: {INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # As many threads as torch takes, where torch is there: a class reads pages and runs networks without it.
    torch = sys.modules.get("torch")
    options.intra_op_num_threads = torch.get_num_threads() if torch else os.cpu_count() or 1
    # Threads that spin while they wait starve whatever else the machine is doing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def missing_package(packages: Mapping[str, str]) -> str | None:
    """The first of ``packages`` (name → what needs it) that is not installed, and how to add it; None: all are."""
    for package, what in packages.items():
        if importlib.util.find_spec(package) is None:
            return f"{what} needs the package {package}: {INSTALL}"
    return None
