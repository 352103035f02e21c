"""Folded solutions: in a kernel, nothing that a cell shows stands outside the fold, in order, and errors are errors."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from aifr_lib.experiments.folded import fold
from aifr_lib.reporting.scripts import FIRST_LINE

OPENING = """%matplotlib inline
from aifr_lib.experiments import folded
folded.register()"""
SOLUTION = """import matplotlib.pyplot as plt
from IPython.display import HTML, display
print("first <&>")
display(HTML("<b>second</b>"))
plt.plot([1, 2])
plt.show()
print("third")
answer = 4
answer"""


def executed(*cells: str) -> nbformat.NotebookNode:
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    return NotebookClient(notebook, timeout=120).execute()


def test_all_that_a_solution_shows_stands_in_one_fold_in_its_order() -> None:
    _, solution, after = executed(OPENING, FIRST_LINE + SOLUTION, "print(answer)").cells
    (output,) = solution.outputs
    html = output.data["text/html"]
    assert html.startswith("<details><summary>") and html.endswith("</details>") and "open" not in html[:20]
    marks = ["first &lt;&amp;&gt;", "<b>second</b>", '<img src="data:image/png;base64,', "third", "4"]
    places = [html.index(mark) for mark in marks[:-1]] + [html.rindex("4")]
    assert places == sorted(places)
    assert after.outputs[0].text == "4\n"


def test_a_solution_that_fails_fails() -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        executed(OPENING, FIRST_LINE + "print('before')\n1 / 0")


def test_lines_that_are_printed_one_after_another_make_one_block() -> None:
    assert fold([{"text/plain": "a"}, {"text/plain": "\n"}, {"text/plain": "b"}]).count("<pre") == 1
