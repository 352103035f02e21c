"""The command ``aifr``. Each command parses, calls one function of the library, and prints what came back.

The library is imported inside the commands, so that ``aifr --help`` answers at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aifr_lib import cli_data
from aifr_lib.config import (
    PRESETS,
    ConfigError,
    Recognition,
    atomic_write,
    choose,
    load_preset,
    nearest,
    repository_root,
    validate,
)

PAPERS = {"tml": "TML", "aad": "AAD", "comface": "ComFace", "mtlface": "MTLFace"}


class Commands(TyperGroup):
    """Turns an error that a user can mend into one line, and Ctrl-C into the shell's exit code for it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            typer.secho(str(stopped) or "stopped", fg=typer.colors.YELLOW, err=True)
            raise typer.Exit(130) from None
        except (ValueError, OSError, ImportError) as error:
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
app.add_typer(cli_data.app, name="data")

PresetName = Annotated[str, typer.Option("--preset", help=f"Size of the experiments: {', '.join(PRESETS)}.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps … (default: the best there is).")]
SeedCount = Annotated[int | None, typer.Option("--seeds", min=1, help="Use seeds 0 … N-1, not the preset's.")]
Paper = Annotated[str | None, typer.Option(help=f"Only this paper: {', '.join(PAPERS)}.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Count unreadable pictures and go on.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Settings = Annotated[list[str] | None, typer.Option("-p", metavar="KEY=VALUE", help="Set a value; repeat.")]


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


@app.command()
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
    parameters: dict[str, Any] = dict(_settings(parameter))
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
    done = notebooks.run_all(tasks, jobs=jobs, progress=_say)
    for one in done:
        if one.failure is None:
            typer.echo(_here(one.output))
    failures = [
        {
            "failed": one.name,
            "cell": f"{one.failure.cell}/{one.failure.cells}",
            "why": one.failure.reason.partition("\n")[0][:100],
            "half executed": _here(one.failure.notebook),
        }
        for one in done
        if one.failure is not None
    ]
    if failures:
        typer.secho(f"\n{len(failures)} of {len(done)} notebooks failed", fg=typer.colors.RED, err=True)
        _say(_aligned(failures))
        raise typer.Exit(1)


@app.command()
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
    from aifr_lib.reporting.artefacts import figures_root
    from aifr_lib.reporting.runs import RunStore

    chosen = {id: choose("table or figure", id, EXPERIMENTS) for id in ids} if ids else EXPERIMENTS
    store = RunStore(figures_root(preset))
    for id, experiment in chosen.items():
        keys = {spec.key for spec in experiment.specs(settings)}
        there = sum(store.folder(key).is_dir() for key in keys)
        if there:
            with stored_only():
                experiment.run(settings)
        if there or ids:
            typer.echo(f"{id}: {there} of {len(keys)} runs{'' if there else ', nothing to draw'}")


@app.command("notebooks")
def notebooks_(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if one differs.")] = False,
) -> None:
    """Derive each notebooks/NAME.ipynb from its script NAME.py.

    The script is the source: edits made in the .ipynb alone are replaced.

    \b
    [bold]Examples[/bold]
      aifr notebooks
      aifr notebooks --check
    """
    from aifr_lib.reporting import scripts

    differing = scripts.pair(check=check)
    for path in differing:
        typer.echo(f"{'differs' if check else 'written'}  {_here(path)}")
    if check and differing:
        raise typer.Exit(1)


@app.command("list")
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
    short = _paper(paper)

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
    typer.echo(_aligned(rows))


@app.command()
def claims(
    paper: Paper = None,
    preset: PresetName = "classroom",
    as_json: AsJson = False,
) -> None:
    """What the papers claim, and what the stored results say of it.

    A verdict is supported, contradicted, inconclusive or untested. Beside it
    stands the smallest difference that these results could have shown.

    \b
    [bold]Examples[/bold]
      aifr claims --paper tml
      aifr claims --preset classroom --json
    """
    from aifr_lib.reporting.claims import judge_all

    short = _paper(paper)
    rows = [
        {
            "claim": verdict.claim.id,
            "about": verdict.claim.artefact,
            "verdict": verdict.outcome + (" (exploratory)" if verdict.exploratory else ""),
            "could have seen": None
            if verdict.detectable is None
            else f"{verdict.detectable:.2g} {verdict.claim.unit}".rstrip(),
            "why": verdict.reason,
            "statement": verdict.claim.statement,
        }
        for verdict in judge_all(load_preset(preset).name)
        if short in (None, verdict.claim.paper)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        typer.echo(_aligned([{key: row[key] for key in row if key != "statement"} for row in rows]))


@app.command("run-queue")
def run_queue(
    preset: PresetName = "classroom",
    paper: Paper = None,
    seeds: SeedCount = None,
    device: Device = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the ledger, compute nothing.")] = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Start no run that is expected to end later than this.")
    ] = None,
) -> None:
    """Train and evaluate all runs that tables and figures lack.

    Prints the ledger (runs and minutes), then works through it. Start it again
    after any interruption; start it twice, and the two share the work. Draw
    the tables and figures afterwards, or half way, with aifr draw.

    \b
    [bold]Examples[/bold]
      aifr run-queue --preset classroom --dry-run
      aifr run-queue --preset classroom --paper tml --max-minutes 240
      aifr run-queue --preset lesson --device cuda
    """
    settings, short = load_preset(preset), _paper(paper)

    from aifr_lib.experiments import EXPERIMENTS, queue
    from aifr_lib.reporting import contents
    from aifr_lib.reporting.artefacts import figures_root
    from aifr_lib.reporting.runs import RunStore, refuse_torchrun

    if not dry_run:
        refuse_torchrun()
    # With a paper comes what its notebooks show beside it, such as the rates that were tried.
    listed = contents.load()
    shown = {content.notebook for content in listed if short in (None, content.paper)}
    ids = {content.id for content in listed if content.notebook in shown}
    chosen = {id: experiment for id, experiment in EXPERIMENTS.items() if id in ids}
    store = RunStore(figures_root(preset))
    count = None if seeds is None else range(seeds)
    items = queue.ledger(chosen, settings, store, seeds=count, device=device)
    typer.echo(_aligned([_ledger_row(item) for item in items]))
    missing = [item for item in items if not item.stored]
    known = [item.minutes for item in missing if item.minutes is not None]
    more = "" if len(known) == len(missing) else f" and {len(missing) - len(known)} of unknown length"
    typer.echo(f"\n{len(items)} runs, {len(missing)} missing: about {sum(known):.0f} min{more}")
    if dry_run or not missing:
        return
    tally = queue.work(items, store, max_minutes=max_minutes, say=_say)
    typer.echo(
        f"done {len(tally.done)}, failed {len(tally.failed)}, elsewhere {len(tally.elsewhere)}, left {len(tally.left)}"
    )
    if tally.failed:
        _say(_aligned([{"failed": key, "why": why} for key, why in tally.failed.items()]))
        raise typer.Exit(1)


def _ledger_row(item: Any) -> dict[str, Any]:
    minutes = "?" if item.minutes is None else f"{item.minutes:.1f}"
    return {
        "run": item.key,
        "for": ", ".join(item.ids),
        "state": "stored" if item.stored else "missing",
        "minutes": "" if item.stored else minutes,
    }


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, log and weights.")],
    preset: PresetName = "smoke",
    parameter: Settings = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of the transformer branch.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of weights, order and mirroring.")] = None,
    device: Device = None,
) -> None:
    """Train one recognition network: the one of the preset's α sweep, as you change it.

    Its learning rate is the sweep's for that α, unless -p lr=RATE gives
    another. Stopped or killed, it goes on where it was when the same command
    is given again; on a CPU the checksum is then that of an uninterrupted
    training.

    \b
    [bold]Examples[/bold]
      aifr train --preset smoke --out runs/first
      aifr train --preset lesson --alpha 0.4 --seed 1 --out runs/branch
      aifr train --preset lesson -p loss=cosface -p relief.span=wide --out runs/w
      torchrun --nproc-per-node 2 -m aifr_lib.cli train --out runs/two
    """
    from aifr_lib.experiments import tml
    from aifr_lib.reporting.scripts import literal
    from aifr_lib.training import recognition
    from aifr_lib.training.engine import NonFiniteLoss

    given: dict[str, Any] = {key: literal(value) for key, value in _settings(parameter)}
    given |= {key: value for key, value in (("alpha", alpha), ("seed", seed)) if value is not None}
    sweep = load_preset(preset).alpha_sweep
    asked = {"alpha": given.get("alpha", sweep.train.alpha)}
    start = validate(Recognition, sweep.train.model_dump() | asked, "settings of the training")
    values = tml.training(sweep, start.alpha, start.seed).model_dump()
    for key, value in given.items():
        group, _, leaf = key.rpartition(".")
        node = values.get(group) if group else values
        if not isinstance(node, dict):
            groups = [name for name, held in values.items() if isinstance(held, dict)]
            raise ConfigError(f"'{group}' is no group of settings{nearest(group, groups)}")
        node[leaf] = value
    config = validate(Recognition, values, "settings of the training")
    try:
        trained = recognition.train(config, out, device=device)
    except NonFiniteLoss as error:
        raise ValueError(str(error)) from error
    if _first_process():
        typer.echo(f"weights   {trained.weights}\nchecksum  {trained.checksum}")


