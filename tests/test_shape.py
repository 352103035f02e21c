"""The library stays easy to find one's way in: no crowded folder, no module that nobody uses."""

import ast
import re
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST = 16
# Who uses each of these is outside the repository, or still to come; an entry that is used by now must go.
UNUSED = {
    "aifr_lib.cli.__main__": "python -m aifr_lib.cli",
    "aifr_lib.faces.generators.stylegan": "for a network that a reader brings",
}
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("aifr_lib/**/*.py")})


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_few_modules(folder):
    assert len([path for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"]) <= MOST


def test_no_two_files_of_tests_share_a_name():
    named = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(named) > 100 and sorted(set(named)) == sorted(named)  # pytest would refuse the second of them


def imported_by_pages() -> set[str]:
    """Modules that notebooks and the book's own scripts name; a name imported from a package counts as its module."""
    found = set()
    for path in (*ROOT.glob("notebooks/*.py"), *ROOT.glob("book/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_every_module_is_imported_by_another():
    graph = grimp.build_graph("aifr_lib", cache_dir=None)
    modules = {module for module in graph.modules if not graph.find_children(module)}
    used = imported_by_pages().union(*map(graph.find_modules_directly_imported_by, graph.modules))
    assert modules - used == UNUSED.keys()


def test_paths_of_modules_in_docstrings_and_on_pages_exist():
    texts = [*(ROOT / "aifr_lib").rglob("*.py"), *(ROOT / "notebooks").glob("*.py"), ROOT / "README.md"]
    texts += [ROOT / "CONTRIBUTING.md", *(p for p in (ROOT / "book").rglob("*.md") if "_executed" not in p.parts)]
    named = {
        (str(text.relative_to(ROOT)), path)
        for text in texts
        for path in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`", text.read_text(encoding="utf-8"))
    }
    gone = [one for one in sorted(named) if not any((ROOT / at / one[1]).is_file() for at in ("", "aifr_lib"))]
    assert named and not gone
