"""MTLFace: recognition that forgets the age, and faces drawn at another one."""

from aifr_lib.experiments.mtlface.pilot import PILOT
from aifr_lib.experiments.mtlface.readings import ATTENTION, DECOMPOSITION

# What decides the most first: the weighting of the synthesis before all that is drawn by it.
EXPERIMENTS = (PILOT, DECOMPOSITION, ATTENTION)
