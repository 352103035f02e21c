import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from aifr_lib.files import repository_root
from aifr_lib.reporting import plots
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.seeds import student_t


@pytest.fixture(autouse=True)
def clean():
    with plt.rc_context():
        plots.style()
        yield
    plt.close("all")


def row(alpha, name, values, paper=None):
    return Row(
        keys={"alpha": alpha, "set": name},
        metric="accuracy",
        measured=student_t(dict(enumerate(values))) if values else None,
        paper=paper,
        paper_source=paper and "Table I",
    )


ROWS = [
    row(0.9, "relief-lfw", [90.0, 91.0, 92.0]),
    row(0.0, "relief-lfw", [88.0, 88.5, 90.0], 99.18),
    row(0.4, "relief-lfw", []),
    row(0.0, "relief-agedb", [80.0, 81.0, 79.0]),
]


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    def draw(name):
        figure = plots.parameter_figure(ROWS, x="alpha", by="set", xlabel="α")
        plots.save_figure(figure, tmp_path / name)
        return [(tmp_path / f"{name}.{suffix}").read_bytes() for suffix in ("svg", "png")]

    first, second = draw("a"), draw("b.c")
    assert first == second
    assert b"<dc:date>" not in first[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.c.png", "b.c.svg"]


COMMITTED = sorted((repository_root() / "figures" / "classroom").glob("*/*.svg"))


def sizes(svg):
    """Points of the texts of a picture as a page shows it; raised and lowered signs of a formula are part of a text."""
    shrunk = min(1.0, 72 * plots.PAGE / float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1]))
    return [shrunk * float(size) for size in re.findall(r'<text style="font(?:-size)?: (?:\w+ )*([\d.]+)px', svg)]


@pytest.mark.parametrize("path", COMMITTED, ids=[path.stem for path in COMMITTED])
def test_every_text_of_a_committed_picture_can_be_read_on_a_page(path):
    assert min(sizes(path.read_text(encoding="utf-8")), default=8) > plots.LEAST - 0.3, "`aifr draw` makes it larger"


@pytest.mark.parametrize("engine", [None, "constrained"])
def test_small_text_of_a_wide_figure_is_enlarged_and_a_narrow_one_stays(tmp_path, engine):
    for width in (5, 14):
        figure, axis = plt.subplots(figsize=(width, 3), layout=engine)
        axis.plot([0, 1], [3, 4], label="one")
        axis.legend(fontsize=6)
        axis.annotate("two", (0, 3), fontsize=7)
        axis.tick_params(labelsize=5)
        plots.save_figure(figure, tmp_path / "a")
        assert min(sizes((tmp_path / "a.svg").read_text())) > plots.LEAST - 0.3
    svg = plots.svg(plots.parameter_figure(ROWS, x="alpha", by="set", xlabel="α"))
    assert min(sizes(svg)) > plots.LEAST - 0.3


def test_a_logarithmic_axis_says_numbers():
    figure, axis = plt.subplots()
    axis.set(xscale="log", xlim=(0.0005, 20000))
    plots.plain(axis.xaxis)
    figure.canvas.draw()
    assert {"0.001", "0.1", "1", "10,000"} <= {label.get_text() for label in axis.get_xticklabels()}


def test_an_axis_within_one_power_of_ten_says_numbers_too():
    figure, axis = plt.subplots()
    axis.set(yscale="log", ylim=(0.11, 0.8))
    plots.plain(axis.yaxis)
    figure.canvas.draw()
    said = {label.get_text() for label in axis.get_yticklabels(minor=True)}
    assert {"0.2", "0.6"} <= said and not any("e" in one for one in said)


def test_a_failed_save_leaves_the_old_figure(tmp_path):
    plots.save_figure(plt.figure(), tmp_path / "a")
    old = (tmp_path / "a.svg").read_bytes()

    class Broken(Figure):
        def savefig(self, *_, **__):
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        plots.save_figure(Broken(), tmp_path / "a")
    assert (tmp_path / "a.svg").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 2


