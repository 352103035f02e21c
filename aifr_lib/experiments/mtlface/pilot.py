"""The pilot: MTLFace's synthesis under a few weightings of its losses, judged on validation people before all else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.figure import Figure

from aifr_lib.data.relief.wide import NAME
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.mtlface import drawing, judges
from aifr_lib.experiments.mtlface.synthesis_rows import NAMES, method_rows, tradeoff_figure
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.mtlface import Mtlface, MultiTask
from aifr_lib.settings.presets import Preset

JUDGE = "judge"
BOUNDS = (drawing.COPY, drawing.TRUTH)
VALIDATION = "validation_"


def weighted(asked: Mtlface, name: str, seed: int) -> MultiTask:
    """MTLFace under one weighting of the pilot."""
    config = drawing.method_of(asked, "mtlface", seed)
    assert isinstance(config, MultiTask) and config.synthesis is not None
    changes = dict(asked.pilot[name])
    return config.model_copy(update={"synthesis": config.synthesis.model_copy(update=changes)})


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The judge, a copy and the truth, then each weighting with the first seed."""
    asked = preset.mtlface
    seed = seeds[0] if seeds else asked.synthesis_seeds[0]
    tried = {name: drawing.job(asked, weighted(asked, name, seed), device) for name in asked.pilot}
    return {JUDGE: judges.job(asked.judge, device), **drawing.bounds_jobs(asked, device), **tried}


def rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """The judge's own error; then each weighting beside a copy and the truth, on validation people."""
    asked = preset.mtlface
    yield from judge_rows(runs.get(JUDGE))
    for name in (*BOUNDS, *asked.pilot):
        found = {run.spec.seed: run for key, run in runs.items() if key == name}
        yield from method_rows(name, found, asked.judge, prefix=VALIDATION)


def judge_rows(run: Run | None) -> Iterator[Row]:
    """How much the judge errs on people it has not seen: years, and groups told rightly in %."""
    for people in ("held out", "test"):
        for metric in ("mae", "mae_of_a_constant", "age_accuracy"):
            value: Measured | None = student_t({run.spec.seed: run.summary[people][metric]}) if run else None
            yield Row(keys={"method": JUDGE, "set": f"{people} people"}, metric=metric, measured=value)


def figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """What each weighting trades, and the faces that it draws."""
    return tradeoff_figure(artefact, [name for name in runs if name != JUDGE])


def found(artefact: Artefact) -> str:
    """How far a judge can be trusted, and what the weightings trade."""

    def one(method: str, metric: str, where: str = NAME) -> Measured | None:
        return measured(artefact.rows, metric, {"method": method, "set": where})

    judge, true, copy = one(JUDGE, "mae", "held out people"), one("truth", "age_accuracy"), one("copy", "age_accuracy")
    tried = dict.fromkeys(
        str(row.keys["method"]) for row in artefact.rows if row.keys["method"] not in (JUDGE, *BOUNDS)
    )
    both = {name: (one(name, "age_accuracy"), one(name, "identity_of_truth")) for name in tried}
    done = {name: (aged, kept) for name, (aged, kept) in both.items() if aged and kept}
    above = [name for name, (aged, _) in done.items() if true and aged.mean > true.mean]
    left = one("copy", "identity_of_truth")
    nearer = left and done and left.mean > max(kept.mean for _, kept in done.values())
    return say(
        {
            "judge": judge and digits(judge.mean),
            "true": true and digits(true.mean),
            "copy": copy and digits(copy.mean),
            "lines": "; ".join(
                f"{digits(aged.mean)} % ({name.replace('_', ' ')}, likeness to the true face {digits(kept.mean)})"
                for name, (aged, kept) in done.items()
            ),
            "left": left and digits(left.mean),
            "above": ", ".join(name.replace("_", " ") for name in above),
        },
        (judge, "The judge errs by {judge} years on people it has not seen."),
        (true and copy, "It tells {true} % of the true faces, and {copy} % of copies of the source, in the group asked "
                        "for."),
        (done, "Of faces drawn under each weighting it tells {lines}."),
        (nearer, "No weighting comes nearer to the true face than a copy, which does not age at all ({left})."),
        (above, "What is told in its group more often than the true faces ({above}) is drawn for the judge, not for "
                "the eye."),
    )  # fmt: skip


PILOT = Experiment(
    "mtlface_pilot",
    jobs,
    rows,
    figure,
    found=found,
    shape=Shape(down=("method",), across=(METRIC,), only={"set": NAME}, names=NAMES),
)
