"""What several commands share: their options, and how lines are printed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from aifr_lib.names import ConfigError, Model, choose, nearest, validate
from aifr_lib.reporting import papers
from aifr_lib.settings.presets import PRESETS

PAPERS = {name.lower(): name for name in get_args(papers.Paper)}


PresetName = Annotated[str, typer.Option("--preset", help=f"Size of the experiments: {', '.join(PRESETS)}.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps … (default: the best there is).")]
SeedCount = Annotated[int | None, typer.Option("--seeds", min=1, help="Use seeds 0 … N-1, not the preset's.")]
Paper = Annotated[str | None, typer.Option(help=f"Only this paper: {', '.join(PAPERS)}.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Count unreadable pictures and go on.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Settings = Annotated[list[str] | None, typer.Option("-p", metavar="KEY=VALUE", help="Set a value; repeat.")]


def name_records(what: str, records: Sequence[str]) -> None:
    if records:
        more = f" and {len(records) - 20} more" if len(records) > 20 else ""
        say(f"{len(records)} {what}: {', '.join(records[:20])}{more}")


def key_values(given: Sequence[str] | None) -> list[tuple[str, str]]:
    for text in given or ():
        if "=" not in text:
            raise ConfigError(f"-p takes KEY=VALUE, got '{text}'")
    return [(key, value) for key, _, value in (text.partition("=") for text in given or ())]


def changed(kind: type[Model], values: dict[str, Any], given: Mapping[str, Any]) -> Model:
    """Settings with what ``-p`` says of them, validated: ``train.lr`` is the key lr of the group train."""
    for key, value in given.items():
        *groups, leaf = key.split(".")
        node = values
        for group in groups:
            if not isinstance(held := node.get(group), dict):
                named = [name for name, one in node.items() if isinstance(one, dict)]
                raise ConfigError(f"'{group}' is no group of settings{nearest(group, named)}")
            node = held
        node[leaf] = value
    return validate(kind, values, "settings of the training")


def paper_of(name: str | None) -> str | None:
    return name if name is None else choose("paper", name.lower(), PAPERS)


def aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """A plain table with aligned columns, headed by the keys; a dash where there is nothing."""
    if not rows:
        return "nothing"
    lines = [list(rows[0]), *([str(value or "-") for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def within_terminal(text: str) -> str:
    """Lines cut to the width of the terminal, where stdout is one; into a file or a pipe they go whole."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(line if len(line) <= width else line[: width - 1] + "…" for line in text.splitlines())


def here(path: Path) -> Path:
    """The path as seen from the working folder, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def say(line: str) -> None:
    typer.echo(line, err=True)


def refuse_srun() -> None:
    """Errors: ConfigError where srun started several tasks of this command, each of which would be one of its own."""
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1 and "RANK" not in os.environ:
        raise ConfigError(
            f"srun started {tasks} tasks of this command, and each would train alone: start one task a node, and in it "
            "torchrun: srun --ntasks-per-node 1 torchrun --nnodes N --nproc-per-node GPUS … -m aifr_lib.cli train …"
        )


def first_process() -> bool:
    """Whether this is the process that prints: under torchrun and accelerate launch, one of several."""
    return os.environ.get("RANK", "0") == "0"
