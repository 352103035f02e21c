"""Commands that lay out notebooks for somebody to work in: a reader, a class."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from aifr_lib.cli.common import here, say
from aifr_lib.files import repository_root, settle_folders

# The first notebook stands open, and nothing is asked about news, which would be fetched from outside.
OPENED = (
    "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)
HUB = "JUPYTERHUB_SERVICE_PREFIX"  # a hub sets it; a second server beside the one that it started cannot be reached


def lab(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="What follows -- goes to jupyter lab.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to work (default: lab/ in the checkout).")] = None,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start JupyterLab there.")] = True,
) -> None:
    """Open working copies of the notebooks in JupyterLab, the first of them at once.

    The copies are yours: one that you have edited is never written again. One
    that you have only run is renewed when its notebook changes. For a new copy
    of an edited one, rename yours.

    \b
    [bold]Examples[/bold]
      aifr lab
      aifr lab -- --no-browser --port 8899
    """
    from aifr_lib.reporting import scripts

    folder = folder or repository_root() / "lab"
    states = scripts.lay_out({name: scripts.for_readers(path) for name, path in scripts.scripts().items()}, folder)
    _tell(states)
    if not start:
        return
    if HUB in os.environ:
        say(f"JupyterLab runs already, on a hub: open {here(folder)}/ in its list of files")
        return
    if os.geteuid() == 0:
        say("as root, JupyterLab starts with --allow-root: meant for containers")
        arguments = ["--allow-root", *(arguments or ())]
    settle_folders()  # the kernels work in another folder
    # So that a terminal in JupyterLab, or a cell that begins with !, finds the command too.
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}", *OPENED, *(arguments or ())]
    raise typer.Exit(subprocess.run(command, env={**os.environ, "PATH": found}, check=False).returncode)


def students(
    folder: Annotated[Path, typer.Argument(help="Where the copies go.")],
    names: Annotated[list[str] | None, typer.Argument(help="Notebooks; none: all.")] = None,
    preset: Annotated[str, typer.Option(help="What the copies open at.")] = "lesson",
) -> None:
    """Write student copies of notebooks: without solutions, with answers that check themselves.

    After each exercise come a cell for the answer and one that holds it
    against a hash. nbgrader can collect and grade the copies. One that was
    edited is never written again.

    \b
    [bold]Examples[/bold]
      aifr students class/
      aifr students class/ 00_start_here tml_alpha_sweep --preset lesson
    """
    from aifr_lib.reporting import scripts
    from aifr_lib.reporting.students import student_copy

    _tell(scripts.lay_out({name: student_copy(name, preset) for name in names or scripts.scripts()}, folder))


def _tell(states: dict[Path, str]) -> None:
    for path, state in states.items():
        say(f"{state:12} {here(path)}")
