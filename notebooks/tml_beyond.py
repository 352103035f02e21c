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
# # Transformer-metric loss: does the branch help across ages, and is it the branch?
#
# **The claim.** A transformer that reads the last feature map while the network trains makes verification across ages
# better {cite}`prakash2024tml`.
#
# **The catch.** The paper compares networks that were trained in different places, once each. It does not say whether
# the gain is of *age*, whether the encoder is what brings it, or whether the same time spent otherwise would bring
# more.

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
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.tml import architecture, beyond, second_source
from aifr_lib.reporting import contents, plots

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(beyond.BEYOND)

# %% [markdown]
# ## The idea in one picture
#
# Three things may help when a branch is added: a second loss, whatever computes it; more work for each picture; and, as
# the paper has it, an encoder that relates the cells of the map. Each has a control that has it and not the others.

# %% tags=["hide-input"]
asked = settings.beyond
pd.DataFrame(
    [
        {
            "training": beyond.NAMES.get(name, name),
            "second loss": arm.alpha != 0 and arm.branch != "none",
            "encoder": arm.alpha != 0 and arm.branch in ("transformer", "frozen"),
            "encoder learns": arm.alpha != 0 and arm.branch == "transformer",
            "steps": "as many" if arm.longer == 1 else f"{arm.longer:g} times",
        }
        for name, arm in asked.arms.items()
    ]
).replace({True: "yes", False: "–"}).style.hide()

# %% [markdown]
# ## The equation
#
# With the branch the loss is equation 11. Two controls are what is left of it when a part goes: without the branch, and
# with the mean of the map's cells in place of what the encoder makes of them.
#
# $$ \begin{aligned}
#    \text{with the branch:}\quad & (1-\alpha)\, C(O_{N_c}, y) + \alpha\, C(L_2(\tfrac1{S_f}\textstyle\sum_i T_i), y) \\
#    \text{loss times } 1-\alpha:\quad & (1-\alpha)\, C(O_{N_c}, y) \\
#    \text{mean of cells:}\quad & (1-\alpha)\, C(O_{N_c}, y) + \alpha\, C(L_2(\tfrac1{S_f}\textstyle\sum_i V_i), y)
#    \end{aligned} $$

# %% tags=["hide-input"]
from aifr_lib.models import MeanBranch
from aifr_lib.training.objectives.transformer_metric import slopes

page.source(MeanBranch.forward, slopes)

# %% [markdown]
# The second function measures how hard each loss pulls at the last map, which is written down along every training.
#
# ## The experiment
#
# What is compared first was written down before its runs: ArcFace with the branch and without, on pairs thirty years
# apart; and whether that gain is larger than the one on pairs near in age. Every kind of training takes the best of the
# same rates, found on validation people.

# %%
artefact = page.result(beyond.BEYOND)

# %% tags=["hide-input"]
rates = [row for row in artefact.rows if row.metric == "on_the_way" and row.measured]
if rates:
    lines = [
        {
            "training": beyond.NAMES.get(row.keys["arm"], row.keys["arm"]),
            "rate": row.keys["lr"],
            "pairs": row.keys["set"].removeprefix("relief-"),
            "% right": f"{row.measured.mean:.1f}",
        }
        for row in rates
    ]
    table = pd.DataFrame(lines).pivot_table(
        index=["training", "pairs"], columns="rate", values="% right", aggfunc="first"
    )
    display(table.style.set_caption("Rates tried on validation people"))
else:
    display(Markdown("*No rate of a control was tried at this size yet.*"))

# %% [markdown]
# ## The result
#
# The paper has no such table; its own gains stand on [the page of its tables](tml_verification.ipynb).

# %% tags=["hide-input"]
page.table(beyond.BEYOND)

# %% [markdown]
# **Is it the branch?** What each training gains across ages:

# %% tags=["hide-input"]
Markdown(
    beyond.why(artefact) or "*None of the controls has been run at this size yet.*"
)

# %% [markdown]
# **What does it cost?** Multiply-adds of one picture, forward:

# %% tags=["hide-input"]
network, branch = architecture.costs(page.result(architecture.FIG5), architecture.HERE)
Markdown(
    f"The network of this size needs {network:.2f} million, the branch {branch:.2f} "
    f"million more, {100 * branch / network:.0f} %, in training alone. A fair rival is "
    "the loss alone, trained for longer."
    if network
    else "*The costs have not been counted at this size yet.*"
)

# %% [markdown]
# ## Other branches
#
# An encoder that stays as it was drawn at random, one that is told where each cell was, and one over four times the
# cells:

# %%
others = page.result(beyond.VARIANTS)


# %% tags=["hide-input"]
def drawn(experiment, result):
    """The picture of an experiment, where a run of it is there."""
    if result.has_results:
        figure = experiment.figure(result, page.runs(experiment))
        words = contents.find(experiment.id).picture
        display(HTML(plots.image(figure, words)))


drawn(beyond.VARIANTS, others)
page.table(beyond.VARIANTS)

# %% [markdown]
# ## A second source of faces
#
# Networks that learn from relief faces know real people poorly. So the same question is put to networks that learn from
# the people of an offline generator, photo-real ones who do not exist, and it is asked of photographs.

# %%
photographs = page.result(second_source.SOURCE)

# %% tags=["hide-input"]
drawn(second_source.SOURCE, photographs)
page.table(second_source.SOURCE)

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(
    beyond.BEYOND.finding(artefact),
    beyond.VARIANTS.finding(others),
    second_source.SOURCE.finding(photographs),
)

# %% [markdown]
# ## Predict, then reveal
#
# **1.** The loss is multiplied by 1 − α = 0.6 and nothing else is changed. Plain gradient descent then takes steps 0.6
# times as long. Which other setting would do the same?

# %% tags=["solution", "hide-input"] choices=["the margin", "the learning rate", "the batch"] answer="the learning rate"
import torch

weight = torch.tensor([1.0, -2.0], requires_grad=True)
for scale, rate in ((0.6, 0.1), (1.0, 0.06)):
    (slope,) = torch.autograd.grad(scale * (weight**4).sum(), weight)
    step = ", ".join(f"{one:+.2f}" for one in (-rate * slope).tolist())
    print(f"loss × {scale}, rate {rate}: step {step}")
print(
    "Why: a step is rate times gradient. So a control needs its own rate tried, "
    "or a gain of the branch may be one of the rate."
)

# %% [markdown]
# **2.** The mean of the cells is taken after the encoder. If the encoder were replaced by one that leaves every token
# as it is, what would the branch be?

# %% tags=["solution", "hide-input"] choices=["nothing", "the map's mean", "the margin loss"] answer="the map's mean"
cells = torch.randn(2, 8, 3, 3)
tokens = cells.flatten(2).transpose(1, 2)
alike = torch.allclose(tokens.mean(1), MeanBranch(8)(cells), atol=1e-6)
print("the same:", "yes" if alike else "no")
print("Why: equation 8 takes the mean, and an identity leaves it the map's own.")

# %% [markdown]
# **3.** Ten networks, five with the branch and five without, each known to half a point. How small a true gain would be
# seen four times out of five?

# %% tags=["solution", "hide-input"] choices=["0.1 points", "1 point", "5 points"] answer="1 point"
from aifr_lib.reporting.seeds import smallest_detectable

error = 0.5 * (2 / 5) ** 0.5
print(f"{smallest_detectable(error, df=8):.2f} points")
print(
    "Why: the difference of two means of five has an error of 0.3 points, and a "
    "difference is seen when it is some three errors wide."
)
