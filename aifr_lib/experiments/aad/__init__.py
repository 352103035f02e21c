"""Attentive angular distillation."""

from aifr_lib.experiments.aad.ages import PATH
from aifr_lib.experiments.aad.attention import FIG1, FIG3, FIG6
from aifr_lib.experiments.aad.cost import COST
from aifr_lib.experiments.aad.curves import FIG5
from aifr_lib.experiments.aad.gaps import GAPS, PARETO
from aifr_lib.experiments.aad.geometry import FIG4
from aifr_lib.experiments.aad.int8 import FILES_OF
from aifr_lib.experiments.aad.known import TEACHERS
from aifr_lib.experiments.aad.networks import FIG2, TABLE1
from aifr_lib.experiments.aad.tables import TABLE2, TABLE3, TABLE4, TABLE5, TABLE6
from aifr_lib.experiments.aad.truth_table import TRUTH
from aifr_lib.experiments.aad.tuning import TUNING

# What takes seconds first; then the weights before the students that take them.
EXPERIMENTS = (
    FIG2,
    TABLE1,
    FIG4,
    FIG6,
    COST,
    TEACHERS,
    FIG1,
    FIG3,
    TRUTH,
    PATH,
    TUNING,
    TABLE2,
    FILES_OF,
    FIG5,
    TABLE3,
    TABLE4,
    TABLE5,
    TABLE6,
    GAPS,
    PARETO,
)
