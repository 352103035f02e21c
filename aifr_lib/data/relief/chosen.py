"""The relief faces that a preset's settings choose, and the lists over them; kept, as runs of one sweep share them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from aifr_lib.data import relief
from aifr_lib.data.images import Images, Pairs
from aifr_lib.settings.relief import PairList, Relief


@lru_cache(maxsize=4)
def faces(settings: Relief, split: str = "test", view: str = "everyday") -> Images:
    """The relief faces that are scored, of the split "test" or "validation" (kept: runs of one sweep share them)."""
    return relief.load(split, **_counts(settings), view=view)


@lru_cache(maxsize=16)
def face_pairs(settings: Relief, name: str, split: str = "test") -> Pairs:
    """One verification list over ``faces`` of the view that the list is drawn from."""
    return relief.pairs(faces(settings, split, relief.PAIR_LISTS[name].view), name, count=settings.pairs)


def lists_of(settings: Relief, split: str = "test") -> dict[str, list[PairList]]:
    """The pair lists of ``settings`` by the view that their pictures show.

    On validation people those of turned heads are left out: no setting is chosen by them.
    """
    views = relief.VIEWS if split == "test" else ("everyday",)
    named = {view: [name for name in settings.pair_lists if relief.PAIR_LISTS[name].view == view] for view in views}
    return {view: names for view, names in named.items() if names}


def everyday_pairs(settings: Relief) -> list[Pairs]:
    """The lists over ``faces(settings)``: those of ``settings`` that are drawn from everyday pictures."""
    return [face_pairs(settings, name) for name in lists_of(settings).get("everyday", [])]


def _counts(settings: Relief) -> dict[str, Any]:
    return {
        "size": settings.size,
        "identities": settings.test_identities,
        "per_identity": settings.test_per_identity,
    }
