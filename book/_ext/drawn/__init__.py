"""The pictures of the background chapter, by name: drawn while the book is built, by the library's own functions.

Each is a function without arguments that returns the HTML of one picture or one slider.
"""

from __future__ import annotations

from collections.abc import Callable

from aifr_lib.names import choose
from aifr_lib.reporting import plots
from drawn import comparing, concluding, learning, measuring

PICTURES: dict[str, Callable[[], str]] = {
    "faces_as_points": comparing.faces_as_points,
    "angle": comparing.angle,
    "scale": learning.scale,
    "first_loss": learning.first_loss,
    "least_loss": learning.least_loss,
    "margin_curves": learning.margin_curves,
    "margin_circles": learning.margin_circles,
    "distilled_angle": learning.distilled_angle,
    "reversed_gradient": learning.reversed_gradient,
    "temperature": learning.temperature,
    "discriminator": learning.discriminator,
    "adversarial_losses": learning.adversarial_losses,
    "threshold": measuring.threshold,
    "folds": measuring.folds,
    "nearest": measuring.nearest,
    "gallery_size": measuring.gallery_size,
    "seeds": concluding.seeds,
    "people": concluding.people,
    "holm": concluding.holm,
    "verdicts": concluding.verdicts,
}


def draw(name: str) -> str:
    """The HTML of one picture. Errors: ConfigError for a name that is none, with the nearest."""
    plots.style()
    return choose("picture", name, PICTURES)()
