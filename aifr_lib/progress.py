"""Progress bars that suit whoever watches: a terminal, a notebook that somebody runs, a notebook that runs alone."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import tqdm as plain

BAR_AFTER = 2.0  # seconds; a bar for less is noise
IN_A_LOG = 5.0  # seconds between two states of a bar that goes into a file or a pipe, where each stays
ALONE = "AIFR_NO_FRONT_END"  # set for kernels that no front end looks at


def watched() -> bool:
    """Whether this process is a kernel with a front end, which can draw a bar of its own."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel") and ALONE not in os.environ


def tqdm(*args: Any, **kwargs: Any) -> plain:
    """``tqdm.tqdm`` as it is, or where a front end watches its twin of ipywidgets, which leaves nothing in red.

    ``tqdm.auto`` would do the same, but in a kernel without a front end it waits for an answer that never comes.
    """
    if not watched():
        if not sys.stderr.isatty():
            kwargs["mininterval"] = IN_A_LOG
        return plain(*args, **kwargs)
    from tqdm.notebook import tqdm as drawn

    return drawn(*args, **kwargs)
