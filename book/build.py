"""Build the book (``make book``): execute the published notebooks whose sources have changed, then render.

The living page gets its scripts, with the network that runs in a browser, and the course its slides.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from filelock import FileLock

from aifr_lib.experiments.relief.pictures import contact_sheet
from aifr_lib.reporting.notebooks import Task, run_all
from aifr_lib.reporting.scripts import parameters_of

sys.path.append(str(Path(__file__).with_name("live")))
sys.path.append(str(Path(__file__).with_name("course")))
from bundle import bundle
from slides import slides

ROOT = Path(__file__).resolve().parents[1]
EXECUTED = "book/_executed/"
SHEET = ROOT / EXECUTED / "relief_contact_sheet.pdf"
INDEX = ROOT / "_build" / "html" / "index.html"


def published() -> list[str]:
    """The notebooks that are pages of the book, in the order of ``_toc.yml``."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    files = [page["file"] for chapter in chapters for page in (chapter, *chapter.get("sections", ()))]
    return [file.removeprefix(EXECUTED) for file in files if file.startswith(EXECUTED)]


def execute() -> None:
    """Run the published notebooks at classroom size, for a page without a kernel; nothing is trained."""
    tasks = []
    for name in published():
        values = {"compute": False} if "compute" in parameters_of(name) else {}
        tasks.append(Task(name, "classroom", values, ROOT / EXECUTED / f"{name}.ipynb"))
    failures = {done.name: done.failure for done in run_all(tasks, progress=print) if done.failure}
    if failures:
        lines = [f"{name}, cell {at.cell} of {at.cells}: {at.reason}" for name, at in failures.items()]
        sys.exit("the book was not built, these notebooks failed:\n" + "\n".join(lines))


def draw_sheet() -> None:
    """The contact sheet that the data card offers, drawn again when the library is younger than it."""
    youngest = max(path.stat().st_mtime for path in (ROOT / "aifr_lib").glob("**/*.py"))
    if not SHEET.is_file() or SHEET.stat().st_mtime < youngest:
        contact_sheet(SHEET)


def render() -> None:
    """Turn pages into HTML with warnings as errors."""
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    command = [jupyter_book, "build", str(ROOT), "-n", "-W", "--keep-going", "-q"]
    built = subprocess.run(command, check=False)
    if built.returncode:
        sys.exit("the book has warnings (above): correct them, they are errors here")


if __name__ == "__main__":
    (ROOT / "_build").mkdir(exist_ok=True)
    # Two builds at once would write the same files: the second waits, and then finds all done.
    with FileLock(ROOT / "_build" / "book.lock"):
        execute()
        draw_sheet()
        bundle(ROOT / "book" / "_live")
        slides(ROOT / EXECUTED, ROOT / "book" / "_live" / "slides")
        render()
    print(f"the book: {INDEX}")
