"""The percent scripts: derived notebooks, pairing, parameters."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from aifr_lib.files import repository_root
from aifr_lib.names import ConfigError
from aifr_lib.reporting import scripts

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


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "notebooks" / "page.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_solutions_are_folded_in_jupyterlab_and_nothing_else_is(checkout: Path) -> None:
    *others, solution = scripts.derive(checkout / "notebooks" / "page.py").cells
    assert solution.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert not any("jupyter" in cell.metadata for cell in others)


def test_pair_writes_what_differs_and_nothing_else(checkout: Path) -> None:
    derived, own = checkout / "notebooks" / "page.ipynb", checkout / "notebooks" / "own.ipynb"
    own.write_text("a reader's own notebook, which has no script")
    assert scripts.pair(check=True) == [derived]
    assert not derived.exists()
    assert scripts.pair() == [derived]
    assert scripts.pair() == []
    with (checkout / "notebooks" / "page.py").open("a") as file:
        file.write("\n# %%\n1 + 1\n")
    assert scripts.pair() == [derived]
    assert nbformat.read(derived, as_version=4).cells[-1].source == "1 + 1"
    assert own.read_text().startswith("a reader's own")


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
