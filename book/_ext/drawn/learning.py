"""How a network learns to embed: softmax over cosines, margins, and the other losses that the papers use."""

from __future__ import annotations

import math
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

from aifr_lib.losses import margins
from aifr_lib.losses.distillation import angular_loss, l2_loss
from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.prose import signs
from aifr_lib.reporting.rows import in_words
from drawn.comparing import circle
from drawn.faces import embedded
from drawn.still import still

NORM = 20.0  # of an embedding of middling quality, where AdaFace's running mean starts


def scale() -> str:
    centres, person = np.radians([0, 50, 100, 160, 230]), np.radians(18)
    angles = np.degrees(np.arccos(np.cos(centres - person)))  # between two directions: 180° at most
    frames, labels = [], []
    for s in (1, 2, 4, 8, 16, 32, 64):
        head = margins.build("softmax", 2, len(centres), s=float(s))
        head.weight.data = _directions(centres)
        with torch.no_grad():
            share = head(_directions(np.array([person])), torch.tensor([0])).softmax(1)[0].numpy()
        figure, axis = plt.subplots(figsize=(5.2, 3))
        colours = [plots.SAME] + [plots.PAPER] * (len(centres) - 1)
        axis.bar(range(len(centres)), 100 * share, color=colours)
        axis.set_xticks(range(len(centres)), [f"{angle:.0f}°" for angle in angles])
        axis.set(xlabel="angle to the centre of each class", ylabel="probability, %", ylim=(0, 100))
        frames.append(plots.svg(figure))
        labels.append(f"scale s = {s}: the right class gets {100 * share[0]:.1f} %")
    return slider.range_player(
        frames, labels, "The scale sharpens the softmax", "probabilities of five classes", start=2
    )


def first_loss() -> str:
    """Of embeddings and centres drawn at random: what a training prints before it has learnt anything."""
    torch.manual_seed(0)
    people, batch, width = (10, 30, 100, 300, 1_000, 3_000, 10_000), 64, 512
    figure, axis = plt.subplots(figsize=(5.8, 3.4))
    for name in ("softmax", "cosface", "arcface"):
        losses = []
        for count in people:
            head = margins.build(name, width, count, s=64.0)
            labels = torch.randint(count, (batch,))
            with torch.no_grad():
                logits = head(torch.randn(batch, width), labels)
                losses.append(float(F.cross_entropy(logits, labels)))
        axis.plot(people, losses, label=in_words(name), marker=plots.MARKERS[len(axis.lines)], markersize=4)
    axis.plot(people, np.log(people), color="0.4", linestyle="--", label="guessing: ln of the people")
    axis.set(xscale="log", xlabel="people in the training set", ylabel="loss of the first step", ylim=(0, None))
    axis.legend(fontsize=8)
    return still(figure, "The loss of the first step against the number of people, for three losses and for guessing")


def least_loss() -> str:
    """Every picture on its centre, and centres as far apart as they can be: no training gets lower."""
    scales = np.linspace(1, 32, 125)
    figure, axis = plt.subplots(figsize=(5.8, 3.4))
    for count, line in zip((10, 1_000, 100_000), ("-", "--", ":"), strict=True):
        least = np.log1p((count - 1) * np.exp(-scales * count / (count - 1)))
        axis.plot(scales, least, label=f"{count:,} people", linestyle=line)
    axis.set(xlabel="scale s", ylabel="lowest loss there is", ylim=(0, None))
    axis.legend(fontsize=9)
    return still(figure, "The lowest loss that a softmax over cosines can reach, by its scale, for three set sizes")


def margin_curves() -> str:
    theta = np.linspace(0, math.pi, 181)
    figure, axis = plt.subplots(figsize=(5.8, 3.8))
    styles = iter(("-", "-", "-", ":", "--", "-."))
    for name, head, norm in _heads():
        axis.plot(np.degrees(theta), _target(head, theta, norm), label=name, linestyle=next(styles))
    axis.set(xlabel="angle between embedding and centre of its class, degrees", ylabel="target logit ÷ s")
    axis.legend(fontsize=9)
    return still(figure, "The logit of the true class against the angle, for four losses; margins lower the curve")


