"""One plain function for each table or figure: train what is missing, evaluate, give rows.

``EXPERIMENTS`` lists them by the id of the table or figure.
"""

from functools import partial

from aifr_lib.experiments.comface import directions_table, galleries, quality
from aifr_lib.experiments.companion import protocols, real_photographs, tour
from aifr_lib.experiments.generator import latent_directions, latent_sets
from aifr_lib.experiments.jobs import Experiment
from aifr_lib.experiments.relief import convergence, judged, shortcuts
from aifr_lib.experiments.tml import alpha_sweep, tuning, variance

EXPERIMENTS: dict[str, Experiment] = {
    **{
        figure: Experiment(partial(galleries.gallery, figure), partial(galleries.gallery_jobs, figure))
        for figure in galleries.ATTRIBUTES
    },
    "comface_figD": Experiment(quality.figure_d, quality.quality_jobs),
    "comface_tableA": Experiment(directions_table.table_a, latent_directions.direction_jobs),
    "latent_directions": Experiment(latent_directions.latent_directions, latent_directions.direction_jobs),
    "latent_sets": Experiment(latent_sets.latent_sets, latent_sets.set_jobs),
    "protocols": Experiment(protocols.protocols, protocols.protocol_jobs),
    "real_photographs": Experiment(real_photographs.real_photographs, real_photographs.photograph_jobs),
    "relief_convergence": Experiment(convergence.relief_convergence, convergence.convergence_jobs),
    "relief_judges": Experiment(judged.relief_judges, judged.judge_jobs),
    "relief_shortcuts": Experiment(shortcuts.relief_shortcuts, shortcuts.shortcut_jobs),
    "tour": Experiment(tour.tour, tour.jobs),
    # Before the sweep, whose rates it finds.
    "tml_tuning": Experiment(tuning.tuning, tuning.tuning_jobs),
    "tml_fig6": Experiment(alpha_sweep.alpha_sweep, alpha_sweep.alpha_sweep_jobs),
    "tml_table4": Experiment(variance.variance, variance.variance_jobs),
}
