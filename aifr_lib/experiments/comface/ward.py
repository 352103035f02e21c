"""Supplement B.2: a model of one patient, learnt from one to three of the patient's own days, beside ComFace, which
never sees a patient whom it is tested on.

The method that the paper compares with (Akamatsu et al. 2023) pre-trains on 24 patients and transfers to each of 15.
How it transfers is not in the text at hand: here the linear layer is fitted anew to the patient's days and drawn
towards the layer of the 24 (ridge), by a penalty chosen on patients held out of these; the network stays (inferred).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import change_tasks
from aifr_lib.data.change_tasks import Task, both_orders, some, within
from aifr_lib.evaluation.change import Fold
from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.measured import DIRECTED, FINE, WORDS, Said
from aifr_lib.experiments.comface.runs import Start, own_setting, pretraining_of, starts, task_id, transfer_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.names import ConfigError
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface, Ward
from aifr_lib.settings.presets import Preset
from aifr_lib.training import linear, transfer
from aifr_lib.training.engine import accelerator_for

RECIPE, RECIPE_VERSION = "comface_ward", 1
TASK = "edema-a"
OWN = "own days"  # runs of one patient's models
DRAW = 23  # seeds which days of a patient are learnt from
RunKey = tuple[str, str, int]


def ward_fold(ward: Ward, task: Task, validation: float) -> Fold:
    """The first ``pretrained_on`` patients learn, a share of them validates; the others are tested.

    Errors: ConfigError where nobody is left to test, or days are too few to leave one out.
    """
    patients = np.unique(task.subjects)
    if ward.pretrained_on >= len(patients):
        raise ConfigError(
            f"{len(patients)} patients, of whom {ward.pretrained_on} pre-train, leave nobody to transfer to: lower "
            "ward.pretrained_on"
        )
    days = task.images.labels["day"].nunique()
    if max(ward.days) >= days:
        raise ConfigError(f"{days} days, one left out, are fewer than the {max(ward.days)} of ward.days to learn from")
    held = max(1, round(validation * ward.pretrained_on))
    parts = np.split(patients, [ward.pretrained_on - held, ward.pretrained_on])
    return Fold(*(np.flatnonzero(np.isin(task.subjects, one)) for one in parts))


def ward_job(settings: Comface, one: Start, device: str | None = None) -> Job:
    """One pre-training on the 24, then a layer for each patient, day left out and number of days.

    scores: ``predicted_N`` of the test pairs in both orders, N own days learnt from (0: the layer of the 24), ``true``,
    ``subject``. summary: ``rate``; ``penalty`` by N.
    """
    setting = own_setting(one)
    config = settings.transfer(TASK).model_copy(update={"setting": setting})
    values = {
        "start": one.values(),
        "transfer": config.model_dump(mode="json"),
        "ward": settings.ward.model_dump(mode="json"),
    }
    spec = RunSpec(
        recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=one.seed, values=values, data=task_id(TASK, settings)
    )

    def compute(folder: Path, pretraining: Path | None = None) -> Result:
        started = time.perf_counter()
        task = change_tasks.load(TASK, settings.tasks, settings.pretraining.side)
        fold, begun = ward_fold(settings.ward, task, config.validation), one.comparer(pretraining)
        rate = config.rates[0]
        if len(config.rates) > 1:
            rate, _ = transfer.best_rate(config, task, begun, folder, fold=fold, device=device)
        part = transfer.fine_tune(config, task, fold, begun, folder / "ward", rate=rate, seed=one.seed, device=device)
        features = linear.plain_features(part.network.cpu(), task.images).numpy().astype(np.float64)
        layer = part.scale * part.network.linear.weight[0].detach().cpu().numpy().astype(np.float64)
        tested = both_orders(some(task.tested, within(task.tested, fold.test)))
        scores = {
            "predicted_0": (features[tested.b] - features[tested.a]) @ layer,
            "true": tested.d,
            "subject": task.subjects[tested.a],
        }
        penalties = {}
        for days in settings.ward.days:
            held = both_orders(some(task.tested, within(task.tested, fold.validation)))
            errors = {
                penalty: np.abs(own_days(task, features, layer, held, days, penalty) - held.d).mean()
                for penalty in settings.ward.penalties
            }
            penalties[days] = min(errors, key=errors.__getitem__)
            scores[f"predicted_{days}"] = own_days(task, features, layer, tested, days, penalties[days])
        summary = {"rate": rate, "penalty": {str(days): penalty for days, penalty in penalties.items()}}
        where = str(accelerator_for(device, "no").device)
        return Result(scores, summary, where, time.perf_counter() - started)

    return Job(spec, compute, one.lacking, pretraining_of(one, device), leaves=())


def own_days(
    task: Task, features: np.ndarray, layer: np.ndarray, tested: change_tasks.ChangePairs, days: int, penalty: float
) -> np.ndarray:
    """d̂ of pairs [P], each by a layer learnt from ``days`` other days of the same patient, drawn once.

    features: [N, D]; layer: [D], what each patient's layer is drawn towards.
    """
    day, found = task.images.labels["day"].to_numpy(), np.zeros(len(tested))
    for patient in np.unique(task.subjects[tested.a]):
        own = np.flatnonzero(task.subjects == patient)
        for left in np.unique(day[own]):
            rows = np.flatnonzero((task.subjects[tested.a] == patient) & (day[tested.a] == left))
            others = np.setdiff1d(day[own], left)
            chosen = np.random.default_rng((DRAW, int(patient), int(left))).permutation(others)[:days]
            known = own[np.isin(day[own], chosen)]
            pairs = some(task.learnt, np.flatnonzero(np.isin(task.learnt.a, known) & np.isin(task.learnt.b, known)))
            w = towards(layer, features[pairs.b] - features[pairs.a], pairs.d, penalty)
            found[rows] = (features[tested.b[rows]] - features[tested.a[rows]]) @ w
    return found


def towards(layer: np.ndarray, v: np.ndarray, d: np.ndarray, penalty: float) -> np.ndarray:
    """argmin_w mean (d − v·w)² + penalty · s · |w − layer|², s the mean square of a feature difference: [D].

    v: [P, D], d: [P]. Solved over pairs, which are fewer than features.
    """
    scale = penalty * float((v**2).mean()) * len(v) + 1e-12
    rest = d - v @ layer
    return layer + v.T @ np.linalg.solve(v @ v.T + scale * np.eye(len(v)), rest)


def ward_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Models of one patient from scratch and from ComFace at their first seed; Table M's fine-tunings beside them."""
    settings, jobs = preset.comface, dict[RunKey, Job]()
    for one, setting in starts(settings, TASK):
        if setting != own_setting(one) or (seeds is not None and one.seed not in seeds):
            continue
        jobs[FINE, one.name, one.seed] = transfer_job(settings, TASK, one, setting, device)
        if not any(key[:2] == (OWN, one.name) for key in jobs):
            jobs[OWN, one.name, one.seed] = ward_job(settings, one, device)
    return jobs


