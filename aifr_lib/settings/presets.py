"""The four sizes of every experiment, read from YAML into typed settings."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml

from aifr_lib.names import ConfigError, Strict, nearest, validate
from aifr_lib.settings.aad import Aad
from aifr_lib.settings.comface import Comface, ComfaceFaces, ComfaceQuality
from aifr_lib.settings.companion import ManyPeople, Protocols, Real, Tour
from aifr_lib.settings.generator import LatentDirections, LatentSets, PhotoReal
from aifr_lib.settings.mtlface import Mtlface
from aifr_lib.settings.relief_card import ReliefCard
from aifr_lib.settings.tml import AlphaSweep, Beyond, Configurations, FeatureMaps, Verification

PRESETS = ("smoke", "lesson", "classroom", "paper")
FOLDER = Path(__file__).parents[1] / "presets"
BUDGETS = "budgets.yaml"  # read before each of the other files


class Preset(Strict):
    """One size of every experiment (smoke, lesson, classroom, paper)."""

    name: Literal["smoke", "lesson", "classroom", "paper"]
    tour: Tour
    alpha_sweep: AlphaSweep
    configurations: Configurations
    verification: Verification
    feature_maps: FeatureMaps
    beyond: Beyond
    aad: Aad
    mtlface: Mtlface
    real: Real
    relief_card: ReliefCard
    protocols: Protocols
    many_people: ManyPeople
    latent_directions: LatentDirections
    latent_sets: LatentSets
    photo_real: PhotoReal
    comface: Comface
    comface_faces: ComfaceFaces
    comface_quality: ComfaceQuality


def load_preset(name: str, overrides: Mapping[str, Any] | None = None) -> Preset:
    """One size of every part in ``presets/``.

    ``overrides`` maps dotted keys to values (``{"alpha_sweep.train.epochs": 4}``).

    Errors: ConfigError for an unknown preset or key (with the nearest valid one), a value of the wrong type, or a
    file that is damaged or lacks a size.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset '{name}'{nearest(name, PRESETS)}")
    values: dict[str, Any] = {"name": name}
    for path in (path for path in sorted(FOLDER.glob("*.yaml")) if path.name != BUDGETS):
        groups = _sizes(path)[name]
        if twice := values.keys() & groups.keys():
            raise ConfigError(f"presets/{path.name}: '{min(twice)}' stands in another file too")
        # A YAML anchor makes two keys share one object; an override of the one must not reach the other.
        values |= {group: copy.deepcopy(held) for group, held in groups.items()}
    for key, value in (overrides or {}).items():
        *parents, leaf = key.split(".")
        node: dict[str, Any] = values
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"preset key '{key}': '{parent}' holds a value, not a group of keys")
        node[leaf] = value
    return validate(Preset, values, f"preset '{name}'")


@cache
def _sizes(path: Path) -> dict[str, dict[str, Any]]:
    """The groups of one part by size, checked. Errors: ConfigError that names the file, the size and the key."""
    shown = f"presets/{path.name}"
    shared = _text(path.with_name(BUDGETS)) + "\n"
    if not isinstance(budgets := _parsed(shared, f"presets/{BUDGETS}"), dict) or "budgets" not in budgets:
        raise ConfigError(f"presets/{BUDGETS} lacks the key 'budgets', which holds what the parts share")
    sizes = _parsed(shared + _text(path), shown, shared.count("\n"))
    del sizes["budgets"]
    for size in sizes:
        if size not in PRESETS:
            raise ConfigError(f"{shown}: unknown size '{size}'{nearest(size, PRESETS)}")
    for size in PRESETS:
        if not isinstance(sizes.get(size), dict):
            raise ConfigError(f"{shown} lacks the size '{size}': it needs each of {', '.join(PRESETS)}")
    groups = dict.fromkeys(group for size in PRESETS for group in sizes[size])
    for size, group in itertools.product(PRESETS, groups):
        if group not in Preset.model_fields:
            raise ConfigError(f"{shown}, {size}: unknown key '{group}'{nearest(group, Preset.model_fields)}")
        if group not in sizes[size]:
            raise ConfigError(f"{shown}, {size}: lacks '{group}', which another size has")
        validate(get_type_hints(Preset)[group], sizes[size][group], f"{shown}, {size}, {group}")
    return sizes


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"presets/{path.name} cannot be read: {error}") from None


def _parsed(text: str, shown: str, before: int = 0) -> dict[str, Any]:
    """YAML, of which ``before`` lines belong to another file. Errors: ConfigError that names the file and line."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1 - before}" if mark else ""
        raise ConfigError(f"{shown}{line}: not YAML: {getattr(error, 'problem', error)}") from None
