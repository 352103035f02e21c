"""AAD Fig. 4: two people in a plane, told apart by a teacher, by a student alone, and by a student it guides."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.losses.distillation import angular_loss
from aifr_lib.losses.margins import build
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, say, signs
from aifr_lib.reporting.rows import METRICS, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

RECIPE, RECIPE_VERSION = "geometry", 1
TOY = DataId(name="two people in eight numbers", version="1", hash="toy")
NETWORKS = ("teacher", "alone", "guided")
PEOPLE, PICTURES, NUMBERS = 2, 200, 8
STEPS, SEEDS = 200, (0, 1, 2, 3, 4)
GUIDED = 16.0  # λ_n of the guided student


@dataclass(frozen=True)
class Plane:
    """What a network makes of the pictures of both people: embedding [N, 2], person [N]."""

    embedding: np.ndarray
    person: np.ndarray

    @property
    def angle(self) -> float:
        """Between the mean directions of the two people, degrees."""
        one, other = self.means
        return abs(float(turn(one, other)))

    @property
    def margin(self) -> float:
        """What is left of ``angle`` when 19 of 20 pictures of each person are spared; below 0 the people overlap."""
        one, other = self.means
        across = turn(one, other)
        towards = [
            np.percentile(np.sign(across) * way * turn(mean, self.embedding[self.person == person]), 95)
            for person, (mean, way) in enumerate(((one, 1), (other, -1)))
        ]
        return abs(float(across)) - float(sum(towards))

    @property
    def means(self) -> list[np.ndarray]:
        """The mean direction [2] of each person."""
        unit = self.embedding / np.linalg.norm(self.embedding, axis=1, keepdims=True)
        return [unit[self.person == person].mean(0) for person in range(PEOPLE)]


def turn(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """From the direction ``one`` [2] to the directions ``other`` [..., 2], anticlockwise, degrees in (−180, 180].

    >>> float(turn(np.array([1.0, 0.0]), np.array([0.0, -2.0])))
    -90.0
    """
    return np.degrees(np.arctan2(one[0] * other[..., 1] - one[1] * other[..., 0], other @ one))


def pictures(seed: int) -> tuple[Tensor, Tensor]:
    """Pictures [N, 8] of two people and whose they are [N]: what differs bends, so that a straight line misses part."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(PEOPLE), PICTURES)
    x = rng.normal(size=(len(person), NUMBERS))
    x[:, 0] = 1.2 * (2 * person - 1) + 0.8 * (x[:, 1] ** 2 - 1) + 0.6 * x[:, 0]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(person)


def network(hidden: int) -> nn.Sequential:
    """8 numbers to 2, through ``hidden``."""
    return nn.Sequential(nn.Linear(NUMBERS, hidden), nn.Tanh(), nn.Linear(hidden, 2))


def learned(
    x: Tensor,
    person: Tensor,
    hidden: int,
    seed: int,
    wanted: Tensor | None = None,
    weight: float = 0.0,
) -> Tensor:
    """Embeddings [N, 2] of a network that tells the people apart (eq. 6) and, with
    ``weight`` λ_n > 0, points where the teacher's embeddings ``wanted`` do (eqs. 7 and
    8). Full-batch Adam.
    """
    torch.manual_seed(seed)
    net, head = network(hidden), build("softmax", 2, PEOPLE, s=8.0)
    optimiser = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=0.02)
    for _ in range(STEPS):
        embedding = net(x)
        loss = F.cross_entropy(head(embedding, person), person)
        if wanted is not None and weight:
            loss = loss + weight * angular_loss(wanted, embedding)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net(x).detach()


def planes(seed: int, weight: float = GUIDED) -> dict[str, Plane]:
    """The teacher (64 hidden units) and two students of 2: alone, and guided by it with λ_n = ``weight``."""
    x, person = pictures(seed)
    teacher = learned(x, person, 64, seed)
    found = {"teacher": teacher, "alone": learned(x, person, 2, seed)}
    found["guided"] = learned(x, person, 2, seed, teacher, weight)
    return {name: Plane(one.numpy(), person.numpy()) for name, one in found.items()}


