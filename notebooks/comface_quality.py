# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How good are faces of nobody? ComFace's Fig. D
#
# ComFace learns from pictures that a generator drew, 250,000 people who do not exist. Generators fail at times: a face
# melts into its background, a second face grows at the edge. So the paper scores every identity with SER-FIQ
# {cite:p}`serfiq`, shows the histogram (Fig. D), finds that *the majority are of good quality* (a score of .6 or more),
# and then that it does not matter: training on all of them is best (Table H).
#
# This page asks the first question of the generator that can be had here, and one before it: **does the score mean
# anything on these faces?** Table H has [a page of its own](comface_subsets.ipynb).

# %% tags=["parameters"]
# smoke: a few faces; lesson: some; classroom: hundreds of each kind, and a longer
# training
preset = "smoke"
seeds = None  # the page has one network and one seed
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display

from aifr_lib.evaluation import ser_fiq
from aifr_lib.experiments.comface import quality, quality_figure
from aifr_lib.experiments.comface.quality import OUTSIDE, SER_FIQ
from aifr_lib.experiments.generator.drawing import NAMES, unpacked
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.prose import percent
from aifr_lib.reporting.rows import measured

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(quality.FIG_D)

# %% [markdown]
# ## The idea
#
# A network that was trained with dropout is many networks at once: each pass that drops other units is another one.
# Show all of them one picture. If their embeddings agree, the picture says plainly who it shows; if each sees somebody
# else, it does not. No label is needed, and no idea of what "good" looks like.
#
# $$
# \begin{aligned}
# \bar d &= \frac{2}{T(T-1)} \sum_{i<j} \lVert e_i - e_j \rVert \\
# q &= 2\,\sigma(-\bar d) \\
# v &= \sigma\big(130\,(q - 0.88)\big)
# \end{aligned}
# $$
#
# $e_1 \dots e_T$ are the embeddings of length 1 of $T = 100$ passes. The last step is a stretch that the authors of
# SER-FIQ added to their code, with two numbers fitted to *their* network. In this library:

# %% tags=["hide-input"]
page.source(ser_fiq.quality_of)

# %% [markdown]
# ## Whose dropout?
#
# The paper does not say which network it asked; the usual one is an ArcFace network of millions of photographs, which
# cannot be had here. Ours is a small IResNet with dropout, trained on **relief faces** alone. It can say
# how well a picture fits what *it* knows of faces. It cannot say how well a photo-real picture would serve a network
# trained on photographs, unless the two happen to agree. So that is measured:
#
# - each picture is blurred (by two pixels of 112) and scored again: a score of quality must fall. To a network of small
#   inputs that is under a pixel, and relief faces are blurred in training: it may well not care;
# - a network that others trained on photographs to score quality (package `qualityface`) scores the same pictures.

# %% tags=["hide-input"]
result, runs = page.result(quality.FIG_D), page.runs(quality.FIG_D)
jobs = quality.quality_jobs(settings)
lacking = {
    place: reason
    for place, job in jobs.items()
    if place not in runs and (reason := job.lacking())
}
for (faces, score), reason in lacking.items():
    display(Markdown(f"*Not here: {NAMES.get(faces, faces)} by {score}: {reason}*"))

# %% [markdown]
# ## The numbers behind the histogram
#
# Of its generators' people the paper says that the majority reaches the limit of the first column.

# %% tags=["hide-input"]
page.table(quality.FIG_D)

# %% [markdown]
# A score that does not fall with blur does not measure sharpness, whatever else it measures: then the histogram above
# says how sure this network is, and nothing about how good the pictures are.
#
# ## Which faces stay?
#
# Move the threshold. Faces are in order of their score, best first; those under the threshold fade. Look for what the
# score dislikes: turned heads, children, hats, hands, second faces? Or nothing that the eye can name?

# %% tags=["hide-input"]
shown = next(
    (run for name in ("latent", "relief") if (run := runs.get((name, SER_FIQ)))), None
)
if shown is None:
    display(Markdown("*Not run yet at this size.*"))
else:
    frames, labels = quality_figure.threshold_frames(shown, np.linspace(0, 1, 11))
    title = f"Threshold on the score v, {shown.spec.data.name}"
    display(
        slider.show(frames, labels, title=title, alt="faces in order of their score")
    )

# %% [markdown]
# The stretch belongs to another network, so thresholds on $v$ may keep all or none. The order does not depend on it:

# %% tags=["hide-input"]
if shown is not None:
    frames, labels = quality_figure.keep_frames(shown, np.linspace(0.1, 1.0, 10))
    title = f"Keep the best by rank, {shown.spec.data.name}"
    display(
        slider.show(
            frames,
            labels,
            title=title,
            alt="faces in order of their score",
            start=len(frames) - 1,
        )
    )

