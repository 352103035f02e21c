"""What TML's network is made of (Figs. 2, 5 and 8), and the settings of sections IV-A to IV-C, read off the modules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.sizes import NOTHING, count
from aifr_lib.experiments.tml import diagrams
from aifr_lib.losses import margins
from aifr_lib.models.blocks import cells
from aifr_lib.reporting import papers
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset, load_preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training.recognition import MARGINS, objective

RECIPE, RECIPE_VERSION = "tml_modules", 1
RESNET, MOBILE, HERE = "ResNet100", "MobileFaceNet", "network of this size"
MODULES = "modules"
BATCH = 2  # batch norm wants more than one picture
NOISE = 32  # pictures on which gradients are looked at


def networks(preset: Preset) -> dict[str, Recognition]:
    """The paper's two networks with the branch, as the preset ``paper`` has them, and the one of ``preset``."""
    paper = load_preset("paper")
    alpha = {"alpha": preset.verification.alpha}
    large = paper.verification.training(paper.alpha_sweep, "arcface", True, 0)
    return {
        RESNET: large,
        MOBILE: paper.alpha_sweep.train.model_copy(update=alpha),
        HERE: preset.alpha_sweep.train.model_copy(update=alpha),
    }


def modules_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The one run: nothing is trained, so it has no seeds."""
    named, classes = networks(preset), preset.alpha_sweep.train.relief.train_identities
    values = {name: config.model_dump(mode="json", exclude={"seed"}) for name, config in named.items()}
    held = {"networks": values, "classes": classes}
    spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=held, data=NOTHING)
    return {MODULES: Job(spec, lambda folder: compute(named, classes), leaves=())}


def compute(named: Mapping[str, Recognition], classes: int) -> Result:
    """summary: ``parts`` by network (``parts``), ``variants`` by network (``variants``), and ``gradients`` of the
    network of this size (``gradients``).
    """
    started = time.perf_counter()
    every = {name: parts(config, classes) for name, config in named.items()}
    summary: dict[str, Any] = {
        # A list: a stored summary keeps no order of names.
        "parts": {name: [{"part": part, **one} for part, one in by_part.items()] for name, by_part in every.items()},
        "variants": {name: variants(config, every[name]) for name, config in named.items()},
        "gradients": gradients(named[HERE], classes),
    }
    return Result({}, summary, "cpu", time.perf_counter() - started)


def walked(run: Run, network: str) -> dict[str, dict[str, Any]]:
    """The ``parts`` of a network from the run that holds them, in their order."""
    return {one["part"]: one for one in run.summary["parts"][network]}


def parts(config: Recognition, classes: int) -> dict[str, dict[str, Any]]:
    """By part, in the order of Fig. 5: shape of what it gives for one face, its parameters, its multiply-adds.

    A step of the training is walked through with tensors that have a shape and no content.
    """
    found: dict[str, dict[str, Any]] = {}

    def through(name: str, part: nn.Module, *given: Tensor) -> Tensor:
        with FlopCounterMode(display=False) as counter:
            out: Tensor = part(*given)
        # torch counts a multiply-add as two operations.
        adds = counter.get_total_flops() / 2 / BATCH
        found[name] = {"output": list(out.shape[1:]), "parameters": count(part), "multiply_adds": adds}
        return out

    with FakeTensorMode():
        module = objective(config, classes)
        network, branch, classifier = module.backbone, module.branch, module.classifier
        assert branch is not None and classifier is not None
        maps, labels = torch.zeros(BATCH, 3, *config.input_hw), torch.zeros(BATCH, dtype=torch.int64)
        for number, stage in enumerate(network.stages, 1):
            first = nn.Sequential(network.stem, stage) if number == 1 else stage
            maps = through(f"stage {number}", first, maps)
        features = through("last map O_f", network.last, maps)
        embedding = through("embedding O_ε", Embedding(network), features)
        through("margin head O_Nc", module.head, embedding, labels)
        encoded = through("encoder T_S", Encoded(branch), features)
        mean = encoded.mean(1)
        found["mean T_ε"] = {"output": list(mean.shape[1:]), "parameters": 0, "multiply_adds": 0.0}
        through("linear layer T_Nc", classifier, mean)
    return found


class Embedding(nn.Module):
    """What turns O_f into the embedding (eq. 5), as a module of its own: what is left of a backbone."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.rest = nn.ModuleList(
            part for name, part in network.named_children() if name not in ("stem", "stages", "last")
        )
        self._embed = network.embed

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self._embed(features)
        return out


