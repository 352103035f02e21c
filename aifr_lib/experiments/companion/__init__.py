"""The book's own pages."""

from aifr_lib.experiments.companion.attention_map import ATTENTION_MAP
from aifr_lib.experiments.companion.many_people import MANY_PEOPLE
from aifr_lib.experiments.companion.protocols import PROTOCOLS
from aifr_lib.experiments.companion.real_photographs import PHOTOGRAPHS
from aifr_lib.experiments.companion.switches import SWITCHES
from aifr_lib.experiments.companion.tour import TOUR

EXPERIMENTS = (ATTENTION_MAP, PROTOCOLS, PHOTOGRAPHS, SWITCHES, TOUR, MANY_PEOPLE)
