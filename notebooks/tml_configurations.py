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
# # Transformer-metric loss: two losses, put together how? (Fig. 7, Table I)
#
# **The claim.** A branch with a linear layer and one with a margin head do equally well, both above the margin loss
# alone. Adding the *logits* of the two and taking one cross-entropy gives no "significant progress after certain
# epochs" {cite}`prakash2024tml`.
#
# **The catch.** Fig. 7 prints no numbers, and no curve over epochs is shown.

# %% tags=["parameters"]
# smoke: seconds; lesson: minutes; classroom: hours; paper: needs its training sets
preset = "smoke"
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.tml import configurations
from aifr_lib.losses.transformer_metric import (
    summed_cross_entropy,
    weighted_losses,
)
from aifr_lib.reporting import papers, plots

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(configurations.FIG7)

# %% tags=["hide-input"]
table = pd.DataFrame(papers.load("tml_table1").rows)
display(table.style.hide().format(precision=2).set_caption("Table I, as printed"))
step = 100 / 6000
first, second, third = table["LFW"]
Markdown(
    f"From line to line {(second - first) / step:.0f} and "
    f"{(third - second) / step:.0f} of LFW's 6,000 pairs. Sym-ArcFace is another "
    "paper's loss; its number is quoted here and nothing of it is trained."
)

# %% [markdown]
# ## The idea in one picture
#
# $$ \begin{aligned}
# \text{eq. 11:}\quad & (1-\alpha)\, C(O_{N_c}, y) + \alpha\, C(T_{N_c}, y) \\
# \text{eq. 12:}\quad & C(O_{N_c} + T_{N_c}, y)
# \end{aligned} $$
#
# In the first each branch must name the person by itself. In the second it is enough that the *sum* does: where one
# branch is sure, the other has nothing left to learn. Here is the gradient that the margin logits get, for one picture
# whose true logit in the other branch rises:

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

rises = torch.linspace(-4, 8, 60)
slopes = {"eq. 11, α = 0.4": [], "eq. 12": []}
for rise in rises:
    for name in slopes:
        margin = torch.zeros(1, 10, requires_grad=True)
        other = torch.zeros(1, 10)
        other[0, 0] = rise
        label = torch.tensor([0])
        if name == "eq. 12":
            loss = summed_cross_entropy(margin, other, label)
        else:
            one, two = (F.cross_entropy(logits, label) for logits in (margin, other))
            loss = weighted_losses(one, two, 0.4)
        loss.backward()
        slopes[name].append(float(-margin.grad[0, 0]))
figure, axis = plt.subplots(figsize=(6.5, 3.2))
for name, values in slopes.items():
    axis.plot(rises, values, label=name)
axis.set(
    xlabel="true logit of the transformer",
    ylabel="pull on the margin loss's true logit",
)
axis.legend()
figure.tight_layout()
plots.show(
    "Pull on the margin loss's true logit against the transformer's, for eqs. 11 and 12"
)

# %% [markdown]
# The lines of the library that are the two equations:

# %% tags=["hide-input"]
page.source(weighted_losses, summed_cross_entropy)

# %% [markdown]
# ## The experiment
#
# All configurations are points of [the sweep over α](tml_alpha_sweep.ipynb): the same people, steps and start weights.
# The loss alone and the branch with a linear layer *are* runs of that sweep. For the claim on epochs every training
# with a branch is looked at on the way, on validation people; the look changes nothing, the weights at the end are the
# same to the last bit.

# %% tags=["hide-input"]
asked = settings.configurations
pd.DataFrame(
    [
        {
            "configuration": configurations.NAMES[name],
            "seeds planned": len(seeds_of),
        }
        for name, seeds_of in asked.seeds.items()
    ]
).style.hide()

# %%
artefact = page.result(configurations.FIG7)

# %% [markdown]
# ## The result beside the paper's

# %% tags=["hide-input"]
page.table(configurations.FIG7)

# %% [markdown]
# **Table I** has two of them, and a third loss that is quoted.

# %%
losses = page.result(configurations.TABLE1)

# %% tags=["hide-input"]
page.table(configurations.TABLE1)

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(
    configurations.FIG7.finding(artefact), configurations.TABLE1.finding(losses)
)

# %% [markdown]
# ## Predict, then reveal
#
# **1.** With summed logits the transformer already gives the true person a lead of 8. How hard is the margin loss still
# pulled, beside a lead of 0? *Predict.*

# %% tags=["solution", "hide-input"] choices=["as hard", "half as hard", "hardly at all"] answer="hardly at all"
pull = dict(zip(rises.tolist(), slopes["eq. 12"], strict=True))
at = {lead: min(pull, key=lambda one: abs(one - lead)) for lead in (0, 8)}
for lead, near in at.items():
    print(f"a lead of {lead}: pulled with {pull[near]:.3f}")
print(
    "Why: the gradient of a cross-entropy is what is missing to a probability of 1, "
    "and the sum has it already."
)

# %% [markdown]
# **2.** At test time only the margin loss's embedding is used. Which of the two equations can be small while that
# embedding is bad?

# %% tags=["solution", "hide-input"] choices=["eq. 11", "eq. 12", "both", "neither"] answer="eq. 12"
wrong, sure = torch.zeros(1, 10), torch.zeros(1, 10)
wrong[0, 1], sure[0, 0] = 2.0, 12.0
label = torch.tensor([0])
losses_apart = (F.cross_entropy(logits, label) for logits in (wrong, sure))
print(f"eq. 11: {weighted_losses(*losses_apart, 0.4):.2f}")
print(f"eq. 12: {summed_cross_entropy(wrong, sure, label):.4f}")
print(
    "Why: a weighted sum of two losses is small only where both are; a loss of a sum "
    "is small where either carries it."
)

# %% [markdown]
# **3.** How many of LFW's 6,000 pairs lie between the losses of the first and the last line of Table I?

# %% tags=["solution", "hide-input"] choices=["about 1", "about 12", "about 120"] answer="about 12"
print(f"{(third - first) / step:.0f} pairs")
print("Why: a hundredth of a point is six tenths of a pair.")
