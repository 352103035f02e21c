"""Table 2: four ways to draw a face at another age, between a copy of the source and the true faces.

The paper's sets are MORPH, FG-NET and CACD; its numbers are not in the text at hand. Ours is relief-wide, the one set
on which a drawn face can be held against the true one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.figure import Figure

from aifr_lib.data.relief.wide import NAME
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.mtlface import drawing, judges
from aifr_lib.experiments.mtlface.pilot import BOUNDS, JUDGE, judge_rows
from aifr_lib.experiments.mtlface.synthesis_rows import NAMES, method_rows, tradeoff_figure
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

LOST = 0.1  # SSIM with the true face, of pictures that show none
METHODS = ("mtlface", "mtlface-without-icm", "ipcgan", "caae")
Place = tuple[str, int]  # method, seed


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """The judge, a copy and the truth, then the methods seed by seed."""
    asked = preset.mtlface
    made = {(JUDGE, 0): judges.job(asked.judge, device)}
    made |= {(name, 0): job for name, job in drawing.bounds_jobs(asked, device).items()}
    for seed in asked.synthesis_seeds if seeds is None else seeds:
        for method in METHODS:
            made[method, seed] = drawing.job(asked, drawing.method_of(asked, method, seed), device)
    return made


def rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The judge's own error; then every method beside a copy and the truth, on test people."""
    yield from judge_rows(runs.get((JUDGE, 0)))
    for name in (*METHODS, *BOUNDS):
        found = {seed: run for (method, seed), run in runs.items() if method == name}
        yield from method_rows(name, found, preset.mtlface.judge)


def figure(artefact: Artefact) -> Figure:
    """What each method trades."""
    return tradeoff_figure(artefact, [*METHODS, *BOUNDS])


def found(artefact: Artefact) -> str:
    """Which of the methods ages at all, which keeps the person, and what a judge's word is worth."""

    def one(method: str, metric: str) -> Measured | None:
        return measured(artefact.rows, metric, {"method": method, "set": NAME})

    judge = measured(artefact.rows, "mae", {"method": JUDGE, "set": "held out people"})
    true, copy = one("truth", "age_accuracy"), one("copy", "age_accuracy")
    far = one("copy", "identity_of_truth")
    done = {name: (one(name, "age_accuracy"), one(name, "identity_of_truth")) for name in METHODS}
    there = {name: (aged, kept) for name, (aged, kept) in done.items() if aged and kept}
    above = [NAMES[name] for name, (aged, _) in there.items() if true and aged.mean > true.mean]
    nearer = [NAMES[name] for name, (_, kept) in there.items() if far and kept.mean > far.mean]
    lost = [str(NAMES[name]) for name in there if (near := one(name, "ssim")) and near.mean < LOST]
    still = [str(NAMES[name]) for name, (aged, _) in there.items() if copy and abs(aged.mean - copy.mean) < 0.05]
    return say(
        {
            "judge": judge and digits(judge.mean),
            "true": true and digits(true.mean),
            "copy": copy and digits(copy.mean),
            "far": far and digits(far.mean),
            "lines": listed([f"{NAMES[name]} {digits(aged.mean)} %" for name, (aged, _) in there.items()]),
            "kept": listed([f"{NAMES[name]} {digits(kept.mean)}" for name, (_, kept) in there.items()]),
            "still": listed(still),
            "lost": listed(lost),
            "above": listed([str(name) for name in above]),
            "nearer": listed([str(name) for name in nearer]),
        },
        (judge, "The judge errs by {judge} years on people it has not seen."),
        (true and copy, "It tells {true} % of the true faces in the group asked for, and {copy} % of copies of the "
                        "source."),
        (there, "Of drawn faces it tells: {lines}."),
        (lost, "What {lost} drew shows no face: it did not train here, and nothing was beaten by being ahead of it."),
        (still, "As often as a copy, and so no better than not ageing at all: {still}."),
        (there and far, "Their likeness to the true face at that age: {kept}; a copy of the source has {far}."),
        (nearer, "Nearer to the truth than a copy: {nearer}."),
        (there and far and not nearer, "No method comes nearer to the truth than a copy of the source."),
        (above, "Told in their group more often than the true faces, and so drawn for the judge: {above}."),
    )  # fmt: skip


TABLE2 = Experiment(
    "mtlface_table2",
    jobs,
    rows,
    lambda artefact, _: figure(artefact),
    found=found,
    shape=Shape(down=("method",), across=(METRIC,), only={"set": NAME}, names=NAMES),
)