class Encoded(nn.Module):
    """The tokens before their mean (eqs. 6 and 7), as a module of its own."""

    def __init__(self, branch: Any) -> None:
        super().__init__()
        self.encoder = branch
        self._encode = branch.encode

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self._encode(features)
        return out


def variants(config: Recognition, by_part: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Fig. 8: parameters of the block without anybody to tell apart, and those that each person adds.

    by_part: ``parts`` of the same network.
    """
    (width,) = by_part["mean T_ε"]["output"]
    blocks: dict[str, Callable[[int], nn.Module]] = {
        "b": partial(nn.Linear, width),
        "c": partial(margins.build, config.loss, width),
    }
    each = {"a": 0} | {name: count(block(2)) - count(block(1)) for name, block in blocks.items()}
    encoder = by_part["encoder T_S"]["parameters"]
    return {name: {"parameters": encoder, "parameters_each": more} for name, more in each.items()}


def gradients(config: Recognition, classes: int) -> dict[str, dict[str, float]]:
    """By loss and module, the norm of the loss's weighted gradient there, before any training; 0 where it is cut off.

    Pictures of noise, a batch of at most ``NOISE``, each of another person; ``O_f`` is the last map itself.
    """
    torch.manual_seed(0)
    module = objective(config, classes).train()
    assert module.branch is not None and module.classifier is not None
    images = torch.randn(min(config.batch, NOISE), 3, *config.input_hw)
    labels = torch.arange(len(images)) % classes
    network = module.backbone
    features = network.features(images)
    losses = {
        "margin": (1 - config.alpha) * F.cross_entropy(module.head(network.embed(features), labels), labels),
        "transformer": config.alpha * F.cross_entropy(module.branch_logits(features, labels), labels),
    }
    before = [*network.stem.parameters(), *network.stages.parameters(), *network.last.parameters()]
    held: dict[str, Sequence[Tensor]] = {
        "O_f": [features],
        "convolutions": before,
        "embedding layer": list(Embedding(network).parameters()),
        "margin head": list(module.head.parameters()),
        "encoder": list(module.branch.parameters()),
        "linear layer": list(module.classifier.parameters()),
    }
    found: dict[str, dict[str, float]] = {}
    for name, loss in losses.items():
        found[name] = {}
        for where, tensors in held.items():
            given = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
            squares = [one.square().sum() for one in given if one is not None]
            found[name][where] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    return found


def fig2_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By loss and module, the norm of the weighted gradient: where each loss gets to."""
    found = runs[MODULES].summary["gradients"] if runs else {}
    for loss, where in ((loss, where) for loss, reached in found.items() for where in reached):
        yield Row(keys={"loss": loss, "module": where}, metric="gradient", measured=Measured(mean=found[loss][where]))


def fig5_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By network and part: parameters, and multiply-adds in millions; ``output`` is the shape of what it gives."""
    for network in networks(preset) if runs else ():
        for part, one in walked(runs[MODULES], network).items():
            keys = {"network": network, "part": part, "output": shape_said(one["output"])}
            for metric, scale in (("parameters", 1.0), ("multiply_adds", 1e-6)):
                yield Row(keys=keys, metric=metric, measured=Measured(mean=scale * one[metric]))


def shape_said(shape: Sequence[int]) -> str:
    """A shape for readers.

    >>> shape_said([512, 7, 7])
    '512×7×7'
    """
    return "×".join(map(str, shape))


def fig8_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By network and variant of the block: parameters without anybody to tell apart, and for each person."""
    found = runs[MODULES].summary["variants"] if runs else {}
    for network, by_variant in found.items():
        for variant, one in by_variant.items():
            for metric in ("parameters", "parameters_each"):
                keys = {"network": network, "variant": variant}
                yield Row(keys=keys, metric=metric, measured=Measured(mean=one[metric]))


def settings_of(config: Recognition) -> dict[str, float]:
    """What sections IV-A to IV-C give, of one training; a margin is its loss's, a token a cell of the map."""
    falls = dict(zip(("first", "second", "third"), config.drops, strict=False))
    height, width = cells(config.input_hw)
    return {
        "learning rate": config.lr,
        **{f"epochs before the {name} fall of the rate": epochs for name, epochs in falls.items()},
        "momentum": config.momentum,
        "weight decay": config.weight_decay,
        "batch": config.batch,
        "embedding": config.embedding,
        "scale s": config.s,
        f"margin of {NAMES[config.loss]}": MARGINS[config.loss] if config.m is None else config.m,
        "encoder layers": config.layers,
        "attention heads": config.heads,
        "tokens": height * width,
    }


NAMES = {"cosface": "CosFace", "arcface": "ArcFace", "adaface": "AdaFace"}


def intext_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Each setting that the paper gives, beside the preset ``paper``'s and this size's."""
    if not runs:
        return
    printed, run = papers.load("tml_intext").machine or {}, runs[MODULES]
    paper = load_preset("paper")
    ours = {"paper": paper, preset.name: preset}
    for name, one in ours.items():
        given: dict[str, float] = {}
        for base in one.verification.bases:
            given = settings_of(one.verification.training(one.alpha_sweep, base, True, 0)) | given
        shown = walked(run, RESNET if name == "paper" else HERE)
        given["numbers a token"] = shown["last map O_f"]["output"][0]
        if name == "paper":
            kept = ("stage", "last", "embedding")
            sizes = (part["parameters"] for at, part in walked(run, MOBILE).items() if at.startswith(kept))
            given["parameters of MobileFaceNet"] = sum(sizes)
        for setting, stated in printed.items():
            if setting in given:
                yield Row(
                    keys={"setting": setting, "preset": name},
                    metric="value",
                    measured=Measured(mean=given[setting]),
                    paper=stated["value"],
                    paper_source=stated["where"],
                )


def costs(artefact: Artefact, network: str) -> tuple[float, float]:
    """Millions of multiply-adds of one face in a network, and in its branch, forward; 0 where they were not counted."""

    def adds(*names: str) -> float:
        parts = ((row.keys["part"], row.measured) for row in artefact.rows
                 if row.keys["network"] == network and row.metric == "multiply_adds")  # fmt: skip
        return sum(one.mean for part, one in parts if one and part in names)

    stages = (f"stage {number}" for number in range(1, 5))
    return adds(*stages, "last map O_f", "embedding O_ε"), adds("encoder T_S", "linear layer T_Nc")


def found(artefact: Artefact) -> str:
    """What the modules say of what a transformer costs while it trains."""
    network, branch = costs(artefact, RESNET)
    return say(
        {
            "network": digits(network),
            "branch": digits(branch),
            "share": f"{100 * branch / network:.0f}" if network else "",
        },
        (network, "A face costs ResNet100 {network} million multiply-adds."),
        (network and branch, "The transformer adds {branch} million, {share} %, while it trains, and nothing later."),
    )


def reached(artefact: Artefact) -> str:
    """What the gradients say: how much of the pull on the last map is the transformer's."""
    pulls = [measured(artefact.rows, "gradient", {"loss": loss, "module": "O_f"}) for loss in ("transformer", "margin")]
    embedding = measured(artefact.rows, "gradient", {"loss": "transformer", "module": "embedding layer"})
    branch, margin = (one.mean if one else 0.0 for one in pulls)
    return say(
        {"share": digits(100 * branch / margin) if margin else 0},
        (margin and branch, "Before any training the transformer pulls at the last map with {share} % of the margin"),
        (margin and branch, "loss's force."),
        (embedding and not embedding.mean, "Nothing of it gets to the layer that makes the embedding."),
    )


def overview(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """Fig. 2: one step of training."""
    return diagrams.overview_figure(runs[MODULES].summary["gradients"])


def blocks(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """Fig. 5, of ResNet100."""
    shapes = {part: shape_said(one["output"]) for part, one in walked(runs[MODULES], RESNET).items()}
    return diagrams.architecture_figure(shapes)


def block_variants(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """Fig. 8, of ResNet100."""
    return diagrams.variants_figure(runs[MODULES].summary["variants"][RESNET])


FIG2 = Experiment(
    "tml_fig2", modules_jobs, fig2_rows, overview, kind="diagram", found=reached,
    shape=Shape(
        down=("module",),
        across=("loss",),
        names={"margin": "gradient of the margin loss", "transformer": "of the transformer's loss"},
    ),
)  # fmt: skip
FIG5 = Experiment(
    "tml_fig5", modules_jobs, fig5_rows, blocks, kind="diagram", found=found,
    shape=Shape(
        down=("part",), across=("network", METRIC),
        names={"multiply_adds": "million multiply-adds", "network of this size": "this size"},
    ),
)  # fmt: skip
FIG8 = Experiment(
    "tml_fig8", modules_jobs, fig8_rows, block_variants, kind="diagram",
    shape=Shape(down=("network", "variant"), across=(METRIC,), names=diagrams.VARIANTS),
)  # fmt: skip
INTEXT = Experiment(
    "tml_intext",
    modules_jobs,
    intext_rows,
    kind="settings",
    shape=Shape(
        down=("setting",), across=("preset",), names={"paper": "the paper's size", "classroom": "classroom size"}
    ),
)
