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
# # Transformer-metric loss: what is built (Figs. 2, 5 and 8)
#
# **The claim.** A face network is trained as usual; a transformer reads its last map beside the usual head and lends a
# second loss. After the training the transformer is thrown away {cite}`prakash2024tml`.
#
# **The catch.** The text says that this loss "can only update the weights via the final convolution layer, leaving the
# remaining layers in the network backbone unaffected (below the final convolution layer)". Below in which sense?

# %% tags=["parameters"]
# nothing is trained here: every size takes seconds
preset = "smoke"
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
from IPython.display import HTML, display

from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.tml import architecture
from aifr_lib.reporting import contents, plots

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(architecture.FIG5)


# %% tags=["hide-input"]
def drawn(experiment):
    """The picture of an experiment, where its run is there."""
    artefact, runs = page.result(experiment), page.runs(experiment)
    if runs:
        figure = experiment.figure(artefact, runs)
        words = contents.find(experiment.id).picture
        display(HTML(plots.image(figure, words)))


# %% [markdown]
# ## The idea in one picture (Fig. 2)
#
# Forward, black: both branches start from one map. Back, dashed: what the gradient of each loss reaches. It is measured
# and not drawn from memory: an arrow stands where the gradient, before any training, is not zero.

# %%
drawn(architecture.FIG2)

# %% tags=["hide-input"]
page.table(architecture.FIG2)

# %% [markdown]
# So "unaffected below" can only mean the layers *behind* the last map, those that make the embedding. All convolutions
# before it are pulled at by both losses. How hard each pulls is another matter, which α does not tell.
#
# ## The equations, line by line
#
# $$
# \begin{gathered}
# S_f = H_f W_f \;\text{(eq. 3)}, \qquad T_S = \mathrm{Encoder}(O_f) \;\text{(6)}, \\
# T_\varepsilon = \tfrac{1}{S_f}\textstyle\sum_{i=1}^{S_f} T_i \;\text{(8)}, \qquad
# T_{N_c} = L_2(T_\varepsilon) \;\text{(9)}
# \end{gathered}
# $$

# %%
import torch

from aifr_lib.models.transformer_branch import TransformerBranch

torch.manual_seed(0)
branch = TransformerBranch(64, layers=2, heads=4, feedforward=128, tokens=9).eval()
features = torch.randn(5, 64, 3, 3)  # O_f of five faces

sequence = features.flatten(2).transpose(1, 2)  # eq. 3: nine vectors of 64 numbers
encoded = branch.encoder(sequence)  # eqs. 6 and 7
mean = encoded.mean(1)  # eq. 8

print(
    "from", tuple(features.shape), "by", tuple(sequence.shape), "to", tuple(mean.shape)
)
alike = torch.allclose(mean, branch(features), atol=1e-6)
print("as the library:", "yes" if alike else "no")

# %% [markdown]
# ## The experiment: one face through every part (Fig. 5)
#
# The picture stands at the top of the page. Here is every part of three networks: the paper's large one, its small one,
# and the one that this size trains.

# %%
shapes = page.result(architecture.FIG5)

# %% tags=["hide-input"]
page.table(architecture.FIG5)

# %% [markdown]
# ## Three variants of the block (Fig. 8)
#
# (a) gives tokens and no loss. (b) is what the tables of the paper rest on; (c) has a margin head of the same kind as
# the other branch in place of the linear layer.

# %%
drawn(architecture.FIG8)

# %% tags=["hide-input"]
page.table(architecture.FIG8)

# %% [markdown]
# ## The settings of the running text
#
# Sections IV-A to IV-C, beside the settings of the preset `paper` and of this one. What the paper does not say (the
# number of epochs, the feed-forward size, positions, α of its tables) is not in this table.

# %%
stated = page.result(architecture.INTEXT)

# %% tags=["hide-input"]
page.table(architecture.INTEXT)

# %% [markdown]
# ## What to conclude
#
# The branch is free at test time, as the paper says, and not free before: how much it costs depends on the network
# beside it. To a large network it adds little; to a small one more than the network itself. Whoever compares the two
# losses by steps gives the second one more arithmetic.
#
# ## Predict, then reveal
#
# **1.** The paper's small network has about a million parameters. How many does the branch have that is trained with
# it? *Predict.*

# %% tags=["solution", "hide-input"] choices=["a tenth", "as many", "19 times as many"] answer="19 times as many"
parts = architecture.parts(architecture.networks(settings)[architecture.MOBILE], 2)
network = sum(
    part["parameters"]
    for name, part in parts.items()
    if name.startswith(("stage", "last", "embedding"))
)
branch = parts["encoder T_S"]["parameters"]
print(f"{branch:,} beside {network:,}: {branch / network:.1f} times")
print(
    "Why: an encoder layer has matrices of 512 × 512 and 512 × 2,048; the network was "
    "made small by avoiding just those."
)

# %% [markdown]
# **2.** A picture of 112 × 96 leaves 42 tokens in place of 49. What does the branch have fewer of?

# %% tags=["solution", "hide-input"] choices=["parameters", "multiply-adds", "both"] answer="multiply-adds"
from torch.utils.flop_counter import FlopCounterMode

for tokens in (49, 42):
    encoder = TransformerBranch(64, layers=1, heads=4, feedforward=64, tokens=tokens)
    weights = sum(weight.numel() for weight in encoder.parameters())
    with FlopCounterMode(display=False) as counter:
        encoder(torch.randn(1, 64, 7, tokens // 7))
    print(
        f"{tokens} tokens: {weights:,} parameters, "
        f"{counter.get_total_flops() // 2:,} multiply-adds"
    )
print(
    "Why: every token goes through the same matrices; fewer tokens use them less often."
)

# %% [markdown]
# **3.** Variant (c) in place of (b): each person who is added to the training set costs how many parameters?

# %% tags=["solution", "hide-input"] choices=["one fewer", "as many", "one more"] answer="one fewer"
config = architecture.networks(settings)[architecture.MOBILE]
counts = architecture.variants(config, parts)
for name, one in counts.items():
    print(f"variant ({name}): {one['parameters_each']} for each further person")
print(
    "Why: both have a vector for each person; the linear layer has a bias too, and a "
    "cosine has no place for one."
)
