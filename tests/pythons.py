"""The wheel in its light form under every other Python that is here, and with the oldest packages that it takes:
commands, a face that is found, and the tests that need no torch.

    python tests/pythons.py [3.12 3.13 oldest]

For each it makes an environment of its own, with the versions of ``requirements.lock`` or, for ``oldest`` under this
Python, with the lower bounds of ``pyproject.toml``, and throws it away. What is not here is said and passed over.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ("3.12", "3.13")
OLDEST = "oldest"
# MTCNN's package is older than the newest Python.
FACE = """
import numpy, PIL.Image
from aifr_lib.faces.align import align
assert align(numpy.asarray(PIL.Image.open("book/_assets/cover.jpg")))
"""
TESTS = (
    *("data/formats/test_image_list.py", "data/formats/test_index.py", "data/formats/test_safe_pickle.py"),
    *("evaluation/test_identification.py", "evaluation/test_intervals.py", "evaluation/test_templates.py"),
    *("evaluation/test_thresholds.py", "evaluation/test_verification.py"),
    *("reporting/test_rows.py", "reporting/test_tables.py", "settings/test_mtlface_settings.py"),
)


def interpreter(version: str) -> Path | None:
    """Python of this version: on the PATH, or one that pyenv or uv installed."""
    homes = (os.environ.get("PYENV_ROOT") or "~/.pyenv", os.environ.get("UV_PYTHON_INSTALL_DIR") or "~/.local/share/uv")
    installed = [path for home in homes for path in sorted(Path(home).expanduser().glob(f"*/*{version}.*/bin/python3"))]
    for found in (shutil.which(f"python{version}"), *reversed(installed)):
        # A shim of pyenv is on the PATH and knows nothing.
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(found)
    return None


def pinned() -> str:
    """The lock as constraints: its versions without the hashes, which pip would then ask of our own wheel too."""
    return re.sub(r"\s*\\\n\s*--hash=\S+", "", (ROOT / "requirements.lock").read_text(encoding="utf-8"))


def oldest() -> str:
    """As constraints, the lower bound of each package that the light form names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["light"]]
    return "".join(re.sub(r">=([\w.]+).*", r"==\1", line) + "\n" for line in named)


def test(python: Path, wheel: Path, versions: str, folder: Path) -> None:
    """versions: constraints. Errors: CalledProcessError of the step that failed."""
    # With our folder on the path pip would take its package for the wheel's, and install none.
    environment = {**os.environ, "AIFR_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    constraints = folder / "constraints.txt"
    constraints.write_text(versions, encoding="utf-8")
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    bin = folder / "venv" / "bin"
    quiet = ("--quiet", "--disable-pip-version-check")
    tools = ("pytest", "hypothesis")
    subprocess.run(
        [bin / "python", "-m", "pip", "install", *quiet, "-c", constraints, f"{wheel}[light]", *tools],
        env=environment,
        check=True,
    )
    for command in (["list"], ["claims", "--preset", "classroom"], ["data", "list"], ["evaluate", "--help"]):
        subprocess.run([bin / "aifr", *command], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    # -P: the wheel is tested, not the folder.
    subprocess.run([bin / "python", "-P", "-c", FACE], cwd=ROOT, env=environment, check=True)
    subprocess.run([bin / "pytest", "--noconftest", *TESTS], cwd=ROOT / "tests", env=environment, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", name, "."], cwd=ROOT, check=True)
        (wheel,) = Path(name).glob("*.whl")
        for version in sys.argv[1:] or (*OTHERS, OLDEST):
            python = Path(sys.executable) if version == OLDEST else interpreter(version)
            if python is None:
                print(f"Python {version} is not here: not tested")
                continue
            which = "the oldest packages" if version == OLDEST else f"Python {version}"
            print(f"The light installation, {which}:", flush=True)
            with tempfile.TemporaryDirectory(dir=name) as folder:
                test(python, wheel, oldest() if version == OLDEST else pinned(), Path(folder))


if __name__ == "__main__":
    main()