# %% [markdown]
# ## Do the two scores agree?

# %% tags=["hide-input"]
for name in (NAMES[one] for one in settings.comface_quality.sets):
    keys = {"faces": name, "score": f"{SER_FIQ} and {OUTSIDE}"}
    both = measured(result.rows, "rank correlation", keys)
    if both is None:
        continue
    low, high = both.ci95
    shared = percent(both.mean**2)
    word = (
        f"they contradict each other, and share {shared} of the variance of their ranks"
        if high < 0
        else "no agreement is seen"
        if low <= 0
        else f"they share {shared} of the variance of their ranks: more than by chance"
    )
    if low > 0 and both.mean < 0.5:
        word += ", and little"
    display(
        Markdown(
            f"*{name.capitalize()}*: the two scores' ranks correlate by "
            f"{both.mean:+.2f} [{low:+.2f}, {high:+.2f}]; {word}."
        )
    )

# %% [markdown]
# ## What to conclude
#
# - The *shape* of Fig. D can be redrawn, its *scale* cannot: $v$ was stretched for one network, and shares above .6 are
#   a property of network and stretch as much as of the faces. The paper's "we empirically confirmed" hides that step.
# - A network knows what it was trained on. One that never saw a photograph scores photographs by how like drawn faces
#   they are. Whether its order means quality is what the two checks above say, and no more than they say.
# - One network, one seed: these numbers are exploratory.
# - That quality does not matter for learning (Table H) is the more surprising claim:
#   [better people, or fewer?](comface_subsets.ipynb)
#
# ## Predict, then reveal
#
# **1.** The stretch is steep: by how much must $\bar d$ rise for $v$ to fall from .9 to .1? *Predict, in per cent of
# $\bar d$: by a third, to the double or to the tenfold?*

# %% tags=["solution", "hide-input"] choices=["a third", "double", "tenfold"] answer="a third"
grid = np.linspace(0.1, 0.5, 4001)
v = ser_fiq.quality_of(grid).score
high, low = grid[np.argmin(np.abs(v - 0.9))], grid[np.argmin(np.abs(v - 0.1))]
print(f"from {high:.3f} to {low:.3f}: by {100 * (low / high - 1):.0f} %")
print(
    "Why: the factor 130 was fitted so that faces of one network spread over the "
    "scale; another network's pile up at"
)
print(
    "an end of it, and a share above .6 says more about the fit than about the faces."
)

# %% [markdown]
# **2.** The outside judge scores each picture, and once more when it is blurred by two pixels of 112. *Of a hundred
# faces, how many score lower: fifty, ninety or all? Name what the ten worst will share too, then look.*

# %% tags=["solution", "hide-input"] choices=["fifty", "ninety", "all"] answer="all"
for (name, score), run in runs.items():
    if score != OUTSIDE:
        continue
    sharp, blurred = run.scores["score"], run.scores["blurred_score"]
    print(f"{NAMES[name]}: {100 * np.mean(blurred < sharp):.0f} of 100")
    if (name, SER_FIQ) in runs:
        thumbs = unpacked(runs[name, SER_FIQ].scores)
        kept = min(10, len(sharp))
        strip = plots.strip(thumbs[np.argsort(sharp)[:kept]], kept)
        plots.show_pixels(strip, f"The ten worst of {NAMES[name]}, worst first.", 640)
print(
    "Why: this network was trained on photographs to tell sharp from blurred. That is "
    "the least to ask of a score before its histogram is believed."
)

# %% [markdown]
# **3.** More passes make $\bar d$ steadier. With $T$ passes there are $T(T-1)/2$ pairs; does its error fall like
# $1/\sqrt{T(T-1)/2}$, as if the pairs were independent, or like $1/\sqrt{T}$? *Predict, then reveal with random unit
# vectors around one direction: the column that stays level is right.*

# %% tags=["solution", "hide-input"] choices=["pairs", "passes"] answer="passes"
rng = np.random.default_rng(0)
for passes in (10, 40, 160):
    first, second = np.triu_indices(passes, 1)
    means = []
    for _ in range(1000):
        e = np.eye(1, 64) + 0.05 * rng.standard_normal((passes, 64)) * rng.gamma(
            2, 0.5, (passes, 1)
        )
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        means.append(np.sqrt(2 - 2 * (e @ e.T)[first, second]).mean())
    error = np.std(means)
    by_pass, by_pair = error * np.sqrt(passes), error * np.sqrt(len(first))
    print(
        f"T = {passes:3d}: error {error:.4f}, times √passes {by_pass:.2f}, times "
        f"√pairs {by_pair:.2f}"
    )
print(
    "Why: each pass is in T - 1 pairs, so one odd pass moves them all. What was drawn "
    "is passes."
)
