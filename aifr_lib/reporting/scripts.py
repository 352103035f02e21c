"""The percent scripts ``notebooks/NAME.py``, the notebooks derived from them, and their parameters.

The script is the source. ``notebooks/NAME.ipynb`` is derived from it, without outputs, for readers to open. A notebook
for readers carries a digest of its cells, so that what they have made of it is never taken for ours.
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
from aifr_lib.reporting.citations import spelt_out

if TYPE_CHECKING:
    from nbformat import NotebookNode

SEAL = "aifr_cells"  # in a notebook's metadata
FIRST_LINE = "%%folded\n"  # of a solution: the magic of experiments.folded


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

    JupyterLab folds cells tagged ``hide-input``, and those tagged ``solution`` with what they will print, until they
    are unfolded or run.
    """
    import jupytext

    notebook = jupytext.read(path)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
        elif "hide-input" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True}
    return notebook


def for_readers(path: Path) -> NotebookNode:
    """The notebook of a percent script as it is opened beside the book: citations spelt out, links into ``book/``.

    Its solutions fold what they show.
    """
    notebook = derive(path)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            # The page that the book is made of lies two folders deep in it, the notebook one folder beside it.
            cell.source = spelt_out(cell.source).replace("](../", "](../book/")
        elif "solution" in cell.metadata.get("tags", []):
            cell.source = FIRST_LINE + cell.source
    return sealed(notebook)


def sealed(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the digest of its cells, by which ``edited`` knows it again."""
    notebook.metadata[SEAL] = _digest(notebook)
    return notebook


def edited(path: Path) -> bool:
    """Whether the cells of a notebook are other than we wrote them; results alone, or folds, are no edit."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError):
        return True
    return notebook.metadata.get(SEAL) != _digest(notebook)


def _digest(notebook: NotebookNode) -> str:
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def _write(notebook: NotebookNode, path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(_text(notebook), encoding="utf-8")


def _text(notebook: NotebookNode) -> str:
    import nbformat

    return nbformat.writes(notebook) + "\n"


def pair(*, check: bool = False) -> dict[Path, Path | None]:
    """Derive every ``notebooks/NAME.ipynb`` from its script: those that differed, and where edits made in one are kept.

    check: write nothing.
    """
    differing: dict[Path, Path | None] = {}
    for path in scripts().values():
        notebook, derived = path.with_suffix(".ipynb"), for_readers(path)
        if notebook.is_file() and notebook.read_text(encoding="utf-8") == _text(derived):
            continue
        differing[notebook] = None
        if check:
            continue
        if notebook.is_file() and edited(notebook):
            differing[notebook] = notebook.rename(_free(notebook))
        _write(derived, notebook)
    return differing


def _free(path: Path) -> Path:
    """A name beside a notebook that no file has yet."""
    names = (path.with_suffix(f".edited{number}.ipynb") for number in ("", *range(2, 1000)))
    return next(name for name in names if not name.exists())


def lay_out(notebooks: Mapping[str, NotebookNode], folder: Path) -> dict[Path, str]:
    """Write sealed notebooks into a folder as NAME.ipynb, and say of each what became of it.

    A file that its reader has edited stays, and so does one whose cells are those of today, with its results.
    """
    import nbformat

    states = {}
    for name, notebook in notebooks.items():
        path = folder / f"{name}.ipynb"
        if not path.exists():
            state = "new"
        elif edited(path):
            state = "yours, kept"
        elif nbformat.read(path, as_version=4).metadata[SEAL] == notebook.metadata[SEAL]:
            state = "as it was"
        else:
            state = "renewed"
        if state in ("new", "renewed"):
            _write(notebook, path)
        states[path] = state
    return states


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
