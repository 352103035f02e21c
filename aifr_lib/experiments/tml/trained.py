"""The runs of TML: each is one network, scored on all that any of its tables and figures asks.

So a run is one for all of them, and nobody has to train a network again to ask it something else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

from torch import nn

from aifr_lib.data import edited, relief
from aifr_lib.data.loader import check_columns
from aifr_lib.experiments import recognise
from aifr_lib.experiments.generator.latent_directions import missing as missing_generator
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.relief import convergence
from aifr_lib.experiments.tml import scored
from aifr_lib.files import atomic_write
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import PairList, Relief
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import recognition, transformer_metric
from aifr_lib.training.engine import LOG, accelerator_for

LISTS: tuple[PairList, ...] = get_args(PairList)
WEIGHTS = "weights.safetensors"
# What a training without a branch has no use for.
IDLE = ("classifier", "layers", "heads", "feedforward", "pos_encoding")


def job(preset: Preset, config: TransformerTraining, device: str | None = None) -> Job:
    """The run of ``config``, with the sets of the preset's sweep.

    A network without a branch is trained as others of the book ask for it too, and scored here.
    """
    spec = named(preset, config)
    if config.plain:
        needs = {"network": plain_job(config.train, device)}
        return Job(spec, lambda folder, network: score(preset, config, network, device), needs=needs, leaves=())
    return Job(spec, lambda folder: compute(preset, config, folder, device), partial(missing, config.train.data))


def missing(data: str) -> str | None:
    """Why no network can be trained on these faces here; None where it can, or where they are a user's own."""
    return missing_generator() if data == edited.NARROW else None


def plain_job(config: Recognition, device: str | None = None) -> Job:
    """The training of a network without a branch: on relief faces a run of recognition like any other, on the
    generator's people that of its page.
    """
    plain = without_branch(config)
    trained = convergence.job(plain, device) if plain.data == edited.NARROW else recognise.job(plain, device)
    return replace(trained, leaves=(WEIGHTS, LOG), lacking=partial(missing, plain.data))


def without_branch(config: Recognition) -> Recognition:
    """The same training with what a branch alone would use at its defaults, as others ask for it."""
    return config.model_copy(update={name: Recognition.model_fields[name].default for name in IDLE})


def named(preset: Preset, config: TransformerTraining) -> RunSpec:
    """What names the run: every value of the training but the seed, and what it is scored on."""
    asked, train = preset.alpha_sweep.scored, config.train
    photographs = {name: scored.version(preset, name) for name in asked.photographs}
    values = config.model_dump(mode="json", exclude={"train": {"seed"}})
    return RunSpec(
        recipe=transformer_metric.RECIPE,
        recipe_version=transformer_metric.RECIPE_VERSION,
        seed=train.seed,
        values={
            **values,
            "recognition": recognition.RECIPE_VERSION,
            "scored": {**asked.model_dump(mode="json"), "photographs": photographs, "lists": list(LISTS)},
        },
        data=data_of(train.relief, train.data, asked.templates),
    )


@cache
def data_of(faces: Relief, data: str, people: int) -> DataId:
    """What a network is trained and scored on, named; kept, since all runs of a preset see the same."""
    found = recognise.data_of(every_list(faces), data, "test")
    return found.model_copy(update={"hash": f"{found.hash}-{templates_digest(faces.size, people)}"})


@cache
def templates_digest(size: int, people: int) -> str:
    """What names the pictures of relief-ijb."""
    return relief.set_digest(scored.TEMPLATES, size=size, identities=people)


def every_list(faces: Relief) -> Relief:
    """The same faces with all lists of pairs."""
    return faces.model_copy(update={"pair_lists": LISTS})


