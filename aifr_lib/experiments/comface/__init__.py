"""ComFace."""

from aifr_lib.experiments.comface.directions_table import TABLE_A
from aifr_lib.experiments.comface.galleries import FIG_A, FIG_B
from aifr_lib.experiments.comface.quality import FIG_D

EXPERIMENTS = (FIG_A, FIG_B, FIG_D, TABLE_A)
