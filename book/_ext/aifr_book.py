"""The book's own Sphinx extension."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Nothing(SphinxDirective):
    optional_arguments = 1

    def run(self):
        return []


def clean_scripts(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Load each script once, and thebe never: it is added on every page and names an address outside the book."""
    seen = set()
    kept = []
    for script in context["script_files"]:
        key = (getattr(script, "filename", None) or script, script.attributes.get("body") if hasattr(script, "attributes") else None)
        if key in seen or "thebe" in str(key).lower():
            continue
        seen.add(key)
        kept.append(script)
    context["script_files"] = kept


def setup(app: Sphinx) -> dict[str, bool]:
    for n in ("artefact", "paper-contents", "scoreboard"):
        app.add_directive(n, Nothing)
    app.connect("html-page-context", clean_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
