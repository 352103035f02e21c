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
# # Attentive angular distillation: what a student costs
#
# **The claim.** Students of 1.2 to 3.7 million parameters do the work of a network of 63.7 million
# {cite}`truong2020aad`.
#
# **The catch.** Parameters are not time. The paper counts nothing else: neither what a network computes nor how long it
# takes; and what a student costs to *train* is nowhere said.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.aad import cost, gaps, int8, networks
from aifr_lib.experiments.page import open_page
from aifr_lib.models.foreign.export import ReluPair
from aifr_lib.models.foreign.quantise import quantise
from aifr_lib.reporting import contents, plots, tables

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(cost.COST)
sizes = page.result(networks.FIG2)
Markdown(cost.printed_costs(sizes, timed=page.seen["aad_cost"].has_results))


# %% tags=["hide-input"]
def drawn(experiment, artefact):
    """The picture of an experiment, where its runs are there."""
    if artefact.has_results:
        figure = experiment.figure(artefact, page.runs(experiment))
        display(HTML(plots.image(figure, contents.find(experiment.id).picture)))
    page.table(experiment)


# %% [markdown]
# ## At test, and in training
#
# Multiply-adds count what is computed for one picture; latency is the time that ONNX Runtime takes for it, on one
# thread and on two: the median and the tenth percentile of many, in the quickest of several rounds, since other work
# only lengthens. Students of one network that differ in how they were taught should take the same time; what they
# differ by is the error. A training step with AD passes the student's maps through three tails of its teacher, there
# and back, and keeps what it needs for the way back in memory.

# %% tags=["hide-input"]
page.source(cost.training_step)

# %%
counted = page.result(cost.COST)
drawn(cost.COST, counted)

# %% [markdown]
# These are the small students of this book. Sizes and multiply-adds of the published ones stand
# [beside the printed](aad_architecture.ipynb), and never in one picture with these.
#
# ## A student as a file
#
# A trained student is written to four files. PReLU can be written as two ReLUs, the same function; and weights and maps
# can be whole numbers of eight bits, their ranges read from training faces.
#
# $$ \text{PReLU}(x) = \text{ReLU}(x) - a\,\text{ReLU}(-x) $$

# %% tags=["hide-input"]
page.source(ReluPair, quantise)

# %%
files = page.result(int8.FILES_OF)
drawn(int8.FILES_OF, files)

# %% [markdown]
# What eight bits cost, by the years between two pictures:

# %% tags=["hide-input"]
if files.has_results:
    display(HTML(tables.shaped_table(files.rows, int8.BY_YEARS)))
else:
    display(Markdown("*No student was written to a file at this size yet.*"))

# %% [markdown]
# ## Accuracy for its cost
#
# A student is on the front where no other is both cheaper at test and better across ages.

# %%
front = page.result(gaps.PARETO)
drawn(gaps.PARETO, front)

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(cost.COST.answer(counted), int8.FILES_OF.answer(files))

# %% [markdown]
# Parameters, multiply-adds, milliseconds and megabytes need not put students in one order. Name the one that your use
# pays for, and compare accuracy at equal cost of that kind.
#
# ## Predict, then reveal
#
# **1.** AD trains with three tails of its teacher. By how much is the student slower *at test*?

# %% tags=["solution", "hide-input"] choices=["not at all", "twice", "three times"] answer="not at all"
aad = page.settings.aad
for variant in ("self", "ad"):
    student = aad.student(aad.ledger[0], variant, 0)
    adds, kept = cost.training_step(student)
    print(f"{variant}: {adds / 1e6:.1f} million multiply-adds a picture in training")
print("Why: tails, adapters and projection are thrown away; the network is the same.")

# %% [markdown]
# **2.** Eight bits take a quarter of the place of thirty-two. Is the student four times as fast with them?

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="no"
for row in files.rows:
    if row.metric == "latency" and row.keys["threads"] == "1" and row.measured:
        print(f"{row.keys['variant']}, {row.keys['file']}: {row.measured.mean:.2f} ms")
if not files.has_results:
    print("Not measured at this size yet.")
print(
    "Why: PReLU has no kernel of eight bits, so that maps go to and fro between types."
)

# %% [markdown]
# **3.** A network that does half the multiply-adds takes the same time. What else costs time?

# %% tags=["solution", "hide-input"] choices=["parameters", "memory traffic"] answer="memory traffic"
channels = 64
for name, kernel, groups in (("depthwise 3×3", 3, channels), ("1×1", 1, 1)):
    each = kernel**2 * channels // groups
    print(f"{name}, {channels} channels: {each} multiply-adds a number that is written")
print("Why: a depthwise convolution computes little with each number that it fetches.")
