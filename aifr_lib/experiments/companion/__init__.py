"""The book's own pages."""

from aifr_lib.experiments.companion.many_people import MANY_PEOPLE
from aifr_lib.experiments.companion.protocols import PROTOCOLS
from aifr_lib.experiments.companion.real_photographs import PHOTOGRAPHS
from aifr_lib.experiments.companion.tour import TOUR

EXPERIMENTS = (PROTOCOLS, PHOTOGRAPHS, TOUR, MANY_PEOPLE)