def geometry_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """A run a seed: seconds each, the same at every size."""
    values = {"weight": GUIDED, "steps": STEPS, "people": PEOPLE, "pictures": PICTURES}

    def job(seed: int) -> Job:
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=seed, values=values, data=TOY)
        return Job(spec, lambda _: compute(seed), leaves=())

    return {seed: job(seed) for seed in (SEEDS if seeds is None else seeds)}


def compute(seed: int) -> Result:
    """scores: the embeddings of each network [N, 2], and ``person``. summary: angle and margin by network, degrees."""
    started = time.perf_counter()
    found = planes(seed)
    scores = {name: plane.embedding for name, plane in found.items()}
    scores["person"] = found["teacher"].person.astype(np.int8)
    summary = {name: {"angle": plane.angle, "margin": plane.margin} for name, plane in found.items()}
    return Result(scores, summary, "cpu", time.perf_counter() - started)


def geometry_rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
    """Angle between the two people and angular margin, by network, over seeds."""
    for name in NETWORKS:
        for metric in ("angle", "margin"):
            found = {seed: float(run.summary[name][metric]) for seed, run in runs.items()}
            yield Row(keys={"network": name}, metric=metric, measured=student_t(found) if found else None)


def draw(axis: Axes, plane: Plane, title: str) -> None:
    """The directions of a plane's embeddings on the circle, the wedge that is left between the people."""
    unit = plane.embedding / np.linalg.norm(plane.embedding, axis=1, keepdims=True)
    for person, colour in zip(range(PEOPLE), (plots.PALETTE[0], plots.PALETTE[1]), strict=True):
        own = plane.person == person
        x, y = (unit[own] * np.linspace(0.8, 1.0, own.sum())[:, None]).T
        axis.scatter(x, y, s=6, color=colour, alpha=0.4)
        axis.annotate("", 1.15 * unit[own].mean(0), (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
    axis.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xticks=[], yticks=[])
    axis.set_title(signs(f"{title}\nangle {plane.angle:.0f}°, margin {plane.margin:.0f}°"), fontsize=10)


def geometry_figure(artefact: Artefact, runs: Mapping[int, Run]) -> Figure:
    """Fig. 4 redrawn from one seed: teacher, student alone, student guided; beside it what all seeds come to."""
    seed, metrics = min(runs), ("angle", "margin")
    figure = plt.figure(figsize=(9.5, 6.6), layout="constrained")
    grid = figure.add_gridspec(2, 6, height_ratios=(4, 3))
    for place, name in enumerate(NETWORKS):
        plane = Plane(runs[seed].scores[name].astype(np.float64), runs[seed].scores["person"])
        draw(figure.add_subplot(grid[0, 2 * place : 2 * place + 2]), plane, f"{name}, seed {seed}")
    for place, metric in enumerate(metrics):
        axis = figure.add_subplot(grid[1, 3 * place : 3 * place + 3])
        plots.paired_by_seed(axis, [row for row in artefact.rows if row.metric == metric], "network")
        axis.set_title(f"{counted(len(runs), 'seed')} and their mean", fontsize=10)
        axis.set_ylabel(textwrap.fill(METRICS[metric], 24))
    return figure


def found(artefact: Artefact) -> str:
    """What a guided student takes over of its teacher: the angle, and the margin."""
    angles, margins = (
        {name: measured(artefact.rows, metric, {"network": name}) for name in NETWORKS}
        for metric in ("angle", "margin")
    )
    teacher, alone, guided = (angles[name] for name in NETWORKS)
    own, led = margins["alone"], margins["guided"]
    gained = apart(led, own)
    return say(
        {name: f"{one.mean:.0f}" for name, one in angles.items() if one},
        (alone and guided, "A small student sets two people {alone}° apart alone,"),
        (alone and guided and not teacher, "and {guided}° where its teacher's directions guide it."),
        (alone and guided and teacher, "and {guided}° where the directions of its teacher (at {teacher}°) guide it."),
        (own and led and gained > 0, "The margin that is left between them grows too."),
        (own and led and gained == 0, "Of the margin that is left between them these seeds cannot say the same."),
        (own and led and gained < 0, "The margin that is left between them shrinks."),
    )


FIG4 = Experiment(
    "aad_fig4",
    geometry_jobs,
    geometry_rows,
    geometry_figure,
    found=found,
    shape=Shape(down=("network",), across=(METRIC,)),
)
