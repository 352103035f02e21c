"""What ComFace learns from: people with one attribute changed by known strengths (supplement A.1).

Labels: record, identity, attribute and alpha, −5 … 5 without 0, which is one picture for all attributes (footnote 1).
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

from aifr_lib.data import edited
from aifr_lib.data.relief import plan as relief_plan
from aifr_lib.data.relief.plan import (
    AGES,
    MAX_PER_IDENTITY,
    SURROUNDINGS,
    Plan,
    between,
    decades,
    people,
    pictures_of,
    sitting,
)
from aifr_lib.faces.generators import mobilestylegan
from aifr_lib.faces.relief.parameters import ACTION_UNITS
from aifr_lib.names import choose
from aifr_lib.settings.comface import Source

STRONGEST = 5.0
# What strength 1 moves, about the middle of the range: years, standard scores, degrees, intensity 0 … 1.
EDITS = {"age": ("age", 6.0), "weight": ("weight", 0.6), "yaw": ("yaw", 8.0)} | {
    unit: (unit, 0.1) for unit in ACTION_UNITS
}
WIDE = 10  # pictures of a person of relief-wide, one in each tenth of the ages


def strengths(step: float) -> list[float]:
    """−5 … 5 in steps, without 0.

    >>> strengths(2.5)
    [-5.0, -2.5, 2.5, 5.0]
    """
    count = round(STRONGEST / step)
    return [round(number * step, 6) for number in range(-count, count + 1) if number]


def missing(source: Source) -> str | None:
    """Why these pictures cannot be had here, in one sentence; None where they can."""
    return mobilestylegan.missing() if source.kind == "latent" else None


def relief_edits(count: int, attributes: tuple[str, ...], step: float) -> Plan:
    """Rendered people of 35 to 45 years, each attribute of ``EDITS`` moved by itself, all else of the person held.

    Errors: ConfigError for an attribute that is none of these.
    """
    numbers = people("relief-edits", count, "people")
    alphas = strengths(step)
    moves = [choose("attribute of relief-edits", name, EDITS) for name in attributes]
    total = len(attributes) * len(alphas)
    whose, place, _ = pictures_of(numbers, torch.full_like(numbers, total))
    attribute, alpha = place // len(alphas), torch.tensor(alphas, dtype=torch.float64)[place % len(alphas)]
    age = between(numbers, 20, 35, 45)[whose]
    fixed = {name: torch.zeros(len(whose), dtype=torch.float64) for name in ("weight", "yaw")}
    fixed |= {unit: torch.full((len(whose),), 0.5 * (unit in attributes), dtype=torch.float64) for unit in ACTION_UNITS}
    seeds = numbers[whose] * MAX_PER_IDENTITY
    # Hair and clothes are drawn for an age too: they are those of the person before any edit.
    fixed |= sitting(numbers[whose], age, seeds, (*SURROUNDINGS, "camera", "framing"))
    for number, (parameter, unit) in enumerate(moves):
        shift = unit * alpha * (attribute == number)
        if parameter == "age":
            age = age + shift
        else:
            fixed[parameter] = fixed[parameter] + shift
    labels = {"attribute": np.array(attributes)[attribute.numpy()], "alpha": alpha.numpy()}
    spec = {"people": count, "attributes": list(attributes), "step": step}
    return Plan("relief-edits", spec, numbers[whose], age, seeds, fixed=fixed, labels=labels)


def relief_wide(count: int) -> Plan:
    """Rendered people at ten ages from 4 to 80 years, pose, light, expression and all else drawn for each picture.

    alpha counts in tenths of the range of ages, 7.6 years, about its middle, so that one curriculum serves all sources.
    """
    numbers = people("relief-wide", count, "people")
    whose, _, picture = pictures_of(numbers, torch.full_like(numbers, WIDE))
    age = decades(numbers, WIDE).flatten()
    middle, unit = (AGES[0] + AGES[1]) / 2, (AGES[1] - AGES[0]) / (2 * STRONGEST)
    labels = {"attribute": np.full(len(whose), "age"), "alpha": ((age - middle) / unit).numpy()}
    return Plan("relief-wide", {"people": count}, numbers[whose], age, picture, labels=labels)


def digest(source: Source) -> str:
    """16 hex digits that name the pictures before they are drawn."""
    versions = {"latent": (edited.VERSION, mobilestylegan.VERSION)}.get(source.kind, (relief_plan.VERSION,))
    return hashlib.sha256(json.dumps([versions, source.model_dump(mode="json")]).encode()).hexdigest()[:16]


def version(source: Source) -> str:
    """The version of what draws them."""
    return mobilestylegan.VERSION if source.kind == "latent" else relief_plan.VERSION
