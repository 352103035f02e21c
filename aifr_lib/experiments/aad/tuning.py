"""What was tried on validation people before a student was judged: weights of the losses, rates (none is printed)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad import tables
from aifr_lib.experiments.aad.students import tuning_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset


def tuning_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[str, int], Job]:
    """The runs by (variant, seed): each variant that the preset tries, with the first seed, for a part of the epochs.

    What the argument ``seeds`` says does not matter here.
    """
    aad = preset.aad
    first = aad.ledger[0]
    entry, seed = first.model_copy(update={"length": aad.tried_length}), first.seeds[0]
    return {
        (variant, seed): tuning_job(aad.student(entry, variant, seed), aad.protocols, device) for variant in aad.tried
    }


def tuning_rows(preset: Preset, runs: Mapping[tuple[str, int], Run]) -> Iterator[Row]:
    """Accuracy on validation people by variant and list of pairs; no test person is looked at."""
    aad = preset.aad
    for variant in aad.tried:
        found = {seed: run.summary["validation"] for (name, seed), run in runs.items() if name == variant}
        for name in chosen.lists_of(aad.train.relief, "validation").get("everyday", []):
            keys = {"backbone": aad.ledger[0].backbone, "variant": variant, "set": f"{name}, validation"}
            yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))


TUNING = Experiment(
    "aad_tuning",
    tuning_jobs,
    tuning_rows,
    lambda artefact, _: tables.table_figure(artefact, "accuracy"),
    shape=Shape(down=("variant",), across=("set",)),
)
