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
# # Attentive angular distillation: attention against the truth
#
# **The claim.** The age estimator's attention shows where a face changes with age; $A_1$ covers the face, $\hat A$ lies
# about the eyes, and stays there when the head turns {cite}`truong2020aad`.
#
# **The catch.** On photographs nobody knows where a face changes with age. A drawn face can be drawn again, a year
# older: here the truth is known.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.aad import truth, truth_table
from aifr_lib.experiments.page import open_page
from aifr_lib.models.grad_cam import grad_cam
from aifr_lib.reporting import tables
from aifr_lib.reporting.rows import METRICS

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(truth_table.TRUTH)
asked = page.settings.aad.attention

# %% [markdown]
# ## The truth
#
# Every face is drawn a few years younger and a few years older. The truth is how much each pixel changes with a year,
#
# $$ T = \Big|\frac{\partial\, \text{grey level}}{\partial\, \text{age}}\Big| , $$
#
# averaged over several pictures of one person at one age, which differ in light, pose and noise. A second truth divides
# by how much these pictures differ from each other: a change that any lamp makes too says little of age.

# %% tags=["hide-input"]
page.source(truth.sat)

# %% [markdown]
# Four fifths of all change is outline, hair and background. So everything is scored *inside the face* alone, on cells
# of eight pixels, three ways: do map and truth rank the cells alike; does the largest cell of the map lie in the
# truth's top fifth (one in five does by chance); what is left of the first once what all faces share is taken away.

# %% tags=["hide-input"]
page.source(truth.scores)

# %% [markdown]
# ## The rivals
#
# A score means something beside others. Above all maps stands the *ceiling*: the truth of one half of a person's
# pictures against that of the other half. Below stand Grad-CAM of the same estimator, the estimator before it was
# trained, the mask of the network that recognises, the mask *of another person*, and the mean mask of everybody.

# %% tags=["hide-input"]
page.source(grad_cam)

# %% [markdown]
# ## The experiment

# %%
artefact = page.result(truth_table.TRUTH)

# %% tags=["hide-input"]
page.table(truth_table.TRUTH)

# %% [markdown]
# **The sentences.** Means of the masks over parts of the picture, for heads as they come and heads turned:

# %% tags=["hide-input"]
if artefact.has_results:
    display(HTML(tables.shaped_table(artefact.rows, truth_table.SENTENCES)))
else:
    display(Markdown(f"*{truth_table.TRUTH.finding(artefact)}*"))

# %% [markdown]
# ## What to conclude

# A map that looks like a face proves nothing, since the picture is one. Compare it with what needs no face at all, the
# mean map of all people and the map of somebody else: only what goes beyond these was read from the face at hand.
#
# One age estimator is looked at: intervals are over people, not over trainings, and a verdict would need more of them.
#
# ## Predict, then reveal
#
# **1.** A map that is the same for every face, bright at mouth and eyes, is scored. Which score must it fail?

# %% tags=["solution", "hide-input"] choices=["rank", "pointing", "beyond the mean"] answer="beyond the mean"
import numpy as np

rng = np.random.default_rng(0)
shared, own = rng.normal(size=(1, 6, 6)), rng.normal(size=(40, 6, 6))
inside = np.ones((40, 6, 6), bool)
found = truth.scores(np.broadcast_to(shared, own.shape), 2 * shared + own, inside)
for name, values in found.items():
    print(f"{METRICS[name].partition(', %')[0]}: {values.mean():.2f}")
print("Why: what all faces share can be known without looking at any of them.")

# %% [markdown]
# **2.** Why is the ceiling below 1?

# %% tags=["solution", "hide-input"] choices=["bad drawing", "light, pose and noise"] answer="light, pose and noise"
noise = rng.normal(size=(2, 40, 6, 6))
halves = own + 0.7 * noise
found = truth.scores(halves[0], halves[1], inside)["rank_corr"].mean()
print(f"one truth, two noises: {found:.2f}")
print("Why: each half of the pictures sees the same change through other nuisances.")

# %% [markdown]
# **3.** A map of edges, with no training at all, scores above chance. How can that be?

# %% tags=["solution", "hide-input"] choices=["it knows faces", "edges excite it"] answer="edges excite it"
edges = np.abs(np.diff(own, axis=1, prepend=0))
print(f"{truth.scores(edges, np.abs(own), inside)['rank_corr'].mean():.2f}")
print("Why: where a picture has edges, much changes with anything, age included.")
