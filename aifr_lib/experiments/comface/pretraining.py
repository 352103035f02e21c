"""The plan of ComFace's trainings with what of it has run; and what each loss of its pre-training learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.experiments.comface.measured import WORDS, by_method
from aifr_lib.experiments.comface.runs import (
    PLAIN,
    own_setting,
    pretraining_job,
    pretraining_of,
    start,
    starts,
    transfer_job,
)
from aifr_lib.experiments.jobs import Experiment, Job, gather, store_of
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, listed, say
from aifr_lib.reporting.rows import Row, in_words
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import Comface, Entry
from aifr_lib.settings.presets import Preset

UNTRAINED, BEST, SHARE = "loss before training", "lowest loss", "lowest loss, share of the first"
BEGINS = {"scratch": "no pictures: fresh weights", "imagenet": "photographs of ImageNet, by others"}
LAYER = {"c": "with a fresh linear layer", "d": "with the pre-trained linear layer"}
RunKey = tuple[str, str, int]


def trainings(settings: Comface, entry: Entry) -> tuple[list[Job], list[Job]]:
    """The pre-trainings and the fine-tunings of an entry, over its seeds."""
    begun = [start(settings, entry, seed) for seed in entry.seeds]
    before = [job for one in begun for job in pretraining_of(one).values()]
    after = [
        transfer_job(settings, task, one, setting)
        for one in begun
        for task in entry.tasks
        for setting in entry.settings or (own_setting(one),)
    ]
    return before, after


def ledger(preset: Preset, out: str | Path | None = None) -> tuple[list[dict[str, str]], str]:
    """A line for each entry, in the order in which they are to be run; and how many trainings of all have run."""
    settings = preset.comface
    done: set[str] = set()
    planned: set[str] = set()
    lines = []
    for entry in settings.ledger:
        parts = dict(zip(("pre-trained", "fine-tuned"), trainings(settings, entry), strict=True))
        keys = {name: {job.spec.key for job in jobs} for name, jobs in parts.items()}
        every = {job.spec.key: job for jobs in parts.values() for job in jobs}
        stored = set(gather(store_of(preset, out), every, compute=False, fresh=False))
        planned |= every.keys()
        done |= stored
        lines.append(
            {
                "method": WORDS[entry.method],
                "learns from": _source(settings, entry),
                "seeds": ", ".join(map(str, entry.seeds)),
                "then fine-tuned on": _tasks(entry),
                "run so far": ", ".join(
                    f"{name} {len(some & stored)} of {len(some)}" for name, some in keys.items() if some
                ),
            }
        )
    return lines, _state(len(done), len(planned))


def _state(done: int, planned: int) -> str:
    which = f"the {counted(planned, 'training')} of this plan"
    if done == 0:
        return f"None of {which} has run yet."
    if done == planned:
        return f"All of {which} have run."
    return f"{done} of {which} {'has' if done == 1 else 'have'} run so far."


def _source(settings: Comface, entry: Entry) -> str:
    if entry.method in PLAIN:
        return BEGINS[entry.method]
    config = settings.training(entry, 0)
    return f"{in_words(config.source.kind)}, {config.pictures:,} pictures seen"


def _tasks(entry: Entry) -> str:
    """On what it is fine-tuned, and with which linear layer where that is not the method's own alone."""
    if not entry.tasks:
        return "nothing: its features are read as they are"
    layers = listed([LAYER[setting] for setting in entry.settings])
    return ", ".join([*map(in_words, entry.tasks), *filter(None, [layers])])


def pretraining_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[RunKey, Job]:
    """Each pre-training of the ledger, once."""
    return {
        ("pretraining", one.name, one.seed): pretraining_job(one.config, device)
        for one, _ in starts(preset.comface)
        if one.config is not None and (seeds is None or one.seed in seeds)
    }


def pretraining_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """The method's own loss on people held out: of the untrained network, and at its lowest."""
    for name, by_seed in by_method(runs, "pretraining").items():
        numbers = {
            UNTRAINED: {seed: run.summary["untrained"] for seed, run in by_seed.items()},
            BEST: {seed: run.summary["best"] for seed, run in by_seed.items()},
            SHARE: {seed: run.summary["best"] / run.summary["untrained"] for seed, run in by_seed.items()},
        }
        trained = all(run.summary["fell"] for run in by_seed.values())
        for metric, values in numbers.items():
            yield Row(
                keys={"method": name, "outcome": "trained" if trained else "did not train"},
                metric=metric,
                measured=student_t({seed: float(value) for seed, value in values.items()}),
            )


def pretraining_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """The training loss of each method over pictures seen, as a share of its first value."""
    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    for number, (name, by_seed) in enumerate(by_method(runs, "pretraining").items()):
        colour, label = plots.PALETTE[number % len(plots.PALETTE)], WORDS.get(name, name)
        for run in by_seed.values():
            losses, batch = run.summary["losses"], run.spec.values["batch"]
            pictures = [2 * batch * step / 1000 for step in losses["step"]]
            first = losses["loss"][0] or 1.0
            axis.plot(pictures, [loss / first for loss in losses["loss"]], color=colour, label=label)
            label = "_"  # a name that no legend shows
    axis.set(xlabel="pictures seen, thousands", ylabel="loss of the method, share of its first value")
    axis.set_ylim(bottom=0)
    if axis.lines:
        axis.legend(fontsize=8)
    return figure


def pretraining_found(artefact: Artefact) -> str:
    """Which methods learnt what they ask of themselves."""
    outcome: dict[str, list[str]] = {}
    for row in artefact.rows:
        if row.metric == SHARE and row.measured:
            name = str(row.keys["method"])
            outcome.setdefault(str(row.keys["outcome"]), []).append(WORDS.get(name, name))
    trained, failed = outcome.get("trained", []), outcome.get("did not train", [])
    return say(
        {"trained": listed(trained), "failed": listed(failed)},
        (trained, "On people held out the own loss fell of {trained}."),
        (failed, "It did not fall of {failed}: nothing here was beaten by a rival that did not train."),
    )


LOSSES = Experiment(
    "comface_pretraining", pretraining_jobs, pretraining_rows, pretraining_figure, found=pretraining_found,
    shape=Shape(down=("method", "outcome"), across=(METRIC,), names=WORDS),
)  # fmt: skip
