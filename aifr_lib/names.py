"""Names that fail well: an unknown option, key or name says which is nearest."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

T = TypeVar("T")


class ConfigError(ValueError):
    """An option, key or name that does not exist or has the wrong type."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of an error message: the nearest valid name, then all of them, or the likeliest of very many."""
    names = sorted(map(str, valid))
    close = difflib.get_close_matches(str(name), names, n=8, cutoff=0.4)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    if len(names) > 30:
        return f"{hint} ({len(names)} are valid" + (f", among them {', '.join(close)})" if close else ")")
    return f"{hint} (valid: {', '.join(names)})"


def choose(kind: str, name: str, table: Mapping[str, T]) -> T:
    """``table[name]``, or a ConfigError that names the nearest key."""
    if name not in table:
        raise ConfigError(f"unknown {kind} '{name}'{nearest(name, table)}")
    return table[name]


class Strict(BaseModel):
    """A frozen record in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], values: Mapping[str, Any], what: str) -> Model:
    """``model(**values)`` with errors a user can act on: the key, what is wrong, the nearest valid key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            location = ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                fields = _fields_at(model, problem["loc"][:-1])
                lines.append(f"unknown key '{location}'{nearest(str(problem['loc'][-1]), fields)}")
            else:
                lines.append(f"'{location}': {problem['msg']} (got {problem['input']!r})")
        raise ConfigError(f"{what}: " + "; ".join(lines)) from None


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterable[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            return ()
        kinds = get_args(field.annotation) or (field.annotation,)  # of a group that may be left out: it, and None
        group = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if group is None:
            return ()
        model = group
    return model.model_fields


def flattened(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Groups within groups as one, their names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{above}{name}.")
        else:
            flat[above + name] = value
    return flat


def changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What two settings differ in, "name found → wanted", with commas; empty where they are equal.

    >>> changes({"train": {"lr": 0.1, "batch": 8}}, {"train": {"lr": 0.2, "batch": 8}})
    'train.lr 0.1 → 0.2'
    """
    old, new = flattened(found), flattened(wanted)
    differing = sorted(name for name in old.keys() | new if old.get(name) != new.get(name))
    return ", ".join(f"{name} {old.get(name)!r} → {new.get(name)!r}" for name in differing)


def whole(count: float) -> bool:
    """Whether a number of steps, as division gives it, is whole."""
    return abs(count - round(count)) <= 1e-6
