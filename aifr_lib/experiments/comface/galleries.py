"""ComFace's edited faces: weight, age and smile over the strength α (Fig. A), and other attributes (Fig. B).

The paper shows StyleGAN's faces in Fig. A and StyleGAN3's in Fig. B. Here both come from the generator that installs
as a package, along directions that were found (``latent_directions``), and beside them from relief faces.
A run keeps the pictures themselves, as JPEG.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from aifr_lib.experiments.generator.drawing import NAMES, missing, packed, source_id, strengths, unpacked
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces.generators import sources
from aifr_lib.faces.generators.directions import found_directions
from aifr_lib.progress import tqdm
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import signs
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.settings.presets import Preset

RECIPE, RECIPE_VERSION = "gallery", 1
ATTRIBUTES = {"comface_figA": ("weight", "age", "smile"), "comface_figB": ("gender", "yaw", "light")}
SHOWN, PEOPLE = (-5.0, -2.5, 0.0, 2.5, 5.0), 2  # strengths and people in the figures


def gallery_jobs(
    id: str, preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[str, Job]:
    """One run for each source. Naming them needs no picture and no package."""
    settings = preset.comface_faces

    def job(source: str) -> Job:
        names = attributes(id, source)
        values = {
            "attributes": names,
            "alphas": strengths(settings.step),
            "identities": settings.identities,
            "side": settings.side,
        }
        spec = RunSpec(
            recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=source_id(source, names)
        )
        return Job(spec, lambda _: compute_run(source, names, preset), partial(missing, source))

    return {source: job(source) for source in settings.sources}


def attributes(id: str, source: str) -> tuple[str, ...]:
    """Those of the figure that the source can edit."""
    able = sources.RELIEF_MOVES if source == "relief" else found_directions()
    return tuple(name for name in ATTRIBUTES[id] if name in able)


def compute_run(source: str, names: Sequence[str], preset: Preset) -> Result:
    """Draw every person at every strength of every attribute.

    scores: ``jpeg`` uint8, all pictures one after the other; ``ends`` where each ends. Order: attribute, person, α.
    """
    started = time.perf_counter()
    settings = preset.comface_faces
    draw = sources.open_source(source)
    alphas = strengths(settings.step)
    unedited = {who: draw.render(who, names[0], 0.0) for who in range(settings.identities)}
    wanted = [(name, who, alpha) for name in names for who in unedited for alpha in alphas]
    pictures = []
    for name, who, alpha in tqdm(wanted, desc=f"editing {NAMES[source]}", unit="face", delay=2):
        pixels = draw.render(who, name, alpha) if alpha else unedited[who]
        small = Image.fromarray(pixels).resize((settings.side,) * 2, Image.Resampling.LANCZOS)
        pictures.append(plots.picture(np.asarray(small)))
    return Result(packed(pictures), {"pictures": len(pictures)}, "cpu", time.perf_counter() - started)


def pictures_of(run: Run) -> dict[str, np.ndarray]:
    """By attribute: uint8 [people, strengths, S, S, 3]."""
    values = run.spec.values
    names, people, alphas = values["attributes"], values["identities"], values["alphas"]
    found = unpacked(run.scores)
    shaped = found.reshape(len(names), people, len(alphas), *found.shape[1:])
    return dict(zip(names, shaped, strict=True))


def gallery_figure(artefact: Artefact, runs: Mapping[str, Run]) -> Figure:
    """A panel for each attribute, a row for each of the first people, a column for each strength of ``SHOWN``.

    The generator where it was run, else relief faces.
    """
    source = "latent" if "latent" in runs else next(iter(runs))
    alphas = runs[source].spec.values["alphas"]
    chosen = [place for place, alpha in enumerate(alphas) if alpha in SHOWN]
    pictures = {name: faces[:PEOPLE] for name, faces in pictures_of(runs[source]).items()}
    people = len(next(iter(pictures.values())))
    size = (7.0, 7.0 * people * len(pictures) / len(chosen) + 0.5)
    figure, axes = plt.subplots(len(pictures), 1, figsize=size, layout="constrained", squeeze=False)
    for axis, (name, faces) in zip(axes[:, 0], pictures.items(), strict=True):
        side = faces.shape[2]
        axis.imshow(np.vstack([np.hstack(list(row[chosen])) for row in faces]))
        axis.set_xticks([side * (k + 0.5) for k in range(len(chosen))], [signs(f"α = {alphas[k]:g}") for k in chosen])
        axis.set_yticks([])
        axis.xaxis.tick_top()
        axis.tick_params(length=0, labelsize=9)
        axis.set_ylabel(name)
        axis.spines[:].set_visible(False)
        axis.grid(False)
    return figure


def player_frames(run: Run, people: int | None = None) -> tuple[list[bytes], list[str], int]:
    """For a slider over α: JPEG frames (a row for each attribute, a column for each person), labels, the frame of 0."""
    alphas = run.spec.values["alphas"]
    pictures = [faces[:people] for faces in pictures_of(run).values()]
    frames = []
    for place in range(len(alphas)):
        frames.append(plots.picture(np.vstack([np.hstack(list(faces[:, place])) for faces in pictures])))
    return frames, [f"α = {alpha:+.1f}" if alpha else "α = 0, unedited" for alpha in alphas], alphas.index(0)


# The people are the seeds 0, 1, 2 …, none of them chosen by looks.
FIG_A, FIG_B = (Experiment(id, partial(gallery_jobs, id), figure=gallery_figure, kind="gallery") for id in ATTRIBUTES)
