"""Commands over tables and figures: run, draw, list, judge, queue."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from aifr_lib.cli.common import (
    AsJson,
    Paper,
    PresetName,
    SeedCount,
    Settings,
    aligned,
    here,
    key_values,
    paper_of,
    say,
)
from aifr_lib.files import repository_root
from aifr_lib.names import ConfigError, choose
from aifr_lib.settings.presets import PRESETS, load_preset


def reproduce(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Notebooks, tables or figures, as `aifr list` names them; none: every notebook."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"{', '.join(PRESETS)} (default: smoke; for --published classroom).")
    ] = None,
    seeds: SeedCount = None,
    jobs: Annotated[int, typer.Option(min=1, help="Notebooks at a time, each in its own process.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Execute and train again what is there.")] = False,
    published: Annotated[
        bool, typer.Option("--published", help="For the book: show what is stored, compute nothing.")
    ] = False,
    parameter: Settings = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Minutes before a notebook is given up.")] = None,
) -> None:
    """Run notebooks: compute what is missing, load what is there.

    Executed notebooks go to build/notebooks/PRESET/ (with --published to
    book/_executed/), tables and figures to figures/PRESET/. Where script,
    parameters, preset, library and results are unchanged, nothing is run.
    A notebook that fails does not stop the others.

    \b
    [bold]Examples[/bold]
      aifr reproduce
      aifr reproduce tml_alpha_sweep --preset lesson
      aifr reproduce tml_fig6 --preset smoke --fresh
      aifr reproduce --preset classroom --jobs 2 --seeds 3
      aifr reproduce tml_fig6 -p device=cuda -p out=mine
    """
    from aifr_lib.reporting import notebooks

    size = load_preset(preset or ("classroom" if published else "smoke")).name
    parameters: dict[str, Any] = dict(key_values(parameter))
    if seeds is not None:
        parameters["seeds"] = seeds
    if published:
        parameters["compute"] = False
    pages = repository_root() / "book" / "_executed"
    tasks = [
        notebooks.Task(
            name=name,
            preset=size,
            parameters=parameters,
            output=pages / f"{name}.ipynb" if published else None,
            fresh=fresh,
            timeout=timeout,
        )
        for name in notebooks.resolve(ids or [])
    ]
    done = notebooks.run_all(tasks, jobs=jobs, progress=say)
    for one in done:
        if one.failure is None:
            typer.echo(here(one.output))
    failures = [
        {
            "failed": one.name,
            "cell": f"{one.failure.cell}/{one.failure.cells}",
            "why": one.failure.reason.partition("\n")[0][:100],
            "half executed": here(one.failure.notebook),
        }
        for one in done
        if one.failure is not None
    ]
    if failures:
        typer.secho(f"\n{len(failures)} of {len(done)} notebooks failed", fg=typer.colors.RED, err=True)
        say(aligned(failures))
        raise typer.Exit(1)


def draw(
    ids: Annotated[list[str] | None, typer.Argument(help="Tables or figures, as `aifr list` names them.")] = None,
    preset: PresetName = "classroom",
) -> None:
    """Draw tables and figures from the runs that are stored; train nothing.

    Without ids: all that have a stored run. One that lacks runs is drawn as far
    as it goes: `aifr list` calls it partial, and its rows say what was not run.

    \b
    [bold]Examples[/bold]
      aifr draw --preset classroom
      aifr draw tml_fig6 tml_table4
    """
    settings = load_preset(preset)

    from aifr_lib.experiments import EXPERIMENTS
    from aifr_lib.experiments.jobs import stored_only
    from aifr_lib.reporting import contents
    from aifr_lib.reporting.artefacts import figures_root
    from aifr_lib.reporting.runs import RunStore

    planned = {content.id for content in contents.load() if content.id not in EXPERIMENTS}
    for id in planned.intersection(ids or ()):
        raise ConfigError(f"'{id}' is planned: there is no experiment behind it yet, and nothing to draw")
    chosen = {id: choose("table or figure", id, EXPERIMENTS) for id in ids} if ids else EXPERIMENTS
    store = RunStore(figures_root(preset))
    for id, experiment in chosen.items():
        keys = {spec.key for spec in experiment.specs(settings)}
        there = sum(store.folder(key).is_dir() for key in keys)
        if there:
            with stored_only():
                experiment(settings)
        if there or ids:
            typer.echo(f"{id}: {there} of {len(keys)} runs{'' if there else ', nothing to draw'}")


def notebooks_(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if one differs.")] = False,
) -> None:
    """Derive each notebooks/NAME.ipynb from its script NAME.py.

    The script is the source. Edits that were made in the .ipynb alone are kept
    beside it, as NAME.edited.ipynb.

    \b
    [bold]Examples[/bold]
      aifr notebooks
      aifr notebooks --check
    """
    from aifr_lib.reporting import scripts

    differing = scripts.pair(check=check)
    for path, kept in differing.items():
        typer.echo(f"{'differs' if check else 'written'}  {here(path)}")
        if kept:
            typer.echo(f"         it had been edited: that is now {here(kept)}")
    if check and differing:
        raise typer.Exit(1)


def list_(
    paper: Paper = None,
    preset: Annotated[str | None, typer.Option(help="Only the results of this preset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every table and figure: notebook, kind, results, verdict.

    A result is stale where it rests on a run that its experiment would not
    make today, and partial where a run of the preset is missing.

    \b
    [bold]Examples[/bold]
      aifr list --paper tml
      aifr list --preset classroom --json
    """
    presets = PRESETS if preset is None else (load_preset(preset).name,)
    short = paper_of(paper)

    from aifr_lib.experiments.inventory import inventory

    lines = inventory(presets, short)
    if as_json:
        typer.echo(json.dumps([vars(line) for line in lines], indent=1, ensure_ascii=False))
        return
    rows = []
    for line in lines:
        results = [name if state == "ok" else f"{name} ({state})" for name, state in line.results.items()]
        rows.append(
            {
                "id": line.id,
                "kind": line.kind,
                "notebook": line.notebook if line.written else f"({line.notebook}: planned)",
                "results": ", ".join(results),
                "verdict": line.verdict,
            }
        )
    typer.echo(aligned(rows))


