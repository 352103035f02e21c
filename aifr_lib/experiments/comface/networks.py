"""ComFace's networks (Fig. C) and its settings (Tables B to G): what our modules are, beside what is printed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from aifr_lib.experiments.comface.measured import WORDS
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.sizes import NOTHING, count, multiply_adds
from aifr_lib.models.comface import Comparer, projection
from aifr_lib.models.encoders import encoder
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Key, Measured, Row
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface
from aifr_lib.settings.presets import Preset, load_preset

RECIPE, RECIPE_VERSION = "comface_networks", 1
NETWORKS = ("resnet18", "resnet50", "resnet101", "vit-b-16")
SIDE = 224
PARTS = {"encoder": "f, the encoder", "projection": "g, the projection", "linear": "the linear layer"}
SETTINGS: dict[Key, str] = {
    "batch": "batch size", "side": "side of a picture, pixels", "epochs, linear": "epochs of the linear layer alone",
    "mirrored, p": "probability that a picture is mirrored", "jitter, p": "probability that its colours are jittered",
    "grey, p": "probability that it is made grey", "brightness": "largest change of brightness",
    "contrast": "largest change of contrast", "saturation": "largest change of saturation",
    "hue": "largest change of hue", "crop, least share": "least share of the area in a crop",
    "crop, largest share": "largest share of the area in a crop", "paper": "our preset with the paper's sizes",
    "smoke": "our preset smoke", "lesson": "our preset lesson", "classroom": "our preset classroom",
}  # fmt: skip
BACKBONES = {"ResNet50": "resnet50", "ViT-B/16": "vit-b-16"}


def networks_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run, of the paper's sizes, whatever the preset: nothing is trained."""
    values = {"networks": list(NETWORKS), "side": SIDE}
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=NOTHING)
    return {"networks": Job(spec, lambda folder: compute(), leaves=())}


def compute() -> Result:
    """summary, by network: parameters of each part, numbers in a feature, multiply-adds of a picture."""
    started = time.perf_counter()
    found: dict[str, Any] = {}
    with torch.device("meta"):
        for name in NETWORKS:
            comparer = Comparer(encoder(name, SIDE)).eval()
            width = comparer.encoder.features
            parts = {"encoder": comparer.encoder, "projection": projection(width), "linear": comparer.linear}
            found[name] = {
                "features": width,
                "parameters": {part: count(module) for part, module in parts.items()},
                "multiply_adds": multiply_adds(comparer.encoder, (SIDE, SIDE)),
            }
    return Result({}, {"networks": found}, "cpu", time.perf_counter() - started)


def figc_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Parameters of each part, and multiply-adds, by network."""
    found = runs["networks"].summary["networks"] if runs else {}
    for name in NETWORKS:
        for part, words in PARTS.items():
            value = Measured(mean=found[name]["parameters"][part]) if found else None
            yield Row(keys={"network": name, "part": words}, metric="parameters", measured=value)
        value = Measured(mean=found[name]["multiply_adds"] / 1e6) if found else None
        yield Row(keys={"network": name, "part": PARTS["encoder"]}, metric="multiply_adds", measured=value)


def figc_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """Both ways of learning over one encoder, with the shapes and numbers of ResNet-50's modules."""
    found = runs["networks"].summary["networks"]["resnet50"]
    width, parameters = found["features"], found["parameters"]
    figure, axis = plt.subplots(figsize=(10, 4.2))

    def box(x: float, y: float, text: str, number: int, wide: float = 1.7) -> None:
        style = {"boxstyle": "round,pad=.06", "fc": plots.PALETTE[number], "alpha": 0.3, "lw": 0}
        axis.add_patch(FancyBboxPatch((x, y), wide, 0.7, **style))
        axis.text(x + wide / 2, y + 0.35, text, ha="center", va="center", fontsize=9)

    def arrow(x: float, y: float, to_x: float, to_y: float) -> None:
        axis.add_patch(FancyArrowPatch((x, y), (to_x, to_y), arrowstyle="->", mutation_scale=11, color="0.35"))

    for y, name in ((2.2, "x"), (0.6, "y")):
        box(0, y, f"face {name}\n3 × 224 × 224", 7)
        box(2.4, y, f"encoder f\n{parameters['encoder'] / 1e6:.1f} M", 0)
        box(4.8, y, f"$h_{name}$\n{width}", 2, 1.3)
        arrow(1.78, y + 0.35, 2.32, y + 0.35)
        arrow(4.18, y + 0.35, 4.72, y + 0.35)
    axis.annotate("", (3.25, 1.38), (3.25, 2.1), arrowprops={"arrowstyle": "<->", "color": "0.5"})
    axis.text(3.35, 1.74, "one and the same", fontsize=8, va="center", color="0.35")
    box(7.0, 2.6, f"projection g of each, z: 128\n{parameters['projection'] / 1e6:.1f} M", 1, 2.6)
    box(7.0, 0.2, f"w · ($h_y$ − $h_x$), no bias\n{parameters['linear']:,}", 1, 2.6)
    for y in (2.55, 0.95):
        arrow(6.18, y, 6.92, 2.95)
        arrow(6.18, y, 6.92, 0.55)
    axis.text(9.9, 2.95, "inter-personal loss:\nwhose face is it?", fontsize=9, va="center")
    axis.text(9.9, 0.55, "intra-personal loss:\nhow much changed?", fontsize=9, va="center")
    axis.set(xlim=(-0.2, 12.0), ylim=(-0.1, 3.5))
    axis.axis("off")
    figure.tight_layout()
    return figure


