"""A single picture as HTML, under the white sheet that a slider's pictures have too."""

from __future__ import annotations

import base64
from html import escape

from matplotlib.figure import Figure

from aifr_lib.reporting import plots


def still(figure: Figure, alt: str) -> str:
    content = base64.b64encode(plots.svg(figure).encode()).decode()
    return f'<p class="aifr-drawn"><img src="data:image/svg+xml;base64,{content}" alt="{escape(alt)}"></p>'