def margin_circles() -> str:
    frames, labels = [], []
    for m in np.arange(0, 0.61, 0.1):
        figure, axes = plt.subplots(2, 3, figsize=(5.8, 4.2))
        for axis, (name, head, norm) in zip(axes.flat, _heads(float(m)), strict=True):
            _territories(axis, head, norm)
            axis.set_title(name, fontsize=10)
        frames.append(plots.svg(figure))
        labels.append(f"margin m = {m:.1f}")
    return slider.range_player(
        frames, labels, "Where two classes are satisfied", "six circles, each with the arcs of two classes", start=4
    )


def distilled_angle() -> str:
    degrees = np.linspace(0, 180, 91)
    teacher = _directions(np.zeros(1))
    curves = {"(1 − cos)², squared": [], "1 − cos, linear": [], "‖difference‖², equal lengths": []}
    for turn in np.radians(degrees):
        student = _directions(np.array([turn]))
        losses = (
            angular_loss(teacher, student),
            angular_loss(teacher, student, "linear"),
            l2_loss(teacher, student),
        )
        for curve, loss in zip(curves.values(), losses, strict=True):
            curve.append(float(loss))
    figure, axis = plt.subplots(figsize=(5.6, 3.4))
    for (name, curve), line in zip(curves.items(), ("-", "--", ":"), strict=True):
        axis.plot(degrees, curve, label=name, linestyle=line)
    axis.set(xlabel="angle between teacher's and student's embedding, degrees", ylabel="loss")
    axis.legend(fontsize=9)
    return still(figure, "Three distillation losses against the angle; the squared one is flat near zero")


def reversed_gradient() -> str:
    """A linear map of two numbers, identity and age, learns to tell people and to hide age from a regression."""
    random = torch.Generator().manual_seed(0)
    identity = torch.arange(120) % 2 * 2.0 - 1
    age = torch.randn(120, generator=random)
    given = torch.stack([identity + 0.15 * torch.randn(120, generator=random), age], 1)
    noise = 0.3 * torch.randn(120, 2, generator=random)  # without it no linear map but a singular one could hide age
    weight = torch.eye(2, requires_grad=True)
    frames, labels = [], []
    for step in range(81):
        features = given @ weight + noise
        ones = torch.ones(len(features), 1)
        design = torch.cat([features, ones], 1)
        reader = torch.linalg.lstsq(design.detach(), age[:, None]).solution  # the best reader of age, each step anew
        error = (design @ reader - age[:, None]).square().mean()
        if step % 8 == 0:
            figure, axis = plt.subplots(figsize=(4.8, 3.2))
            drawn = features.detach()
            for who, marker in ((-1, "o"), (1, "s")):
                rows = identity == who
                points = axis.scatter(*drawn[rows].T, c=age[rows], cmap="viridis", marker=marker, vmin=-2, vmax=2, s=22)
            figure.colorbar(points, label="age (standardised)")
            axis.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="feature 1", ylabel="feature 2")
            frames.append(plots.svg(figure))
            explained = max(0.0, 1 - error.item() / age.var(correction=0).item())
            labels.append(f"step {step}: features explain {100 * explained:.0f} % of the variance of age")
        person = F.binary_cross_entropy_with_logits(4 * features[:, 0], (identity + 1) / 2)
        reversed_ = -error  # what the reader wants, with its sign turned
        (gradient,) = torch.autograd.grad(person + reversed_, weight)
        with torch.no_grad():
            weight -= 0.03 * gradient
    return slider.range_player(
        frames, labels, "Age is unlearned", "points of two people (circles, squares), coloured by age"
    )


def temperature() -> str:
    faces, embeddings = embedded()
    identity = faces.labels["identity"].to_numpy()
    rows = np.stack([np.flatnonzero(identity == who)[[2, 3]] for who in np.unique(identity)[:8]])
    first, second = torch.from_numpy(embeddings[rows]).unbind(1)
    frames, labels = [], []
    for tau in (1.0, 0.5, 0.2, 0.1, 0.05, 0.02):
        logits = first @ second.T / tau
        loss = F.cross_entropy(logits, torch.arange(len(logits)))
        figure, axis = plt.subplots(figsize=(4.6, 3.5))
        image = axis.imshow(100 * logits.softmax(1).numpy(), cmap="Blues", vmin=0, vmax=100)
        figure.colorbar(image, label="probability, %")
        axis.grid(False)
        axis.set(xlabel="second picture of person …", ylabel="first picture of person …")
        axis.set_xticks(range(8), range(1, 9))
        axis.set_yticks(range(8), range(1, 9))
        frames.append(plots.svg(figure))
        labels.append(f"temperature {tau:g}: loss {float(loss):.2f}")
    return slider.range_player(
        frames, labels, "Find the partner among eight", "matrix of probabilities, dark on the diagonal", start=3
    )


