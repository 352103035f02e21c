"""The relief faces as a data set."""

from aifr_lib.experiments.relief.convergence import CONVERGENCE
from aifr_lib.experiments.relief.judged import JUDGES
from aifr_lib.experiments.relief.readers import READER_TABLE
from aifr_lib.experiments.relief.shortcuts import SHORTCUT_TABLE
from aifr_lib.experiments.relief.span import SPAN

EXPERIMENTS = (CONVERGENCE, JUDGES, SHORTCUT_TABLE, READER_TABLE, SPAN)
