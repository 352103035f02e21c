"""Finding directions where the truth is known, and what a run comes to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from aifr_lib.config import ConfigError, load_preset
from aifr_lib.experiments import edited_pictures, latent_directions, latent_finding, latent_rows
from aifr_lib.models import face_readings


def planted(samples: int = 600, width: int = 24) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Codes whose numbers hang together, and readings that are known slopes of them with noise."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((samples, width)) @ (rng.standard_normal((width, width)) / 5 + np.eye(width))
    slopes = {name: rng.standard_normal(width) for name in latent_finding.NAMES}
    readings = {name: codes @ slope + 0.3 * rng.standard_normal(samples) for name, slope in slopes.items()}
    return codes.astype(np.float32), slopes, readings | {"found": np.ones(samples, dtype=bool)}


def test_a_direction_moves_its_reading_and_no_other() -> None:
    codes, slopes, readings = planted()
    for name, direction in latent_finding.fit(codes, readings).items():
        attribute = latent_finding.ATTRIBUTES[name]
        step = 5 * direction.scale * direction.normal.astype(float)
        assert direction.about["r"] > 0.95
        own = slopes[attribute.reading] @ step / readings[attribute.reading].std()
        assert own == pytest.approx(attribute.span, rel=0.1)
        for other in set(latent_finding.NAMES) - {attribute.reading, *attribute.moves}:
            assert abs(slopes[other] @ step / readings[other].std()) < 0.15 * attribute.span


def test_a_step_is_the_shortest_that_does_it() -> None:
    rng = np.random.default_rng(1)
    slope, others = rng.standard_normal(6), rng.standard_normal((2, 6))
    root = rng.standard_normal((6, 6))
    covariance = root @ root.T + np.eye(6)
    step = latent_finding.free_of(slope, others, covariance)
    assert slope @ step == pytest.approx(1) and np.abs(others @ step).max() < 1e-9
    length = step @ np.linalg.solve(covariance, step)
    free = np.linalg.svd(np.vstack([slope, others]))[2][3:]  # whatever is added here changes no reading
    for aside in free:
        for sign in (-0.01, 0.01):
            other = step + sign * aside
            assert other @ np.linalg.solve(covariance, other) > length


def test_people_without_a_face_are_left_out() -> None:
    codes, _, readings = planted()
    spoiled = {name: values.copy() for name, values in readings.items()}
    spoiled["found"][::7] = False
    for name in latent_finding.NAMES:
        spoiled[name][::7] = 0
    kept = {name: values[spoiled["found"]] for name, values in readings.items()}
    ours, theirs = latent_finding.fit(codes, spoiled), latent_finding.fit(codes[spoiled["found"]], kept)
    np.testing.assert_allclose(ours["age"].normal, theirs["age"].normal, atol=1e-6)


def scores() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    alpha = np.tile([-5.0, -3, 0, 3, 5], 6)
    person = np.repeat(np.arange(6), 5)
    reading = np.round(0.1 * alpha + 0.2 * rng.standard_normal(30), 2)
    reading[3] = latent_rows.UNKNOWN
    same = np.where(alpha == 0, 1, 0.9 - 0.1 * np.abs(alpha)) - 0.01 * person * (alpha != 0)
    return {
        "alpha": alpha, "person": person, "told": 30 + alpha, "smile": reading, "width": np.full(30, 0.7),
        "yaw": np.zeros(30), "gender": rng.standard_normal(30), "same": same, "other": np.linspace(-0.1, 0.45, 15),
    }  # fmt: skip


def test_rows_are_what_scipy_and_a_loop_say() -> None:
    made = scores()
    rows = list(latent_rows.direction_rows("smile", made))
    value = {(row.keys["at"], row.metric): row.measured.mean for row in rows}
    seen = made["smile"] > latent_rows.UNKNOWN
    each = []
    for who in range(6):
        at = seen & (made["person"] == who)
        each.append(spearmanr(made["alpha"][at], made["smile"][at])[0])
    assert value["all", latent_rows.EACH] == pytest.approx(np.mean(each))
    pooled = spearmanr(made["alpha"][seen], made["smile"][seen])[0]
    assert value["all", latent_rows.POOLED] == pytest.approx(pooled)
    zero = np.repeat(made["smile"][made["alpha"] == 0], 5)
    changed = spearmanr(made["alpha"][seen], (made["smile"] - zero)[seen])[0]
    assert value["all", latent_rows.CHANGED] == pytest.approx(changed)
    at = made["alpha"] == 3
    assert value[3.0, latent_rows.SAME] == pytest.approx(made["same"][at].mean())
    limit = np.quantile(made["other"], 0.99)
    assert value[3.0, latent_rows.ABOVE] == pytest.approx(100 * (made["same"][at] > limit).mean())
    assert value["moves weight by", latent_rows.DRAGGED] == 0
    spread = made["told"][made["alpha"] == 0].std() or 1
    assert value["moves age by", latent_rows.DRAGGED] == pytest.approx(6 / spread)
    assert (0.0, latent_rows.SAME) not in value


def test_geometry_of_a_drawn_face() -> None:
    points = np.array([[30, 40], [70, 40], [55, 60], [35, 80], [65, 80]], dtype=float)
    read = face_readings.geometry(points)
    assert read["smile"] == pytest.approx(30 / (40 + 40)) and read["yaw"] == pytest.approx(5 / 40)
    turned = points @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 2 + 7
    assert face_readings.geometry(turned) == pytest.approx(read)


def test_surface_of_a_drawn_crop() -> None:
    crop = np.full((112, 112, 3), 99, dtype=np.uint8)
    plain = face_readings.surface(crop)
    assert plain == pytest.approx(
        {"light": 0, "teeth": 0, "crown": 0, "brightness": np.log(100), "glasses": np.log(0.01)}
    )
    crop[:, 56:] = 49
    assert face_readings.surface(crop)["light"] == pytest.approx(np.log(2))
    framed = np.full((112, 112, 3), 99, dtype=np.uint8)
    framed[50:53] = 9
    assert face_readings.surface(framed)["glasses"] > plain["glasses"] + 3


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("-5:5:2.5", [-5, -2.5, 0, 2.5, 5]),
        ("-1,0,2", [-1, 0, 2]),
        ("3:-3:-3", [3, 0, -3]),
        ("0:0.3:0.1", [0, 0.1, 0.2, 0.3]),
    ],
)
def test_strengths_as_a_user_writes_them(text, steps) -> None:
    assert edited_pictures.strengths(text) == pytest.approx(steps)


@pytest.mark.parametrize("text", ["1:2", "a", "5:-5:1", "0:1:0", "-5:5:0.0001", ""])
def test_wrong_strengths_are_explained(text) -> None:
    with pytest.raises(ConfigError, match="--alpha"):
        edited_pictures.strengths(text)


def test_jobs_are_named_without_package_or_picture(monkeypatch) -> None:
    monkeypatch.setattr(latent_directions.latent, "open_generator", lambda: pytest.fail("it was opened"))
    jobs = latent_directions.direction_jobs(load_preset("classroom"))
    assert list(jobs) == ["reading", "age", "smile", "weight", "yaw", "light"]
    assert len({job.spec.key for job in jobs.values()}) == len(jobs)


def test_what_can_be_approved_is_what_a_second_judge_reads() -> None:
    with pytest.raises(ConfigError, match="gender"):
        load_preset("classroom", {"latent_directions.attributes": ["gender"]})
    everything = list(latent_rows.SECOND)
    assert list(load_preset("paper").latent_directions.attributes) == everything
    readings = {reading for reading, _ in latent_rows.SECOND.values()}
    assert readings <= set(latent_directions.MEASURED)
    assert {
        row.keys["direction"] for row in latent_rows.reading_rows(dict.fromkeys(latent_finding.ATTRIBUTES, 0.5))
    } == {
        *everything,
        "gender",
    }


def test_the_second_reader_sees_light_where_its_own_landmarks_lie(monkeypatch) -> None:
    pytest.importorskip("cv2")
    picture = np.full((256, 256, 3), 199, dtype=np.uint8)
    picture[:, 128:] = 99
    points = np.array([[108, 110], [148, 110], [128, 132], [112, 156], [144, 156]], dtype=float)
    monkeypatch.setattr(face_readings, "yunet", lambda _: (points, np.array([90, 70, 76, 100.0])))
    read = face_readings.read_second(picture)
    assert read["light"] == pytest.approx(np.log(2), abs=0.1) and read["width"] == pytest.approx(0.76)
    assert face_readings.read_second(picture[:, ::-1])["light"] == pytest.approx(-read["light"], abs=0.1)
