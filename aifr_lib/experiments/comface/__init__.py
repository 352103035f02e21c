"""ComFace."""

from aifr_lib.experiments.comface.age import PILOT_RUN, TABLE_N
from aifr_lib.experiments.comface.beyond import BEYOND
from aifr_lib.experiments.comface.directions_table import TABLE_A
from aifr_lib.experiments.comface.expression import TABLE_J, TABLE_K
from aifr_lib.experiments.comface.galleries import FIG_A, FIG_B
from aifr_lib.experiments.comface.networks import FIG_C, TABLES_BCDE, TABLES_FG
from aifr_lib.experiments.comface.pretraining import LOSSES
from aifr_lib.experiments.comface.quality import FIG_D
from aifr_lib.experiments.comface.subsets import TABLE_H
from aifr_lib.experiments.comface.ward import OWN_DAYS
from aifr_lib.experiments.comface.weight import TABLE_I, TABLE_L, TABLE_M

# In the order of the ledger: what decides most comes first.
EXPERIMENTS = (
    FIG_A, FIG_B, FIG_C, FIG_D, TABLE_A, *TABLES_BCDE, *TABLES_FG,
    TABLE_N, PILOT_RUN, LOSSES, TABLE_L, TABLE_J, TABLE_K, TABLE_M, OWN_DAYS, TABLE_I, TABLE_H, *BEYOND,
)  # fmt: skip
