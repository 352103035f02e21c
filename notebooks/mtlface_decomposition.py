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
# # One face, two parts: what each of them holds
#
# **The claim.** Attention splits the last map of a face, $X$, into a part that tells the age and a part that tells the
# person, and an adversary drives the age out of the latter, so that recognition works across ages
# {cite}`huang2021mtlface`.
#
# **The catch.** The supplement shows no number for it. Whether the age is *gone* from $X_{id}$ can be asked: a linear
# probe, fitted to other people, tries to read it.

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
import torch

from aifr_lib.evaluation import probes
from aifr_lib.experiments.mtlface import decomposition, readings
from aifr_lib.experiments.page import open_page
from aifr_lib.losses.mtlface import recognition_loss
from aifr_lib.models.mtlface import Decomposition, reverse
from aifr_lib.reporting import plots
from aifr_lib.reporting.rows import in_words

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.mtlface
page.opening(decomposition.DECOMPOSITION)

# %% [markdown]
# ## The equation
#
# $$ X_{age} = \sigma(X) \odot X, \qquad X_{id} = X - X_{age}, $$
#
# $$ L = L_{CosFace} + \lambda_{age}\,\ell_{AE}(A(X_{age})) + \lambda_{id}\,\ell_{AE}(A'(\mathrm{GRL}(X_{id}))) $$

# %% tags=["hide-input"]
page.source(Decomposition.forward, recognition_loss)

# %% [markdown]
# ## The experiment
#
# Trainings by one budget: split or not, with the adversary or without. Each is scored on pairs near in age, at random
# and thirty years apart, and then probed.

# %%
artefact = page.result(decomposition.DECOMPOSITION)

# %% tags=["hide-input"]
pd.DataFrame(
    {
        "training": decomposition.NAMES.get(name, name),
        "mask": in_words(one.afd),
        "adversary": in_words(one.adversary),
        "seeds planned": len(one.seeds),
    }
    for name, one in {**settings.readings, **settings.attentions}.items()
).style.hide()

# %% [markdown]
# ## The result
#
# The supplement gives no numbers to stand beside these. Without a split both parts are $X$: their probes must agree.

# %% tags=["hide-input"]
page.table(decomposition.DECOMPOSITION)

# %% [markdown]
# **Masks on faces.** How much of each cell of the last map goes to the age, averaged over its channels: a line a
# training, of its first seed, a column a person, the youngest first.

# %% tags=["hide-input"]
runs = page.runs(decomposition.DECOMPOSITION)
if decomposition.with_masks(runs):
    decomposition.mask_figure(runs)
    plots.show("Maps of the mask over six faces, a line for each training that splits.")

# %% [markdown]
# **A probe is a matrix.** It finds what a linear layer could use, and nothing that lies deeper.

# %% tags=["hide-input"]
page.source(probes.age_probe)

# %% [markdown]
# **Which mask?** Channels alone, cells alone, both.

# %%
masks = page.result(decomposition.ATTENTION)

# %% tags=["hide-input"]
page.table(decomposition.ATTENTION)

# %% [markdown]
# ## How the adversary learns
#
# The loss of both age estimators while the network trains, with the first seed. The second reads $X_{id}$ through a
# reversed gradient: where it stays high, the age is hidden from that estimator, and from no other: the probe above may
# still read it.

# %% tags=["hide-input"]
main = next((run for (name, _), run in runs.items() if name == readings.MAIN), None)
if main:
    curves = main.summary["curves"]
    _, axis = plt.subplots(figsize=(7, 3.6))
    lines = {
        "loss_age": r"$A$ on $X_{age}$",
        "loss_adversary": r"$A'$ on $X_{id}$",
    }
    for number, (key, label) in enumerate(lines.items()):
        values = [np.nan if one is None else one for one in curves[key]]
        axis.plot(
            curves["step"], values, marker=".", color=plots.PALETTE[number], label=label
        )
    axis.set(xlabel="step", ylabel="age loss, years²", yscale="log")
    axis.legend()
    plots.show(
        "Two curves over the steps of a training: the age head's loss on X_age, and "
        "of the adversary on X_id."
    )

# %% [markdown]
# ## What to conclude
#
# A part is empty of the age only where a fresh reader does no better than a guess. An adversary that has lost is no
# proof of that: look at the probes, beside those of the network that was never split. The verdicts stand at the head of
# the page.
#
# ## Predict, then reveal
#
# **1.** The gradient of `reverse(x).sum()` with respect to x?

# %% tags=["solution", "hide-input"] choices=["1", "0", "-1"] answer="-1"
x = torch.ones(1, requires_grad=True)
reverse(x).sum().backward()
print(f"{x.grad.item():.0f}")
print("Why: forwards nothing happens; backwards the sign is turned.")

# %% [markdown]
# **2.** $X_{id} + X_{age}$ is what?

# %% tags=["solution", "hide-input"] choices=["X", "zero", "neither"] answer="X"
some = torch.randn(2, 32, 3, 3)
identity, age = Decomposition(32)(some)
alike = torch.allclose(identity + age, some, atol=1e-6)
print("the sum is X:", "yes" if alike else "no")
print("Why: one is the rest of the other, so nothing is lost, and nothing forced out.")

# %% [markdown]
# **3.** An adversary that cannot read the age any more: is the age gone?

# %% tags=["solution", "hide-input"] choices=["yes", "not for certain"] answer="not for certain"
print(
    "Why: it is hidden from that adversary; a fresh probe, trained on the finished "
    "features, may still find it."
)
