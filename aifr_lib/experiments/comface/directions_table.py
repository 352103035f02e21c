"""ComFace's Table A: where each direction of editing comes from, the paper's beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from aifr_lib.experiments.generator.edit_rows import EACH, FOUND, LEAST, POOLED, SECOND, certified, direction_rows
from aifr_lib.experiments.generator.latent_directions import direction_jobs
from aifr_lib.experiments.jobs import Experiment
from aifr_lib.faces.generators.directions import found_directions
from aifr_lib.reporting import papers
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import Preset

ID = "comface_tableA"
NOBODY = "no second judge is at hand"
CERTIFIED = "certified with: rank correlation with α, mean within a person"
# Ours → the row of the paper's table, and the name among CelebA's forty attributes; other directions have neither.
COUNTERPARTS = {
    "weight": ("Weight (StyleGAN)", "Chubby"),
    "age": ("Age (StyleGAN)", "Young"),
    "smile": ("Smile (StyleGAN)", "Smiling"),
    "gender": ("40 attributes in CelebA (StyleGAN3)", "Male"),
}
# The reading that found a direction, in words.
READINGS = {
    "age": "age judge",
    "gender": "gender judge",
    "smile": "MTCNN: width of the mouth",
    "width": "MTCNN: width of the box over its height",
    "yaw": "MTCNN: nose against eyes",
    "light": "light on the face, left against right",
}


def table_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Each direction: the paper's source, the reading that found ours and how well, the judge that certified it.

    A function of the runs of ``latent_directions``; a direction that no second judge has looked at has no value.
    """
    for name in found_directions():
        yield from source_rows(name, runs.get(name))


def source_rows(name: str, run: Run | None) -> Iterator[Row]:
    """The numbers of one direction, under the words of both tables."""
    printed = {row["attribute"]: row for row in papers.load(ID).rows}
    theirs, _ = COUNTERPARTS.get(name, ("", ""))
    entry = printed.get(theirs, {"reference": "", "boundary": ""})
    direction = found_directions()[name]
    keys = {
        "in the paper": theirs,
        "reference": entry["reference"],
        "boundary": entry["boundary"],
        "here": name,
        "found with": READINGS[direction.about["reading"]],
    }
    yield Row(keys=keys, metric=FOUND, measured=Measured(mean=float(direction.about["r"])))
    measured = {row.metric: row.measured for row in direction_rows(name, run.scores)} if run else {}
    judge = SECOND[name][1] if name in SECOND else NOBODY
    for metric in (EACH, POOLED):
        yield Row(keys={**keys, "certified with": judge}, metric=metric, measured=measured.get(metric))


def table_frame(artefact: Artefact) -> pd.DataFrame:
    """The table as a page shows it: one line for each direction; certified as ``edit_rows.LEAST`` has it."""
    lines: dict[str, dict[str, str]] = {}
    for row in artefact.rows:
        keys = {key: str(value) for key, value in row.keys.items()}
        line = lines.setdefault(keys["here"], {"direction": keys["here"], "in the paper": _printed(keys)})
        if row.metric == FOUND:
            line["found with: r, cross-validated"] = f"{keys['found with']}: {_value(row.measured)}"
        elif row.metric == POOLED:
            line["the same, pooled over people"] = _value(row.measured) or "–"
        else:
            line[CERTIFIED] = _certified(keys["certified with"], row.measured)
    return pd.DataFrame(lines.values())


def _certified(judge: str, each: Measured | None) -> str:
    if judge == NOBODY:
        return NOBODY
    if each is None:
        return "not certified: not run"
    said = f"{judge}: {_value(each)}"
    return said if certified(each) else f"not certified: {said}, but {LEAST:g} at least is asked of the interval"


def _value(measured: Measured | None) -> str:
    if measured is None:
        return ""
    ends = "" if measured.ci95 is None else f" [{measured.ci95[0]:.2f}, {measured.ci95[1]:.2f}]"
    return f"{measured.mean:.2f}{ends}"


def _printed(keys: Mapping[str, str]) -> str:
    """The paper's cells in one; a file's name may break after each underscore."""
    if not keys["in the paper"]:
        return "–"
    return f"{keys['in the paper']}, {keys['reference']}: {keys['boundary']}".replace("_", "_\u200b")


TABLE_A = Experiment("comface_tableA", direction_jobs, table_rows, kind="settings")
