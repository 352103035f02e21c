"""What the networks of AAD are made of: parameters, maps, multiply-adds (Fig. 2); what each distance sees (Table I)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.sizes import NOTHING, count, multiply_adds
from aifr_lib.losses import distillation as losses
from aifr_lib.models import build
from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import percent, say
from aifr_lib.reporting.rows import Measured, Row, in_words
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

RECIPE, RECIPE_VERSION = "networks", 1
PUBLISHED = {"iresnet90": 512, "mobilenetv1": 512, "mobilenetv2": 256, "mobilefacenet": 512, "mobilefacenet-r": 512}
PRINTED = {"iresnet90": "R90", "mobilenetv1": "MV1", "mobilenetv2": "MV2", "mobilefacenet": "MFN",
           "mobilefacenet-r": "MFNR"}  # fmt: skip
AGE = "age estimator"
SIZE = (112, 112)
NAMES = {"kd": "logits (KD)", "l2": "ℓ2", "ad": "angle"}


def networks_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run, of the published sizes, whatever the preset: nothing is trained."""
    values = {"networks": PUBLISHED, "input_hw": list(SIZE)}
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=NOTHING)
    return {"networks": Job(spec, lambda folder: compute(), leaves=())}


def compute() -> Result:
    """summary, by network: parameters, multiply-adds of a picture, shape of each stage's map; and ``distances``: by
    distance, the loss of features twice as long and of features turned by 10°, over that of unrelated features.
    """
    started = time.perf_counter()
    found: dict[str, Any] = {}
    with torch.device("meta"):
        for name, embedding in PUBLISHED.items():
            network = build(name, input_hw=SIZE, embedding=embedding).eval()
            maps = [list(one.shape[1:]) for one in network.stage_maps(torch.zeros(1, 3, *SIZE))]
            found[name] = {"maps": maps, "multiply_adds": multiply_adds(network, SIZE), "parameters": count(network)}
        estimator = AgeEstimator(SIZE).eval()
        masks = [list(one.shape[1:]) for one in estimator.masks(torch.zeros(1, 3, *SIZE))]
        found[AGE] = {"maps": masks, "multiply_adds": multiply_adds(estimator, SIZE), "parameters": count(estimator)}
    return Result({}, {"networks": found, "distances": distances()}, "cpu", time.perf_counter() - started)


def distances() -> dict[str, dict[str, float]]:
    """What moves each distance: the teacher's feature twice as long, or turned by 10°, over an unrelated feature.

    >>> found = distances()
    >>> found["ad"]["longer"], found["l2"]["longer"] > 0.3
    (0.0, True)
    """
    generator = torch.Generator().manual_seed(0)
    one, other, aside = torch.randn(3, 256, 128, generator=generator, dtype=torch.float64)
    classes = torch.randn(128, 50, generator=generator, dtype=torch.float64)
    aside = aside - (aside * one).sum(1, keepdim=True) / one.square().sum(1, keepdim=True) * one
    aside = aside * one.norm(dim=1, keepdim=True) / aside.norm(dim=1, keepdim=True)
    turned = math.cos(math.radians(10)) * one + math.sin(math.radians(10)) * aside

    def logits(teacher: Tensor, student: Tensor) -> Tensor:
        return losses.logit_loss(teacher @ classes, student @ classes)

    of = {"kd": logits, "l2": losses.l2_loss, "ad": losses.angular_loss}
    return {
        name: {
            what: round(float(away(one, given) / away(one, other)), 6)
            for what, given in {"longer": 2 * one, "turned": turned}.items()
        }
        for name, away in of.items()
    }


