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
# # One face, every map of attention
#
# **The question**, ours: three of the four papers draw a map over a face and say what it means. AAD's age estimator
# {cite}`truong2020aad` looks where age shows, and its student looks elsewhere. TML's encoder rests on what stays.
# MTLFace splits a map into a person and an age. *Do these maps agree about the same face, and are they right?*
#
# Each paper shows its own map of its own pictures. Here all of them look at the same people, who are drawn: nothing but
# their age changes from picture to picture, and where a year shows is known.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds, shapes only; classroom: after the papers' own runs
seeds = None  # the maps are those of the first network of each paper
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display

from aifr_lib.experiments.aad.truth import spearman, to_grid
from aifr_lib.experiments.companion import attention_map
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import contents, slider

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(attention_map.ATTENTION_MAP)

# %% [markdown]
# ## The idea in one picture
#
# A row is a person, the first of the test split. Move through their ages: left the faces, beside them what a year
# changes there, then what each network looks at. Bright is much.

# %% tags=["hide-input"]
result = page.result(attention_map.ATTENTION_MAP)
runs = page.runs(attention_map.ATTENTION_MAP)
if runs:
    frames, labels = attention_map.age_frames(runs)
    alt = contents.find("attention_map").picture
    display(slider.show(frames, labels, title="Age", alt=alt, start=4))
else:
    display(Markdown(f"*No maps to move through at {preset} size yet.*"))

# %% [markdown]
# ## The equations
#
# AAD's masks are a mean over channels (eq. 3), and what a student is drawn to is the rest of the face (eq. 4):
#
# $$ A_i = \sigma\Big(\tfrac{1}{c_i} \sum_c F_{i,c}\Big), \qquad \hat A_i = D_i(A_1) \odot (1 - A_i) . $$
#
# TML's encoder mixes the cells of a map; a cell is looked at as much as all cells together attend to it. MTLFace's
# $\sigma$ says of each cell and channel how much of it goes to the age: $X_{age} = \sigma \circ X$.

# %% tags=["hide-input"]
page.source(attention_map.of_student, attention_map.of_encoder, attention_map.of_split)

# %% [markdown]
# ## Before you look
#
# Which map will follow wrinkles best? Should a map of *what stays* and a map of *what changes* have opposite signs?
#
# ## The result
#
# Within a face its cells are ranked by the map and by the truth. 1 is the same order, −1 the reverse. Cells outside the
# face do not count: most of what changes with age in a picture is hair and outline.

# %% tags=["hide-input"]
page.table(attention_map.ATTENTION_MAP)

# %% [markdown]
# ## What to conclude
#
# - A map with nine cells cannot point at a wrinkle. What small networks show here is a large part of a face at best.
# - A map that does not move with the slider does not see the age, whatever it is called.
# - That two maps disagree does not say which is wrong; that is why the truth has a row.
# - One network of each kind, few people, drawn faces: this page is to look at. The papers' sentences are tested on
#   their own pages, [AAD's](aad_attention_truth.ipynb) with rivals and a ceiling, [TML's](tml_feature_maps.ipynb) over
#   seeds.
#
# ## Predict, then reveal
#
# **1.** A map is turned around: bright becomes dark. *What becomes of its rank correlation with the truth?*

# %% tags=["solution", "hide-input"] choices=["its sign turns", "it is 0", "nothing"] answer="its sign turns"
rng = np.random.default_rng(0)
truth = rng.random(49)
mask = truth + 0.5 * rng.random(49)
print(f"{spearman(mask, truth):+.2f}, turned around {spearman(1 - mask, truth):+.2f}")
print(
    "Why: ranks are reversed. A map of what stays is right when it is far below 0, so "
    "the sign of each row must be read with what the map is said to show."
)

# %% [markdown]
# **2.** The truth is a fine line, a wrinkle one pixel wide. It is averaged over cells. *Does the cell with the wrinkle
# still stand out from its neighbours on a grid of 3 × 3?*

# %% tags=["solution", "hide-input"] choices=["yes, by as much", "yes, by less", "no"] answer="yes, by less"
import torch

line = torch.zeros(1, 48, 48)
line[0, 10, 4:44] = 1.0
for side in (24, 6, 3):
    grid = to_grid(line, side)
    print(
        f"{side:>2} × {side:<2} cells: largest {grid.max():.3f}, mean {grid.mean():.3f}"
    )
print(
    "Why: a line fills less of a larger cell, and there it competes with all else that "
    "the cell holds. A coarse map may be right about a face and blind to its wrinkles."
)

# %% [markdown]
# **3.** A network gives the same map for every face: bright in the middle. *Can its correlation with the truth be far
# from 0?*

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="yes"
if attention_map.TRUTH in runs:
    change = runs[attention_map.TRUTH].scores["map"].astype(float)
    side = change.shape[-1]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    centre = -np.hypot(y, x).ravel()
    found = [spearman(centre, one) for one in change.reshape(-1, side * side)]
    print(f"the middle against the truth over whole pictures: {np.mean(found):+.2f}")
print(
    "Why: all faces age in much the same places, so a map that has never seen a face "
    "may be right about the place of all. What counts is what is left beyond that."
)
