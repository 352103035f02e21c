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
# # A head of many people
#
# A margin head keeps one direction for each person that it tells apart. The network before it is as large for a
# thousand people as for ten million; the head is not. Its weights, their gradient and their momentum are three numbers
# for each of the 512 that describe a person.
#
# Two ideas keep it within bounds. *Shared out* {cite}`arcface`: each process keeps the directions of some people
# and sees the pictures of all. *Sampled* {cite}`partialfc`: each step's softmax asks the people of its batch and a
# random share of the others.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: seconds; classroom: minutes
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import torch

from aifr_lib.experiments.companion.many_people import MANY_PEOPLE
from aifr_lib.experiments.page import open_page
from aifr_lib.losses.sharded import Sharded, ShardedHead, rows_of

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(MANY_PEOPLE)

# %% [markdown]
# ## Who keeps whom
#
# The people are dealt out in blocks:

# %%
for rank in range(3):
    print(f"process {rank} of 3 keeps", rows_of(1_000_000, rank, 3))

# %% [markdown]
# ## One softmax over several processes
#
# The loss of a picture is
#
# $$ -\log \frac{e^{z_y}}{\sum_j e^{z_j}}
#    = \log \sum_j e^{z_j - z^*} - (z_y - z^*), \qquad z^* = \max_j z_j. $$
#
# Each process knows the logits $z_j$ of its own people. What it needs of the others are three numbers for each picture:
# the largest logit, the sum of exponentials, and the logit of the true person, which one process has. So embeddings and
# labels go round once, and three numbers a picture come back, however many people there are:

# %% tags=["hide-input"]
page.source(Sharded.forward)

# %% [markdown]
# Alone, the head is the plain one. With processes, the gradient of each row is the one that a single process with all
# rows computes, for each of the four margins; the tests hold two and four processes against one.

# %%
torch.manual_seed(0)
head = ShardedHead("arcface", embedding=8, classes=100)
embedding, people = torch.randn(4, 8), torch.tensor([3, 99, 3, 41])
print(f"loss of four pictures: {head(embedding, people).item():.2f}")

# %% [markdown]
# ## What it takes
#
# Measured on this machine: two processes, arithmetic on one thread each, embeddings of 512 numbers, no network before
# the head. What a process takes is more than weights, gradient and momentum: a step also keeps what it computes from
# them, the directions scaled to length 1 and the logits. Among all numbers, folded below, stand those that insightface
# prints, of whole trainings on eight GPUs. Their memory holds the network too, so it is the growth with the people that
# compares, not the number.

# %%
page.result(MANY_PEOPLE)
page.table(MANY_PEOPLE)

# %% [markdown]
# ## What to conclude
#
# Sharing out divides the memory by the number of processes and changes no result. Sampling leaves the memory of the
# weights as it is; it saves logits and time, and is a different training: the softmax forgives what it does not see.
#
# To train so: `torchrun --nproc-per-node 8 -m aifr_lib.cli train recognition … --sharded --sampled 0.1`, as
# [the page on batches](../how-to/batch.md) tells.
#
# ## Predict, then reveal
#
# **1.** A GPU has 80 GB. About how many people does a head take that fills it, the network left aside?

# %% tags=["solution", "hide-input"] choices=["1 million", "13 million", "40 million"] answer="13 million"
each = 3 * 4 * 512  # three numbers of four bytes, 512 entries
print(
    f"alone {80e9 / each:,.0f} people, eight that share them out {8 * 80e9 / each:,.0f}"
)
print(
    "Why: each weight brings its gradient and its momentum, so a person costs three "
    "times 512 numbers of four bytes, six thousand bytes in all."
)

# %% [markdown]
# **2.** Eight processes take a step of 512 pictures, with ten million people. What is larger: the embeddings that a
# process receives, or the logits that it computes?

# %% tags=["solution", "hide-input"] choices=["embeddings", "logits"] answer="logits"
received, logits = 512 * 7 // 8 * 512 * 4, 512 * 10_000_000 // 8 * 4
print(f"received {received / 1e6:.1f} MB, logits {logits / 1e9:.1f} GB")
print(
    "Why: embeddings do not grow with the people, so sharing out is cheap to talk of."
)

# %% [markdown]
# **3.** A tenth of the people is sampled. By how much does the memory of the weights shrink?

# %% tags=["solution", "hide-input"] choices=["to a tenth", "to a half", "not at all"] answer="not at all"
print("Why: each person must be there when their turn comes. What shrinks are logits.")
