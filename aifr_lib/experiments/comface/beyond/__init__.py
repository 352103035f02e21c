"""What ComFace's paper does not ask: the companion's own questions, most of them answered by runs that are there."""

from aifr_lib.experiments.comface.beyond.rivals import ATTRIBUTES, FUSION, RIVALS, SHORTCUTS
from aifr_lib.experiments.comface.beyond.scaling import SCALING
from aifr_lib.experiments.comface.beyond.strata import STRATA
from aifr_lib.experiments.comface.beyond.where import WHERE

BEYOND = (SCALING, SHORTCUTS, RIVALS, ATTRIBUTES, FUSION, WHERE, STRATA)
