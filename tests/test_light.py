"""What starts at once, what needs no torch, and the wheel where there is no checkout."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from environments import importing

from aifr_lib.files import repository_root
from aifr_lib.packages import HEAVY

ROOT = Path(__file__).parents[1]
# Stands before everything that is imported: an environment in which torch was never installed.
WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "accelerate", "safetensors"):
            raise ImportError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""
COMMAND = "from aifr_lib.cli import app\napp(sys.argv[1:])\n"


def python(code: str, *arguments: str, cwd: Path = ROOT, path: Path = ROOT, **variables: str):
    environment = importing(path, **{"OMP_NUM_THREADS": "1", "COLUMNS": "120", **variables})
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_experiments_are_loaded_when_they_are_asked_for() -> None:
    code = (
        "import sys, time, aifr_lib.experiments as experiments\n"
        "assert time.process_time() < 1, time.process_time()\n"
        "assert 'torch' not in sys.modules and 'EXPERIMENTS' not in vars(experiments)\n"
        "from aifr_lib.experiments import EXPERIMENTS\n"
        "assert 'tml_fig6' in EXPERIMENTS and experiments.EXPERIMENTS is EXPERIMENTS\n"
        "try: experiments.EXPERIMENT\n"
        "except AttributeError: pass\n"
        "else: raise SystemExit('no error')"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_the_second_list_loads_nothing_and_says_the_same(tmp_path: Path) -> None:
    """The keys of runs are kept; a change of the library, here another cache, has them asked anew."""
    seen = "import atexit, sys\natexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
    first, second = (python(seen + COMMAND, "list", "--json", AIFR_CACHE=str(tmp_path)) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout == second.stdout and '"ok"' in first.stdout
    assert (first.stderr.strip(), second.stderr.strip()) == ("True", "False")


def test_what_is_kept_holds_for_one_state_of_the_library(tmp_path, monkeypatch) -> None:
    from aifr_lib.experiments import kept_keys

    package = tmp_path / "aifr_lib"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(kept_keys.aifr_lib, "__file__", str(package / "__init__.py"))
    before = kept_keys._state()
    assert kept_keys._state() == before
    (package / "recipe.py").write_text("RECIPE_VERSION = 2")
    assert kept_keys._state() != before


@pytest.mark.parametrize(
    "arguments",
    [["claims", "--preset", "classroom"], ["data", "list"], ["run-queue", "--help"], ["data", "--help"]],
)
def test_without_torch_pages_and_tables_are_read(arguments: list[str]) -> None:
    done = python(WITHOUT_TORCH + COMMAND, *arguments)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_without_torch_the_list_says_what_it_could_not_check(tmp_path: Path) -> None:
    done = python(WITHOUT_TORCH + COMMAND, "list", AIFR_CACHE=str(tmp_path))
    assert done.returncode == 0 and "classroom (unchecked)" in done.stdout, done.stderr


def test_without_torch_protocols_readers_and_alignment_work(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from aifr_lib.data.images import Pairs\n"
        "from aifr_lib.data import named, sets\n"
        "from aifr_lib.data.sets import check, convert, crops, describe\n"
        "from aifr_lib.evaluation import change, distractors, identification, protocol_scores, templates, thresholds\n"
        "from aifr_lib.evaluation.verification import verify\n"
        "from aifr_lib.reporting import plots, slider, students\n"
        "e = np.random.default_rng(0).standard_normal((40, 8))\n"
        "a, b = np.arange(20), np.arange(20, 40)\n"
        "pairs = Pairs('p', a, b, a % 2 == 0, a // 2)\n"
        "print(verify(e, pairs).accuracy >= 0)\n"
    )
    done = python(WITHOUT_TORCH + code)
    assert done.returncode == 0 and done.stdout.strip() == "True", done.stderr


def test_without_torch_a_training_says_what_it_lacks() -> None:
    done = python(WITHOUT_TORCH + COMMAND, "train", "recognition", "--out", "x")
    assert (
        done.returncode == 2
        and "needs the package torch, which the light installation lacks" in done.stderr
        and ".[train]" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_the_light_installation_asks_for_no_torch_and_every_other_one_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    name = lambda line: re.split(r"[<>=\[ ]", line, maxsplit=1)[0]  # noqa: E731
    assert {name(line) for line in extras["train"]} == set(HEAVY)
    assert not {name(line) for line in (*project["dependencies"], *extras["light"])} & {*HEAVY, "aifr_lib"}
    assert "aifr_lib[train]" in extras["real"] and "aifr_lib[train]" in extras["book"]
    assert set(extras["light"]) <= set(extras["real"])


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> list[Path]:
    """The wheel, built twice, from two copies of the sources."""
    import shutil

    built = []
    for number in range(2):
        folder = tmp_path_factory.mktemp(f"build{number}")
        shutil.copytree(ROOT / "aifr_lib", folder / "aifr_lib", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "out", "."]
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        )
        built += (folder / "out").glob("*.whl")
    return built


def test_two_builds_give_one_wheel(wheels: list[Path]) -> None:
    assert len(wheels) == 2 and len({hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}) == 1
    with zipfile.ZipFile(wheels[0]) as archive:
        names = archive.namelist()
    assert "aifr_lib/py.typed" in names and "aifr_lib/presets/tml.yaml" in names
    assert not [name for name in names if name.startswith(("tests", "figures", "notebooks"))]


def test_the_wheel_works_where_there_is_no_checkout(wheels: list[Path], tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(site)
    run = lambda *arguments: python("import sys\n" + COMMAND, *arguments, cwd=work, path=site)  # noqa: E731
    faces = run("faces", "--identities", "4", "--per-identity", "3", "--size", "112", "--out", "people")
    assert faces.returncode == 0, faces.stderr
    checked = run("data", "check", "people")
    assert checked.returncode == 0, checked.stderr
    measured = run("evaluate", "--backbone", "pixels", "--data", "people", "--protocol", "loo")
    assert measured.returncode == 0 and "rank-1" in measured.stdout, measured.stderr
    listed = run("list")
    assert listed.returncode == 2 and "no checkout of the companion here" in listed.stderr


def test_this_suite_tests_the_code_beside_it() -> None:
    assert repository_root() == ROOT