def show(
    id: Annotated[str, typer.Argument(help="A table or figure, as `aifr list` names it.")],
    preset: PresetName = "classroom",
    as_json: AsJson = False,
) -> None:
    """What a table or figure rests on: runs, settings, commits, cost.

    Each run with the settings in which it differs from the others, the commit
    and device it was computed at, and its minutes; then what would be computed
    again, and why.

    \b
    [bold]Examples[/bold]
      aifr show tml_fig6
      aifr show tml_fig6 --preset lesson --json
    """
    settings = load_preset(preset)

    from aifr_lib.experiments import EXPERIMENTS, provenance
    from aifr_lib.experiments.jobs import store_of
    from aifr_lib.reporting import artefacts, contents

    content = contents.find(id)
    if id not in EXPERIMENTS:
        raise ConfigError(f"'{id}' is planned: there is no experiment behind it yet, and nothing to show")
    experiment, store = EXPERIMENTS[id], store_of(settings)
    try:
        artefact = artefacts.load(id, preset)
    except FileNotFoundError:
        artefact = None
    lines = provenance.lines(experiment, settings, store, artefact)
    shared = provenance.shared_settings(experiment.specs(settings))
    if as_json:
        drawn = artefact and artefact.model_dump(mode="json", exclude={"rows"})
        result = {"artefact": drawn, "settings": shared, "runs": [vars(line) for line in lines]}
        typer.echo(json.dumps(result, indent=1, ensure_ascii=False))
        return
    typer.echo(f"{id}: {content.title}{f' ({content.paper} {content.source})' if content.paper else ''}")
    typer.echo(f"made by notebooks/{content.notebook}.py: aifr reproduce {id} --preset {preset}")
    if artefact is None:
        typer.echo(f"nothing is drawn at {preset} size yet")
    else:
        sha = (artefact.git.sha or "no known commit")[:10]
        typer.echo(f"drawn at {sha}{' (changed)' if artefact.git.dirty else ''}, verdict: {artefact.verdict}")
    for recipe, said in shared.items():
        typer.echo(f"\nall {recipe} runs: {said}")
    typer.echo("\n" + aligned([_shown_row(line) for line in lines]))
    spent = [line.minutes or 0.0 for line in lines if line.state == provenance.STORED]
    wanted = sum(line.state != provenance.UNUSED for line in lines)
    typer.echo(f"\n{len(spent)} of {wanted} runs are stored: {sum(spent):.0f} min")
    for line in lines:
        if line.why:
            typer.echo(f"{line.key} is {line.state}: {line.why}")


