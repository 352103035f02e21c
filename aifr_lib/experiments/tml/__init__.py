"""The Transformer-metric loss."""

from aifr_lib.experiments.tml.alpha_sweep import FIG6
from aifr_lib.experiments.tml.architecture import FIG2, FIG5, FIG8, INTEXT
from aifr_lib.experiments.tml.attention import ATTENTION
from aifr_lib.experiments.tml.beyond import BEYOND, VARIANTS
from aifr_lib.experiments.tml.configurations import FIG7, TABLE1
from aifr_lib.experiments.tml.feature_maps import FIG1, FIG3, FIG4
from aifr_lib.experiments.tml.layers import LAYERS
from aifr_lib.experiments.tml.second_source import SOURCE
from aifr_lib.experiments.tml.tuning import TUNING
from aifr_lib.experiments.tml.variance import TABLE4
from aifr_lib.experiments.tml.verification import TABLE2, TABLE3

# What takes seconds first; then the rates before what takes them; what the paper rests on; then what shares its runs.
EXPERIMENTS = (
    *(FIG2, FIG5, FIG8, INTEXT),
    *(TUNING, BEYOND),
    *(FIG1, FIG3, FIG4, LAYERS, ATTENTION),
    *(FIG6, TABLE4, FIG7, TABLE1, TABLE2, TABLE3),
    *(SOURCE, VARIANTS),
)
