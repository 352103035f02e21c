"""What ComFace is not compared with in its paper: what a photograph says without its face, a recogniser, the difference
of two ages; one attribute less in pre-training; and features side by side in place of their difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.change_tasks import AGE
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.age import age_jobs
from aifr_lib.experiments.comface.expression import CAPITALS, MAIN, linear_job
from aifr_lib.experiments.comface.frozen import INNER, WHOLE, frozen_job
from aifr_lib.experiments.comface.measured import FINE, METRICS, RIDGE, RIDGE_INNER, WORDS, Said, by_method
from aifr_lib.experiments.comface.runs import own_setting, starts, transfer_job
from aifr_lib.experiments.comface.weight import SETS
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

RunKey = tuple[str, str, int]
LOST = "error gained on grey inner faces"
ONE_BY_ONE = "scratch, each age by itself"
ORDERS, SUM = "how far from antisymmetric", "how far from additive"
SIDE_BY_SIDE = "comface, features side by side"
NAMES: dict[Key, str] = {
    **WORDS, "ages": "difference of two ages, packaged judge", ONE_BY_ONE: "difference of two ages, same network",
    SIDE_BY_SIDE: "both features", "comface": "ComFace", LOST: LOST,
}  # fmt: skip


def shortcut_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Every kept feature of Table N: whole pictures and grey inner faces lie in one run."""
    return {key: job for key, job in age_jobs(preset, seeds, device).items() if key[0] == RIDGE}


def shortcut_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Both views of each, and by how much the error grows without colour, contrast and surroundings."""
    for name in dict.fromkeys(key[1] for key in shortcut_jobs(preset)):
        found = by_method(runs, RIDGE).get(name, {})
        views = {view: {seed: shown.read(run, AGE, view) for seed, run in found.items()} for view in (WHOLE, INNER)}
        for how, view in ((RIDGE, WHOLE), (RIDGE_INNER, INNER)):
            yield from shown.rows({"method": name, "view": how}, views[view])
        gained = shown.less(views[INNER], views[WHOLE])
        yield Row(keys={"method": name, "view": LOST}, metric="mae", measured=gained)


def shortcut_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """A line a reader from its error on whole pictures to that on grey inner faces."""
    names = [
        name for name in dict.fromkeys(str(row.keys["method"]) for row in artefact.rows)
        if _error(artefact, name, RIDGE) and _error(artefact, name, RIDGE_INNER)
    ]  # fmt: skip
    figure, axis = plt.subplots(figsize=(7, 0.36 * len(names) + 1.3), layout="constrained")
    for place, name in enumerate(names):
        whole, inner = _error(artefact, name, RIDGE), _error(artefact, name, RIDGE_INNER)
        assert whole and inner
        axis.plot([whole.mean, inner.mean], [place, place], color="0.7", zorder=1)
        axis.plot(whole.mean, place, "o", color=plots.PALETTE[0], label="whole picture" if not place else None)
        axis.plot(inner.mean, place, "^", color=plots.PALETTE[1], label="grey inner face" if not place else None)
    axis.set_yticks(range(len(names)), [NAMES.get(name, name) for name in names])
    axis.invert_yaxis()
    axis.set_xlabel("mean error on change of age, years")
    if names:
        axis.legend(fontsize=8)
    return figure


def _error(artefact: Artefact, name: str, view: str) -> Measured | None:
    return measured(artefact.rows, "mae", {"method": name, "view": view})


def shortcut_found(artefact: Artefact) -> str:
    """What pixels lose, and what ComFace's features do."""
    pairs = {
        name: (_error(artefact, name, RIDGE), _error(artefact, name, RIDGE_INNER)) for name in ("pixels", "comface")
    }
    numbers = {
        f"{name}_{view}": digits(one.mean)
        for name, both in pairs.items()
        for view, one in zip(("whole", "inner"), both, strict=True)
        if one
    }
    return say(
        numbers,
        (all(pairs["pixels"]), "Colour pixels err by {pixels_whole} years on whole pictures and by {pixels_inner} on"),
        (all(pairs["pixels"]), "grey inner faces."),
        (all(pairs["comface"]), "ComFace's kept features err by {comface_whole} and {comface_inner}."),
    )