@app.command()
def evaluate(
    data: Annotated[str, typer.Option(help="relief, a name of 'aifr data list', a folder, .rec, .bin or image list.")],
    weights: Annotated[Path | None, typer.Option(help="A network: state dict, ONNX or TorchScript.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Without a file: sface, pixels or tour.")] = None,
    protocol: Annotated[str | None, typer.Option(help="One of those below (default: the first that fits).")] = None,
    pairs: Annotated[Path | None, typer.Option(help="pairs.txt or .csv; template pairs of IJB.")] = None,
    distractors: Annotated[Path | None, typer.Option(help="Strangers: megaface, pictures, or features .npy.")] = None,
    media: Annotated[Path | None, typer.Option(help="IJB's list of picture, template, media.")] = None,
    layout: Annotated[str | None, typer.Option(help="Names of the state dict's keys (default: found).")] = None,
    size: Annotated[str | None, typer.Option(help="The network's input, such as 112x96.")] = None,
    colour: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None,
    mean: Annotated[str | None, typer.Option(help="Taken from levels 0-255: 127.5 or three.")] = None,
    std: Annotated[str | None, typer.Option(help="Levels are divided by it: 128 or three.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Add the mirrored picture's embedding.")] = None,
    preset: PresetName = "smoke",
    device: Device = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Measure how well a network tells people apart, with intervals.

    Photographs are aligned first, unless all are 112×112 already. A file of
    weights may have a card beside it, FILE.yaml, that says what --size,
    --colour, --mean, --std and --flip say here; known layouts need none.

    A named set brings its own pairs, templates, detector scores, distractors
    and lists of noise. Where ages are known, numbers come by age gap too.

    \b
    [bold]Protocols[/bold]
      verification  10 folds on --pairs, on the data's own, or on all pairs
      loo           leave-one-out rank-1
      distractors   rank-1 among --distractors
      templates     IJB 1:1, from --media and --pairs for crops of your own
      change        error of a regressed change: years, action units, kg

    \b
    [bold]Examples[/bold]
      aifr evaluate --backbone sface --data orl --protocol loo
      aifr evaluate --weights runs/first/weights.safetensors --data relief
      aifr evaluate --weights r50.pth --data agedb_30.bin
      aifr evaluate --weights net.onnx --colour bgr --std 127.5 --data orl
      aifr evaluate --weights r50.pth --data ./lfw --pairs pairs.txt
      aifr evaluate --weights r50.pth --data ijbc
      aifr evaluate --weights r50.pth --data fgnet --protocol distractors \\
        --distractors megaface
      aifr evaluate --weights r50.pth --data crops --protocol templates \\
        --media ijbc_face_tid_mid.txt --pairs ijbc_template_pair_label.txt
      torchrun --nproc-per-node 2 -m aifr_lib.cli evaluate --weights r50.pth \\
        --data faces.rec --protocol loo
    """
    if (weights is None) == (backbone is None):
        raise ConfigError("say either --weights FILE or --backbone NAME")
    settings = load_preset(preset)
    given: dict[str, Any] = {"layout": layout, "input_hw": _size(size), "colour": colour, "flip": flip}
    given |= {"mean": _levels("--mean", mean), "std": _levels("--std", std)}

    from aifr_lib.experiments.evaluate import evaluate as measure
    from aifr_lib.experiments.questions import Question

    question = Question(data, protocol, pairs, distractors, media, skip_bad)
    card = {name: value for name, value in given.items() if value is not None}
    found = measure(weights or str(backbone), question, preset=settings, given=card, device=device)
    if not _first_process():
        return
    if as_json:
        typer.echo(json.dumps([row.model_dump(mode="json") for row in found.rows], indent=1))
        return
    _say_network(found.embedder)
    _say(f"{found.pictures} pictures" + (f" of {found.people} people" if found.people else ""))
    _name("no face found, centre-cropped", found.missed)
    _name("unreadable, left out", found.bad)
    typer.echo(_aligned([_measured_row(row) for row in found.rows]))


@app.command()
def embed(
    data: Annotated[str, typer.Option(help="A name of 'aifr data list', a folder, .rec, .bin or image list.")],
    out: Annotated[Path, typer.Option(help="The .npy file to write.")],
    weights: Annotated[Path | None, typer.Option(help="A network: state dict, ONNX or TorchScript.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Without a file: sface, pixels or tour.")] = None,
    preset: PresetName = "smoke",
    device: Device = None,
) -> None:
    """Write the embeddings of pictures to a .npy file, a row a picture.

    Done once for a million strangers, it serves 'aifr evaluate --distractors'
    each time after. A network is fed as its card, FILE.yaml, says.

    \b
    [bold]Examples[/bold]
      aifr embed --weights r50.pth --data megaface --out megaface.npy
      aifr embed --backbone sface --data ./crops --out crops.npy
    """
    if (weights is None) == (backbone is None):
        raise ConfigError("say either --weights FILE or --backbone NAME")

    from aifr_lib.experiments.evaluate import write_embeddings

    count, width = write_embeddings(weights or str(backbone), data, out, preset=load_preset(preset), device=device)
    if _first_process():
        typer.echo(f"{count} embeddings of {width} numbers in {out}")


@app.command()
def export(
    weights: Annotated[Path, typer.Argument(help="A network that aifr train wrote, or a state dict.")],
    out: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
) -> None:
    """Write a network as ONNX, with its card beside it.

    The file is run on photographs and its embeddings are held against torch's;
    where a cosine is more than 1e-4 away, nothing is written.

    \b
    [bold]Examples[/bold]
      aifr export runs/first/weights.safetensors first.onnx
      aifr evaluate --weights first.onnx --data orl
    """
    if out.suffix.lower() != ".onnx":
        raise ConfigError(f"OUT must name a .onnx file, got '{out}'")

    from aifr_lib.experiments import embedders

    preset = load_preset("smoke")
    network = embedders.load(weights, preset)
    _say_network(network)
    away, pictures = embedders.export(network, out, preset)
    typer.echo(f"{out} and {out}.yaml; on {pictures} 1 − cosine to torch ≤ {away:.1g}")


def _say_network(embedder: Any) -> None:
    _say(f"{embedder.about}: {embedder.card}" if embedder.card else embedder.about)
    if embedder.left_out:
        more = f" and {len(embedder.left_out) - 3} more" if len(embedder.left_out) > 3 else ""
        _say(f"left out, being no part of the network: {', '.join(embedder.left_out[:3])}{more}")


def _size(text: str | None) -> list[int] | None:
    if text is None:
        return None
    height, cross, width = text.lower().replace("×", "x").partition("x")
    if not (cross and height.isdigit() and width.isdigit()):
        raise ConfigError(f"--size takes HEIGHTxWIDTH, such as 112x112, got '{text}'")
    return [int(height), int(width)]


def _levels(option: str, text: str | None) -> list[float] | float | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise ConfigError(f"{option} takes a number, or three with commas between them, got '{text}'")
    return numbers if len(numbers) == 3 else numbers[0]


def _first_process() -> bool:
    """Whether this is the process that prints: under torchrun and accelerate launch, one of several."""
    return os.environ.get("RANK", "0") == "0"


def _measured_row(row: Any) -> dict[str, Any]:
    ends = row.measured.ci95
    return {
        **row.keys,
        "metric": row.metric,
        "value": f"{row.measured.mean:.2f}" if ends else f"{row.measured.mean:g}",
        "95 % interval": f"{ends[0]:.2f} – {ends[1]:.2f}" if ends else "",
    }


def _name(what: str, records: Sequence[str]) -> None:
    if records:
        more = f" and {len(records) - 20} more" if len(records) > 20 else ""
        _say(f"{len(records)} {what}: {', '.join(records[:20])}{more}")


@app.command()
def align(
    folder: Annotated[Path, typer.Argument(help="Pictures, with labels.csv or a sub-folder an identity.")],
    out: Annotated[Path, typer.Option(help="Folder for the crops and their labels.csv.")],
    size: Annotated[str, typer.Option(help="112x112 or 112x96 (height × width).")] = "112x112",
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Find five landmarks in each picture and crop it to the template.

    Of several faces the foremost is taken: large, and near the middle.
    Pictures in which no face is found are cropped in the centre; these, and
    what could not be read, stand in misses.csv beside the crops.
    Interrupted, the same command goes on where it was.

    \b
    [bold]Examples[/bold]
      aifr align photographs --out crops
      aifr align photographs --out crops --size 112x96 --skip-bad
    """
    from aifr_lib.data.crops import MISSES, align_folder

    report = align_folder(folder, out, size=size, skip_bad=skip_bad)
    if as_json:
        typer.echo(json.dumps(vars(report), indent=1, default=str))
        return
    before = f" ({report.before} made before)" if report.before else ""
    misses = len(report.missed) + len(report.bad)
    typer.echo(f"{report.written} crops in {report.out}{before}; {report.out / MISSES} lists {misses} misses")
    _name("no face found, centre-cropped", report.missed)
    _name("several faces, the foremost taken", report.several)
    _name("unreadable, left out", report.bad)


@app.command()
def faces(
    out: Annotated[Path, typer.Option(help="A .png for a sheet, a folder for single pictures, a .pdf for a class.")],
    identities: Annotated[int, typer.Option(min=1, help="How many people.")] = 8,
    ages: Annotated[str | None, typer.Option(help="A sheet: one column for each of these years.")] = None,
    per_identity: Annotated[int | None, typer.Option(min=1, help="A folder: pictures of each person.")] = None,
    size: Annotated[int, typer.Option(min=16, max=512, help="Side of a picture in pixels.")] = 112,
    seed: Annotated[int, typer.Option(min=0, help="Which people, and under which light.")] = 0,
    source: Annotated[str, typer.Option(help="relief, or latent: the photo-real generator.")] = "relief",
    attribute: Annotated[str | None, typer.Option(help="What to edit: age, smile, weight, … (with commas).")] = None,
    alpha: Annotated[str, typer.Option(help="Strengths: FROM:TO:STEP, or numbers with commas.")] = "-5:5:2.5",
    beyond: Annotated[bool, typer.Option("--beyond", help="A sheet may leave −5 … 5, where faces fall apart.")] = False,
) -> None:
    """Draw people who do not exist, at any age or edited.

    A sheet has a row for each person and a column for each age. A folder
    holds one PNG a picture and labels.csv with every parameter. A .pdf has
    ten people at six ages on two pages of A4, to be cut into cards.

    [bold]Edited faces[/bold], as ComFace makes them: --attribute moves one attribute by
    strengths α from −5 to 5; 0 is the person. relief edits age, smile, weight,
    yaw and gender; latent, which looks like photographs, light too. A folder
    of edited faces holds aligned crops of 112 pixels (JPEG) and labels.parquet;
    with --per-identity and latent its people are seen across ages, with pose,
    smile and light changing too. latent takes some tenths of a second a
    picture; what was stopped goes on when the same command is given again.

    \b
    [bold]Examples[/bold]
      aifr faces --identities 8 --ages 3,10,20,40,60,80 --out grid.png
      aifr faces --identities 40 --per-identity 6 --size 224 --seed 11 --out DIR
      aifr faces --seed 7 --out cards.pdf
      aifr faces --source latent --attribute age --alpha -5:5:2.5 \\
                 --identities 6 --out sheet.png
      aifr faces --source latent --attribute age,smile,weight --alpha -5:5:1 \\
                 --identities 300 --out DIR
      aifr faces --source latent --identities 300 --per-identity 8 --out DIR
    """
    from PIL import Image

    from aifr_lib.data import relief

    if attribute is not None or source != "relief":
        _edited_faces(out, source, attribute, alpha, identities, ages, per_identity, size, seed, beyond)
    elif out.suffix.lower() == ".pdf" and ages is None and per_identity is None:
        from aifr_lib.experiments.relief_pictures import contact_sheet

        contact_sheet(out, seed=seed)
    elif ages is not None and per_identity is None:
        years = _years(ages)
        if out.suffix.lower() != ".png":
            raise ConfigError(f"--out must name a .png for a sheet, got '{out}'")
        sheet = relief.sheet(identities, years, size, seed)
        with atomic_write(out) as path:
            Image.fromarray(sheet).save(path)
    elif per_identity is not None and ages is None:
        relief.write_folder(out, identities, per_identity, size, seed)
    else:
        raise ConfigError("say either --ages (a sheet) or --per-identity (a folder of pictures), or name a .pdf")
    typer.echo(out)


def _edited_faces(
    out: Path,
    source: str,
    attribute: str | None,
    alpha: str,
    identities: int,
    ages: str | None,
    per_identity: int | None,
    size: int,
    seed: int,
    beyond: bool,
) -> None:
    from aifr_lib.experiments import edited_pictures
    from aifr_lib.faces.sources import SOURCES

    choose("source", source, dict.fromkeys(SOURCES, source))
    if ages is not None:
        raise ConfigError("--ages is for relief faces without --attribute; edited faces have --alpha")
    if attribute is None:
        if per_identity is None:
            raise ConfigError("say --attribute (what to edit), or --per-identity (a folder of people across ages)")
        if per_identity < 2:
            raise ConfigError(f"--per-identity {per_identity}: people across ages need two pictures each, or more")
        edited_pictures.check_folder(out, size, beyond)
        edited_pictures.across_ages(out, source, per_identity, identities, seed)
        return
    if per_identity is not None:
        raise ConfigError("--per-identity spreads people over ages; with --attribute, --alpha says how many pictures")
    alphas, names = edited_pictures.strengths(alpha), attribute.split(",")
    if out.suffix.lower() == ".png":
        if len(names) > 1:
            raise ConfigError(f"a sheet shows one attribute, got '{attribute}'")
        edited_pictures.sheet(out, source, names[0], alphas, identities, seed, size, beyond)
    else:
        edited_pictures.check_folder(out, size, beyond)
        edited_pictures.folder(out, source, names, alphas, identities, seed)


def _years(text: str) -> list[float]:
    try:
        return [float(age) for age in text.split(",")]
    except ValueError:
        raise ConfigError(f"--ages takes numbers with commas between them, got '{text}'") from None


def _settings(given: Sequence[str] | None) -> list[tuple[str, str]]:
    for text in given or ():
        if "=" not in text:
            raise ConfigError(f"-p takes KEY=VALUE, got '{text}'")
    return [(key, value) for key, _, value in (text.partition("=") for text in given or ())]


def _paper(name: str | None) -> str | None:
    return name if name is None else choose("paper", name.lower(), PAPERS)


def _aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """A plain table with aligned columns, headed by the keys; a dash where there is nothing."""
    if not rows:
        return "nothing"
    lines = [list(rows[0]), *([str(value or "-") for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _here(path: Path) -> Path:
    """The path as seen from the working folder, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(line: str) -> None:
    typer.echo(line, err=True)


if __name__ == "__main__":
    app()