def discriminator() -> str:
    x = np.linspace(-4, 6, 300)
    real = _normal(x, 2)
    frames, labels = [], []
    for mean in np.linspace(-1.5, 2, 8):
        drawn = _normal(x, mean)
        best = real / (real + drawn)
        figure, axis = plt.subplots(figsize=(5.4, 3.2))
        axis.fill_between(x, real, color=plots.SAME, alpha=0.4, label="real")
        axis.fill_between(x, drawn, color=plots.DIFFERENT, alpha=0.4, label="drawn")
        axis.plot(x, best, color="0.2", label="best D")
        axis.set(ylim=(0, 1.02), xlabel="picture (here: one number)")
        axis.legend(loc="upper left", fontsize=9)
        frames.append(plots.svg(figure))
        labels.append(signs(f"generator’s mean {mean:+.1f} (real: +2.0)"))
    return slider.range_player(frames, labels, "The generator approaches", "two densities and the best discriminator")


def adversarial_losses() -> str:
    logit = torch.linspace(-5, 5, 201)
    curves = {
        "saturating: log(1 − D)": -F.softplus(logit),
        "non-saturating: −log D": F.softplus(-logit),
        "least squares: (t − 1)²/8": (logit - 1).square() / 8,
        "hinge: −t": -logit,
    }
    figure, axis = plt.subplots(figsize=(5.6, 3.4))
    for (name, curve), line in zip(curves.items(), ("-", "--", ":", "-."), strict=True):
        axis.plot(logit, curve, label=name, linestyle=line)
    axis.set(xlabel="output t for a drawn picture", ylabel="the generator's loss", ylim=(-5.2, 5.2))
    axis.legend(fontsize=8.5, loc="upper right")
    return still(figure, "Four losses of a generator against the discriminator's output")


def _heads(m: float | None = None) -> Iterator[tuple[str, margins.MarginHead, float]]:
    """The four heads over two centres 120° apart, with their names and the norm of an embedding; AdaFace three times.

    m: the margin of each but softmax; None: their own.
    """
    options = {} if m is None else {"m": m}
    for name, title in (("softmax", "softmax"), ("cosface", "CosFace"), ("arcface", "ArcFace")):
        yield title, _placed(margins.build(name, 2, 2, **({} if name == "softmax" else options))), NORM
    for quality, word in ((-1.0, "low"), (0.0, "middle"), (1.0, "high")):
        head = _placed(margins.build("adaface", 2, 2, **options)).eval()
        head.std.fill_(1.0)
        yield f"AdaFace, {word} quality", head, NORM + quality * 3.2  # z = .333 (norm − 20) / 1, cut off at ±1


def _placed(head: margins.MarginHead) -> margins.MarginHead:
    head.weight.data = _directions(np.radians([30, 150]))
    return head


def _territories(axis: plt.Axes, head: margins.MarginHead, norm: float) -> None:
    """Where on the circle a picture of either class has the larger logit in spite of its margin."""
    circle(axis)
    turn = np.linspace(0, 2 * np.pi, 361)
    for label, (colour, centre) in enumerate(((plots.SAME, 30), (plots.DIFFERENT, 150))):
        with torch.no_grad():
            logits = head(norm * _directions(turn), torch.full((len(turn),), label))
        won = (logits.argmax(1) == label).numpy()
        x, y = (np.where(won, place, np.nan) for place in (np.cos(turn), np.sin(turn)))
        axis.plot(x, y, color=colour, linewidth=5, solid_capstyle="butt")
        axis.annotate(
            "", (np.cos(np.radians(centre)), np.sin(np.radians(centre))), (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2},
        )  # fmt: skip


def _target(head: margins.MarginHead, theta: np.ndarray, norm: float) -> np.ndarray:
    """What stands for cos θ in the logit of the true class."""
    cosine = torch.from_numpy(np.cos(theta)).float()[:, None].clamp(margins.EDGE - 1, 1 - margins.EDGE)
    embedding = torch.tensor([[norm, 0.0]]).expand(len(theta), 2)
    with torch.no_grad():
        return head.target(cosine, embedding)[:, 0].numpy()


def _directions(turn: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.cos(turn), np.sin(turn)], 1)).float()


def _normal(x: np.ndarray, mean: float) -> np.ndarray:
    return np.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)
