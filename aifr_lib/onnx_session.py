"""Networks in ONNX files, opened by onnxruntime on the CPU."""

from __future__ import annotations

from typing import Any

import torch

INSTALL = "in the repository, pip install -e '.[real]'"


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
    # Threads that spin while they wait starve whatever else the machine is doing.
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
