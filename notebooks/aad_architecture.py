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
# # Attentive angular distillation: two teachers and a student (Figs. 2 and 5, Table I)
#
# **The claim.** A light network learns more beside two frozen teachers than alone. A heavy recogniser tells it *which
# way* its features must point, at the end and after each stage; an age estimator tells it *where* a face does not
# change with age {cite}`truong2020aad`. What is copied is a direction, not a length.
#
# **The catch.** The age-attention block is drawn in a picture and named in three words; no code is public; of the
# student that does best only a number of parameters is printed.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from aifr_lib.experiments.aad import curves, networks
from aifr_lib.experiments.page import open_page
from aifr_lib.losses import distillation as losses
from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.models.attention import AgeAttention, attention_mask
from aifr_lib.reporting import contents, plots
from aifr_lib.reporting.prose import percent
from aifr_lib.reporting.rows import in_words, measured
from aifr_lib.reporting.tables import printed_frame

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(networks.FIG2, curves.FIG5)

# %% [markdown]
# ## The idea in one picture (Fig. 2)
#
# Each network is cut into four stages. The student's maps go down to the recogniser, whose *later* stages finish the
# half-done work: what comes out must point where the teacher's own embedding points. From above comes a mask for each
# of the stages 2 to 4, to which the student's own mask is drawn.

# %%
artefact = page.result(networks.FIG2)

# %% tags=["hide-input"]
if artefact.has_results:
    networks.framework_figure(artefact)
    plots.show(contents.find("aad_fig2").picture)

# %% [markdown]
# Stages end where the map is halved, so that maps of teacher and student have the same cells; a 1×1 convolution with
# batch norm, thrown away after training, gives the student's map as many channels as the teacher's.

# %% tags=["hide-input"]
found = page.runs(networks.FIG2)
if found:
    shapes = {
        in_words(name): one["maps"]
        for name, one in found["networks"].summary["networks"].items()
    }
    stages = [f"stage {stage}" for stage in range(1, 5)]
    table = pd.DataFrame(shapes, index=stages).T
    display(table.map(lambda shape: "×".join(map(str, shape))))
page.table(networks.FIG2)

# %% [markdown]
# **A size is no layout.** Three students have the printed number of parameters to the last digit that is printed.
# MobileFaceNet-R, the best of the four, does not: the text says that its maps are as large as the teacher's, no more.

# %% tags=["hide-input"]
near = 0.0013
alike = networks.sized_like(3_730_000, near)
here = measured(artefact.rows, "parameters", {"network": "mobilefacenet-r"})
larger = f", {100 * (here.mean / 3_730_000 - 1):.1f} % larger" if here else ""
Markdown(
    "Of MobileFaceNets with such maps, whose hidden layers have 64, 128, 256 or 512 "
    f"channels, {len(alike)} lie within {percent(near, 2)} of the printed 3.73 "
    f"million. The one that is built here is none of them{larger}: each of its "
    "bottlenecks widens as MobileFaceNet's do."
)

# %% [markdown]
# ## The block, and the mask
#
# $$ \begin{aligned}
# A_i &= \sigma\Big(\tfrac{1}{c_i} \sum_c F_{i,c}\Big) & \text{(eq. 3)} \\
# \hat A_i &= D_i(A_1) \odot (1 - A_i) & \text{(eq. 4)}
# \end{aligned} $$
#
# The lines of the library that are these equations:

# %% tags=["hide-input"]
page.source(attention_mask, losses.age_invariant_mask, AgeAttention.forward)

# %% [markdown]
# ## What is distilled (Table I)
#
# The paper sets its method apart from nine others by what is copied. Printed:

# %% tags=["hide-input"]
printed_frame("aad_table1").style.hide()

# %% [markdown]
# Three of its rows can be tried out on the spot. A feature is made twice as long, or is turned by 10°: how much of the
# loss of an unrelated feature does each distance charge for it?

# %%
distances = page.result(networks.TABLE1)

# %% tags=["hide-input"]
page.table(networks.TABLE1)

# %% tags=["hide-input"]
page.source(losses.logit_loss, losses.l2_loss, losses.angular_loss, losses.tail_loss)

# %% [markdown]
# Mind the square in equation 7: near the end its slope goes to nothing. All public code that uses such a loss leaves
# the square out (`distance="linear"`).

# %% tags=["hide-input"]
degrees = np.linspace(0, 120, 200)
away = 1 - np.cos(np.radians(degrees))
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
sine = np.sin(np.radians(degrees))
for axis, values, name in zip(
    axes, ((away**2, away), (2 * away * sine, sine)), ("loss", "slope"), strict=True
):
    for value, label in zip(values, ("(1 − cos)², eq. 7", "1 − cos"), strict=True):
        axis.plot(degrees, value, label=label)
    axis.set(xlabel="angle between student and teacher, degrees", ylabel=name)
axes[0].legend()
figure.tight_layout()
plots.show(
    "Loss and slope of two angular distances against the angle, with the square of "
    "eq. 7 and without"
)

# %% [markdown]
# ## The experiment (Fig. 5): what a training sees of it
#
# One student with everything (eq. 10). On the left each loss before its weight, on the right the norm of its weighted
# gradient where it enters the student: a term whose slope is a hundredth of the identity loss's cannot teach much.

# %%
training = page.result(curves.FIG5)

# %% tags=["hide-input"]
if training.has_results:
    curves.fig5_figure(training)
    plots.show(contents.find("aad_fig5").picture)
page.table(curves.FIG5)

# %% [markdown]
# ## What to conclude
#
# The picture is complete and every part of it can be built; what is inferred is the block, the layout of one student,
# the weight of the attention, and how a mask is fed back. Whether it helps is the question of
# [the main experiment](aad_distillation.ipynb).

# %% [markdown]
# ## Predict, then reveal
#
# **1.** Behind a ReLU every mean over channels is 0 or more. In which range can a mask of eq. 3 lie? *Predict.*

# %% tags=["solution", "hide-input"] choices=["0 to 1", ".5 to 1", "0 to .5"] answer=".5 to 1"
import torch

masks = (
    AgeEstimator(input_hw=(48, 48), width=0.125)
    .eval()
    .requires_grad_(False)
    .masks(torch.randn(4, 3, 48, 48))
)
print(
    "smallest of each stage:", ", ".join(f"{float(mask.min()):.3f}" for mask in masks)
)
print(
    "Why: the sigmoid of 0 is one half, and nothing is below 0; so 1 − A in eq. 4 "
    "never exceeds one half."
)

# %% [markdown]
# **2.** The teacher's embedding becomes twice as long, its direction stays. Which loss changes: the angular one, ℓ2, or
# both?

# %% tags=["solution", "hide-input"] choices=["the angular one", "ℓ2", "both"] answer="ℓ2"
teacher, student = torch.randn(2, 8, 16)
for name, loss in (("angle", losses.angular_loss), ("ℓ2", losses.l2_loss)):
    print(
        f"{name}: {float(loss(teacher, student)):.4f} → "
        f"{float(loss(2 * teacher, student)):.4f}"
    )
print("Why: a cosine divides by both lengths, so only a distance can see one of them.")

# %% [markdown]
# **3.** $\lambda_i$ is half of $\lambda_{i+1}$, and $\lambda_4 = 1$. What is the weight of the first stage?

# %% tags=["solution", "hide-input"] choices=["1/2", "1/4", "1/8"] answer="1/8"
print(losses.halved(1.0))
print("Why: three halvings lie between the last of four stages and the first.")
