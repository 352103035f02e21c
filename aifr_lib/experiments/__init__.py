"""One plain function for each table or figure: train what is missing, evaluate, give rows.

``EXPERIMENTS`` lists them by the id of the table or figure.
"""

from aifr_lib.experiments import protocols, real, relief_convergence, relief_judges, relief_shortcuts, tml, tour
from aifr_lib.experiments.jobs import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "protocols": Experiment(
        run=protocols.protocols,
        jobs=lambda preset, seeds, device: list(protocols.protocol_jobs(preset, seeds, device).values()),
    ),
    "real_photographs": Experiment(
        run=real.real_photographs,
        jobs=lambda preset, seeds, device: list(real.photograph_jobs(preset, seeds, device).values()),
    ),
    "relief_convergence": Experiment(
        run=relief_convergence.relief_convergence,
        jobs=lambda preset, seeds, device: list(relief_convergence.convergence_jobs(preset, seeds, device).values()),
    ),
    "relief_judges": Experiment(
        run=relief_judges.relief_judges,
        jobs=lambda preset, seeds, device: list(relief_judges.judge_jobs(preset, seeds, device).values()),
    ),
    "relief_shortcuts": Experiment(
        run=relief_shortcuts.relief_shortcuts,
        jobs=lambda preset, seeds, device: list(relief_shortcuts.shortcut_jobs(preset, seeds, device).values()),
    ),
    "tour": Experiment(run=tour.tour, jobs=tour.jobs),
    "tml_fig6": Experiment(
        run=tml.alpha_sweep,
        jobs=lambda preset, seeds, device: list(tml.alpha_sweep_jobs(preset, seeds, device).values()),
    ),
    "tml_tuning": Experiment(
        run=tml.tuning,
        jobs=lambda preset, seeds, device: list(tml.tuning_jobs(preset, seeds, device).values()),
    ),
    "tml_table4": Experiment(
        run=tml.variance,
        jobs=lambda preset, seeds, device: list(tml.variance_jobs(preset, seeds, device).values()),
    ),
}
