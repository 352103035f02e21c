"""Commands over networks: train, evaluate, embed, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from aifr_lib.cli.common import (
    AsJson,
    Device,
    PresetName,
    Settings,
    SkipBad,
    aligned,
    changed,
    first_process,
    key_values,
    name_records,
    refuse_srun,
    say,
)
from aifr_lib.names import ConfigError, choose
from aifr_lib.settings.presets import load_preset


def train(
    recipe: Annotated[str, typer.Argument(help="What to train, such as recognition.")],
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, log and weights.")],
    preset: PresetName = "smoke",
    parameter: Settings = None,
    data: Annotated[str | None, typer.Option(help="Your own pictures: a name, a folder, .rec, list or .csv.")] = None,
    init: Annotated[Path | None, typer.Option(help="Weights to go on from: a state dict. With --data.")] = None,
    val: Annotated[str | None, typer.Option(help="Pictures of people to set thresholds on. With --data.")] = None,
    device: Device = None,
    compile: Annotated[bool, typer.Option("--compile", help="Fuse the network by torch.compile.")] = False,
    sharded: Annotated[
        bool, typer.Option("--sharded", help="Share the people of the head out over the processes.")
    ] = False,
    sampled: Annotated[
        float | None, typer.Option(help="With --sharded: the share of the people in each step's softmax.")
    ] = None,
) -> None:
    """Train one network by a recipe: with the preset's settings, as you change them.

    The learning rate of recognition is that of the preset's α sweep for the α
    asked for, unless -p lr=RATE gives another. A student of distillation is the
    first of the preset's ledger in the mode asked for; its teachers are trained
    first, below its folder. What draws faces writes sheets of them on the way,
    below OUT/sheets. Stopped or killed, a training
    goes on where it was when the same command is given again; on a CPU the
    checksum is then that of an uninterrupted training.

    --sharded is for more people than one process has memory for: of recognition,
    each process keeps the rows of the head of some. A checkpoint goes on with
    any number of processes.

    [bold]Your own pictures[/bold]: with --data, photographs are aligned, people are held
    out, the weights of --init get a new head and are trained further, and
    OUT/report.html says from which cosine on two pictures are one person. The
    preset plays no part; -p sets held_out, head_epochs, train.epochs and others.

    \b
    [bold]Examples[/bold]
      aifr train recognition --preset smoke --out runs/first
      aifr train recognition --preset lesson -p alpha=0.4 -p seed=1 --out runs/b
      aifr train recognition -p loss=cosface -p relief.span=wide --out runs/w
      aifr train age_estimation --preset lesson --out runs/ages
      aifr train distillation -p mode=ad_last -p train.lr=0.05 --out runs/student
      aifr train mtlface -p synthesis.condition=one_hot --out runs/ageing
      aifr train ipcgan --preset lesson --out runs/ipcgan
      torchrun --nproc-per-node 2 -m aifr_lib.cli train recognition --out runs/two
      torchrun --nproc-per-node 8 -m aifr_lib.cli train recognition \\
        --preset paper -p data=ms1mv2 --sharded --sampled 0.1 --out runs/eight
      aifr train recognition --data photographs --init r50.pth --out runs/own
    """
    from aifr_lib.reporting.scripts import literal
    from aifr_lib.training.engine import NonFiniteLoss
    from aifr_lib.training.recipes import RECIPES

    refuse_srun()
    chosen = choose("recipe", recipe, RECIPES)
    given: dict[str, Any] = {key: literal(value) for key, value in key_values(parameter)}
    more = {}
    if sharded or sampled is not None:
        if recipe != "recognition" or data is not None or not sharded:
            raise ConfigError("--sharded goes with the recipe recognition on a named set, and --sampled with --sharded")
        more = {"sampled": 1.0 if sampled is None else sampled}
    if data is not None:
        if recipe != "recognition":
            raise ConfigError(f"--data goes with the recipe recognition, not with {recipe}")
        from aifr_lib.cli.own import train_on

        train_on(data, out, given, init, val, device, compile)
        return
    if init is not None or val is not None:
        raise ConfigError(f"--{'val' if init is None else 'init'} goes with --data: name the pictures to train on")
    settings = changed(chosen.settings, chosen.start(load_preset(preset), given).model_dump(), given)
    try:
        trained = chosen.train(settings, out, device=device, compile=compile, **more)
    except NonFiniteLoss as error:
        raise ValueError(str(error)) from error
    if first_process():
        typer.echo(f"weights   {trained.weights}\nchecksum  {trained.checksum}")


def evaluate(
    data: Annotated[
        str | None, typer.Option(help="relief, a name of 'aifr data list', a folder, .rec, .bin or image list.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A network: state dict, ONNX or TorchScript.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Without a file: sface, pixels or tour.")] = None,
    protocol: Annotated[str | None, typer.Option(help="One of those below (default: the first that fits).")] = None,
    pairs: Annotated[Path | None, typer.Option(help="pairs.txt or .csv; template pairs of IJB.")] = None,
    distractors: Annotated[Path | None, typer.Option(help="Distractors: megaface, pictures, or features .npy.")] = None,
    media: Annotated[Path | None, typer.Option(help="IJB's list of picture, template, media.")] = None,
    far: Annotated[list[float] | None, typer.Option(help="Set a threshold at this false accept rate; repeat.")] = None,
    layout: Annotated[str | None, typer.Option(help="Names of the state dict's keys (default: found).")] = None,
    size: Annotated[str | None, typer.Option(help="The network's input, such as 112x96.")] = None,
    colour: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None,
    mean: Annotated[str | None, typer.Option(help="Taken from levels 0-255: 127.5 or three.")] = None,
    std: Annotated[str | None, typer.Option(help="Levels are divided by it: 128 or three.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Add the mirrored picture's embedding.")] = None,
    board: Annotated[bool, typer.Option("--board", help="Add the network's row to the leaderboard.")] = False,
    name: Annotated[str | None, typer.Option(help="With --board: what the row is called.")] = None,
    licence: Annotated[str | None, typer.Option(help="With --board: of the weights.")] = None,
    preset: PresetName = "smoke",
    device: Device = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Measure how well a network tells people apart, with intervals.

    Photographs are aligned first, unless all are crops (112×112) already. A file of
    weights may have a card beside it, FILE.yaml, that says what --size,
    --colour, --mean, --std and --flip say here; known layouts need none.

    --board measures at size classroom on relief faces, ORL and FG-NET, or on the
    one that --data names, and writes a row into figures/board/board.json. A set
    that is not here is left out, and said.

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
      aifr evaluate --board --weights r50.pth --name "R50" --licence MIT
      aifr evaluate --weights runs/first/weights.safetensors --data relief
      aifr evaluate --weights r50.pth --data agedb_30.bin --far 0.01
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
    if data is None and not board:
        raise ConfigError("say --data: relief, a name of 'aifr data list', or a path")
    if not board and (name or licence):
        raise ConfigError("--name and --licence belong to --board")
    settings = load_preset("classroom" if board else preset)
    given: dict[str, Any] = {"layout": layout, "input_hw": _size(size), "colour": colour, "flip": flip}
    given |= {"mean": _levels("--mean", mean), "std": _levels("--std", std)}

    card = {key: value for key, value in given.items() if value is not None}
    if board:
        if protocol or pairs or distractors or media or far or skip_bad:
            raise ConfigError("the board has its own protocols: leave out --protocol, --pairs and what goes with them")
        _add_to_board(weights or str(backbone), settings, data, name, licence, card, device)
        return

    from aifr_lib.experiments.measure.evaluate import evaluate as measure
    from aifr_lib.experiments.measure.questions import Question

    question = Question(str(data), protocol, pairs, distractors, media, skip_bad)
    found = measure(weights or str(backbone), question, preset=settings, given=card, fars=far or (), device=device)
    if not first_process():
        return
    if as_json:
        typer.echo(json.dumps([row.model_dump(mode="json") for row in found.rows], indent=1))
        return
    _say_network(found.embedder)
    say(f"{found.pictures} pictures" + (f" of {found.people} people" if found.people else ""))
    name_records("no face found, centre-cropped", found.missed)
    name_records("unreadable, left out", found.bad)
    typer.echo(aligned([_measured_row(row) for row in found.rows]))


def embed(
    data: Annotated[str, typer.Option(help="A name of 'aifr data list', a folder, .rec, .bin or image list.")],
    out: Annotated[Path, typer.Option(help="The .npy file to write.")],
    weights: Annotated[Path | None, typer.Option(help="A network: state dict, ONNX or TorchScript.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Without a file: sface, pixels or tour.")] = None,
    preset: PresetName = "smoke",
    device: Device = None,
) -> None:
    """Write the embeddings of pictures to a .npy file, a row a picture.

    Done once for a million distractors, it serves 'aifr evaluate --distractors'
    each time after. A network is fed as its card, FILE.yaml, says. What made
    the file is noted in OUT.yaml, and another network's are refused.

    \b
    [bold]Examples[/bold]
      aifr embed --weights r50.pth --data megaface --out megaface.npy
      aifr embed --backbone sface --data ./crops --out crops.npy
    """
    if (weights is None) == (backbone is None):
        raise ConfigError("say either --weights FILE or --backbone NAME")

    from aifr_lib.experiments.measure.evaluate import write_embeddings

    count, width = write_embeddings(weights or str(backbone), data, out, preset=load_preset(preset), device=device)
    if first_process():
        typer.echo(f"{count} embeddings of {width} numbers in {out}")


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

    from aifr_lib.experiments.measure import embedders

    preset = load_preset("smoke")
    network = embedders.load(weights, preset)
    _say_network(network)
    away, pictures = embedders.export(network, out, preset)
    typer.echo(f"{out} and {out}.yaml; on {pictures} 1 − cosine to torch ≤ {away:.1g}")


def _add_to_board(
    network: str | Path,
    preset: Any,
    data: str | None,
    name: str | None,
    licence: str | None,
    card: dict[str, Any],
    device: str | None,
) -> None:
    from aifr_lib.experiments.measure import board

    asked = None if data is None else [data]
    row = board.entry(network, preset, name=name, licence=licence, data=asked, given=card, device=device)
    if not first_process():
        return
    board.add(row)
    for one, why in row.missing.items():
        say(f"not measured on {one}: {why}")
    overall = (one for one in row.rows if one.keys["gap"] == "all")
    typer.echo(aligned([{"data": "", "pairs": "", **_measured_row(one)} for one in overall]))
    typer.echo(f"the row '{row.name}' is in {board.BOARD}")


def _say_network(embedder: Any) -> None:
    say(f"{embedder.about}: {embedder.card}" if embedder.card else embedder.about)
    if embedder.left_out:
        more = f" and {len(embedder.left_out) - 3} more" if len(embedder.left_out) > 3 else ""
        say(f"left out, being no part of the network: {', '.join(embedder.left_out[:3])}{more}")


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


def _measured_row(row: Any) -> dict[str, Any]:
    ends = row.measured.ci95
    digits = 3 if row.metric.startswith("threshold") else 2  # a cosine, not a percentage
    return {
        **row.keys,
        "metric": row.metric,
        "value": f"{row.measured.mean:.{digits}f}" if ends else f"{row.measured.mean:g}",
        "95 % interval": f"{ends[0]:.{digits}f} – {ends[1]:.{digits}f}" if ends else "",
    }
