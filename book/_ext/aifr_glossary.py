"""Words of the glossary on every page: the first of each becomes a link that carries its definition.

The definition is the link's title, so it is there without a script; ``tips.js`` shows it on hover, focus and touch.
"""

from __future__ import annotations

import re
from functools import cached_property

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "book/background/glossary"
WITHOUT = (GLOSSARY, "book/bibliography")
# Words that mostly mean something else in running text: they are explained only where a page says {term}`scale`.
EVERYDAY = {"fold", "head", "interval", "logit", "margin", "preset", "scale", "seed", "template", "temperature"}
SKIPPED = (
    nodes.reference, nodes.literal, nodes.FixedTextElement, nodes.title, nodes.math, nodes.math_block, nodes.raw,
    nodes.rubric, nodes.thead, nodes.caption, nodes.term, nodes.field_name, addnodes.download_reference,
)  # fmt: skip


class ExplainWords(SphinxPostTransform):
    """Mark the first use of each word of the glossary on a page, and give links to it their definitions."""

    default_priority = 700  # references are resolved by then

    def run(self, **_: object) -> None:
        if GLOSSARY not in self.env.found_docs or self.env.docname in WITHOUT:
            return
        seen = set()
        address = self.app.builder.get_relative_uri(self.env.docname, GLOSSARY)
        for link in self.document.findall(nodes.reference):
            page, _, anchor = link.get("refuri", "").partition("#")
            if page == address and (word := self.anchors.get(anchor)):
                seen.add(word)
                link["reftitle"] = self.words[word][1]
                link["classes"].append("aifr-term")
        for text in _joined(self.document):
            if not _inside(text, SKIPPED):
                self.mark(text, address, seen)

    def mark(self, text: nodes.Text, address: str, seen: set[str]) -> None:
        parts: list[nodes.Node] = []
        end = 0
        for found in self.pattern.finditer(text.astext()):
            word = " ".join(found["word"].split())
            word = word if word in self.words else word.lower()
            # FAR is a word of the glossary and far is none.
            if word in seen or word not in self.words:
                continue
            seen.add(word)
            anchor, definition = self.words[word]
            link = nodes.reference("", found[0], internal=True, refuri=f"{address}#{anchor}", reftitle=definition)
            link["classes"].append("aifr-term")
            parts += [nodes.Text(text.astext()[end : found.start()]), link]
            end = found.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text.astext()[end:])])

    @cached_property
    def words(self) -> dict[str, tuple[str, str]]:
        """Anchor and definition of each word, as the glossary spells it."""
        found = {}
        for item in self.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
            definition = item[-1].astext()
            found |= {term.astext(): (term["ids"][0], definition) for term in item.findall(nodes.term)}
        return found

    @cached_property
    def anchors(self) -> dict[str, str]:
        return {anchor: word for word, (anchor, _) in self.words.items()}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        names = sorted(self.words.keys() - EVERYDAY, key=len, reverse=True)
        # A page's source may break a line between two words of one term.
        spelt = "|".join(r"\s+".join(map(re.escape, name.split())) for name in names)
        return re.compile(rf"(?<![\w-])(?P<word>{spelt})s?(?![\w@-])", re.IGNORECASE)


def _joined(document: nodes.document) -> list[nodes.Text]:
    """The texts of a page, those that follow each other made one: a line break of Markdown is a text of its own."""
    for parent in {text.parent for text in document.findall(nodes.Text)}:
        children: list[nodes.Node] = []
        for child in parent:
            if isinstance(child, nodes.Text) and children and isinstance(children[-1], nodes.Text):
                child = nodes.Text(children.pop().astext() + child.astext())
            children.append(child)
        parent[:] = children
    return list(document.findall(nodes.Text))


def _inside(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> bool:
    while (node := node.parent) is not None:
        if isinstance(node, kinds):
            return True
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(ExplainWords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
