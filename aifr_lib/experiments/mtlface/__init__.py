"""MTLFace: recognition that forgets the age, and faces drawn at another one."""

from aifr_lib.experiments.mtlface.beyond import BEYOND
from aifr_lib.experiments.mtlface.comparison import TABLE2
from aifr_lib.experiments.mtlface.dataset import FIGA1
from aifr_lib.experiments.mtlface.decomposition import ATTENTION, DECOMPOSITION
from aifr_lib.experiments.mtlface.networks import INTEXT
from aifr_lib.experiments.mtlface.pilot import PILOT

# What takes seconds first; then the weighting of the synthesis before all that is drawn by it.
EXPERIMENTS = (INTEXT, FIGA1, PILOT, DECOMPOSITION, TABLE2, BEYOND, ATTENTION)
