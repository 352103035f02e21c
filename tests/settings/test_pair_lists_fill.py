"""The lists of pairs that a size asks for can be drawn from the people that it has; no picture is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from aifr_lib.data import relief
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.relief import Relief


def faces_of(settings: Any) -> Iterator[Relief]:
    """Every choice of relief faces below these settings."""
    if isinstance(settings, Relief):
        yield settings
    elif isinstance(settings, BaseModel):
        for name in type(settings).model_fields:
            yield from faces_of(getattr(settings, name))
    elif isinstance(settings, dict):
        for value in settings.values():
            yield from faces_of(value)


@pytest.mark.parametrize("preset", ["smoke", "lesson", "classroom"])
def test_lists_of_a_size_have_the_pairs_that_it_asks_for(preset: str) -> None:
    chosen = {
        (one.test_identities, one.test_per_identity, one.pairs, one.pair_lists) for one in faces_of(load_preset(preset))
    }
    assert chosen
    for people, each, pairs, lists in sorted(chosen):
        for name in lists:
            images = relief.labels_only("test", people, each, view=relief.PAIR_LISTS[name].view)
            found = relief.pairs(images, name, count=pairs)
            assert len(found) == pairs and found.same.sum() == pairs / 2, (people, each, name)
