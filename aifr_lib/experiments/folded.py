"""What a solution shows, folded until its reader unfolds it: the cell magic ``%%folded`` of notebooks for readers.

JupyterLab shows what a cell prints when it is run, whatever was folded before. So a solution folds its own output, and
*Run All Cells* gives no answer away.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from html import escape
from itertools import groupby
from typing import Any

PICTURES = ("image/png", "image/jpeg")


class _Printed(io.TextIOBase):
    """A standard output that joins the other outputs of a cell, in their order."""

    def __init__(self, outputs: list[Mapping[str, Any]]) -> None:
        self.outputs = outputs

    def write(self, text: str) -> int:
        self.outputs.append({"data": {"text/plain": text}})
        return len(text)


def register() -> None:
    """Let this notebook's cells begin with ``%%folded``; nothing outside a notebook."""
    from IPython import get_ipython

    if shell := get_ipython():
        shell.register_magic_function(folded, "cell")


def folded(line: str, cell: str) -> None:
    """Run a cell, and show what it prints and displays in one fold. Errors: those of the cell."""
    from IPython import get_ipython
    from IPython.display import HTML, display
    from IPython.utils.capture import capture_output

    shell = get_ipython()
    assert shell is not None
    with capture_output(stdout=False, stderr=False):
        outputs = shell.display_pub.outputs
        with redirect_stdout(_Printed(outputs)):
            done = shell.run_cell(cell)
    display(HTML(fold([output["data"] for output in outputs])))
    done.raise_error()


def fold(outputs: Iterable[Mapping[str, str]]) -> str:
    """Outputs (MIME bundles, in their order) as one ``<details>``."""
    parts = []
    for kind, some in groupby(outputs, key=_kind):
        shown = [output[kind] for output in some]
        if kind in PICTURES:
            parts += [f'<img src="data:{kind};base64,{one.strip()}" alt="" style="max-width:100%">' for one in shown]
        elif kind == "text/html":
            parts += shown
        else:
            parts.append(f'<pre style="white-space:pre-wrap;word-break:normal">{escape("".join(shown))}</pre>')
    return f"<details><summary>Reveal</summary>{''.join(parts)}</details>"


def _kind(output: Mapping[str, str]) -> str:
    return next((kind for kind in ("text/html", *PICTURES) if kind in output), "text/plain")
