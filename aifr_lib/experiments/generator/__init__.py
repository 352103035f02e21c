"""The offline generator as a data set."""

from aifr_lib.experiments.generator.latent_directions import DIRECTIONS
from aifr_lib.experiments.generator.latent_sets import SETS

EXPERIMENTS = (DIRECTIONS, SETS)
