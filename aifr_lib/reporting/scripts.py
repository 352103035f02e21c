"""The percent scripts ``notebooks/NAME.py``, the notebooks derived from them, and their parameters.

The script is the source. ``notebooks/NAME.ipynb`` is derived from it, without outputs, for readers to open.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aifr_lib.files import atomic_write, repository_root
from aifr_lib.names import ConfigError, nearest

if TYPE_CHECKING:
    from nbformat import NotebookNode


def scripts() -> dict[str, Path]:
    """The percent scripts by notebook name, in alphabetical order."""
    return {path.stem: path for path in sorted((repository_root() / "notebooks").glob("*.py"))}


def script(name: str) -> Path:
    """The percent script of one notebook. Errors: ConfigError with the nearest name."""
    known = scripts()
    if name not in known:
        raise ConfigError(f"no notebook '{name}'{nearest(name, known)}")
    return known[name]


def derive(path: Path) -> NotebookNode:
    """The notebook of a percent script: no outputs, and cell ids that depend on the cells' text alone.

    Cells tagged ``solution`` are folded in JupyterLab, with what they will print, until the reader unfolds them.
    """
    import jupytext

    notebook = jupytext.read(path)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        if "solution" in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    return notebook


def pair(*, check: bool = False) -> list[Path]:
    """Derive every ``notebooks/NAME.ipynb`` from its script; return those that differed.

    check: write nothing.
    """
    import nbformat

    differing = []
    for path in scripts().values():
        notebook, text = path.with_suffix(".ipynb"), nbformat.writes(derive(path)) + "\n"
        if not notebook.is_file() or notebook.read_text(encoding="utf-8") != text:
            differing.append(notebook)
            if not check:
                with atomic_write(notebook) as temporary:
                    temporary.write_text(text, encoding="utf-8")
    return differing


def parameters_of(name: str) -> dict[str, Any]:
    """Names and default values of a notebook's ``parameters`` cell; ConfigError where it is unusable."""
    path = script(name)
    # Not by way of ``derive``: the libraries it needs take seconds to load.
    _, *parts = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    cells = [
        source
        for header, source in zip(parts[::2], parts[1::2], strict=True)
        if re.search(r'tags=\[[^]]*"parameters"', header)
    ]
    if len(cells) != 1:
        raise ConfigError(f'{path}: expected one cell tagged "parameters", found {len(cells)}')
    found: dict[str, Any] = {}
    for node in ast.parse(cells[0]).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        try:
            value = ast.literal_eval(getattr(node, "value", ""))
        except (ValueError, SyntaxError):
            line = ast.unparse(node)
            raise ConfigError(f"{path}: the parameters cell may only assign literals, not: {line}") from None
        found |= {target.id: value for target in targets if isinstance(target, ast.Name)}
    return found


def literal(text: str) -> Any:
    """A value typed at the command line: a number (``1e-4`` too), true/false, null, a list, else a string."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text


def check_parameters(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with strings turned into the types of the notebook's defaults.

    Errors: ConfigError for a parameter that the notebook does not have (papermill alone would only warn), or
    for a value of another type than the default's.
    """
    defaults, checked = parameters_of(name), {}
    for key, value in given.items():
        if key not in defaults:
            raise ConfigError(f"notebook '{name}' has no parameter '{key}'{nearest(key, defaults)}")
        default = defaults[key]
        if isinstance(value, str) and not isinstance(default, str):
            value = literal(value)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if isinstance(value, tuple):
            value = list(value)
        kind = list if isinstance(default, tuple) else type(default)
        if default is not None and type(value) is not kind:
            raise ConfigError(
                f"notebook '{name}': parameter '{key}' must be {kind.__name__} like its default {default!r}, "
                f"got {value!r}"
            )
        checked[key] = value
    return checked
