"""Student copies: nothing of a solution is left, a right answer passes, and a wrong one does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aifr_lib.names import ConfigError
from aifr_lib.reporting import scripts
from aifr_lib.reporting.students import student_copy

SCRIPT = """# %% tags=["parameters"]
preset = "smoke"

# %% [markdown]
# **1.** Larger or smaller?

# %% tags=["solution", "hide-input"] choices=["larger", "smaller"] answer="smaller"
print("Why: secret one.")

# %% [markdown]
# **2.** In which order?

# %% tags=["solution", "hide-input"]
print("Why: secret two.")
"""


def test_solutions_are_gone_and_answers_are_asked_for(checkout: Path) -> None:
    copy = student_copy("page", "lesson")
    assert "secret" not in json.dumps(copy)
    assert copy.cells[0].source == 'preset = "lesson"'
    assert [cell.cell_type for cell in copy.cells] == ["code", "markdown", "code", "code", "markdown", "markdown"]
    assert "smaller" in copy.cells[2].source and "larger" in copy.cells[2].source
    scripts.lay_out({"page": copy}, checkout / "class")
    assert not scripts.edited(checkout / "class" / "page.ipynb")


@pytest.mark.parametrize("given", ["smaller", "larger", "smal", ""])
def test_an_answer_is_held_against_a_hash(checkout: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, answer, check, *_ = student_copy("page", "lesson").cells
    filled = answer.source.replace('""', repr(given))
    if given == "smaller":
        exec(filled + "\n" + check.source, {})
        assert capsys.readouterr().out.startswith("Yes.")
    else:
        with pytest.raises(AssertionError, match="not that" if given == "larger" else "one of the words"):
            exec(filled + "\n" + check.source, {})


def test_nbgrader_finds_what_to_fill_in_what_tests_and_what_a_person_grades(checkout: Path) -> None:
    graded = [cell.metadata.nbgrader for cell in student_copy("page", "lesson").cells if "nbgrader" in cell.metadata]
    answer, check, words = graded
    assert (answer.solution, answer.grade, answer.locked) == (True, False, False)
    assert (check.solution, check.grade, check.locked, check.points) == (False, True, True, 1)
    assert (words.solution, words.grade, words.locked, words.points) == (True, True, False, 1)
    assert len({one.grade_id for one in graded}) == 3
    assert all(one.schema_version == 3 and one.task is False for one in graded)


def test_an_answer_that_cannot_be_given_is_refused(checkout: Path) -> None:
    (checkout / "notebooks" / "page.py").write_text(SCRIPT.replace('answer="smaller"', 'answer="equal"'))
    with pytest.raises(ConfigError, match=r"'page', exercise 1: the answer 'equal' is none of \['larger', 'smaller'\]"):
        student_copy("page", "lesson")


@pytest.mark.parametrize("name", scripts.scripts())
def test_each_notebook_has_three_exercises_and_each_decides_and_says_why(name: str) -> None:
    cells = scripts.derive(scripts.script(name)).cells
    solutions = [cell for cell in cells if "solution" in cell.metadata.get("tags", [])]
    assert len(solutions) == 3
    assert all(len(set(cell.metadata.get("choices", ()))) > 1 for cell in solutions)
    assert all(re.search(r'print\(\s*"Why', cell.source) for cell in solutions)
    copy = student_copy(name, "lesson")
    assert not any("Why" in cell.source for cell in copy.cells if cell.cell_type == "code")
