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
# # Attentive angular distillation: where age shows (Figs. 1, 3 and 6)
#
# **The claim.** *An age estimator looks at where a face changes with age; what it does not look at, inside the face, is
# what stays: mainly the eyes* {cite}`truong2020aad`.
#
# **The catch.** The figures are chosen pictures without a number. Whether the maps are right is asked on
# [a page of its own](aad_attention_truth.ipynb), where the truth is known.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.aad import ages, attention
from aifr_lib.experiments.page import open_page
from aifr_lib.losses.distillation import age_invariant_mask
from aifr_lib.models.attention import attention_mask
from aifr_lib.reporting import contents, plots, slider

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(ages.PATH)


# %% tags=["hide-input"]
def drawn(experiment):
    """The picture of an experiment, where its run is there."""
    artefact, runs = page.result(experiment), page.runs(experiment)
    if runs:
        figure = experiment.figure(artefact, runs)
        display(HTML(plots.image(figure, contents.find(experiment.id).picture)))
    else:
        display(Markdown(f"*{experiment.finding(artefact)}*"))


# %% [markdown]
# ## The idea in one picture (Fig. 1)
#
# Drawn people, the first of the test split, none chosen by looks. Each row is one person in one picture, only older;
# bright is what the age estimator leaves to the student.

# %%
drawn(attention.FIG1)

# %% [markdown]
# Move through the ages of the first person:

# %% tags=["hide-input"]
runs = page.runs(attention.FIG1)
if runs:
    (run,) = runs.values()
    frames, labels = attention.age_frames(run)
    alt = "a face at several ages, the last mask of the age estimator, what it leaves"
    display(slider.show(frames, labels, title="Age", alt=alt))
else:
    display(Markdown(f"*No maps to move through at {preset} size yet.*"))

# %% [markdown]
# ## The equations
#
# $$ \begin{aligned}
# A_i &= \sigma\Big(\tfrac{1}{c_i} \sum_c F_{i,c}\Big) & \text{(eq. 3)} \\
# \hat A_i &= D_i(A_1) \odot (1 - A_i) & \text{(eq. 4)}
# \end{aligned} $$

# %% tags=["hide-input"]
page.source(attention_mask, age_invariant_mask)

# %% [markdown]
# ## The masks, stage by stage (Fig. 3)
#
# $A_1$ is fine and near to the picture, $A_4$ has a sixteenth of its side. Colours are stretched over each map's own
# range, as in the paper; how wide that range is, the table says.

# %%
drawn(attention.FIG3)

# %% tags=["hide-input"]
page.table(attention.FIG3)

# %% [markdown]
# ## People over the decades (Fig. 6)
#
# The paper shows people of LogiFace, which was not published. Here are the first of its stand-in, each in order of age.

# %%
drawn(attention.FIG6)

# %% [markdown]
# ## The experiment: how a person moves
#
# One picture of a person is drawn again at every age, nothing else changed, and embedded by the teacher that
# recognises. How alike does it stay to the person at forty, and how alike are others?

# %%
moved = page.result(ages.PATH)

# %% tags=["hide-input"]
page.table(ages.PATH)

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(ages.PATH.finding(moved))

# %% [markdown]
# Pictures like these convince the eye whatever the network has learned: a mean over channels looks like a face because
# the picture is one. What counts is whether a map ranks the parts of a face as age does.
#
# ## Predict, then reveal
#
# **1.** A mask is stretched over its own range before it is drawn. All its cells lie between .50 and .52. What does the
# picture look like?

# %% tags=["solution", "hide-input"] choices=["grey", "as vivid as any"] answer="as vivid as any"
import numpy as np

mask = np.linspace(0.50, 0.52, 9).reshape(3, 3)
print(np.round((mask - mask.min()) / (mask.max() - mask.min()), 2))
print("Why: stretching takes away the scale, and with it how sure the network is.")

# %% [markdown]
# **2.** A cell has $A_1 = .9$ and $A_4 = .6$. What is its $\hat A_4$, if its neighbours in $A_1$ are alike?

# %% tags=["solution", "hide-input"] choices=[".30", ".36", ".54"] answer=".36"
print(f"{0.9 * (1 - 0.6):.2f}")
print("Why: eq. 4 multiplies what belongs to the face by what shows no age.")

# %% [markdown]
# **3.** Of which cells does the teacher say the same thing whatever the face?

# %% tags=["solution", "hide-input"] choices=["the eyes", "the background"] answer="the background"
import torch

from aifr_lib.models.age_estimator import AgeEstimator

estimator = AgeEstimator((48, 48), width=0.125).eval().requires_grad_(False)
first = estimator.masks(torch.zeros(1, 3, 48, 48))[0]
print(f"an even picture: A_1 from {float(first.min()):.3f} to {float(first.max()):.3f}")
print(
    "Why: an even area excites no edge, so that A_1 says little there; eq. 4 uses it."
)