def fig2_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Parameters beside the printed ones, and multiply-adds, by network."""
    found = runs["networks"].summary["networks"] if runs else {}
    for name in (*PUBLISHED, AGE):
        beside = {}
        if name in PRINTED:
            variant = "teacher" if name == "iresnet90" else "self"
            millions = papers.value("aad_table2", {"backbone": PRINTED[name], "variant": variant}, "params_M")
            assert isinstance(millions, int | float)
            beside = {"paper": 1e6 * millions, "paper_source": "Table II: parameters, to two digits of millions"}
        for metric, scale, printed in (("parameters", 1.0, beside), ("multiply_adds", 1e-6, {})):
            measured = Measured(mean=scale * found[name][metric]) if found else None
            yield Row(keys={"network": name}, metric=metric, measured=measured, **printed)


def table1_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """What Table I says in words of three of its rows: which changes of a feature a distance sees."""
    found = runs["networks"].summary["distances"] if runs else {}
    for name, what in itertools.product(NAMES, ("longer", "turned")):
        measured = Measured(mean=found[name][what]) if found else None
        yield Row(keys={"distance": NAMES[name], "feature": what}, metric="loss over that of an unrelated feature",
                  measured=measured)  # fmt: skip


def sized_like(printed: int, tolerance: float = 0.0013) -> list[dict[str, tuple[int, ...]]]:
    """MobileFaceNets whose stages have 64, 128, 256 and 512 channels and about ``printed`` parameters.

    Hidden channels of the strided and of the residual bottlenecks of stages 2 to 4 are 64, 128, 256 or 512, units 4, 6
    and 2; with a wide last convolution (512) or none. Any may be MobileFacenet-R: the count does not say which.
    """
    widths, units, found = (64, 128, 256, 512), (4, 6, 2), []
    for strided in itertools.product((64, 128, 256, 512), repeat=3):
        for residual in itertools.product((64, 128, 256, 512), repeat=3):
            for wide in (False, True):
                total = 3 * 9 * 64 + 3 * 64 + 9 * 64 + 3 * 64
                for stage in range(3):
                    total += bottleneck_count(widths[stage], strided[stage], widths[stage + 1])
                    total += units[stage] * bottleneck_count(widths[stage + 1], residual[stage], widths[stage + 1])
                total += wide * (512 * 512 + 3 * 512) + 49 * 512 + 2 * 512 + 512 * 512 + 512 + 2 * 512
                if abs(total / printed - 1) <= tolerance:
                    found.append({"strided": strided, "residual": residual, "last": (512,) if wide else ()})
    return found


def bottleneck_count(inputs: int, hidden: int, outputs: int) -> int:
    """Parameters of a ``Bottleneck``.

    >>> from aifr_lib.models.mobilefacenet import Bottleneck
    >>> bottleneck_count(64, 128, 64) == count(Bottleneck(64, 128, 64, stride=1))
    True
    """
    return inputs * hidden + 3 * hidden + 9 * hidden + 3 * hidden + hidden * outputs + 2 * outputs


def framework_figure(artefact: Artefact) -> Figure:
    """Fig. 2 redrawn: what each teacher tells the student, and at which of its stages."""
    figure, axis = plt.subplots(figsize=(9.5, 4.6))
    lines = {"age teacher Tᴬ": 2.6, "student": 1.3, "recognising teacher Tᴿ": 0.0}
    colours = dict(zip(lines, (plots.PALETTE[2], plots.PALETTE[0], plots.PALETTE[1]), strict=True))
    for (name, y), number in itertools.product(lines.items(), range(5)):
        last = {"age teacher Tᴬ": "age", "student": "embedding", "recognising teacher Tᴿ": "embedding"}[name]
        label = f"stage {number + 1}" if number < 4 else last
        axis.add_patch(
            FancyBboxPatch((2.1 * number, y), 1.5, 0.6, boxstyle="round,pad=.05", fc=colours[name], alpha=0.3)
        )
        axis.text(2.1 * number + 0.75, y + 0.3, label, ha="center", va="center", fontsize=9)
        if number:
            axis.add_patch(FancyArrowPatch((2.1 * number - 0.5, y + 0.3), (2.1 * number - 0.08, y + 0.3),
                                           arrowstyle="->", mutation_scale=10, color="0.4"))  # fmt: skip
    for name, y in lines.items():
        axis.text(-0.25, y + 0.3, name, ha="right", va="center", color=colours[name], fontsize=10)
    for number in range(5):
        x = 2.1 * number + 0.75
        if number != 3:
            # What a stage of the student made is finished by the teacher's next stages; its embedding is compared.
            end = x + (1.6 if number < 3 else 0.0)
            axis.add_patch(FancyArrowPatch((x, 1.2), (end, 0.72), arrowstyle="->", mutation_scale=12, color="0.25"))
            name = f"L{number + 1}, eq. 9" if number < 3 else "L4, eq. 7"
            axis.text((x + end) / 2 + 0.12, 0.99, name, fontsize=8, va="center")
        if 1 <= number <= 3:
            axis.add_patch(FancyArrowPatch((x, 2.5), (x, 2.02), arrowstyle="->", mutation_scale=12, color="0.25"))
            axis.text(x + 0.06, 2.26, f"Â{number + 1}, eq. 5", fontsize=8, va="center")
    axis.set(xlim=(-2.6, 10.1), ylim=(-0.3, 3.5))
    axis.axis("off")
    figure.tight_layout()
    return figure


def found(artefact: Artefact) -> str:
    """How near the networks, built from their descriptions, come to the printed sizes."""
    away = {
        in_words(row.keys["network"]): abs(row.measured.mean / row.paper - 1)
        for row in artefact.rows
        if row.metric == "parameters" and row.measured and row.paper
    }
    if not away:
        return ""
    near, worst = [name for name, part in away.items() if part < 0.01], max(away, key=away.__getitem__)
    return say(
        {"near": len(near), "all": len(away), "worst": worst, "part": percent(away[worst], 1)},
        (True, "Built from their descriptions, {near} of {all} networks have the printed number of parameters to"),
        (True, "within a hundredth."),
        (len(near) < len(away), "{worst} is furthest from it, by {part}."),
    )


FIG2 = Experiment(
    "aad_fig2", networks_jobs, fig2_rows, lambda artefact, _: framework_figure(artefact), kind="diagram",
    found=found, shape=Shape(down=("network",), across=(METRIC,)),
)  # fmt: skip
TABLE1 = Experiment(
    "aad_table1",
    networks_jobs,
    table1_rows,
    kind="settings",
    shape=Shape(down=("distance",), across=("feature",), names={"angle": "angle"}),
)