def rival_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Of Table N always no change, SFace, scratch and ComFace; the judge of ages; the network that tells ages."""
    settings = preset.comface
    wanted = {(RIDGE, "zero"), (RIDGE, "sface"), (RIDGE, "pixels"), (FINE, "scratch"), (FINE, "comface")}
    jobs = {key: job for key, job in age_jobs(preset, seeds, device).items() if key[:2] in wanted}
    if "sface" in settings.frozen:  # the size at which packaged networks are read
        jobs[RIDGE, "ages", 0] = frozen_job(settings, AGE, "ages", device)
    for one, setting in starts(settings, AGE, ledger=settings.beyond):
        if one.ages and (seeds is None or one.seed in seeds):
            jobs[FINE, one.name, one.seed] = transfer_job(settings, AGE, one, setting, device)
    return jobs


def rival_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Error and correlation of each."""
    for how, name in dict.fromkeys((*(key[:2] for key in rival_jobs(preset)), (RIDGE, "ages"), (FINE, ONE_BY_ONE))):
        read = shown.said if how == FINE else lambda run: shown.read(run, AGE)
        said = {seed: read(run) for seed, run in by_method(runs, how).get(name, {}).items()}
        yield from shown.rows({"method": name, "how": how}, said)


def rival_found(artefact: Artefact) -> str:
    """Comparing two faces beside telling two ages."""

    def of(name: str, how: str) -> str | None:
        one = measured(artefact.rows, "mae", {"method": name, "how": how})
        return digits(one.mean) if one else None

    numbers = {
        "compared": of("scratch", FINE), "apart": of(ONE_BY_ONE, FINE), "judge": of("ages", RIDGE),
        "zero": of("zero", RIDGE), "sface": of("sface", RIDGE),
    }  # fmt: skip
    both = numbers["compared"] and numbers["apart"]
    return say(
        numbers,
        (numbers["zero"], "Saying no change errs by {zero} years."),
        (
            both,
            "The same network from scratch, on the same pictures, errs by {compared} years when it learns to compare",
        ),
        (both, "and by {apart} when it learns to tell each age."),
        (numbers["judge"], "The difference of the two ages that a packaged judge sees errs by {judge}."),
        (numbers["sface"], "A recogniser's kept features err by {sface}."),
    )


def attribute_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Kept features of ComFace with all attributes and with one left out, on the three tasks."""
    settings, jobs = preset.comface, dict[RunKey, Job]()
    whole = [one for one, _ in starts(settings) if one.name == "comface"][:1]
    fewer = [one for one, _ in starts(settings, ledger=settings.beyond) if one.config and one.config.source.without]
    for one in [*whole, *fewer]:
        assert one.config is not None
        if seeds is None or one.seed in seeds:
            left = one.config.source.without or "none"
            jobs[left, AGE, one.seed] = frozen_job(settings, AGE, one, device)
            jobs[left, "weight", one.seed] = frozen_job(settings, "weight", one, device)
            jobs[left, "expression", one.seed] = linear_job(settings, one, "a", device)
    return jobs


def attribute_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Error and correlation by what was left out, task by task."""
    for left in dict.fromkeys(key[0] for key in attribute_jobs(preset)):
        for kind, tasks in ((AGE, (AGE,)), ("weight", ("edema-a", "edema-b")), ("expression", MAIN)):
            found = {key[2]: run for key, run in runs.items() if key[:2] == (left, kind)}
            for task in tasks:
                said = {seed: shown.read(run, task) for seed, run in found.items()}
                yield from shown.rows({"left out": left, "task": task}, said)


def attribute_found(artefact: Artefact) -> str:
    """Whether the age task misses the attribute of age."""

    def of(left: str) -> str | None:
        one = measured(artefact.rows, "mae", {"left out": left, "task": AGE})
        return digits(one.mean) if one else None

    numbers = {"all": of("none"), "less": of("age")}
    return say(
        numbers,
        (
            all(numbers.values()),
            "Kept features err by {all} years on a change of age when age was among the attributes",
        ),
        (all(numbers.values()), "of pre-training, and by {less} when it was not."),
    )


def fusion_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """ComFace's fine-tuning on age with the difference of features, and with both features."""
    settings, jobs = preset.comface, dict[RunKey, Job]()
    for ledger, name in ((settings.ledger, "comface"), (settings.beyond, SIDE_BY_SIDE)):
        for one, setting in starts(settings, AGE, ledger=ledger):
            if one.name == name and setting == own_setting(one) and (seeds is None or one.seed in seeds):
                jobs[FINE, name, one.seed] = transfer_job(settings, AGE, one, setting, device)
    return jobs


