"""Papers, annotated: what a paper says on the left, the library's lines that are it on the right.

``{annotated} aifr_lib.losses.margins.ArcFace.target`` takes the lines from the source when the book is built; its
``:shapes:`` stand above them. Each value carries a tag: ``{stated}`section IV-B` `` by the paper, ``{code}`project` ``
found in public code, ``{inferred}`Recognition.epochs` `` a setting of ours, ``{reading}`name` `` where there is no
setting: the named function is our reading. A name that does not exist stops the build.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from aifr_lib import settings
from aifr_lib.names import ConfigError, Strict, choose, nearest

TAGS = {"stated": "stated", "code": "found in code", "inferred": "inferred", "reading": "our reading"}


def resolve(name: str) -> Any:
    """The function, class or method of the library that ``name`` (dotted, from ``aifr_lib``) is.

    Errors: ConfigError with the nearest name.
    """
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for at, part in enumerate(parts[cut:], cut):
            if not hasattr(found, part):
                here = ".".join(parts[:at])
                raise ConfigError(f"no '{part}' in {here}{nearest(part, dir(found))}")
            found = getattr(found, part)
        return found
    raise ConfigError(f"no module '{name}'")


@cache
def groups() -> dict[str, type[Strict]]:
    """All groups of settings by the name of their class."""
    modules = [
        importlib.import_module(f"aifr_lib.settings.{one.name}") for one in pkgutil.iter_modules(settings.__path__)
    ]
    return {
        name: found
        for module in modules
        for name, found in vars(module).items()
        if inspect.isclass(found) and issubclass(found, Strict) and found.__module__ == module.__name__
    }


def setting(name: str) -> tuple[str, Any]:
    """Group.field → the field and its default, as text. Errors: ConfigError with the nearest name."""
    group, _, field = name.partition(".")
    found = choose("group of settings", group, groups()).model_fields
    given = choose(f"setting of {group}", field, found)
    return field, None if given.is_required() else given.get_default(call_default_factory=True)


def lines(name: str) -> tuple[str, str]:
    """(file and line, source without docstrings) of ``name``. Errors: ConfigError for what has no source."""
    found = resolve(name)
    try:
        source, first = inspect.getsourcelines(found)
        path = Path(str(inspect.getsourcefile(found)))
    except TypeError:
        raise ConfigError(f"'{name}' is no function, class or method") from None
    code = textwrap.dedent("".join(source))
    rows = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            said = node.body[0]
            rows[said.lineno - 1 : said.end_lineno] = [""] * (said.end_lineno - said.lineno + 1)
    root = Path(str(inspect.getsourcefile(settings))).parents[2]
    shown = "\n".join(row for row in rows if row.strip())
    return f"{path.relative_to(root).as_posix()}, line {first}", shown


class AnnotatedDirective(SphinxDirective):
    """``{annotated} NAME …``: the content, and beside it the lines of each name."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"shapes": directives.unchanged}  # noqa: RUF012 (as docutils asks)

    def run(self) -> list[nodes.Node]:
        said, code = nodes.container(classes=["aifr-said"]), nodes.container(classes=["aifr-code"])
        self.state.nested_parse(self.content, self.content_offset, said)
        if shapes := self.options.get("shapes"):
            code += nodes.paragraph("", shapes, classes=["aifr-shapes"])
        for name in self.arguments[0].split():
            try:
                where, source = lines(name)
            except ConfigError as error:
                raise self.error(str(error)) from None
            self.env.note_dependency(str(inspect.getsourcefile(resolve(name))))
            code += nodes.paragraph("", where, classes=["aifr-where"])
            code += nodes.literal_block(source, source, language="python")
        return [nodes.container("", said, code, classes=["aifr-annotated"])]


class TagRole(SphinxRole):
    """A value's tag; of what is inferred, the setting with its default."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            shown = self.shown()
        except ConfigError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [nodes.inline("", "", *shown, classes=["aifr-tag", f"aifr-tag-{self.name}"])], []

    def shown(self) -> list[nodes.Node]:
        word = nodes.Text(f"{TAGS[self.name]}: ")
        if self.name == "inferred":
            field, default = setting(self.text)
            own = nodes.Text("") if default is None else nodes.Text(f" = {default}")
            return [word, nodes.literal("", field), own]
        if self.name == "reading":
            resolve(self.text)
            return [word, nodes.literal("", self.text.rsplit(".", 1)[1])]
        return [word, nodes.Text(self.text)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("annotated", AnnotatedDirective)
    for name in TAGS:
        app.add_role(name, TagRole())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
