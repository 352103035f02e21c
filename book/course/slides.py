"""The course's slides: each lesson's executed notebook as a deck of reveal.js that works from a folder, offline."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbconvert import SlidesExporter
from nbformat import NotebookNode

from aifr_lib.files import atomic_write

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "live"))
from bundle import packages  # noqa: E402

NEVER = {"parameters", "injected-parameters", "live"}
WITHOUT_CODE = {"hide-input", "hide-cell", "solution"}
CITE = re.compile(r"\s*\{cite(?::\w)?\}`([^`]+)`")
ROLE = re.compile(r"\{\w+\}`([^`<]+?)(?:\s*<[^`]*>)?`")


def lessons() -> list[dict[str, Any]]:
    """The lessons of ``lessons.yaml``, in order."""
    return yaml.safe_load((HERE / "lessons.yaml").read_text(encoding="utf-8"))


def slides(executed: Path, folder: Path) -> None:
    """Write a deck for each lesson whose notebook lies executed in ``executed``; none without npm.

    ``folder`` becomes a folder of the book's static files: MathJax is looked for beside it.
    """
    npm = shutil.which("npm")
    if not npm:
        shutil.rmtree(folder, ignore_errors=True)
        return
    dist = packages(npm) / "reveal.js" / "dist"
    for name in ("reveal.js", "reveal.css", "theme/white.css"):
        target = folder / "reveal" / "dist" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dist / name, target)
    shutil.copytree(dist / "theme" / "fonts", folder / "reveal" / "dist" / "theme" / "fonts", dirs_exist_ok=True)
    for lesson in lessons():
        source = executed / f"{lesson['notebook']}.ipynb"
        with atomic_write(folder / f"{lesson['id']}.html") as path:
            path.write_text(deck(nbformat.read(source, as_version=4), lesson["title"]), encoding="utf-8")


def deck(notebook: NotebookNode, title: str) -> str:
    """An executed notebook as HTML slides."""
    exporter = SlidesExporter(
        template_name="slides",
        extra_template_basedirs=[str(HERE)],
        reveal_url_prefix="reveal",
        reveal_theme="white",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    exporter.embed_images = True
    return str(exporter.from_notebook_node(as_slides(notebook, title))[0])


def as_slides(notebook: NotebookNode, title: str) -> NotebookNode:
    """What stands on slides: a heading opens one, text and results follow below it, a solution appears when asked.

    Cells for a live kernel and those that print nothing are left out, and so is code that only draws.
    """
    cells = []
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", ()))
        silent = cell.cell_type == "code" and not cell.outputs and tags & WITHOUT_CODE
        if tags & NEVER or silent or not cell.source.strip():
            continue
        one = nbformat.from_dict(cell)
        if one.cell_type == "markdown":
            one.source = ROLE.sub(r"\1", CITE.sub("", one.source))
        elif tags & WITHOUT_CODE:
            one.metadata["transient"] = {"remove_source": True}
        one.metadata["slideshow"] = {"slide_type": _kind(one, tags)}
        cells.append(one)
    return nbformat.v4.new_notebook(cells=cells, metadata={**notebook.metadata, "title": title})


def _kind(cell: NotebookNode, tags: set[str]) -> str:
    if "solution" in tags:
        return "fragment"
    opens = cell.cell_type == "markdown" and re.match(r"#{1,2} ", cell.source)
    return "slide" if opens else "subslide"
