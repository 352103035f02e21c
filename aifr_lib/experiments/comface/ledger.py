"""The ledger of ComFace's trainings as a plan, a line an entry, and beside it what of each has run."""

from __future__ import annotations

from pathlib import Path

from aifr_lib.experiments.comface.measured import WORDS
from aifr_lib.experiments.comface.runs import PLAIN, own_setting, pretraining_of, start, transfer_job
from aifr_lib.experiments.jobs import Job, gather, store_of
from aifr_lib.reporting.prose import counted, listed
from aifr_lib.reporting.rows import in_words
from aifr_lib.settings.comface import Comface, Entry
from aifr_lib.settings.presets import Preset

BEGINS = {"scratch": "no pictures: fresh weights", "imagenet": "photographs of ImageNet, by others"}
LAYER = {"c": "with a fresh linear layer", "d": "with the pre-trained linear layer"}


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
