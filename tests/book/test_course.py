"""The course: its lessons hold together, and its slides work from a folder with the network off."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import files
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from aifr_lib.reporting.scripts import for_readers, script
from aifr_lib.reporting.students import student_copy

ROOT = Path(__file__).resolve().parents[2]
MATHJAX = next(
    Path(str(path.locate())).parent for path in files("sphinx-mathjax-offline") or () if path.name == "tex-mml-chtml.js"
)
sys.path.append(str(ROOT / "book" / "course"))
import slides  # noqa: E402

LESSONS = {lesson["id"]: lesson for lesson in slides.lessons()}


def test_there_are_five_lessons_of_an_hour_with_cards():
    assert len(LESSONS) == 5
    for lesson in LESSONS.values():
        assert sum(length for length, _ in lesson["minutes"]) == 60
        assert len(lesson["cards"]) >= 4 and all(len(card) == 2 for card in lesson["cards"])
        assert (ROOT / "book" / f"{lesson['reading']}.md").is_file()


@pytest.mark.parametrize("id", LESSONS)
def test_a_lessons_notebook_has_exercises_whose_copies_check_themselves(id):
    name = LESSONS[id]["notebook"]
    solutions = [cell for cell in for_readers(script(name)).cells if "solution" in cell.metadata.get("tags", ())]
    copy = student_copy(name, "lesson")
    assert len(solutions) >= 3
    assert not [cell for cell in copy.cells if "solution" in cell.metadata.get("tags", ())]
    assert any(cell.id.endswith("-check") for cell in copy.cells)


def notebook():
    shown = new_output("stream", text="42 pairs")
    return new_notebook(
        cells=[
            new_markdown_cell("# Margins {cite:p}`deng2019`\n\nWhy $\\theta$ {term}`margins <margin>`?"),
            new_code_cell("preset = 'smoke'", metadata={"tags": ["parameters"]}),
            new_code_cell("preset = 2", metadata={"tags": ["injected-parameters"]}),
            new_code_cell("import secret", metadata={"tags": ["hide-input"]}),
            new_code_cell("print(pairs)", outputs=[shown]),
            new_code_cell("draw()", outputs=[shown], metadata={"tags": ["hide-input"]}),
            new_code_cell("interact()", outputs=[shown], metadata={"tags": ["live"]}),
            new_markdown_cell("## Predict"),
            new_markdown_cell("It is ten.", metadata={"tags": ["solution"]}),
        ]
    )


def test_a_deck_holds_what_a_class_looks_at():
    deck = slides.as_slides(notebook(), "Margins")
    kinds = [(cell.metadata["slideshow"]["slide_type"], cell.source) for cell in deck.cells]
    assert kinds == [
        ("slide", "# Margins\n\nWhy $\\theta$ margins?"),
        ("subslide", "print(pairs)"),
        ("subslide", "draw()"),
        ("slide", "## Predict"),
        ("fragment", "It is ten."),
    ]
    html = slides.deck(notebook(), "Margins")
    assert "pairs" in html and "draw()" not in html and "secret" not in html


@pytest.mark.browser
def test_slides_work_from_a_folder_without_the_network(browser, tmp_path, monkeypatch):
    if not shutil.which("npm"):
        if os.environ.get("CI") == "true":
            pytest.fail("no npm: CI must open the slides (apt-get install npm)")
        pytest.skip("npm, which fetches reveal.js, is not installed")
    executed = tmp_path / "executed"
    executed.mkdir()
    monkeypatch.setattr(slides, "lessons", lambda: [LESSONS["margins"]])
    nbformat.write(notebook(), executed / "tml_alpha_sweep.ipynb")
    slides.slides(executed, tmp_path / "static" / "slides")
    troubles, context = [], browser.new_context(offline=True)
    page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda sent: troubles.append(sent.url))
    page.on("request", lambda sent: sent.url.startswith(("file:", "data:")) or troubles.append(sent.url))
    shutil.copytree(MATHJAX, tmp_path / "static" / "mathjax")
    page.goto((tmp_path / "static" / "slides" / "margins.html").as_uri())
    page.wait_for_selector("mjx-container")
    assert page.evaluate("Reveal.getTotalSlides()") == 4
    assert page.locator("section.present h1").first.is_visible()
    for _ in range(3):
        page.keyboard.press("Space")
    assert page.locator("section.present h2").first.inner_text().startswith("Predict")
    answer = page.locator("section.present .fragment")
    assert "visible" not in answer.get_attribute("class")
    page.keyboard.press("Space")
    assert "visible" in answer.get_attribute("class")
    context.close()
    assert troubles == []
