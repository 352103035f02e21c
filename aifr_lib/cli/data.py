"""The commands ``aifr data …``: look at, check, convert and index the files that data sets come in."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COLOURS = {"complete": typer.colors.GREEN, "damaged": typer.colors.RED, "other counts": typer.colors.YELLOW}
DataPath = Annotated[Path, typer.Argument(help="A .rec, .bin, list, pairs or feature file, or a folder.")]


@app.callback()
def data() -> None:
    """Data sets, by name and as files: .rec and .bin, lists, pairs, MegaFace, IJB.

    No mxnet is needed, and nothing in a file is ever executed. What a path
    holds is seen from its content.

    \b
    [bold]Examples[/bold]
      aifr data list
      aifr data check fgnet
      aifr data inspect faces_emore/train.rec
      aifr data check faces_emore
      aifr data convert photographs train.rec
      aifr data index faces_emore
    """


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """The papers' data sets: which are here and whole, what stands in for the rest.

    They are looked for under AIFR_DATA, each in the folder of its name. Pictures
    are listed, not decoded: 'aifr data check NAME' does that. Counts are held
    against the published ones.

    \b
    [bold]Examples[/bold]
      aifr data list
      AIFR_DATA=~/data aifr data list --json
    """
    from aifr_lib.data import named
    from aifr_lib.data.named.table import table

    rows = []
    for entry in table().values():
        state, detail = named.state(entry)
        rows.append(
            {
                "name": entry.name,
                "state": state,
                "detail": detail,
                "from": entry.obtained,
                "expected": entry.place,
                "stands in": entry.stand_in,
            }
        )
        if not as_json:
            text = detail or f"stands in: {entry.stand_in}"
            typer.secho(f"{entry.name:15}{state:14}{text}", fg=COLOURS.get(state), dim=state == "absent")
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    missing = [row for row in rows if row["state"] == "absent"]
    if missing:
        typer.echo(f"\n{len(missing)} are not here. Where they come from:")
    for row in missing:
        typer.echo(f"  {row['name']}: {row['from']}\n    expected: {row['expected']}")


@app.command()
def inspect(
    path: DataPath,
    first: Annotated[int, typer.Option(min=0, help="How many entries to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Kind, counts, sizes and the first entries.

    \b
    [bold]Examples[/bold]
      aifr data inspect faces_emore/train.rec
      aifr data inspect lfw.bin --first 2
      aifr data inspect pairs.txt --json
    """
    from aifr_lib.data.sets.describe import describe

    found = describe(path, first=first)
    if as_json:
        typer.echo(json.dumps({**found.facts, "first": found.rows}, indent=1, ensure_ascii=False, default=str))
        return
    width = max(map(len, found.facts))
    for name, value in found.facts.items():
        typer.echo(f"{name.ljust(width)}  {value}")
    for row in found.rows:
        typer.echo("  " + "  ".join(f"{name} {value}" for name, value in row.items() if value != ""))


