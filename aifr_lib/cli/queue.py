"""Commands over runs: the queue that works through them, its plan, one of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aifr_lib.cli.common import (
    Device,
    Paper,
    PresetName,
    SeedCount,
    aligned,
    here,
    key_values,
    paper_of,
    say,
    within_terminal,
)
from aifr_lib.names import ConfigError, choose
from aifr_lib.settings.presets import load_preset


def run_queue(
    ids: Annotated[list[str] | None, typer.Argument(help="Only for these tables or figures; none: for all.")] = None,
    preset: PresetName = "classroom",
    paper: Paper = None,
    seeds: SeedCount = None,
    device: Device = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the ledger, compute nothing.")] = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Start no run that is expected to end later than this.")
    ] = None,
    submit: Annotated[str | None, typer.Option(help="slurm: give the runs to a cluster, in arrays.")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="With --submit: an option of sbatch; repeat.")
    ] = None,
) -> None:
    """Train and evaluate all runs that tables and figures lack.

    Prints the ledger (runs and minutes), then works through it. Start it again
    after any interruption; start it twice, and the two share the work. Draw
    the tables and figures afterwards, or half way, with aifr draw.

    --submit slurm gives each missing run to the cluster as a task of an array,
    with the time that the ledger expects, twice; what is cut off goes on from
    its checkpoint. All nodes must see the repository and AIFR_CACHE.

    \b
    [bold]Examples[/bold]
      aifr run-queue --preset classroom --dry-run
      aifr run-queue --preset classroom --paper tml --max-minutes 240
      aifr run-queue tml_fig6 tml_table4
      aifr run-queue --preset lesson --device cuda
      aifr run-queue --preset paper --submit slurm --slurm partition=gpu
    """
    if submit not in (None, "slurm"):
        raise ConfigError(f"--submit takes slurm, got '{submit}'")
    if slurm and not submit:
        raise ConfigError("--slurm goes with --submit slurm")
    if submit and seeds is not None:
        raise ConfigError("--seeds is for this machine: what a cluster is given are the preset's runs")
    if submit and max_minutes is not None:
        raise ConfigError("--max-minutes is for this machine; in a cluster each run has a time limit of its own")

    from aifr_lib.experiments import provenance, queue
    from aifr_lib.reporting.artefacts import figures_root
    from aifr_lib.reporting.runs import RunStore, refuse_torchrun
    from aifr_lib.reporting.scripts import literal

    if not dry_run:
        refuse_torchrun()
    items = _ledger(ids, preset, paper, seeds, device)
    said = provenance.in_settings([item.job.spec for item in items])
    typer.echo(within_terminal(aligned([_ledger_row(item, said[item.key]) for item in items])))
    missing = [item for item in items if not item.stored]
    known = [item.minutes for item in missing if item.minutes is not None]
    more = "" if len(known) == len(missing) else f" and {len(missing) - len(known)} of unknown length"
    typer.echo(f"\n{len(items)} runs, {len(missing)} missing: about {sum(known):.0f} min{more}")
    if dry_run or not missing:
        return
    if submit:
        from aifr_lib.experiments.submit import submit as submitted
        from aifr_lib.reporting.prose import counted

        options = {key: literal(value) for key, value in key_values(slurm)}
        for array in submitted(items, preset, options, device):
            runs = counted(len(array.keys), "run")
            typer.echo(f"array {array.job}: {runs}, at most {array.minutes} minutes each at a time")
        return
    tally = queue.work(items, RunStore(figures_root(preset)), max_minutes=max_minutes, say=say)
    typer.echo(
        f"done {len(tally.done)}, failed {len(tally.failed)}, elsewhere {len(tally.elsewhere)}, left {len(tally.left)}"
    )
    if tally.failed:
        say(aligned([{"failed": key, "why": why} for key, why in tally.failed.items()]))
        raise typer.Exit(1)


def plan(
    ids: Annotated[list[str] | None, typer.Argument(help="Only for these tables or figures; none: for all.")] = None,
    preset: PresetName = "classroom",
    paper: Paper = None,
    format: Annotated[str, typer.Option(help="json, dot, snakemake or slurm.")] = "json",
) -> None:
    """Write down what rests on what: data, runs, results, pages.

    json and dot hold the whole graph; snakemake and slurm what is missing, as
    a Snakefile and as a script of sbatch arrays, with the time that each run
    may take. All of it comes from the ledger of aifr run-queue.

    \b
    [bold]Examples[/bold]
      aifr plan --preset classroom --paper tml
      aifr plan --format dot | dot -Tsvg > plan.svg
      aifr plan --preset paper --format slurm > plan.sh
    """
    from aifr_lib.experiments.plan import FORMATS, Graph

    write = choose("format", format, FORMATS)
    typer.echo(write(Graph(preset, tuple(_ledger(ids, preset, paper, None, None)))))


def run(
    key: Annotated[str, typer.Argument(help="A run's key, as the ledger prints it, or its beginning.")],
    preset: PresetName = "classroom",
    device: Device = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute it again; what it needs stays.")] = False,
) -> None:
    """Compute one run, with all that it needs.

    What lies in the store is not computed again. Stopped, it goes on where it
    was when the same command is given again.

    \b
    [bold]Examples[/bold]
      aifr run-queue --preset classroom --dry-run
      aifr run recognition-s0-2d0c1bff --preset classroom
    """
    settings = load_preset(preset)

    from aifr_lib.experiments import EXPERIMENTS
    from aifr_lib.experiments.jobs import have, store_of
    from aifr_lib.experiments.queue import find

    store = store_of(settings)
    found = have(store, find(key, EXPERIMENTS, settings, device), fresh=fresh)
    typer.echo(here(store.folder(found.key)))


def _ledger(
    asked: list[str] | None, preset: str, paper: str | None, seeds: int | None, device: str | None
) -> list[Any]:
    settings, short = load_preset(preset), paper_of(paper)

    from aifr_lib.experiments import EXPERIMENTS, queue
    from aifr_lib.experiments.jobs import store_of
    from aifr_lib.reporting import contents

    # With a paper comes what stands beside it, such as the rates that were tried.
    of_paper = {content.id for content in contents.load() if short in (None, content.part)}
    for id in asked or ():
        choose("table or figure", id, EXPERIMENTS)
    chosen = {id: one for id, one in EXPERIMENTS.items() if id in of_paper and (not asked or id in asked)}
    count = None if seeds is None else range(seeds)
    return queue.ledger(chosen, settings, store_of(settings), seeds=count, device=device)


def _ledger_row(item: Any, settings: str) -> dict[str, Any]:
    minutes = "?" if item.minutes is None else f"{item.minutes:.1f}"
    return {
        "run": item.key,
        "state": "stored" if item.stored else "missing",
        "minutes": "" if item.stored else minutes,
        "for": item.ids[0] + (f" and {len(item.ids) - 1} more" if item.ids[1:] else ""),
        "settings": settings,
    }
