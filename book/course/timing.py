"""Measure how long each lesson's notebook computes at preset lesson, from nothing, and write ``timing.json``.

Run this on the machine that a class has, with nothing beside it: it takes minutes a lesson.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from slides import lessons

from aifr_lib.files import atomic_write
from aifr_lib.reporting.notebooks import Task, run_all

if __name__ == "__main__":
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIFR_CACHE"] = str(Path(folder) / "cache")
        names = [lesson["notebook"] for lesson in lessons()]
        tasks = [
            Task(name, "lesson", {"out": str(Path(folder) / "out")}, Path(folder) / f"{name}.ipynb") for name in names
        ]
        done = run_all(tasks, progress=print)
    if failed := [one.name for one in done if one.failure]:
        raise SystemExit(f"nothing is written, these failed: {', '.join(failed)}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {one.name: {"seconds": round(one.wall_s), "cores": cores} for one in done}
    with atomic_write(here / "timing.json") as path:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
