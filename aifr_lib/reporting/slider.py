"""A slider over prepared pictures that works on a static page: no kernel, no library, no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aifr_lib.reporting.prose import signs, typeset

if TYPE_CHECKING:
    from IPython.display import HTML

# One handler on the input itself, found relative to it: no ids that two players on a page could share.
_MOVE = (
    "const p=this.closest('.range-player'),f=p.querySelectorAll('img'),i=+this.value;"
    "f.forEach((g,k)=>{g.hidden=k!==i});"
    "p.querySelector('output').textContent=f[i].dataset.label;"
    "this.setAttribute('aria-valuetext',f[i].dataset.label)"
)


def picture_type(frame: str | bytes) -> str:
    """``svg``, ``png`` or ``jpeg``. Errors: ValueError for anything else."""
    head = frame[:8].encode() if isinstance(frame, str) else frame[:8]
    for kind, magic in (("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff")):
        if head.startswith(magic):
            return kind
    if head.lstrip().startswith((b"<?xml", b"<svg", b"<!DOC")):
        return "svg"
    raise ValueError(f"a frame is SVG text, or PNG or JPEG bytes; this one starts with {head!r}")


def range_player(frames: Sequence[str | bytes], labels: Sequence[str], title: str, alt: str, *, start: int = 0) -> str:
    """Self-contained HTML: one picture at a time, a range input, the label of the frame shown.

    frames: SVG text, or PNG or JPEG bytes, one for each label. start: the frame that is shown at first, and
    without JavaScript for good. Arrow keys, Home and End move the slider; a screen reader hears ``title`` and
    the label.
    Errors: ValueError for no frames, another number of labels, a start outside them, or a frame that is no
    picture.
    """
    if not frames:
        raise ValueError(f"slider '{title}': no frames")
    if len(frames) != len(labels):
        raise ValueError(f"slider '{title}': {len(frames)} frames, {len(labels)} labels")
    if not 0 <= start < len(frames):
        raise ValueError(f"slider '{title}': start {start} is none of its {len(frames)} frames")
    labels = [signs(label) for label in labels]
    pictures = "".join(
        f'<img src="{_data_uri(frame)}" alt="{typeset(f"{alt}: {label}")}" data-label="{typeset(label)}"'
        f' style="max-width:100%;height:auto;margin:0 auto"{" hidden" if number != start else ""}>'
        for number, (frame, label) in enumerate(zip(frames, labels, strict=True))
    )
    return (
        '<figure class="range-player" style="margin:1em 0;text-align:center">'
        "<style>.range-player img[hidden]{display:none}.range-player img{display:block}</style>"
        f'<figcaption style="font-weight:600">{typeset(title)}</figcaption>'
        f'<div style="background:#fff;border-radius:6px;padding:4px">{pictures}</div>'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="{start}" step="1" aria-label="{typeset(title)}"'
        f' aria-valuetext="{typeset(labels[start])}" style="width:min(32em,100%)" oninput="{_MOVE}">'
        f'<br><output aria-live="off">{typeset(labels[start])}</output></figure>'
    )


def show(frames: Sequence[str | bytes], labels: Sequence[str], *, title: str, alt: str, start: int = 0) -> HTML:
    """``range_player`` as the output of a notebook cell."""
    # Imported here: a batch job that writes frames needs no notebook machinery.
    from IPython.display import HTML

    return HTML(range_player(frames, labels, title, alt, start=start))


def _data_uri(frame: str | bytes) -> str:
    kind = picture_type(frame)
    content = frame.encode() if isinstance(frame, str) else frame
    return f"data:image/{'svg+xml' if kind == 'svg' else kind};base64,{base64.b64encode(content).decode()}"
