"""The percent scripts: derived notebooks, pairing, parameters."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import nbformat
import pytest

from aifr_lib.files import repository_root
from aifr_lib.names import ConfigError
from aifr_lib.reporting import scripts

COLUMN = 88  # characters of code that a page shows without scrolling
SCRIPT = """# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A page

# %% tags=["parameters"]
preset = "smoke"
seeds = None
rate = 0.1
count = 3
quick = False
alphas = (0.1, 0.2)

# %%
print(preset)

# %%
print(preset)

# %% tags=["solution", "hide-input"]
print(preset)
"""


def test_each_committed_notebook_equals_its_script() -> None:
    assert repository_root() == Path(scripts.__file__).parents[2]
    differing = [path.name for path in scripts.pair(check=True)]
    assert not differing, f"{differing} differ from their scripts: run `aifr notebooks`"


def test_derived_notebooks_have_no_outputs_and_the_same_unique_ids_each_time(checkout: Path) -> None:
    first, second = (scripts.derive(checkout / "notebooks" / "page.py") for _ in range(2))
    nbformat.validate(first)
    ids = [cell["id"] for cell in first.cells]
    assert ids == [cell["id"] for cell in second.cells]
    assert len(set(ids)) == len(ids) == 5
    assert all(cell.outputs == [] for cell in first.cells if cell.cell_type == "code")


def test_solutions_and_plumbing_are_folded_in_jupyterlab_and_nothing_else_is(checkout: Path) -> None:
    path = checkout / "notebooks" / "page.py"
    path.write_text(SCRIPT + '\n# %% tags=["hide-input"]\nprint(preset)\n')
    *others, solution, plumbing = scripts.derive(path).cells
    assert solution.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert plumbing.metadata.jupyter == {"source_hidden": True}
    assert not any("jupyter" in cell.metadata for cell in others)


def test_solutions_of_notebooks_for_readers_fold_what_they_show_and_nothing_else_does(checkout: Path) -> None:
    (checkout / "book").mkdir(exist_ok=True)
    (checkout / "book" / "references.bib").touch()
    cells = scripts.for_readers(checkout / "notebooks" / "page.py").cells
    assert [cell.source.startswith("%%folded\n") for cell in cells] == [False] * 4 + [True]


def test_readers_see_citations_and_links_that_lead_somewhere(checkout: Path) -> None:
    (checkout / "book").mkdir()
    (checkout / "book" / "references.bib").write_text(
        '@misc{one, author = {Terh{\\"o}rst, Philipp}, year = {2020}}\n'
        "@misc{two, author = {A, B and C, D}, year = {2019}}\n"
        "@misc{many, author = {de la Cruz, A and Mann, B and Li, C}, year = {2018}}\n"
    )
    page = checkout / "notebooks" / "page.py"
    page.write_text(SCRIPT.replace("# # A page", "# {cite}`one`, {cite:p}`two,many`, [card](../data/relief.md)"))
    assert "{cite}`one`" in scripts.derive(page).cells[0].source, "the book's own citations stay"
    text = scripts.for_readers(page).cells[0].source
    assert text == "[Terhörst, 2020], [A and C, 2019; de la Cruz et al., 2018], [card](../book/data/relief.md)"
    page.write_text(SCRIPT.replace("# # A page", "# {cite}`mny`"))
    with pytest.raises(ConfigError, match="unknown reference 'mny'; did you mean 'many'"):
        scripts.for_readers(page)


def test_pair_writes_what_differs_and_nothing_else(checkout: Path) -> None:
    derived, own = checkout / "notebooks" / "page.ipynb", checkout / "notebooks" / "own.ipynb"
    own.write_text("a reader's own notebook, which has no script")
    assert scripts.pair(check=True) == {derived: None}
    assert not derived.exists()
    assert scripts.pair() == {derived: None}
    assert scripts.pair() == {}
    with (checkout / "notebooks" / "page.py").open("a") as file:
        file.write("\n# %%\n1 + 1\n")
    assert scripts.pair() == {derived: None}
    assert nbformat.read(derived, as_version=4).cells[-1].source == "1 + 1"
    assert own.read_text().startswith("a reader's own")


def change(path: Path, how: str) -> None:
    """What a reader may do to a notebook in JupyterLab."""
    notebook = nbformat.read(path, as_version=4)
    if how == "run":
        notebook.cells[1].execution_count = 1
        notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="smoke")]
        notebook.cells[2].metadata["jupyter"] = {"source_hidden": True}
        notebook.metadata["language_info"] = {"name": "python", "version": "3.11.9"}
    elif how == "edit":
        notebook.cells[1].source = 'preset = "lesson"'
    elif how == "add":
        notebook.cells.append(nbformat.v4.new_code_cell("1 + 1"))
    elif how == "remove":
        del notebook.cells[-1]
    nbformat.write(notebook, path)
    if how == "damage":
        path.write_text(path.read_text()[:100])


EDITS = ("edit", "add", "remove", "damage")


@pytest.mark.parametrize("how", EDITS)
def test_edits_of_a_derived_notebook_are_kept_beside_it(checkout: Path, how: str) -> None:
    scripts.pair()
    derived = checkout / "notebooks" / "page.ipynb"
    whole = derived.read_bytes()
    for name in ("page.edited.ipynb", "page.edited2.ipynb"):
        change(derived, how)
        theirs = derived.read_bytes()
        assert scripts.pair(check=True) == {derived: None} and derived.read_bytes() == theirs
        assert scripts.pair() == {derived: derived.with_name(name)}
        assert derived.with_name(name).read_bytes() == theirs
        assert derived.read_bytes() == whole


def test_a_derived_notebook_that_was_only_run_is_simply_derived_again(checkout: Path) -> None:
    scripts.pair()
    derived = checkout / "notebooks" / "page.ipynb"
    change(derived, "run")
    assert scripts.pair() == {derived: None}
    assert sorted(path.name for path in derived.parent.iterdir()) == ["page.ipynb", "page.py"]


@pytest.mark.parametrize("how", ["nothing", "run", *EDITS])
def test_a_working_copy_is_renewed_unless_its_reader_edited_it(checkout: Path, how: str) -> None:
    page, copy = checkout / "notebooks" / "page.py", checkout / "lab" / "page.ipynb"

    def lay() -> str:
        return scripts.lay_out({"page": scripts.for_readers(page)}, checkout / "lab")[copy]

    assert lay() == "new"
    change(copy, how)
    theirs, mine = copy.read_bytes(), how in EDITS
    assert lay() == ("yours, kept" if mine else "as it was")
    assert copy.read_bytes() == theirs, "results are there still"
    page.write_text(SCRIPT.replace("# # A page", "# # Another page"))
    assert lay() == ("yours, kept" if mine else "renewed")
    assert (copy.read_bytes() == theirs) == mine


def test_parameters_are_read_from_the_tagged_cell(checkout: Path) -> None:
    assert scripts.parameters_of("page") == {
        "preset": "smoke",
        "seeds": None,
        "rate": 0.1,
        "count": 3,
        "quick": False,
        "alphas": (0.1, 0.2),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("7", 7),
        ("true", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ("[1, 2]", [1, 2]),
        ("(1, 2)", (1, 2)),
        ("cpu", "cpu"),
        ("a/b c", "a/b c"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_literal(text: str, value: object) -> None:
    found = scripts.literal(text)
    assert found == value and type(found) is type(value)


def test_given_values_take_the_type_of_the_default(checkout: Path) -> None:
    given = {"rate": "1e-4", "count": "5", "quick": "true", "alphas": "(0.5,)", "seeds": "2", "preset": "7"}
    checked = scripts.check_parameters("page", given)
    assert checked == {"rate": 1e-4, "count": 5, "quick": True, "alphas": [0.5], "seeds": 2, "preset": "7"}
    assert type(scripts.check_parameters("page", {"rate": "1"})["rate"]) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": "1"}, "no parameter 'alpha'; did you mean 'alphas'"),
        ({"rate": "fast"}, "'rate' must be float like its default 0.1, got 'fast'"),
        ({"count": "1.5"}, "'count' must be int"),
        ({"quick": "1"}, "'quick' must be bool"),
        ({"alphas": "3"}, "'alphas' must be list"),
    ],
)
def test_unknown_or_mistyped_parameters_are_refused(checkout: Path, given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match="notebook 'page'") as caught:
        scripts.check_parameters("page", given)
    assert message in str(caught.value)


def test_unknown_notebook_and_unusable_parameter_cells_are_named(checkout: Path) -> None:
    with pytest.raises(ConfigError, match="no notebook 'pge'; did you mean 'page'"):
        scripts.script("pge")
    path = checkout / "notebooks" / "page.py"
    path.write_text(SCRIPT.replace("count = 3", "count = len([])"))
    with pytest.raises(ConfigError, match=r"page\.py: the parameters cell may only assign literals.*len"):
        scripts.parameters_of("page")
    path.write_text(SCRIPT.replace('tags=["parameters"]', ""))
    with pytest.raises(ConfigError, match=r"page\.py: expected one cell tagged \"parameters\", found 0"):
        scripts.parameters_of("page")


@pytest.mark.parametrize("name", scripts.scripts())
def test_code_fits_the_column_of_a_page(name: str) -> None:
    cells = scripts.derive(scripts.script(name)).cells
    lines = [line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > COLUMN] == []


def shown_functions() -> list[tuple[str, str]]:
    """Module and name of each function of the library whose source a notebook shows."""
    found = set()
    for path in scripts.scripts().values():
        text = path.read_text(encoding="utf-8")
        names = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        calls = re.findall(r"page\.source\(([\w.,\s]+)\)", text)
        for shown in re.findall(r"[\w.]+", " ".join(calls)):
            first, *rest = shown.split(".")
            module, name = names[first]
            # A module imported from a package: what is shown lies in it.
            package = hasattr(importlib.import_module(module), "__path__")
            if package and importlib.util.find_spec(f"{module}.{name}"):
                module, name, rest = f"{module}.{name}", rest[0], rest[1:]
            found.add((module, ".".join([name, *rest])))
    return sorted(found)


@pytest.mark.parametrize(("module", "name"), shown_functions())
def test_source_that_a_page_shows_fits_its_column(module: str, name: str) -> None:
    shown = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    source = inspect.getsource(shown)
    assert [line for line in source.splitlines() if len(line) > COLUMN] == []