def compute(preset: Preset, config: TransformerTraining, folder: Path, device: str | None = None) -> Result:
    """Train into ``folder``, resuming what is there, looked at on the way; then ``score``.

    summary, besides what ``score`` says: ``looks``, their ``steps`` and at each the ``accuracy`` in % by list of
    validation people.
    """
    train = config.train
    check_columns((0, train.relief.size, train.relief.size, 3), train.input_hw)

    def look(network: nn.Module, step: int) -> None:
        where = str(next(network.parameters()).device)
        _, found = recognise.score(network, looked_at(train), where, split="validation")
        with atomic_write(folder / f"look-{step:09d}.json") as path:
            path.write_text(json.dumps({"step": step, "accuracy": found["accuracy"]}), encoding="utf-8")

    looks = preset.alpha_sweep.scored.looks
    trained = transformer_metric.train(config, folder, device=device, look=look, looks=looks)
    result = score(preset, config, folder, device)
    seen = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("look-*.json"))]
    along = {name: [one["accuracy"][name] for one in seen] for name in seen[-1]["accuracy"]}
    summary = {**result.summary, "looks": {"steps": [one["step"] for one in seen], "accuracy": along}}
    summary |= {"checksum": trained.checksum, "images_per_s": trained.scalars["images_per_s"]}
    return replace(result, summary=summary, wall_s=result.wall_s + trained.scalars["seconds"])


def looked_at(config: Recognition) -> Recognition:
    """``config`` with the lists of everyday pictures alone: a look should cost little beside a training."""
    names = tuple(name for name in config.relief.pair_lists if relief.PAIR_LISTS[name].view == "everyday")
    return config.model_copy(update={"relief": config.relief.model_copy(update={"pair_lists": names})})


def score(preset: Preset, config: TransformerTraining, folder: Path, device: str | None = None) -> Result:
    """The network that a training left in ``folder``, on every list, on templates and on photographs.

    scores: the cosines, by list. summary: ``accuracy`` in %, its ``interval`` over people and ``auc`` by list, what
    ``scored.by_age`` says of each list, ``tar`` in % of templates by false accept rate, ``validation`` of validation
    people, ``variance`` of Table IV, ``photographs`` and ``left_out`` (``scored.photographs``), ``slopes`` of the log.
    """
    started = time.perf_counter()
    where = str(accelerator_for(device, "no").device)
    network, train = recognition.load(folder / WEIGHTS)[0], config.train
    every = train.model_copy(update={"relief": every_list(train.relief)})
    scores, summary = recognise.score(network, every, where)
    summary |= {"auc": {}, "by_age": {}}
    for name in LISTS:
        summary["auc"][name], summary["by_age"][name] = scored.by_age(every.relief, name, scores[name])
    cosines, of_templates = scored.templates(network, train, preset.alpha_sweep.scored, where)
    for measure in ("accuracy", "interval", "auc"):
        summary[measure][scored.TEMPLATES] = of_templates[measure]
    numbers, left_out = scored.photographs(preset, folder / WEIGHTS, device)
    log = (folder / LOG).read_text(encoding="utf-8").splitlines()
    _, validation = recognise.score(network, train, where, split="validation")
    summary |= {
        "tar": of_templates["tar"],
        "validation": validation,
        "variance": recognise.variance(network, train, where),
        "photographs": numbers,
        "left_out": left_out,
        "slopes": slopes(log),
    }
    return Result({**scores, scored.TEMPLATES: cosines}, summary, where, time.perf_counter() - started, log)


def slopes(log: Sequence[str]) -> dict[str, list[float]]:
    """By loss and with ``step``, the norms of gradients at O_f along a training.

    >>> slopes(['{"step": 50, "loss": 3.0, "slope_margin": 2.0}', '{"step": 60, "loss": 2.0}'])
    {'step': [50], 'margin': [2.0]}
    """
    lines: list[Mapping[str, Any]] = [line for line in map(json.loads, log) if "slope_margin" in line]
    names = [name for name in lines[0] if name.startswith("slope_")] if lines else []
    found = {name.removeprefix("slope_"): [line[name] for line in lines] for name in names}
    return {"step": [line["step"] for line in lines], **found} if lines else {}


def pull(slopes: Mapping[str, Sequence[float]], when: str) -> float | None:
    """How hard the branch pulls at O_f, in % of the margin loss's pull, over the first or the last tenth of a training
    (``when``); None without a branch.

    >>> pull({"step": [50, 100], "margin": [4.0, 2.0], "transformer": [1.0, 1.0]}, "last")
    50.0
    """
    if "transformer" not in slopes:
        return None
    count = max(1, len(slopes["step"]) // 10)
    part = slice(count) if when == "first" else slice(-count, None)
    return 100 * sum(slopes["transformer"][part]) / sum(slopes["margin"][part])
