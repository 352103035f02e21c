"""Ways out of the book: notebooks, numbers and pictures as files, the repository, how to cite.

Links that leave for a repository appear only where ``repository_url`` is set in ``_config.yml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

from aifr_lib.reporting import contents

PRESET = "classroom"  # whose results the book shows
EXECUTED = "book/_executed/"


class CompanionBibtex(SphinxDirective):
    """``{companion-bibtex}``: the entry for this companion, out of ``CITATION.cff``."""

    def run(self) -> list[nodes.Node]:
        cff = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(cff))
        address = self.config.html_theme_options.get("repository_url", "")
        text = bibtex(yaml.safe_load(cff.read_text(encoding="utf-8")), self.config.copyright, address)
        return [nodes.literal_block(text, text, language="bibtex")]


def bibtex(cff: dict[str, Any], year: str, address: str) -> str:
    """A BibTeX entry of what a CITATION.cff says; ``year`` and ``address`` are for one that names none."""
    people = [one.get("name") or f"{one['family-names']}, {one['given-names']}" for one in cff["authors"]]
    fields = {
        "title": f"{{{cff['title']}}}",
        # In braces a group is one name, whatever words are in it.
        "author": " and ".join(name if "," in name else f"{{{name}}}" for name in people),
        "version": cff["version"],
        "year": str(cff.get("date-released", year))[:4],
        "url": cff.get("repository-code") or address,
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@software{aifr_lib,", *lines, "}"])


def files_of(id: str, root: Path, document: str) -> list[nodes.Node]:
    """Links that save what is stored of one table or figure: its numbers and its picture."""
    found = []
    for suffix in ("csv", "json", "svg", "png"):
        place = f"figures/{PRESET}/{id}/{id}.{suffix}"
        if (root / place).is_file():
            found.append(download(place, suffix.upper(), document))
    return found


def download(place: str, text: str, document: str) -> addnodes.download_reference:
    return addnodes.download_reference("", "", nodes.Text(text), reftarget=f"/{place}", refdoc=document)


def line(*groups: tuple[str, list[nodes.Node]]) -> nodes.paragraph:
    """«Notebook: .ipynb · tml_fig6: CSV, JSON» as one small line."""
    parts: list[nodes.Node] = []
    for name, links in groups:
        parts += [nodes.Text(f"{' · ' if parts else ''}{name}: ")]
        for number, link in enumerate(links):
            parts += [nodes.Text(", "), link] if number else [link]
    return nodes.paragraph("", "", *parts, classes=["aifr-ways-out"])


def below_the_title(app: Sphinx, doctree: nodes.document) -> None:
    """On the page of a notebook: the notebook, where it runs elsewhere, and the files of its tables and figures."""
    document = app.env.docname
    if not document.startswith(EXECUTED):
        return
    name = document.removeprefix(EXECUTED)
    root = Path(app.srcdir)
    address, branch = (app.config.html_theme_options.get(key, "") for key in ("repository_url", "repository_branch"))
    notebook = [download(f"notebooks/{name}.ipynb", "IPYNB", document)]
    groups = [
        ("This page as a notebook", [*notebook, *elsewhere(f"notebooks/{name}.ipynb", address, branch or "main")])
    ]
    for content in contents.load():
        if content.notebook == name and (links := files_of(content.id, root, document)):
            groups.append((content.id, links))
    title = next(doctree.findall(nodes.title))
    title.parent.insert(title.parent.index(title) + 1, line(*groups))


def elsewhere(place: str, address: str, branch: str) -> list[nodes.Node]:
    """Where a notebook of the repository can be run or seen; nothing without an address."""
    if not address:
        return []
    links = {"in the repository": f"{address}/blob/{branch}/{place}"}
    if urlsplit(address).netloc == "github.com":
        repository = urlsplit(address).path.strip("/")
        links |= {
            "Colab": f"https://colab.research.google.com/github/{repository}/blob/{branch}/{place}",
            "Binder": f"https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{place}",
        }
    return [nodes.reference("", text, refuri=uri) for text, uri in links.items()]


def repository_button(app: Sphinx, config: Config) -> None:
    """The theme's button to the repository, where there is an address."""
    if config.html_theme_options.get("repository_url"):
        config.html_theme_options["use_repository_button"] = True


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("companion-bibtex", CompanionBibtex)
    app.connect("config-inited", repository_button)
    app.connect("doctree-read", below_the_title, priority=400)  # before Sphinx collects what is to be downloaded
    return {"parallel_read_safe": True, "parallel_write_safe": True}
