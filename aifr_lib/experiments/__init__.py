"""One plain function for each table or figure: train what is missing, evaluate, give rows.

``EXPERIMENTS`` lists them by the id of the table or figure.
"""

from functools import partial

from aifr_lib.experiments import (
    comface_directions,
    comface_faces,
    comface_quality,
    latent_directions,
    latent_sets,
    protocols,
    real,
    relief_convergence,
    relief_judges,
    relief_shortcuts,
    tml,
    tour,
)
from aifr_lib.experiments.jobs import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    **{
        figure: Experiment(partial(comface_faces.gallery, figure), partial(comface_faces.gallery_jobs, figure))
        for figure in comface_faces.ATTRIBUTES
    },
    "comface_figD": Experiment(comface_quality.figure_d, comface_quality.quality_jobs),
    "comface_tableA": Experiment(comface_directions.table_a, latent_directions.direction_jobs),
    "latent_directions": Experiment(latent_directions.latent_directions, latent_directions.direction_jobs),
    "latent_sets": Experiment(latent_sets.latent_sets, latent_sets.set_jobs),
    "protocols": Experiment(protocols.protocols, protocols.protocol_jobs),
    "real_photographs": Experiment(real.real_photographs, real.photograph_jobs),
    "relief_convergence": Experiment(relief_convergence.relief_convergence, relief_convergence.convergence_jobs),
    "relief_judges": Experiment(relief_judges.relief_judges, relief_judges.judge_jobs),
    "relief_shortcuts": Experiment(relief_shortcuts.relief_shortcuts, relief_shortcuts.shortcut_jobs),
    "tour": Experiment(tour.tour, tour.jobs),
    # Before the sweep, whose rates it finds.
    "tml_tuning": Experiment(tml.tuning, tml.tuning_jobs),
    "tml_fig6": Experiment(tml.alpha_sweep, tml.alpha_sweep_jobs),
    "tml_table4": Experiment(tml.variance, tml.variance_jobs),
}
