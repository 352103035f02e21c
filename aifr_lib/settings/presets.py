"""The four sizes of every experiment, read from YAML into typed settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from aifr_lib.names import ConfigError, Strict, nearest, validate
from aifr_lib.settings.comface import ComfaceFaces, ComfaceQuality
from aifr_lib.settings.companion import Protocols, Real, Tour
from aifr_lib.settings.generator import LatentDirections, LatentSets
from aifr_lib.settings.relief_card import ReliefCard
from aifr_lib.settings.tml import AlphaSweep

PRESETS = ("smoke", "lesson", "classroom", "paper")


class Preset(Strict):
    """One size of every experiment (smoke, lesson, classroom, paper)."""

    name: Literal["smoke", "lesson", "classroom", "paper"]
    tour: Tour
    alpha_sweep: AlphaSweep
    real: Real
    relief_card: ReliefCard
    protocols: Protocols
    latent_directions: LatentDirections
    latent_sets: LatentSets
    comface_faces: ComfaceFaces
    comface_quality: ComfaceQuality


def load_preset(name: str, overrides: Mapping[str, Any] | None = None) -> Preset:
    """Read ``presets/NAME.yaml``; ``overrides`` maps dotted keys to values (``{"alpha_sweep.train.epochs": 4}``).

    Errors: ConfigError for an unknown preset or key (with the nearest valid one) or a value of the wrong type.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset '{name}'{nearest(name, PRESETS)}")
    path = Path(__file__).parents[1] / "presets" / f"{name}.yaml"
    # A YAML anchor makes two keys share one object; an override of the one must not reach the other.
    values = {name: copy.deepcopy(part) for name, part in yaml.safe_load(path.read_text(encoding="utf-8")).items()}
    values["name"] = name
    for key, value in (overrides or {}).items():
        *parents, leaf = key.split(".")
        node: dict[str, Any] = values
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"preset key '{key}': '{parent}' holds a value, not a group of keys")
        node[leaf] = value
    return validate(Preset, values, f"preset '{name}'")
