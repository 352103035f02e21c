"""Commands over one's own pictures: train on them, say of two whether they show one person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from aifr_lib.cli.common import AsJson, PresetName, aligned, changed, first_process, name_records, say
from aifr_lib.names import ConfigError
from aifr_lib.settings.presets import load_preset


def train_on(
    data: str,
    out: Path,
    given: dict[str, Any],
    init: Path | None,
    val: str | None,
    device: str | None,
    compile: bool,
) -> None:
    """``aifr train recognition --data``: train, write the page, say the thresholds."""
    from aifr_lib.experiments import own_faces, own_report
    from aifr_lib.settings.own_faces import OwnFaces
    from aifr_lib.training.engine import NonFiniteLoss

    settings = changed(OwnFaces, OwnFaces().model_dump(), given)
    try:
        own = own_faces.fine_tune(data, out, settings, init=init, val=val, device=device, compile=compile)
    except NonFiniteLoss as error:
        raise ValueError(str(error)) from error
    if not first_process():
        return
    page = own_report.write(own)
    name_records("left out", list(own.split.left_out))
    say(own_report.said(own))
    if rows := own_report.threshold_rows(own):
        typer.echo(aligned(rows))
    for line in own_report.not_shown(own):
        typer.echo(line)
    typer.echo(f"weights   {own.weights}\nchecksum  {own.checksum}\nreport    {page}")
    typer.echo(f"two pictures: {own_report.command(own)}")


def compare(
    one: Annotated[Path, typer.Argument(help="A picture of a face.")],
    other: Annotated[Path, typer.Argument(help="Another.")],
    weights: Annotated[Path | None, typer.Option(help="A network: state dict, ONNX or TorchScript.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Without a file: sface, pixels or tour.")] = None,
    threshold: Annotated[float | None, typer.Option(min=-1, max=1, help="Cosine from which they are one.")] = None,
    as_json: AsJson = False,
) -> None:
    """How alike two pictures are, and whether that is one person.

    Both are aligned, unless they are crops (112×112) already. The weights that
    'aifr train recognition --data' wrote bring their thresholds; others need
    --threshold, or the cosine stands alone. A threshold speaks of pictures like
    those it was set on.

    \b
    [bold]Examples[/bold]
      aifr compare ONE.jpg OTHER.jpg --weights runs/own/weights.safetensors
      aifr compare ONE.jpg OTHER.jpg --backbone sface --threshold 0.36
    """
    if (weights is None) == (backbone is None):
        raise ConfigError("say either --weights FILE or --backbone NAME")

    from aifr_lib.experiments.measure.two_pictures import score_two

    found = score_two(one, other, weights or str(backbone), load_preset("smoke"), threshold=threshold)
    if as_json:
        typer.echo(json.dumps(found.said(), indent=1))
        return
    for path, faces in found.several.items():
        say(f"{path} shows {faces} faces; the foremost is taken")
    typer.echo(f"cosine {found.cosine:.3f}")
    for line in found.verdicts():
        typer.echo(line)


def change(
    one: Annotated[Path, typer.Argument(help="A picture of a person.")],
    other: Annotated[Path, typer.Argument(help="Another of the same person.")],
    task: Annotated[str, typer.Option(help="age; where the ledger has them edema-a, edema-b, au6, au12.")] = "age",
    preset: PresetName = "classroom",
    as_json: AsJson = False,
) -> None:
    """What changed between two pictures of one person, how sure that is, and where it is seen.

    The answer is that of ComFace's network, fine-tuned at this size: none is
    shipped, and without one the command names the run that makes it. The
    interval holds the truth for nine new people of ten like those it was
    calibrated on. A region's number is what the answer loses when that region
    is one flat colour in both pictures.

    \b
    [bold]Examples[/bold]
      aifr change 1990.jpg 2020.jpg --task age
      aifr change before.png after.png --task edema-a --json
    """
    settings = load_preset(preset)

    from aifr_lib.experiments.comface.told import tell
    from aifr_lib.experiments.jobs import store_of

    found = tell(one, other, task, settings, store_of(settings))
    for path, faces in found.several.items():
        say(f"{path} shows {faces} faces; the foremost is taken")
    if as_json:
        typer.echo(json.dumps(found.said(), indent=1))
        return
    for line in found.lines():
        typer.echo(line)
