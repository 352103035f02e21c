"""The offline generator as a data set."""

from aifr_lib.experiments.generator.children import CHILDREN
from aifr_lib.experiments.generator.latent_directions import DIRECTIONS
from aifr_lib.experiments.generator.latent_sets import SETS
from aifr_lib.experiments.generator.photo_real import PHOTO_REAL

EXPERIMENTS = (DIRECTIONS, SETS, PHOTO_REAL, CHILDREN)