def fusion_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Error and correlation, and what the difference has by construction."""
    for name in ("comface", SIDE_BY_SIDE):
        found = {seed: shown.said(run) for seed, run in by_method(runs, FINE).get(name, {}).items()}
        yield from shown.rows({"method": name}, found)
        for metric, measure in ((ORDERS, asymmetry), (SUM, disagreement)):
            values = {seed: measure(one) for seed, one in found.items()}
            single = next(iter(values.values())) if len(values) == 1 else None
            yield Row(
                keys={"method": name}, metric=metric,
                measured=None if not values else single[1] if single else student_t(
                    {seed: one[0] for seed, one in values.items()}
                ),
            )  # fmt: skip


def asymmetry(said: Said) -> tuple[float, Measured]:
    """mean |d̂(x, y) + d̂(y, x)| / mean |d̂|, and the same with its interval over subjects: 0 of a difference."""
    there, back, subject = _orders(said)
    return _relative(np.abs(there + back), subject, said)


def disagreement(said: Said) -> tuple[float, Measured]:
    """mean |d̂(x, y) + d̂(y, z) − d̂(x, z)| / mean |d̂| over all triples of pictures of a subject; 0 of a difference."""
    there, _, subject = _orders(said)
    found, whose = [], []
    for one in np.unique(subject):
        own = there[subject == one]
        count = round((1 + np.sqrt(1 + 8 * len(own))) / 2)
        first, second = genuine_pairs(np.zeros(count, dtype=np.int64))
        table = np.zeros((count, count))
        table[first, second] = own
        x, y, z = np.array(list(combinations(range(count), 3)), dtype=np.int64).reshape(-1, 3).T
        found.append(np.abs(table[x, y] + table[y, z] - table[x, z]))
        whose.append(np.full(len(found[-1]), one))
    return _relative(np.concatenate(found), np.concatenate(whose), said)


def _orders(said: Said) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """d̂ of each pair, of the same pair turned round, and whose it is: a fold holds all pairs, then all turned round."""
    there, back, subject = [], [], []
    for fold in np.unique(said.fold):
        rows = np.flatnonzero(said.fold == fold)
        first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        there.append(said.predicted[first].astype(np.float64))
        back.append(said.predicted[second].astype(np.float64))
        subject.append(said.subject[first])
    return np.concatenate(there), np.concatenate(back), np.concatenate(subject)


def _relative(values: np.ndarray, subject: np.ndarray, said: Said) -> tuple[float, Measured]:
    size = float(np.abs(said.predicted.astype(np.float64)).mean()) or 1.0
    mean = float(values.mean()) / size if len(values) else 0.0
    if len(np.unique(subject)) < 2:
        return mean, Measured(mean=mean)
    low, high = mean_interval(values, subject)
    return mean, Measured(mean=mean, ci95=(low / size, high / size), interval="identities")


def fusion_found(artefact: Artefact) -> str:
    """What both features cost."""

    def of(name: str, metric: str) -> str | None:
        one = measured(artefact.rows, metric, {"method": name})
        return digits(one.mean) if one else None

    numbers = {
        "one": of("comface", "mae"), "two": of(SIDE_BY_SIDE, "mae"), "turned": of(SIDE_BY_SIDE, ORDERS),
        "summed": of(SIDE_BY_SIDE, SUM),
    }  # fmt: skip
    both = numbers["one"] and numbers["two"]
    return say(
        numbers,
        (both, "With the difference of features ComFace errs by {one} years, with both features by {two}."),
        (numbers["turned"], "With both, the way back misses minus the way there by {turned} of a change;"),
        (numbers["summed"], "two steps miss one by {summed};"),
        (numbers["turned"] or numbers["summed"], "of a difference that is nothing by construction."),
    )


SHORTCUTS = Experiment(
    "comface_shortcuts", shortcut_jobs, shortcut_rows, shortcut_figure, found=shortcut_found,
    shape=Shape(down=("method",), across=("view",), only={METRIC: "mae"}, names=NAMES),
)  # fmt: skip
RIVALS = Experiment(
    "comface_rivals", rival_jobs, rival_rows, found=rival_found,
    shape=Shape(down=("method", "how"), across=(METRIC,), only={METRIC: METRICS}, names=NAMES),
)  # fmt: skip
ATTRIBUTES = Experiment(
    "comface_attributes", attribute_jobs, attribute_rows, found=attribute_found,
    shape=Shape(
        down=("left out",), across=("task", METRIC),
        names={**WORDS, **SETS, **CAPITALS, "none": "nothing", "age": "age"},
    ),
)  # fmt: skip
FUSION = Experiment(
    "comface_fusion", fusion_jobs, fusion_rows, found=fusion_found,
    shape=Shape(
        down=("method",), across=(METRIC,), names={**NAMES, "comface": "difference of features", "method": "layer over"}
    ),
)  # fmt: skip
