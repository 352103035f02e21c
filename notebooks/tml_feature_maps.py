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
# # Transformer-metric loss: what the last map holds (Figs. 1, 3 and 4)
#
# **The claim.** *"The final convolution layer retains the contextual information within the neighboring 3D tensor
# maps"*: its cells are a sequence of contextual vectors, related as words are, and worth reading by a transformer
# {cite}`prakash2024tml`.
#
# **The catch.** The figures show one face and say nothing of what an untrained network would show.

# %% tags=["parameters"]
# smoke: seconds; lesson: minutes; classroom: hours; paper: needs its training sets
preset = "smoke"
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.tml import attention, feature_maps, layers
from aifr_lib.reporting import contents, plots, slider

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(feature_maps.FIG4)


# %% tags=["hide-input"]
def drawn(experiment):
    """The picture of an experiment, where its run is there."""
    artefact, runs = page.result(experiment), page.runs(experiment)
    if runs:
        figure = experiment.figure(artefact, runs)
        words = contents.find(experiment.id).picture
        display(HTML(plots.image(figure, words)))


# %% [markdown]
# ## The idea in one picture (Fig. 1)
#
# The paper shows people of AgeDB young and old. Here they are drawn: the first people of the test split, each youngest
# and oldest, none chosen by looks.

# %%
drawn(feature_maps.FIG1)

# %% tags=["hide-input"]
page.table(feature_maps.FIG1)

# %% [markdown]
# ## The equation
#
# A map of height $H_f$ and width $W_f$ is read as $S_f = H_f W_f$ vectors (eq. 3), and two of them are compared by
# their cosine:
#
# $$ c_{ij} = \frac{\langle V_i, V_j \rangle}{\lVert V_i \rVert\, \lVert V_j \rVert} $$

# %% tags=["hide-input"]
page.source(feature_maps.cell_cosines)

# %% [markdown]
# ## The experiment
#
# One network of [the sweep over α](tml_alpha_sweep.ipynb), trained with the branch, and the same network as it starts.
# Convolutions take a picture of any size; where the pictures here are larger than those it was trained on, each cell
# sees a smaller part of a face than it did then.
#
# **What each stage leaves (Fig. 3).** The mean over the channels of the map after each stage.

# %%
drawn(feature_maps.FIG3)

# %% [markdown]
# A mean over channels looks like a face because the picture is one. More is said by a comparison: how alike are the
# maps of one person young and old, how alike those of two people? What all faces share was taken away.

# %% tags=["hide-input"]
page.table(feature_maps.FIG3)

# %% [markdown]
# Move through the people: where does the last stage show another value for the old face than for the young one?

# %% tags=["hide-input"]
runs = page.runs(feature_maps.FIG1)
if runs:
    frames, labels = feature_maps.age_frames(runs[feature_maps.MAPS])
    alt = "a person young and old, and how the last stage's map differs"
    display(slider.show(frames, labels, title="People", alt=alt))
else:
    display(Markdown(f"*No maps to move through at {preset} size yet.*"))

# %% [markdown]
# ## The result beside the paper's (Fig. 4)
#
# The picture stands at the top of the page. The paper's shows that cells are related; how much, by how far they lie
# apart, and beside a network that has learned nothing:

# %%
related = page.result(feature_maps.FIG4)

# %% tags=["hide-input"]
page.table(feature_maps.FIG4)

# %% [markdown]
# ## Does attention rest on what is stable with age?
#
# So the paper says (section V-A). The renderer knows how much every pixel changes with a year; the encoder knows how
# much attention each cell gets. Both, cell by cell, over faces of people that no network has seen:

# %% tags=["hide-input"]
page.source(attention.received)

# %%
attended = page.result(attention.ATTENTION)

# %% tags=["hide-input"]
drawn(attention.ATTENTION)

# %% [markdown]
# Below zero, attention lies where faces change less. Two rivals stand beside the trained encoder: one that has learned
# nothing, and a rule that knows no face and likes the centre.

# %% tags=["hide-input"]
page.table(attention.ATTENTION)

# %% [markdown]
# ## Each layer, while the face ages
#
# Above was the mean over the layers. Here is each of them: one person young and old, what a year changes in the cells,
# and how much attention each layer gives them. The faces have the size that the network was trained at: a branch reads
# as many cells as it was built for.

# %% tags=["hide-input"]
drawn(layers.LAYERS)

# %% [markdown]
# Move through the ages. The upper row is the face and what each stage leaves of it, the lower row what a year changes
# and the attention of each layer. A map has one scale for all ages. *Which maps follow the age, and which stay?*

# %% tags=["hide-input"]
by_layer, lives = page.result(layers.LAYERS), page.runs(layers.LAYERS)
if lives:
    frames, labels = layers.age_frames(lives[layers.LIFE])
    alt = "a face, its stages, what a year changes, and the attention of each layer"
    display(slider.show(frames, labels, title="Age", alt=alt, start=3))
else:
    display(Markdown(f"*No ages to move through at {preset} size yet.*"))

# %% [markdown]
# Two maps of attention are compared by what share of it lies on other cells: half the sum of their differences. A layer
# that looks at what stays should move less from one age to another than from one person to another.

# %% tags=["hide-input"]
page.table(layers.LAYERS)

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(
    feature_maps.FIG4.finding(related),
    attention.ATTENTION.finding(attended),
    layers.LAYERS.finding(by_layer),
)

# %% [markdown]
# That neighbouring cells are alike is no sign of a learned context by itself: they see overlapping parts of one
# picture, and an untrained network shows it too.
#
# ## Predict, then reveal
#
# **1.** The network is fed a face of twice the height and width. How many tokens does a transformer get? *Predict.*

# %% tags=["solution", "hide-input"] choices=["as many", "twice as many", "four times"] answer="four times"
from aifr_lib.models.blocks import cells

for side in (48, 96):
    height, width = cells((side, side))
    print(f"{side} px: {height} × {width} = {height * width} tokens")
print("Why: the map halves four times in both directions, so it grows with the area.")

# %% [markdown]
# **2.** Every contextual vector is made three times as long. What happens to the matrix of cosines?

# %% tags=["solution", "hide-input"] choices=["it triples", "it grows ninefold", "nothing"] answer="nothing"
import torch

maps = torch.randn(1, 8, 3, 3)
once, thrice = (feature_maps.cell_cosines(scale * maps) for scale in (1, 3))
print(f"largest difference {float((once - thrice).abs().max()):.1e}")
print("Why: a cosine divides by both lengths.")

# %% [markdown]
# **3.** A map of pure noise, each cell drawn alone, is blurred by averaging each cell with its neighbours. Which cells
# become alike?

# %% tags=["solution", "hide-input"] choices=["all", "neighbours alone", "none"] answer="neighbours alone"
noise = torch.randn(1, 256, 9, 9, generator=torch.Generator().manual_seed(0))
blurred = torch.nn.functional.avg_pool2d(noise, 3, stride=1)
distance = torch.from_numpy(feature_maps.apart_by(blurred.shape[2:]))
cosines = feature_maps.cell_cosines(blurred)[0]
for away in (1, 3, 5):
    print(f"{away} apart: {float(cosines[distance == away].mean()):+.2f}")
print(
    "Why: cells whose windows overlap share what they average; those further apart "
    "share nothing. Likeness of neighbours needs no learning."
)
