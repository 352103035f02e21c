"""The keys of the runs that tables and figures rest on, kept between calls: to ask the experiments takes seconds.

What is kept holds for one state of the library's files, of the committed network and of the photographs that are here;
after any change the experiments are asked again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aifr_lib
from aifr_lib.files import atomic_write, cache_dir, data_dir, repository_root
from aifr_lib.settings.presets import load_preset

Keys = Callable[[str, str, Sequence[int] | None], "list[str] | None"]
PARTS = {".py", ".yaml", ".safetensors"}


@contextmanager
def kept_keys() -> Iterator[Keys]:
    """keys(id, preset, seeds): those of the runs of a table or figure, None where no experiment is behind it.

    seeds None: the preset's. What was not kept is asked of the experiments, and kept when the block ends.
    """
    path = cache_dir() / "keys" / f"{_state()}.json"
    table: dict[str, list[str] | None] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known = len(table)
    # Where they are loaded already they have the last word: somebody may have put others in their place.
    loaded = "EXPERIMENTS" in vars(sys.modules["aifr_lib.experiments"])

    def keys(id: str, preset: str, seeds: Sequence[int] | None = None) -> list[str] | None:
        if loaded:
            return _asked(id, preset, seeds)
        name = f"{id} {preset} {'-' if seeds is None else ','.join(map(str, seeds))}"
        if name not in table:
            table[name] = _asked(id, preset, seeds)
        return table[name]

    yield keys
    if len(table) > known:
        for old in path.parent.glob("*.json"):
            old.unlink(missing_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(table), encoding="utf-8")


def _asked(id: str, preset: str, seeds: Sequence[int] | None) -> list[str] | None:
    from aifr_lib.experiments import EXPERIMENTS

    experiment = EXPERIMENTS.get(id)
    return None if experiment is None else [spec.key for spec in experiment.specs(load_preset(preset), seeds)]


def _state() -> str:
    """A digest over all that keys are made of."""
    total = hashlib.sha256()
    package = Path(aifr_lib.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.suffix in PARTS:
            total.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    places = [repository_root() / "figures" / "tour" / "weights.safetensors"]
    if (data := data_dir()) is not None:
        places += [data / "fgnet", *sorted((data / "fgnet").glob("*"))]
    for place in places:
        if place.exists():
            total.update(f"{place} {place.stat().st_size} {place.stat().st_mtime_ns}\0".encode())
    return total.hexdigest()[:16]
