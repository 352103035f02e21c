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
# # A face at another age
#
# **The claim.** From $X_{id}$ and an age group a decoder draws the person at that age. Each group has filters of its
# own and shares some with its neighbours, so that how a face ages depends on whose it is {cite}`huang2021mtlface`.
#
# **The catch, first.** *Age accuracy alone is worthless.* A generator can learn what an age estimator wants to see, and
# streaks of texture over a face can beat the true faces. So here every age accuracy stands beside that of the **true
# faces** and of a **copy of the source**, beside the likeness to source and truth, and beside an outside judge's.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd
import torch
from IPython.display import Markdown, display

from aifr_lib.data.relief import middles
from aifr_lib.experiments.mtlface import pictures, pilot, synthesis_rows
from aifr_lib.experiments.page import open_page
from aifr_lib.losses.mtlface import synthesis_loss
from aifr_lib.models.mtlface_synthesis import IdentityConditional
from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.rows import in_words

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.mtlface
page.opening(pilot.PILOT)
titles = {name: name.replace("_", " ") for name in settings.pilot}
titles["truth"] = "the true faces"

# %% [markdown]
# ## The equation
#
# $$ L_{FAS} = \lambda_{adv} L_{adv} + \lambda_{id} \lVert X_{id}(I) - X_{id}(I_t) \rVert^2
#    + \lambda_{age}\,\mathrm{CE}(A(X_{age}(I_t)), t) $$

# %% tags=["hide-input"]
page.source(synthesis_loss, IdentityConditional.own)

# %% [markdown]
# ## The experiment
#
# The supplement's weights belong to 36,000 steps of 512 faces. At this size they are chosen on people of the validation
# split, before any test person is looked at.

# %%
artefact = page.result(pilot.PILOT)

# %% tags=["hide-input"]
runs = page.runs(pilot.PILOT)
columns = {
    "adversarial_weight": "weight of the critic",
    "identity_weight": "of the identity",
    "age_weight": "of the age",
    "reduction": "pixels",
    "lr": "learning rate",
}
pd.DataFrame(
    {
        "weighting": titles[name],
        **{head: in_words(getattr(one, key)) for key, head in columns.items()},
    }
    for name, one in settings.pilot.items()
).style.hide()

# %% [markdown]
# ## What is drawn
#
# A line a person: the source, then the age groups from the youngest to the oldest.

# %% tags=["hide-input"]
names = [name for name in ("truth", *settings.pilot) if name in runs]
if names:
    pictures.sheets(runs, names, titles)
    plots.show("Six people at seven ages: the true faces, and each weighting's.")
else:
    display(Markdown("*Not run yet at this size.*"))

# %% [markdown]
# Move the age. From above: the sources, the true faces, and what each weighting draws.

# %% tags=["hide-input"]
if names:
    player = slider.show(
        pictures.age_frames(runs, names),
        synthesis_rows.group_names(settings.judge.bounds),
        title="From above: sources, " + ", ".join(titles[name] for name in names),
        alt="six people at the age",
    )
    display(player)

# %% [markdown]
# **Failures.** The six drawn faces that are least like the true face at that age. From above: source, drawn, true.

# %% tags=["hide-input"]
drawn = [name for name in settings.pilot if name in runs]
if drawn:
    pictures.failures(runs, drawn, titles)
    plots.show("The six worst faces of each weighting, between source and true face.")

# %% [markdown]
# ## What it trades
#
# In the picture at the head of the page, up the person is kept, to the right the age is told. The true faces are where
# a perfect method would be.

# %% tags=["hide-input"]
page.table(pilot.PILOT)

# %% [markdown]
# ## How it trained
#
# The losses, and the spread of the ages told of drawn faces. Where the spread falls to nothing, all ages are drawn
# alike: a known collapse. A critic's loss that stays at nothing has won, and its training warns of it.

# %% tags=["hide-input"]
if drawn:
    pictures.training_curves(runs, drawn, titles)
    plots.show("Curves over the steps: losses of generator and critic, spread of ages.")

# %% [markdown]
# ## Predict, then reveal
#
# **1.** Seven groups of 128 filters share an eighth with each neighbour. How many filters are there?

# %% tags=["solution", "hide-input"] choices=["896", "800", "784"] answer="800"
with torch.device("meta"):
    print(IdentityConditional(8, groups=7, filters=128, blocks=1).width)
print("Why: six pairs of neighbours share 16 each, 896 − 96.")

# %% [markdown]
# **2.** A copy of the source is put in for every age asked for. In how many of the seven groups is it told rightly by a
# judge that never errs?

# %% tags=["solution", "hide-input"] choices=["none", "one", "all"] answer="one"
print(f"1 of 7 is {100 / 7:.1f} %")
print("Why: its own; so an age accuracy is counted without that group too.")

# %% [markdown]
# **3.** At which age is the true face of the oldest group drawn here?

# %% tags=["solution", "hide-input"] choices=["60", "70", "80"] answer="70"
print(middles(settings.judge.bounds)[-1])
print("Why: the truth is shown in the middle of each group.")
