"""Finding directions where the truth is known, and what a run comes to."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy.stats import spearmanr

from aifr_lib.experiments.generator import edit_rows, edited_pictures, finding, latent_directions
from aifr_lib.faces import align
from aifr_lib.faces.generators import directions
from aifr_lib.models.judges import readings
from aifr_lib.names import ConfigError
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import Git
from aifr_lib.settings.presets import load_preset


def planted(samples: int = 600, width: int = 24) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Codes whose numbers hang together, and readings that are known slopes of them with noise."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((samples, width)) @ (rng.standard_normal((width, width)) / 5 + np.eye(width))
    slopes = {name: rng.standard_normal(width) for name in finding.NAMES}
    readings = {name: codes @ slope + 0.3 * rng.standard_normal(samples) for name, slope in slopes.items()}
    return codes.astype(np.float32), slopes, readings | {"found": np.ones(samples, dtype=bool)}


def test_a_direction_moves_its_reading_and_no_other() -> None:
    codes, slopes, readings = planted()
    for name, direction in finding.fit(codes, readings).items():
        attribute = finding.ATTRIBUTES[name]
        step = 5 * direction.scale * direction.normal.astype(float)
        assert direction.about["r"] > 0.95
        own = slopes[attribute.reading] @ step / readings[attribute.reading].std()
        assert own == pytest.approx(attribute.span, rel=0.1)
        for other in set(finding.NAMES) - {attribute.reading, *attribute.moves}:
            assert abs(slopes[other] @ step / readings[other].std()) < 0.15 * attribute.span


def test_a_step_is_the_shortest_that_does_it() -> None:
    rng = np.random.default_rng(1)
    slope, others = rng.standard_normal(6), rng.standard_normal((2, 6))
    root = rng.standard_normal((6, 6))
    covariance = root @ root.T + np.eye(6)
    step = finding.free_of(slope, others, covariance)
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
    for name in finding.NAMES:
        spoiled[name][::7] = 0
    kept = {name: values[spoiled["found"]] for name, values in readings.items()}
    ours, theirs = finding.fit(codes, spoiled), finding.fit(codes[spoiled["found"]], kept)
    np.testing.assert_allclose(ours["age"].normal, theirs["age"].normal, atol=1e-6)


def scores() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    alpha = np.tile([-5.0, -3, 0, 3, 5], 6)
    person = np.repeat(np.arange(6), 5)
    reading = np.round(0.1 * alpha + 0.2 * rng.standard_normal(30), 2)
    reading[3] = edit_rows.UNKNOWN
    same = np.where(alpha == 0, 1, 0.9 - 0.1 * np.abs(alpha)) - 0.01 * person * (alpha != 0)
    return {
        "alpha": alpha, "person": person, "told": 30 + alpha, "smile": reading, "width": np.full(30, 0.7),
        "yaw": np.zeros(30), "gender": rng.standard_normal(30), "same": same, "other": np.linspace(-0.1, 0.45, 15),
    }  # fmt: skip


def test_rows_are_what_scipy_and_a_loop_say() -> None:
    made = scores()
    rows = list(edit_rows.direction_rows("smile", made))
    value = {(row.keys["at"], row.metric): row.measured.mean for row in rows}
    seen = made["smile"] > edit_rows.UNKNOWN
    each = []
    for who in range(6):
        at = seen & (made["person"] == who)
        each.append(spearmanr(made["alpha"][at], made["smile"][at])[0])
    assert value["all", edit_rows.EACH] == pytest.approx(np.mean(each))
    pooled = spearmanr(made["alpha"][seen], made["smile"][seen])[0]
    assert value["all", edit_rows.POOLED] == pytest.approx(pooled)
    zero = np.repeat(made["smile"][made["alpha"] == 0], 5)
    changed = spearmanr(made["alpha"][seen], (made["smile"] - zero)[seen])[0]
    assert value["all", edit_rows.CHANGED] == pytest.approx(changed)
    at = made["alpha"] == 3
    assert value[3.0, edit_rows.SAME] == pytest.approx(made["same"][at].mean())
    limit = np.quantile(made["other"], 0.99)
    assert value[3.0, edit_rows.ABOVE] == pytest.approx(100 * (made["same"][at] > limit).mean())
    assert value["moves weight by", edit_rows.DRAGGED] == 0
    spread = made["told"][made["alpha"] == 0].std() or 1
    assert value["moves age by", edit_rows.DRAGGED] == pytest.approx(6 / spread)
    assert (0.0, edit_rows.SAME) not in value


def test_pictures_without_a_face_are_in_no_similarity() -> None:
    made = scores()
    at = np.flatnonzero(made["alpha"] == 3)
    rows = {(row.keys["at"], row.metric): row.measured for row in edit_rows.similarity_rows("smile", made)}
    made["same"][at[0]] = edit_rows.UNKNOWN
    fewer = {(row.keys["at"], row.metric): row.measured for row in edit_rows.similarity_rows("smile", made)}
    assert fewer[3.0, edit_rows.SAME].mean == pytest.approx(made["same"][at[1:]].mean())
    assert fewer[-3.0, edit_rows.SAME] == rows[-3.0, edit_rows.SAME]
    made["same"][at] = edit_rows.UNKNOWN
    assert (3.0, edit_rows.SAME) not in {
        (row.keys["at"], row.metric) for row in edit_rows.similarity_rows("smile", made)
    }


def test_side_effects_are_shown_as_far_as_they_were_read() -> None:
    def shown(made: dict[str, np.ndarray]) -> Artefact:
        rows = tuple(edit_rows.direction_rows("smile", made))
        nothing = {"data": None, "device": None, "versions": {}, "git": Git(), "wall_s": 0, "runs": (), "seeds": ()}
        return Artefact(id="x", kind="experiment", preset="smoke", rows=rows, verdict="none", **nothing)

    table = edit_rows.side_effects(shown(scores()))
    assert list(table.index) == ["smile"] and list(table.columns) == list(edit_rows.OTHERS)
    assert table.loc["smile", "weight"] == 0 and np.isnan(table.loc["smile", "light"])
    lit = shown(scores() | {"light": np.tile([-1.0, -1, 0, 1, 1], 6)})
    assert edit_rows.side_effects(lit).loc["smile", "light"] == pytest.approx(2)
    dark = scores() | {"light": np.where(scores()["alpha"] == 3, edit_rows.UNKNOWN, 0.5)}
    assert np.isnan(edit_rows.side_effects(shown(dark)).loc["smile", "light"])
    figure = edit_rows.side_effects_figure(lit)
    assert "+2.0" in {text.get_text() for text in figure.axes[0].texts}
    plt.close(figure)


class Stub:
    """A generator whose picture says who; it remembers whom it drew."""

    width = 512

    def __init__(self, stop_after: int | None = None) -> None:
        self.drawn: list[int] = []
        self.stop_after = stop_after

    def codes(self, seeds, psi=0.7):
        return np.array([[float(seed)] for seed in seeds])

    def synthesise(self, codes):
        if len(self.drawn) == self.stop_after:
            raise KeyboardInterrupt
        self.drawn.append(int(codes[0, 0]))
        return np.full((1, 112, 112, 3), int(codes[0, 0]) % 200, dtype=np.uint8)


def test_reading_people_goes_on_where_it_was_stopped(tmp_path, monkeypatch) -> None:
    def read(pictures):
        return np.array([[picture[0, 0, 0]] * len(finding.NAMES) for picture in pictures], dtype=np.float32)

    monkeypatch.setattr(finding, "_read", read)
    with pytest.raises(KeyboardInterrupt):
        finding.read_people(Stub(stop_after=30), 40, 1.0, tmp_path)
    second = Stub()
    readings = finding.read_people(second, 40, 1.0, tmp_path)
    first = finding.FIRST_SEED
    assert second.drawn == list(range(first + finding.EVERY, first + 40))
    assert readings["age"].tolist() == [seed % 200 for seed in range(first, first + 40)] and readings["found"].all()


@pytest.fixture
def measuring(monkeypatch):
    """Settings of eight people; judges that tell a picture's colour; no face in what person 2 is at α = 5, and none of
    person 4 at α = 0."""
    stub = Stub()

    def unseen(picture):
        who, place = divmod(int(picture[0, 0, 0]), 10)
        return (who, place) in {(2, 4), (4, 2)}

    def synthesise(codes):
        stub.drawn.append(int(codes[0, 0]) - latent_directions.FIRST_SEED)
        person, alpha = stub.drawn[-1], codes[0, 1]
        return np.full((1, 112, 112, 3), 10 * person + (-5, -3, 0, 3, 5).index(alpha), dtype=np.uint8)

    def level(crops):
        return crops[:, 0, 0, 0].astype(float)

    def align_one(picture):
        return None if unseen(picture) else align.Aligned(picture, np.zeros((5, 2)), np.eye(2, 3), 1.0, 1)

    def embed(crops):
        return np.stack([np.ones(len(crops)), level(crops) / 100], axis=1).astype(np.float32)

    monkeypatch.setattr(stub, "synthesise", synthesise)
    monkeypatch.setattr(latent_directions.mobilestylegan, "open_generator", lambda: stub)
    monkeypatch.setattr(latent_directions, "edit", lambda code, direction, alpha: np.array([[code[0, 0], alpha]]))
    monkeypatch.setattr(latent_directions.align, "align", align_one)
    monkeypatch.setattr(latent_directions.judges, "AgeJudge", lambda: level)
    monkeypatch.setattr(latent_directions.judges, "GenderJudge", lambda: level)
    monkeypatch.setattr(latent_directions.judges, "sface", lambda: embed)
    monkeypatch.setattr(latent_directions.readings, "read_second", lambda picture: None)
    settings = load_preset("classroom", {"latent_directions.identities": 8}).latent_directions
    return settings, stub


def test_where_no_face_is_seen_nothing_is_said(measuring, tmp_path) -> None:
    settings, _ = measuring
    unknown = edit_rows.UNKNOWN
    made = latent_directions.compute_attribute("smile", settings, tmp_path).scores
    person = made["person"] - latent_directions.FIRST_SEED
    at = {(who, alpha): row for row, (who, alpha) in enumerate(zip(person, made["alpha"], strict=True))}
    blind = [at[2, 5], at[4, 0]]
    for name in ("told", "gender"):
        assert (made[name][blind] == unknown).all() and (np.delete(made[name], blind) > unknown).all()
    assert (made["second"] == unknown).all() and (made["smile"] == unknown).all()
    assert set(np.flatnonzero(made["same"] == unknown)) == {at[2, 5], *(at[4, alpha] for alpha in (-5, -3, 0, 3, 5))}
    assert len(made["other"]) == 7 * 6 // 2, "the person without an unedited face is in no pair"


def test_measuring_goes_on_unless_the_columns_are_others(measuring, tmp_path, monkeypatch) -> None:
    settings, stub = measuring
    whole, _ = latent_directions._measured("smile", settings, tmp_path, None)
    assert sorted(set(stub.drawn)) == list(range(8))
    stub.drawn.clear()
    again, embedded = latent_directions._measured("smile", settings, tmp_path, None)
    assert sorted(set(stub.drawn)) == list(range(latent_directions.EVERY, 8))
    np.testing.assert_array_equal(again, whole)
    assert embedded.shape == (40, 2)
    monkeypatch.setattr(latent_directions, "MEASURED", latent_directions.MEASURED[:-1])
    stub.drawn.clear()
    fewer, _ = latent_directions._measured("smile", settings, tmp_path, None)
    assert sorted(set(stub.drawn)) == list(range(8))
    np.testing.assert_array_equal(fewer, whole[:, :-1])


def test_the_packaged_directions_are_those_of_the_classroom_reading() -> None:
    about, preset = directions.provenance(), load_preset("classroom")
    assert about["run"] == latent_directions.direction_jobs(preset)[latent_directions.READING].spec.key
    first, end = about["seeds"]
    assert first == finding.FIRST_SEED and end - first == preset.latent_directions.samples
    assert about["psi"] == preset.latent_directions.psi


@pytest.mark.parametrize("alphas", [[-5, 0, 5], [-3, 3], [-3, 0, 3, 6]])
def test_strengths_that_tables_need_must_be_there(alphas) -> None:
    for key in ("alphas", "age_alphas"):
        with pytest.raises(ConfigError, match="strengths must lie within"):
            load_preset("smoke", {f"latent_directions.{key}": alphas})


def test_geometry_of_a_drawn_face() -> None:
    points = np.array([[30, 40], [70, 40], [55, 60], [35, 80], [65, 80]], dtype=float)
    read = readings.geometry(points)
    assert read["smile"] == pytest.approx(30 / (40 + 40)) and read["yaw"] == pytest.approx(5 / 40)
    turned = points @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 2 + 7
    assert readings.geometry(turned) == pytest.approx(read)


def test_surface_of_a_drawn_crop() -> None:
    crop = np.full((112, 112, 3), 99, dtype=np.uint8)
    plain = readings.surface(crop)
    assert plain == pytest.approx(
        {"light": 0, "teeth": 0, "crown": 0, "brightness": np.log(100), "glasses": np.log(0.01)}
    )
    crop[:, 56:] = 49
    assert readings.surface(crop)["light"] == pytest.approx(np.log(2))
    framed = np.full((112, 112, 3), 99, dtype=np.uint8)
    framed[50:53] = 9
    assert readings.surface(framed)["glasses"] > plain["glasses"] + 3


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


@pytest.mark.parametrize("text", ["1:2", "a", "5:-5:1", "0:1:0", "-5:5:0.0001", "-5:5:0.3", "0:1:2", ""])
def test_wrong_strengths_are_explained(text) -> None:
    with pytest.raises(ConfigError, match="--alpha"):
        edited_pictures.strengths(text)


def test_jobs_are_named_without_package_or_picture(monkeypatch) -> None:
    monkeypatch.setattr(latent_directions.mobilestylegan, "open_generator", lambda: pytest.fail("it was opened"))
    jobs = latent_directions.direction_jobs(load_preset("classroom"))
    assert list(jobs) == ["reading", "age", "smile", "weight", "yaw", "light"]
    assert len({job.spec.key for job in jobs.values()}) == len(jobs)


def test_what_can_be_approved_is_what_a_second_judge_reads() -> None:
    with pytest.raises(ConfigError, match="gender"):
        load_preset("classroom", {"latent_directions.attributes": ["gender"]})
    everything = list(edit_rows.SECOND)
    assert list(load_preset("paper").latent_directions.attributes) == everything
    readings = {reading for reading, _ in edit_rows.SECOND.values()}
    assert readings <= set(latent_directions.MEASURED)
    assert {row.keys["direction"] for row in edit_rows.reading_rows(dict.fromkeys(finding.ATTRIBUTES, 0.5))} == {
        *everything,
        "gender",
    }


def test_the_second_reader_sees_light_where_its_own_landmarks_lie(monkeypatch) -> None:
    pytest.importorskip("cv2")
    picture = np.full((256, 256, 3), 199, dtype=np.uint8)
    picture[:, 128:] = 99
    points = np.array([[108, 110], [148, 110], [128, 132], [112, 156], [144, 156]], dtype=float)
    monkeypatch.setattr(readings, "yunet", lambda _: (points, np.array([90, 70, 76, 100.0])))
    read = readings.read_second(picture)
    assert read["light"] == pytest.approx(np.log(2), abs=0.1) and read["width"] == pytest.approx(0.76)
    assert readings.read_second(picture[:, ::-1])["light"] == pytest.approx(-read["light"], abs=0.1)
