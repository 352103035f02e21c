"""What a training logged, as few points as a run keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np

POINTS = 100  # of each curve of a log that a run keeps


def curves(log: Sequence[str], points: int = POINTS) -> dict[str, list[float | None]]:
    """The lines of a log by name, ``step`` among them, at most ``points`` of them, evenly spaced.

    None where a value is not finite: the slopes of a training that is about to diverge need not be.

    >>> curves(['{"step": 20, "loss": 3.0}', '{"step": 40, "loss": 2.0}'])
    {'step': [20, 40], 'loss': [3.0, 2.0]}
    """
    lines = [json.loads(line) for line in log]
    if len(lines) > points:
        lines = [lines[at] for at in np.linspace(0, len(lines) - 1, points).round().astype(int)]
    names = lines[0] if lines else {}
    return {name: [line[name] if math.isfinite(line[name]) else None for line in lines] for name in names}