def settings_rows(letter: str, preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Each value that Table B, C, D or E prints beside that of our preset "paper" and of this preset.

    Whether they are equal is a test's business: a table and a preset that drift apart fail it.
    """
    for name, printed in printed_values(letter).items():
        for size in dict.fromkeys(("paper", preset.name)):
            ours = our_values(letter, load_preset(size).comface)[name]
            yield Row(
                keys={"setting": name, "size": size}, metric="value",
                measured=None if ours is None else Measured(mean=float(ours)), paper=printed,
                paper_source=f"Table {letter}",
            )  # fmt: skip


def printed_values(letter: str) -> dict[str, float | None]:
    """The numbers of a printed table of settings, by name; None for a crop that Table D does not have."""
    machine = papers.load(f"comface_table{letter}").machine or {}
    changed = machine["augmentation"]
    colour, crop = changed["color_jitter"], changed["random_resized_crop_scale"] or (None, None)
    epochs = {"epochs": machine.get("epochs", machine.get("epochs_finetune"))}
    if "epochs_linear" in machine:
        epochs["epochs, linear"] = machine["epochs_linear"]
    values = {"batch": machine["batch_size"], "learning rate": machine["lr"], **epochs, "side": machine["image_size"]}
    values |= {"mirrored, p": changed["hflip_p"], "jitter, p": colour["p"], "grey, p": changed["grayscale_p"]}
    values |= {name: colour[name] for name in ("brightness", "contrast", "saturation", "hue")}
    return values | {"crop, least share": crop[0], "crop, largest share": crop[1]}


def our_values(letter: str, settings: Comface) -> dict[str, float | None]:
    """The same numbers of one of our presets. Epochs of pre-training: the last stage of the curriculum ends there."""
    plain = settings.pretraining
    if letter == "B":
        changed = plain.augmentation
        values: dict[str, float | None] = {"batch": plain.batch, "learning rate": plain.lr, "epochs": EPOCHS}
    else:
        config = {"C": settings.expression, "D": settings.weight, "E": settings.age}[letter]
        changed = config.augmentation
        one_rate = config.rates[0] if len(config.rates) == 1 else None  # of several the best is taken, by method
        values = {"batch": config.batch, "learning rate": one_rate, "epochs": config.epochs}
    if letter == "C":
        values["epochs, linear"] = settings.linear.epochs
    crop = changed.crop or (None, None)
    values |= {"side": plain.side, "mirrored, p": changed.flip, "jitter, p": changed.jitter, "grey, p": changed.grey}
    values |= {name: getattr(changed, name) for name in ("brightness", "contrast", "saturation", "hue")}
    return values | {"crop, least share": crop[0], "crop, largest share": crop[1]}


EPOCHS = 12.0  # of the curriculum: three to each of its four stages


def methods_rows(letter: str, preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Tables F and G as they are printed, with the parameters of the backbone as it is built here."""
    found = runs["networks"].summary["networks"] if runs else {}
    for row in papers.load(f"comface_table{letter}").rows:
        keys = {str(name): str(value) for name, value in row.items() if value is not None and name != "group"}
        name = BACKBONES.get(keys["backbone"])
        value = Measured(mean=found[name]["parameters"]["encoder"]) if found and name else None
        yield Row(keys=keys, metric="parameters", measured=value)


FIG_C = Experiment(
    "comface_figC", networks_jobs, figc_rows, figc_figure, kind="diagram",
    shape=Shape(down=("network",), across=("part", METRIC), names=WORDS),
)  # fmt: skip
TABLES_BCDE = tuple(
    Experiment(
        f"comface_table{letter}", networks_jobs, partial(settings_rows, letter), kind="settings",
        shape=Shape(down=("setting",), across=("size",), names=SETTINGS),
    )
    for letter in "BCDE"
)  # fmt: skip
TABLES_FG = tuple(
    Experiment(f"comface_table{letter}", networks_jobs, partial(methods_rows, letter), kind="settings")
    for letter in "FG"
)
