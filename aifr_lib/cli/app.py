"""The command ``aifr``. Each command parses, calls one function of the library, and prints what came back.

The library is imported inside the commands, so that ``aifr --help`` answers at once.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aifr_lib.cli import data, networks, own, pictures, queue, results, teaching
from aifr_lib.packages import HEAVY, INSTALL_HEAVY


class Commands(TyperGroup):
    """Turns an error that a user can mend into one line, and Ctrl-C into the shell's exit code for it."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # An output that cannot hold a '–' (Latin-1) must not cost the numbers around it.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            typer.secho(str(stopped) or "stopped", fg=typer.colors.YELLOW, err=True)
            raise typer.Exit(130) from None
        except (ValueError, OSError, ImportError) as error:
            if (lacking := getattr(error, "name", None)) in HEAVY:
                error = ImportError(
                    f"this needs the package {lacking}, which the light installation lacks: {INSTALL_HEAVY}"
                )
            # A closed pipe is click's business; an ImportError of Python's own (it has a name) is a bug.
            ours = not isinstance(error, BrokenPipeError) and getattr(error, "name", None) is None
            if ctx.params.get("debug") or not ours:
                raise
            typer.secho(f"aifr: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")


@app.callback()
def aifr(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Face recognition across ages: four papers, with seeds and intervals.

    \b
    [bold]Start[/bold]
      aifr list                                 what there is
      aifr reproduce 00_start_here              the opening notebook
      aifr reproduce tml_fig6 --preset lesson   the notebook behind a figure
      aifr faces --identities 8 --ages 3,10,20,40,60,80 --out grid.png
    """


# In the order of the help.
for command, name in (
    (results.reproduce, None),
    (results.draw, None),
    (results.notebooks_, "notebooks"),
    (results.list_, "list"),
    (results.show, None),
    (results.claims, None),
    (queue.run_queue, "run-queue"),
    (queue.run, None),
    (queue.plan, None),
    (results.keep, None),
    (networks.train, None),
    (networks.evaluate, None),
    (own.compare, None),
    (own.change, None),
    (networks.embed, None),
    (networks.export, None),
    (pictures.align, None),
    (pictures.faces, None),
    (pictures.age, None),
    (teaching.lab, None),
    (teaching.students, None),
):
    app.command(name)(command)
