"""Student copies of the notebooks: solutions taken out, a cell to answer in, a cell that knows the answer by its hash.

In a script the cell of a solution says what may be answered, and what is right::

    # %% tags=["solution", "hide-input"] choices=["5 to 15", "45 to 55"] answer="5 to 15"

One without choices is answered in words, for a person to read. Cells carry nbgrader's metadata (its schema 3), so a
copy is a notebook that it can collect and grade; nobody needs it to use one.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from aifr_lib.names import ConfigError
from aifr_lib.reporting.scripts import for_readers, script, sealed
from aifr_lib.settings.presets import load_preset

if TYPE_CHECKING:
    from nbformat import NotebookNode

ANSWER = """# Exercise {number}: one of {choices}
answer_{number} = \"\""""
CHECK = """from hashlib import sha256

assert answer_{number} in {choices}, "answer with one of the words above"
assert sha256(f"{id} {{answer_{number}}}".encode()).hexdigest()[:16] == "{hash}", "not that: what speaks against it?"
print("Yes. Say why in a sentence.")"""


def student_copy(name: str, preset: str) -> NotebookNode:
    """A notebook without its solutions, at a preset: after each exercise cells for an answer and its check.

    Errors: ConfigError for an unknown notebook or preset, and for a solution whose answer is none of its choices.
    """
    load_preset(preset)
    notebook = for_readers(script(name))
    cells, number = [], 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            cell.source = re.sub(r'^preset = "\w+"', f'preset = "{preset}"', cell.source, flags=re.MULTILINE)
        if "solution" in tags:
            number += 1
            cells += _answer(name, number, cell)
        else:
            cells.append(cell)
    notebook.cells = cells
    return sealed(notebook)


def _answer(name: str, number: int, solution: NotebookNode) -> list[NotebookNode]:
    from nbformat.v4 import new_code_cell, new_markdown_cell

    id = f"{name}-{number}"
    choices, answer = solution.metadata.get("choices"), solution.metadata.get("answer")
    if choices is None:
        return [new_markdown_cell(f"*Your answer to exercise {number}:*", id=id, metadata=_graded(id, "words"))]
    if answer not in choices:
        raise ConfigError(f"notebook '{name}', exercise {number}: the answer '{answer}' is none of {choices}")
    values = {"number": number, "choices": choices, "id": id, "hash": answer_hash(id, answer)}
    return [
        new_code_cell(ANSWER.format(**values), id=id, metadata=_graded(id, "answer")),
        new_code_cell(CHECK.format(**values), id=f"{id}-check", metadata=_graded(f"{id}-check", "check")),
    ]


def answer_hash(id: str, answer: str) -> str:
    """What a check compares: it hides an answer from the eye, not from who would rather compute than think."""
    return hashlib.sha256(f"{id} {answer}".encode()).hexdigest()[:16]


def _graded(id: str, kind: str) -> dict[str, Any]:
    """nbgrader's metadata of a cell to fill in (an answer), one that tests it, or one for a person to grade (words)."""
    grade = {"points": 1} if kind != "answer" else {}
    return {
        "nbgrader": {
            "schema_version": 3,
            "grade_id": id,
            "grade": kind != "answer",
            "solution": kind != "check",
            "locked": kind == "check",
            "task": False,
            **grade,
        }
    }
