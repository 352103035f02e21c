"""The Transformer-metric loss."""

from aifr_lib.experiments.tml.alpha_sweep import FIG6
from aifr_lib.experiments.tml.tuning import TUNING
from aifr_lib.experiments.tml.variance import TABLE4

# The rates before the sweep that takes them.
EXPERIMENTS = (TUNING, FIG6, TABLE4)