def ward_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """The tested patients alone: unseen, by the four folds of Table M; then by models of their own days."""
    settings = preset.comface
    for name in dict.fromkeys(key[1] for key in ward_jobs(preset)):
        seen = {key[2]: shown.said(run) for key, run in runs.items() if key[:2] == (FINE, name)}
        unseen = {seed: of_tested(settings.ward, one) for seed, one in seen.items()}
        yield from shown.rows({"method": name, "days": "none, four folds"}, unseen, DIRECTED)
        for days in (0, *settings.ward.days):
            said = {
                key[2]: Said(run.scores[f"predicted_{days}"], run.scores["true"], run.scores["subject"],
                             np.zeros(len(run.scores["true"])))
                for key, run in runs.items() if key[:2] == (OWN, name)
            }  # fmt: skip
            yield from shown.rows({"method": name, "days": days}, said, DIRECTED)


def of_tested(ward: Ward, said: Said) -> Said:
    """The pairs of those patients whom models of one patient are tested on."""
    chosen = np.isin(said.subject, np.unique(said.subject)[ward.pretrained_on :])
    kept = Said(*(values[chosen] for values in said))
    return kept._replace(fold=np.zeros(len(kept.true)))


def ward_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """Error and direction over the number of own days; dashed, the same method by its four folds."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    names = dict.fromkeys(str(row.keys["method"]) for row in artefact.rows)
    for axis, metric in zip(axes, ("mae", "accuracy"), strict=True):
        for number, name in enumerate(names):
            rows = [
                row for row in artefact.rows if row.metric == metric and row.keys["method"] == name and row.measured
            ]
            own = [(float(row.keys["days"]), row.measured) for row in rows if isinstance(row.keys["days"], int)]
            axis.plot([day for day, _ in own], [one.mean for _, one in own if one], color=plots.PALETTE[number],
                      marker=plots.MARKERS[number], label=WORDS.get(name, name))  # fmt: skip
            for row in rows:
                if isinstance(row.keys["days"], str) and row.measured:
                    axis.axhline(row.measured.mean, color=plots.PALETTE[number], linestyle="--", linewidth=1)
        axis.set_xlabel("own days learnt from")
        axis.set_xticks([0, *sorted({int(key) for key in _days(artefact)})])
    axes[0].set_ylabel("mean error, kg")
    axes[1].set_ylabel("right direction, % of pairs")
    axes[0].legend(fontsize=8)
    return figure


def _days(artefact: Artefact) -> set[int]:
    return {int(row.keys["days"]) for row in artefact.rows if isinstance(row.keys["days"], int)}


def ward_found(artefact: Artefact) -> str:
    """ComFace, which sees no test patient, beside models of each patient's own days."""

    def of(name: str, days: Key) -> str | None:
        one = measured(artefact.rows, "mae", {"method": name, "days": days})
        return digits(one.mean) if one else None

    most = max(_days(artefact))
    numbers = {"ours": of("comface", "none, four folds"), "none": of("scratch", 0), "own": of("scratch", most)}
    return say(
        {**numbers, "most": most},
        (numbers["ours"], "ComFace, which saw none of these patients, errs by {ours} kg."),
        (
            numbers["none"] and numbers["own"],
            "A network from scratch errs by {none} kg before it has seen a patient, by",
        ),
        (numbers["none"] and numbers["own"], "{own} kg with {most} of the patient's own days."),
    )


OWN_DAYS = Experiment(
    "comface_days", ward_jobs, ward_rows, ward_figure, found=ward_found,
    shape=Shape(
        down=("method", "days"), across=(METRIC,),
        names={**WORDS, "days": "own days learnt from", "none, four folds": "none, four folds over all patients"},
    ),
)  # fmt: skip
