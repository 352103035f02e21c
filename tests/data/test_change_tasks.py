"""The tasks of ComFace: their pairs, both orders, two wards, rendered sources of change."""

import numpy as np
import pytest

from aifr_lib.data import change_sources, change_tasks, relief
from aifr_lib.data.relief.changes import edema
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import Source, Tasks
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import comface


def test_two_wards_share_no_patient_and_differ_in_light_and_camera():
    first, second = (edema(subjects=60, days=2, frames=2, ward=ward) for ward in (1, 2))
    assert not set(first.identity.tolist()) & set(second.identity.tolist())
    assert first.about(48) == edema(subjects=60, days=2, frames=2).about(48), "its pictures stay what they are"
    one, other = first.table(), second.table()
    assert other["light_azimuth"].mean() < one["light_azimuth"].mean() - 10
    assert other["blur"].mean() > one["blur"].mean() + 0.2
    with pytest.raises(ValueError, match="ward 3"):
        edema(ward=3)


def test_edited_people_change_in_one_thing_alone():
    plan = change_sources.relief_edits(3, ("age", "weight", "au12"), 2.5)
    table = plan.table()
    assert len(table) == 3 * 3 * 4
    moved = {"age": "age", "weight": "weight", "au12": "au12"}
    for (_, attribute), rows in table.groupby(["identity", "attribute"]):
        for name, column in moved.items():
            spread = np.ptp(rows[column])
            assert (spread > 0.5) == (name == attribute)
        assert np.corrcoef(rows["alpha"], rows[moved[attribute]])[0, 1] > 0.999
    others = table.drop(columns=["record", "attribute", "alpha", *moved.values()]).groupby("identity").nunique()
    assert list(others.columns[(others > 1).any()]) == []
    with pytest.raises(ConfigError, match="did you mean 'weight'"):
        change_sources.relief_edits(2, ("weigth",), 2.5)


def test_people_at_all_ages_count_in_tenths_of_the_range():
    table = change_sources.relief_wide(5).table()
    assert table["alpha"].between(-5, 5).all()
    assert np.allclose(table["alpha"] * 7.6 + 42, table["age"], atol=1e-4)


def test_a_source_leaves_zero_out_and_an_attribute_where_asked():
    source = Source(kind="relief-edits", people=2, attributes=("age", "yaw"), step=5.0)
    images = comface.pictures(source, 32)
    assert set(images.labels["alpha"]) == {-5.0, 5.0} and len(images) == 8
    without = comface.pictures(source.model_copy(update={"without": "yaw"}), 32)
    assert set(without.labels["attribute"]) == {"age"}
    assert change_sources.digest(source) != change_sources.digest(source.model_copy(update={"without": "yaw"}))
    with pytest.raises(ValueError, match="none of the attributes"):
        Source(attributes=("age",), without="smile")


@pytest.mark.parametrize("name", ["au12", "edema-a"])
def test_labels_and_pairs_can_be_had_without_a_picture(name, monkeypatch):
    settings = load_preset("smoke").comface.tasks
    drawn = change_tasks.load(name, settings, 32, still=True)
    monkeypatch.setattr(change_tasks.relief, "load_set", None)
    labels = change_tasks.load(name, settings, 32, still=True, drawn=False)
    assert labels.images.labels.equals(drawn.images.labels) and labels.images.name == drawn.images.name
    assert np.array_equal(labels.tested.d, drawn.tested.d) and np.array_equal(labels.tested.a, drawn.tested.a)
    assert labels.images.pixels.shape[1:3] == (1, 1)


def test_the_tasks_of_rendered_people():
    settings = Tasks(
        ages="relief-fgnet", people=4, subjects=4, frames=12, frame_pairs=5, patients=4, days=2, pictures=2
    )
    task = change_tasks.load("edema-a", settings, 32)
    assert len(task.tested) == 4 * 2 * 2 * 2 and (task.tested.d < 0).all() and task.directed
    assert len(task.learnt) == 4 * (8 * 7 // 2)
    unit = change_tasks.load("au12", settings, 32)
    assert len(unit.tested) == 20 and unit.tested.unit == "intensity 0–5"
    age = change_tasks.load("age", settings, 32)
    assert age.images.name == "relief-fgnet" and len(age.tested) == len(age.learnt)
    both = change_tasks.both_orders(age.tested)
    assert both.d.sum() == 0 and len(both) == 2 * len(age.tested)
    named = change_tasks.identified("edema-b", settings, 32)
    assert named["hash"] == relief.set_digest("relief-edema", size=32, subjects=4, days=2, frames=2, ward=2)
    with pytest.raises(ConfigError, match="did you mean 'edema-"):
        change_tasks.load("edema", settings, 32)
