"""Relief faces for identification: probes as FG-NET's, distractors as MegaFace's, long sequences as LogiFace's."""

from __future__ import annotations

import torch
from torch import Tensor

from aifr_lib.data.relief import plan
from aifr_lib.data.relief.plan import AGES, MAX_PER_IDENTITY, TURNED, Plan, between, dealt, pictures_of
from aifr_lib.faces.relief.parameters import uniform

PROFILES = 0.2  # share of LogiFace's pictures that are profiles (inferred: it has "both frontal and profile")


def fgnet(people: int = 82, pictures: int = 1002) -> Plan:
    """relief-fgnet: 1,002 pictures of 82 people in whole years from 0 to 69, each person from childhood on.

    A person's last age lies between 18 and 69 years, younger ones being likelier, and the ages before it lean to
    childhood: the mean is near 16 years, FG-NET's own (numbers of people, pictures and years: AAD section IV, ComFace
    section A.2; the shape of the distribution: inferred). At least two pictures a person.
    Errors: ValueError for counts out of range.
    """
    numbers = plan.people("relief-fgnet", people, "people")
    whose, place, picture = pictures_of(numbers, counts := dealt(numbers, pictures, 2, 30, "pictures"))
    last = 18 + 52 * uniform(numbers, 31, 1)[:, 0] ** 1.4
    ages = (last[whose] * _through(place, picture, counts[whose]) ** 1.5).floor()
    return Plan("relief-fgnet", {"people": people, "pictures": pictures}, numbers[whose], ages, picture)


def distractors(count: int = 10_000) -> Plan:
    """relief-megaface: one picture each of ``count`` other people, ages even over 4 … 80 years.

    MegaFace has 1,000,000 (AAD section IV); the default is what a laptop renders in minutes.
    Errors: ValueError for a count out of range.
    """
    numbers = plan.people("relief-megaface", count, "count")
    ages = between(numbers, 22, *AGES)
    return Plan("relief-megaface", {"count": count}, numbers, ages, numbers * MAX_PER_IDENTITY)


def logiface(subjects: int = 369, pictures: int = 12_656) -> Plan:
    """relief-logiface: 12,656 pictures of 369 subjects, each subject's in order of age, from 1 to 99 years.

    Numbers and years: AAD section IV-A, "longitudinal subject sequences", "both frontal and profile". A subject is
    followed from an age of 1 … 50 years for at least ten years; a fifth of the pictures are profiles of 40 … 60° of
    yaw (inferred). At least two pictures a subject.
    Errors: ValueError for counts out of range.
    """
    numbers = plan.people("relief-logiface", subjects, "subjects")
    whose, place, picture = pictures_of(numbers, counts := dealt(numbers, pictures, 2, 30, "pictures"))
    first = 1 + 49 * uniform(numbers, 31, 1)[:, 0] ** 1.3
    span = 10 + (89 - first) * uniform(numbers, 32, 1)[:, 0]
    ages = first[whose] + span[whose] * _through(place, picture, counts[whose])
    u = uniform(picture, 24, 3)
    profile = (TURNED[0] + (TURNED[1] - TURNED[0]) * u[:, 1]) * torch.where(u[:, 2] < 0.5, -1, 1)
    yaw = torch.where(u[:, 0] < PROFILES, profile, 24 * u[:, 1] - 12)
    spec = {"subjects": subjects, "pictures": pictures}
    return Plan("relief-logiface", spec, numbers[whose], ages, picture, fixed={"yaw": yaw})


def _through(place: Tensor, picture: Tensor, counts: Tensor) -> Tensor:
    """How far through a person's years each picture lies, 0 … 1, in rising order."""
    return (place + uniform(picture, 22, 1)[:, 0]) / counts
