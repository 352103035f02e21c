"""The one network of the opening notebook and of every page that needs a trained network at hand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.embedders import COMMITTED, tour_network
from aifr_lib.files import repository_root
from aifr_lib.models import weights
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run
from aifr_lib.settings.presets import Preset
from aifr_lib.training.engine import accelerator_for

RECIPE, RECIPE_VERSION = "tour", recognise.RECIPE_VERSION


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """The one run of the tour, by seed: its network on the pair lists. It has one seed, whatever ``seeds`` says."""
    config = preset.tour.train
    spec = recognise.spec(config)
    if preset.tour.committed:
        committed = weights.read_metadata(repository_root() / COMMITTED)["digest"]
        spec = spec.model_copy(
            update={"values": {"weights": committed, "relief": config.relief.model_dump(mode="json")}}
        )
    spec = spec.model_copy(update={"recipe": RECIPE, "recipe_version": RECIPE_VERSION})

    def compute(folder: Path) -> Result:
        started = time.perf_counter()
        net, trained = tour_network(preset, device)
        target = str(accelerator_for(device, "no").device)
        scores, summary = recognise.score(net, trained, target)
        return Result(scores, summary, target, time.perf_counter() - started)

    return {config.seed: Job(spec, compute)}


def tour_rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
    """The tour's network on random and on cross-age pairs; intervals over test identities (it has one seed)."""
    config = preset.tour.train
    for name in config.relief.pair_lists:
        accuracy = None
        if run := runs.get(config.seed):
            accuracy = Measured(
                mean=run.summary["accuracy"][name], ci95=tuple(run.summary["interval"][name]), interval="identities"
            )
        yield Row(keys={"set": name}, metric="accuracy", measured=accuracy)


def found(artefact: Artefact) -> str:
    """What years cost the network of this page."""
    near, far = (measured(artefact.rows, "accuracy", {"set": name}) for name in ("relief-near", "relief-agedb"))
    one = near or far
    return say(
        {
            "which": "near in age" if near else "thirty years apart",
            "one": one and digits(one.mean),
            "far": far and digits(far.mean),
        },
        (one, "The network of this page is right on {one} % of pairs of drawn faces {which}"),
        (near and far, "and on {far} % of pairs thirty years apart,"),
        (one, "of people it has never seen."),
    )


TOUR = Experiment("tour", jobs, tour_rows, found=found)