def _shown_row(line: Any) -> dict[str, Any]:
    return {
        "run": line.key,
        "settings": line.settings,
        "state": line.state,
        "minutes": "?" if line.minutes is None else f"{line.minutes:.1f}",
        "device": line.device,
        "commit": line.commit,
    }


def claims(
    paper: Paper = None,
    preset: PresetName = "classroom",
    as_json: AsJson = False,
) -> None:
    """What the papers claim, and what the stored results say of it.

    A verdict is supported, contradicted, no gain above δ, inconclusive or
    untested. Under it stands each comparison with its difference, interval,
    p before and after correction, and the difference it could have shown.

    \b
    [bold]Examples[/bold]
      aifr claims --paper tml
      aifr claims --preset classroom --json
    """
    from aifr_lib.reporting.claims import judge_all, link_said, word

    short = paper_of(paper)
    verdicts = [one for one in judge_all(load_preset(preset).name) if short in (None, one.claim.paper)]
    if as_json:
        rows = [
            {
                "claim": verdict.claim.id,
                "about": verdict.claim.artefact,
                "primary": verdict.claim.primary,
                "outcome": verdict.outcome,
                "verdict": word(verdict),
                "why": verdict.reason,
                "comparisons": [link_said(verdict, one) for one in verdict.comparisons],
                "statement": verdict.claim.statement,
            }
            for verdict in verdicts
        ]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for verdict in verdicts:
        typer.echo(f"{verdict.claim.statement}{' [primary]' if verdict.claim.primary else ''}\n  {word(verdict)}")
        if verdict.p is None:
            typer.echo(f"    {verdict.reason}")
        for one in verdict.comparisons:
            typer.echo(f"    {link_said(verdict, one)}")


def keep(
    keys: Annotated[
        list[str] | None, typer.Argument(help="Keys of runs; none: all that others need and whose weights are here.")
    ] = None,
    preset: PresetName = "classroom",
) -> None:
    """Put weights that other runs need among the files to be committed.

    Those of teachers, and of students that are shipped as files, go to
    figures/teachers/KEY, in half precision, as they teach. From then on no
    machine trains them again: what needs them takes them from there.

    \b
    [bold]Examples[/bold]
      aifr keep
      aifr keep age_estimation-s0-1c9d3f0a2b44
    """
    settings = load_preset(preset)

    from aifr_lib.experiments.aad import teachers
    from aifr_lib.experiments.aad.int8 import FILES_OF
    from aifr_lib.experiments.aad.known import RECOGNISES, TEACHERS
    from aifr_lib.experiments.jobs import store_of

    store = store_of(settings)
    needed = [job.spec.key for one in FILES_OF.jobs(settings, None, None).values() for job in one.needs.values()]
    taught = {name: job.spec.key for name, job in TEACHERS.jobs(settings, None, None).items()}
    known = {key: key for key in [*taught.values(), *needed]}
    here_too = [
        key for key in known if store.folder(key).is_dir() and (store.work_folder(key) / teachers.WEIGHTS).is_file()
    ]
    for key in [choose("run that others need", one, known) for one in keys] if keys else here_too:
        typer.echo(here(teachers.keep(store, key, head=key == taught[RECOGNISES])))
    if not keys and not here_too:
        typer.echo(f"none that others need was trained on this machine: {', '.join(known)}")