@app.command()
def check(
    paths: Annotated[list[str], typer.Argument(help="Names of data sets, files or folders; each is checked.")],
    splits: Annotated[bool, typer.Option("--splits", help="They are splits of one set: nobody may be in two.")] = False,
    pictures: Annotated[Path | None, typer.Option(help="Folder of the pictures that a list of pairs names.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Print at most so many faults of a path.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Find all faults in one pass; exit with 1 if there are any.

    A name of 'aifr data list' is looked for under AIFR_DATA; all else is a path
    (./lfw where a folder has the name of a set). Counts other than the published
    ones are a warning and no fault. Every record is read and every picture decoded. A fault names the file,
    the record or line in it, and what was expected. Several feature files
    must have one dimension; IJB's pairs are held against its templates.

    \b
    [bold]Examples[/bold]
      aifr data check fgnet
      aifr data check faces_emore/train.rec
      aifr data check train test --splits
      aifr data check pairs.txt --pictures lfw
      aifr data check features/*.bin
    """
    from aifr_lib.data import named
    from aifr_lib.data.formats.faults import Doubt
    from aifr_lib.data.named.table import table
    from aifr_lib.data.sets.check import check as faults_of
    from aifr_lib.data.sets.check_together import check_splits, check_together, kind_or_none
    from aifr_lib.names import ConfigError, nearest

    known = table()
    for one in paths:
        if one not in known and not (one and Path(one).exists()):
            raise FileNotFoundError(f"no data set at '{one}'{nearest(one, known)}")
    if splits and (names := [one for one in paths if one in known]):
        raise ConfigError(f"--splits compares folders, lists and .rec files: name the path of {names[0]}, not its name")
    if pictures is not None and not any(one not in known and kind_or_none(one) == "pairs" for one in paths):
        raise ConfigError("--pictures goes with a list of pairs, and none is among what is to be checked")
    streams = [(one, named.faults(one) if one in known else faults_of(one, pictures=pictures)) for one in paths]
    files = [one for one in paths if one not in known]
    if len(files) > 1:
        streams.append(("together", check_together(files)))
    if splits:
        streams.append(("splits", check_splits(files)))
    count, shown = 0, []
    for name, faults in streams:
        for fault in islice(faults, most):
            doubt = isinstance(fault, Doubt)
            count += not doubt
            shown.append({"file": str(fault.path or name), "record": fault.record, "problem": fault.problem})
            if not as_json:
                typer.echo(f"warning: {fault}" if doubt else str(fault))
        rest = [isinstance(fault, Doubt) for fault in faults]
        if rest:
            count += len(rest) - sum(rest)
            typer.echo(f"{name}: and {len(rest)} more", err=True)
    if as_json:
        typer.echo(json.dumps(shown, indent=1, ensure_ascii=False))
    typer.secho(
        f"{count} fault{'s'[: count > 1]}" if count else "no faults", fg=typer.colors.RED if count else None, err=True
    )
    if count:
        raise typer.Exit(1)


@app.command()
def convert(
    source: DataPath,
    target: Annotated[Path, typer.Argument(help="NAME.rec, NAME.bin, NAME.txt (a list), or a folder.")],
    pairs: Annotated[Path | None, typer.Option(help="For a .bin: pairs.txt, or a .csv of pairs.")] = None,
    jpeg: Annotated[int | None, typer.Option(min=1, max=100, help="Encode what is no JPEG at this quality.")] = None,
) -> None:
    """Store the same pictures in another way: folder, .rec, .bin or list.

    Encoded pictures are copied byte by byte; nothing is lost. In a .rec the
    people are numbered 0, 1, … in the order of their numbers or names. A
    folder that was begun is gone on with; files appear whole or not at all.

    \b
    [bold]Examples[/bold]
      aifr data convert photographs train.rec
      aifr data convert train.rec photographs
      aifr data convert lfw lfw.bin --pairs pairs.txt
      aifr data convert agedb_30.bin agedb_30
      aifr data convert photographs photographs/list.txt
    """
    from aifr_lib.data.sets.convert import convert as write

    written = write(source, target, pairs=pairs, jpeg=jpeg)
    typer.echo(f"{written.pictures} pictures in {written.path}")


@app.command()
def features(
    kit: Annotated[Path, typer.Argument(help="A list of MegaFace's development kit (JSON).")],
    folder: Annotated[Path, typer.Argument(help="Where the feature files lie that it names.")],
    out: Annotated[Path, typer.Argument(help="The .npy file to write.")],
    suffix: Annotated[str, typer.Option(help="What a feature file's name has behind the picture's.")] = "",
) -> None:
    """Put MegaFace's feature files, one a picture, into one .npy file.

    'aifr evaluate --distractors' takes it. The order is that of the list. All
    files must be there and of one dimension.

    \b
    [bold]Examples[/bold]
      aifr data features megaface_features_list.json_1000000_1 features \\
        megaface.npy --suffix _r50.bin
    """
    from aifr_lib.data.formats.megaface import read_list, stack_features

    paths, _ = read_list(kit)
    array = stack_features(folder, paths, out, suffix=suffix)
    typer.echo(f"{array.shape[0]} features of {array.shape[1]} numbers in {out}")


@app.command()
def balance(
    source: DataPath,
    out: Annotated[Path, typer.Option(help="Folder for the review, then for the balanced set.")],
    corrected: Annotated[Path | None, typer.Option(help="The review's .csv, corrected: balance by it.")] = None,
    shown: Annotated[int, typer.Option(min=0, help="How many of the least certain the review shows.")] = 200,
    per_cell: Annotated[
        int | None, typer.Option(min=1, help="Pictures of each age group and gender (default: the fewest).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which pictures are drawn.")] = 0,
) -> None:
    """Make a balanced set out of any pile of faces, as MTLFace's was made.

    First, ages and genders are estimated by a packaged judge; OUT/review.html
    shows the least certain and all under 20, and OUT/review.csv holds a line a
    picture. Correct its last two columns and give it back with --corrected: then
    as many pictures of each age group and gender are drawn, and OUT/list.txt,
    the crops beside it and OUT/report.csv are written.

    \b
    [bold]Examples[/bold]
      aifr data balance photographs --out balanced
      aifr data balance photographs --out balanced \\
        --corrected balanced/review.csv --seed 1
    """
    from aifr_lib.experiments.mtlface import building

    if corrected is None:
        reviewed = building.review(source, out, shown)
        typer.echo(f"{reviewed.pictures} pictures in {reviewed.table}, {reviewed.shown} of them in {reviewed.page}")
        typer.echo("correct its last two columns, then give it back with --corrected")
        return
    report = building.balanced(source, out, corrected, per_cell=per_cell, seed=seed)
    typer.echo(report.to_string(index=False))
    typer.echo(f"{int(report['taken'].sum())} pictures in {out / building.LIST}")


@app.command()
def index(path: DataPath) -> None:
    """Scan a .rec, a list or a folder once, so that it opens at once later.

    Whatever reads a data set makes the index it lacks; this makes it ahead.
    It lies in the cache (AIFR_CACHE) and is made again when a file changes.

    \b
    [bold]Examples[/bold]
      aifr data index faces_emore
      aifr data index ms1m/list.txt
    """
    from aifr_lib.data.formats import index as indices
    from aifr_lib.data.sets import SCANS, kind_of, rec_of, scanned

    kind = kind_of(path)
    if kind not in SCANS:
        raise ValueError(f"{path} is of kind '{kind}', which is read without an index ({', '.join(SCANS)} have one)")
    path = rec_of(path) if kind == "rec" else path
    table = scanned(path, kind)
    typer.echo(f"{table.num_rows} pictures in {indices.path_of(kind, path)}")
