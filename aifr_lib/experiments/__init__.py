"""Each table and figure, declared once in the wing of its paper: the runs that it rests on, its rows, its picture.

``EXPERIMENTS`` lists them by the id of the table or figure.
"""

from aifr_lib.experiments import aad, comface, companion, generator, mtlface, relief, tml
from aifr_lib.experiments.jobs import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    one.id: one for wing in (generator, comface, companion, relief, tml, aad, mtlface) for one in wing.EXPERIMENTS
}
