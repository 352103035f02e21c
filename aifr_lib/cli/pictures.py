"""Commands over pictures: align photographs, draw faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aifr_lib.cli.common import AsJson, SkipBad, name_records
from aifr_lib.files import atomic_write
from aifr_lib.names import ConfigError, choose


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
    from aifr_lib.data.sets.crops import MISSES, align_folder

    report = align_folder(folder, out, size=size, skip_bad=skip_bad)
    if as_json:
        typer.echo(json.dumps(vars(report), indent=1, default=str))
        return
    before = f" ({report.before} made before)" if report.before else ""
    misses = len(report.missed) + len(report.bad)
    typer.echo(f"{report.written} crops in {report.out}{before}; {report.out / MISSES} lists {misses} misses")
    name_records("no face found, centre-cropped", report.missed)
    name_records("several faces, the foremost taken", report.several)
    name_records("unreadable, left out", report.bad)


def age(
    face: Annotated[Path, typer.Argument(help="An aligned crop, as 'aifr align' writes them.")],
    to: Annotated[float, typer.Option("--to", help="Years: the age group that holds them is drawn.")],
    weights: Annotated[Path, typer.Option(help="What 'aifr train mtlface' (or caae, ipcgan) wrote.")],
    out: Annotated[Path | None, typer.Option(help="The .png to write (default: FACE-YEARS.png beside it).")] = None,
) -> None:
    """Draw a face at another age.

    The picture comes out at the size that the network was trained for.

    \b
    [bold]Examples[/bold]
      aifr age face.png --to 60 --weights runs/ageing/weights.safetensors
    """
    from aifr_lib.experiments.mtlface import ageing

    if out is not None and out.suffix.lower() != ".png":
        raise ConfigError(f"--out must name a .png, got '{out}'")
    typer.echo(ageing.write(face, to, weights, out))


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
        from aifr_lib.experiments.relief.pictures import contact_sheet

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
    from aifr_lib.experiments.generator import edited_pictures
    from aifr_lib.faces.generators.sources import SOURCES

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
