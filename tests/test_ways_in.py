"""The container and Binder: what their files name is there. Neither is built here."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTIONS = {"FROM", "RUN", "ARG", "ENV", "COPY", "WORKDIR", "USER", "EXPOSE", "CMD"}


def instructions():
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip() and not line.startswith("#")]


def test_the_container_is_made_of_files_that_are_there():
    found = instructions()
    assert found[0] == ("FROM", "python:3.11-slim-bookworm")
    assert {name for name, _ in found} <= INSTRUCTIONS
    copied = [place for name, said in found if name == "COPY" for place in said.split()[:-1] if place[:2] != "--"]
    assert copied and all((ROOT / place).exists() for place in copied)
    script = "\n".join(said for name, said in found if name == "RUN")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_what_the_continuous_integration_installs_is_in_the_container_too():
    programs = re.search(r"for program in (.+); do", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))[1].split()
    installed = next(said for name, said in instructions() if said.startswith("apt-get"))
    assert set(programs) <= set(installed.split())


def test_nothing_of_the_machine_goes_into_the_container():
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "_build", "lab"} <= set(left_out)


def test_binder_gets_the_python_and_the_lock_file_of_the_project():
    binder = ROOT / ".binder"
    assert (binder / "runtime.txt").read_text(encoding="utf-8").strip() == "python-3.11"
    named = re.fullmatch(r"-r (\S+)\s*", (binder / "requirements.txt").read_text(encoding="utf-8"))[1]
    assert (binder / named).resolve() == ROOT / "requirements.lock"
    assert os.access(binder / "postBuild", os.X_OK)
    checked = subprocess.run(["bash", "-n", str(binder / "postBuild")], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