def test_parameter_figure_draws_means_in_order_with_a_dot_a_seed_and_notes():
    figure = plots.parameter_figure(ROWS, x="alpha", by="set", xlabel="α", band=(0.4, 0.5, "good"))
    (axis,) = figure.axes
    assert axis.get_ylabel() == "verification accuracy, %"
    x, y = axis.get_lines()[0].get_xydata().T
    assert x.tolist() == [0.0, 0.4, 0.9]
    # What was not run breaks the line: nothing is drawn through it.
    assert y == pytest.approx([88.8333, np.nan, 91.0], abs=1e-3, nan_ok=True)
    dots = [c.get_offsets() for c in axis.collections if len(c.get_offsets()) == 3]
    assert len(dots) == 3
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "random relief pairs",
        "relief pairs 30 years apart",
        "good",
    ]
    (note,) = [text.get_text() for text in figure.texts]
    assert "Student's t over seeds" in note and "not run: 1 of 4" in note
    assert "the paper, on its own data: 99.18 at α = 0 (Table I)" in note
    assert axis.get_ylim()[1] < 99, "the paper's number must not stretch our axis"


def test_histogram_counts_each_kind_in_percent_and_darkens_mistakes():
    _, axis = plt.subplots()
    same, different = np.array([0.1, 0.6, 0.7, 0.9]), np.array([-0.2, 0.0, 0.1, 0.5, 0.2])
    plots.score_histogram(axis, same, different, threshold=0.3)
    shares = [steps.get_data().values.sum() for steps in axis.patches]
    light, wrong_same, other_light, wrong_different = shares
    assert (light, other_light) == (pytest.approx(100), pytest.approx(100))
    assert (wrong_same, wrong_different) == (pytest.approx(25), pytest.approx(20))
    assert axis.get_xlabel() and "%" in axis.get_ylabel()


def test_histogram_of_constant_scores_does_not_fail():
    _, axis = plt.subplots()
    plots.score_histogram(axis, np.ones(3), np.ones(2))
    assert [steps.get_data().values.sum() for steps in axis.patches] == [pytest.approx(100)] * 2


def test_roc_is_in_percent_on_a_logarithmic_axis():
    _, axis = plt.subplots()
    plots.roc(axis, np.array([0.0, 0.01, 1.0]), np.array([0.2, 0.5, 1.0]), "ours")
    assert axis.get_xscale() == "log"
    assert axis.get_lines()[0].get_xydata().tolist() == [[1.0, 50.0], [100.0, 100.0]]


def test_frames_for_a_slider():
    figure, _ = plt.subplots()
    assert "<svg" in plots.svg(figure)
    assert not plt.fignum_exists(figure.number)
    pixels = np.full((20, 10, 3), (200, 100, 50), np.uint8)
    back = np.asarray(Image.open(io.BytesIO(plots.picture(pixels))))
    assert back.shape == (20, 10, 3)
    np.testing.assert_allclose(back, pixels, atol=6)


def test_a_figure_becomes_an_image_that_says_what_it_shows(monkeypatch):
    figure, axis = plt.subplots(figsize=(7, 4))
    axis.plot([0, 1])
    html = plots.image(figure, 'A "line" <rising>')
    assert 'alt="A “line” &lt;rising&gt;"' in html and not plt.get_fignums()
    data = base64.b64decode(re.search('base64,([^"]*)', html)[1])
    shown, drawn = int(re.search(r"width:(\d+)px", html)[1]), Image.open(io.BytesIO(data)).width
    assert shown == round(drawn * figure.dpi / plt.rcParams["savefig.dpi"])


def test_show_shows_each_open_figure_once(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda html: shown.append(html.data))
    plt.subplots()
    plt.subplots()
    plots.show("two of them")
    assert len(shown) == 2 and all('alt="two of them"' in html for html in shown)
    plots.show("nothing left")
    assert len(shown) == 2


def test_frames_over_a_threshold_say_the_shares_above_it():
    same, different = np.array([0.2, 0.6, 0.8, 0.9]), np.array([0.1, 0.3, 0.55, 0.0])
    frames, labels = plots.threshold_frames(same, different, [0.5, 0.95])
    assert len(frames) == 2 and all("<svg" in frame for frame in frames)
    assert labels == [
        "threshold +0.50: 75 % of one person accepted, 25.0 % of two people",
        "threshold +0.95: 0 % of one person accepted, 0.0 % of two people",
    ]
