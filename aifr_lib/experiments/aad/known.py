"""What the teachers know: how well T^R tells people apart, by how many years T^A errs (ours).

And what a page says of students whom they taught step by step: alone, by directions (AD), with attention (AAD).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad.students import teacher_job
from aifr_lib.experiments.aad.teachers import age_teacher_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

RECOGNISES, AGES, LOOKED_AT = "Tᴿ, recognises people", "Tᴬ, estimates ages", "Tᴬ at {} px, looked at"
# More, less, and no difference, in words.
ALONE = ("more than alone", "less than alone", "no difference to alone")
AD = ("a gain over AD", "a loss against AD", "no difference to AD")
STUDENTS = Shape(down=("backbone", "variant"), across=(METRIC,))


def teachers_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The teachers by name; T^A is one where the students' pictures are as large as those that are looked at."""
    aad = preset.aad
    made = {
        RECOGNISES: teacher_job(aad.teacher, aad.protocols, device),
        AGES: age_teacher_job(aad.age_teacher, device),
    }
    if aad.looked_at != aad.age_teacher:
        made[LOOKED_AT.format(aad.looked_at.train.input_hw[0])] = age_teacher_job(aad.looked_at, device)
    return made


def teachers_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Of T^R the accuracy by list of pairs; of T^A the mean error on test people, beside that of one age for all."""
    for name in teachers_jobs(preset):
        run = runs.get(name)
        if name == RECOGNISES:
            for pairs in preset.aad.train.relief.pair_lists:
                found = recognise.over_seeds({run.spec.seed: run.summary}, pairs) if run else None
                yield Row(keys={"teacher": name, "set": pairs}, metric="accuracy", measured=found)
            continue
        for metric in ("mae", "mae_of_a_constant"):
            error = Measured(mean=run.summary["test"][metric]) if run else None
            yield Row(keys={"teacher": name, "set": "everyday relief faces"}, metric=metric, measured=error)


def found(artefact: Artefact) -> str:
    """Whether the teachers have something to teach."""
    across = measured(artefact.rows, "accuracy", {"teacher": RECOGNISES, "set": "relief-agedb"})
    error, constant = (measured(artefact.rows, metric, {"teacher": AGES}) for metric in ("mae", "mae_of_a_constant"))
    return say(
        {name: digits(value.mean) for name, value in (("across", across), ("error", error), ("constant", constant))
         if value},
        (across, "The large recogniser is right on {across} % of relief pairs thirty years apart."),
        (error and constant, "The age estimator errs by {error} years on people it has not seen;"),
        (error and constant, "one age for everybody would err by {constant}."),
    )  # fmt: skip


def step_by_step(rows: Sequence[Row], metric: str, student: str, keys: Mapping[str, Key], alone_said: str) -> str:
    """What each way of teaching adds to a student, by one metric where ``keys`` hold.

    alone_said: the sentence on the student without a teacher, with {alone} for its number, which is a percentage.
    """

    def one(variant: str) -> Measured | None:
        return measured(rows, metric, {"backbone": student, "variant": variant, **keys})

    alone, last, ad, aad = (one(variant) for variant in ("self", "ad_last", "ad", "aad"))
    teacher = measured(rows, metric, {"variant": "teacher", **keys})
    arms = [row.measured for row in rows if row.metric == metric and row.measured and keys.items() <= row.keys.items()]
    there = [len(value.per_seed) for value in (alone, last, ad, aad) if value]
    fewest = min(there) if len(there) > 1 else 0
    named = (("alone", alone), ("last", last), ("ad", ad), ("aad", aad), ("teacher", teacher))
    return say(
        {"fewest": fewest, **{name: digits(value.mean) for name, value in named if value}},
        (alone, alone_said),
        (alone and last, "Guided by the direction of its teacher's embedding alone (eq. 8) it reaches {last} %:"),
        (alone and last, against(last, alone, ALONE, arms)),
        (alone and ad, "With its teacher's directions (AD) it reaches {ad} %:"),
        (alone and ad, against(ad, alone, ALONE, arms)),
        (ad and aad, "With attention besides (AAD) it is {aad} %:"),
        (ad and aad, against(aad, ad, AD, arms)),
        (
            fewest > 1,
            "So says Student's t over {fewest} seeds of each, with the error of all variants together where their"
            " spreads agree, uncorrected; the verdict decides.",
        ),
        (alone and teacher, "Its teacher reaches {teacher} %."),
    )


def against(one: Measured | None, other: Measured | None, words: tuple[str, str, str], arms: Sequence[Measured]) -> str:
    """Which of three words hold (above, below, alike), as far as seeds can tell, with the error of all ``arms`` as in a
    verdict; of a single seed, that: people may tell two networks apart that another seed would order the other way.
    """
    above, below, alike = words
    if one and other and min(len(one.per_seed), len(other.per_seed)) < 2:
        return "one seed each, which is no proof."
    better = apart(one, other, others=[arm for arm in arms if arm not in (one, other)])
    return f"{above}." if better > 0 else f"{below}." if better < 0 else f"{alike} that can be told from chance."


TEACHERS = Experiment(
    "aad_teachers",
    teachers_jobs,
    teachers_rows,
    found=found,
    shape=Shape(down=("teacher", "set"), across=(METRIC,)),
)
