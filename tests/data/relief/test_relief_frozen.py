"""The frozen release: no pixel may move by more than one grey level, no parameter and no pair at all."""

from __future__ import annotations

import numpy as np
import pytest
import relief_reference as reference

from aifr_lib.data.relief.plan import VERSION


@pytest.fixture(scope="module")
def now() -> dict[str, np.ndarray]:
    return reference.content()


def test_relief_faces_are_those_of_their_version(now: dict[str, np.ndarray]) -> None:
    with np.load(reference.FILE) as stored:
        frozen = dict(stored)
    assert str(frozen["version"]) == VERSION, f"no reference of {VERSION}: run python {reference.__file__}"
    drift = reference.drift(frozen, now)
    assert not drift, f"{VERSION} is frozen, but {drift}: undo the change, or raise RELEASE and {reference.__doc__}"


def test_a_grey_level_is_forgiven_and_two_are_not(now: dict[str, np.ndarray]) -> None:
    assert reference.drift(now, now) == ""
    near = now["pixels"].astype(int)
    near[2, 5, 5, 0] += 1 if near[2, 5, 5, 0] < 250 else -1
    assert reference.drift(now | {"pixels": near}, now) == ""
    near[2, 5, 5, 0] += 3 if near[2, 5, 5, 0] < 250 else -3
    assert "relief-test aligned" in reference.drift(now | {"pixels": near}, now)
    moved = now["parameters"].copy()
    moved[1, 3, now["columns"].tolist().index("yaw")] += 0.01
    assert reference.drift(now | {"parameters": moved}, now) == "yaw of picture 3 of relief-validation aligned differs"
    bearded = now["ends"].astype(int)
    bearded[4, 40:50, 30:34] -= 20
    assert "'beard': 1.0" in reference.drift(now | {"ends": bearded}, now)
    heavier = now["relief-edema aligned: kilograms"] + 0.5
    assert reference.drift(now | {"relief-edema aligned: kilograms": heavier}, now).startswith("relief-edema")
    assert reference.drift({**now, "more": heavier}, now) == "more is only in one of them"
    swapped = now["relief-agedb"][::-1]
    assert reference.drift(now | {"relief-agedb": swapped}, now) == "relief-agedb differs"
