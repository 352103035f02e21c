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
# # Beyond the paper: do drawn ages help recognition?
#
# **The question.** MTLFace draws a person at any age, and recognition suffers where training pictures of a person lie
# close in age. So one could draw the ages that are missing {cite}`huang2021mtlface`. This page asks whether it helps,
# and says what true pictures at other ages would give.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
from aifr_lib.experiments.mtlface import beyond, comparison, pilot, synthesis_rows
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import contents, plots
from aifr_lib.reporting.prose import counted

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.mtlface
page.opening(beyond.BEYOND)

# %% [markdown]
# ## The experiment
#
# One network, one loss, as many steps; the pictures differ. *As they are*: each person within a few years. *And once
# more*: beside each picture, the same at another age, as MTLFace draws it. *Over all their life*: the same people truly
# seen at all ages, which is what a perfect method would give.

# %% tags=["hide-input"]
page.source(beyond.with_drawn)

# %%
artefact = page.result(beyond.BEYOND)

# %% tags=["hide-input"]
if artefact.has_results:
    beyond.figure(artefact)
    plots.show(contents.find("mtlface_beyond").picture)

# %% tags=["hide-input"]
page.table(beyond.BEYOND)

# %% [markdown]
# ## What all methods trade
#
# Age accuracy against likeness, for every method of Table 2, between the copy and the true faces. The result is the
# whole curve, not one point of it.

# %% tags=["hide-input"]
compared = comparison.TABLE2(
    page.settings, seeds=page.seeds, compute=False, out=page.out
)
if compared.has_results:
    synthesis_rows.tradeoff_figure(compared, [*comparison.METHODS, *pilot.BOUNDS])
    plots.show(contents.find("mtlface_table2").picture)
stored = counted(len(compared.runs), "run")
print(f"{stored} of Table 2 at this size.")

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(beyond.BEYOND.finding(artefact))

# %% [markdown]
# Pictures of the same people over all their life say how much there was to gain. What drawn ones reach of it is what
# the drawing is worth to recognition: a face that looks right adds nothing if it only repeats what the encoder knew.
#
# ## Predict, then reveal
#
# **1.** The drawn pictures double the training set. How are the steps kept equal?

# %% tags=["solution", "hide-input"] choices=["half the epochs", "half the batch"] answer="half the epochs"
train = settings.train.recognition.train
print(
    f"{train.epochs:g} epochs of the plain set, {train.epochs / 2:g} of the doubled one"
)
print("Why: more steps would help by themselves, whatever the pictures show.")

# %% [markdown]
# **2.** A generator that only copies the source: what would it do to recognition here?

# %% tags=["solution", "hide-input"] choices=["help", "harm", "next to nothing"] answer="next to nothing"
print("Each picture would be seen as often as before.")
print("Why: a copy adds no age that the network has not seen.")

# %% [markdown]
# **3.** Two people are drawn alike at 20, but for the pace at which they age. A method sees the face at 20 and draws
# another at 70. *Can it be right about both: yes or no?*

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="no"
from aifr_lib.faces.relief import Faces, render
from aifr_lib.faces.relief.parameters import IDENTITY

pace = [name.startswith("ageing_") for name in IDENTITY]
for years in (20.0, 70.0):
    two = Faces.sample([0, 0], [years] * 2, [0, 0])
    two.identity[1, pace] *= -1
    one, other = render(two, 96).float()
    apart = (one - other).abs().mean()
    print(f"at {years:.0f} years: {apart:.1f} grey levels apart")
print(
    "Why: how a person will age is only partly written in the face. So the true "
    "pictures are a bound that no method can be asked to reach."
)
