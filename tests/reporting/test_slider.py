import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from aifr_lib.reporting import plots, slider


def png(grey):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (grey,) * 3).save(content, "PNG")
    return content.getvalue()


def frame(threshold):
    figure, axis = plt.subplots(figsize=(4, 3))
    rng = np.random.default_rng(0)
    plots.score_histogram(axis, rng.normal(0.6, 0.1, 500), rng.normal(0, 0.1, 500), threshold)
    return plots.svg(figure)


@pytest.mark.browser
def test_moving_the_slider_changes_the_frame_of_that_player_alone(browser, tmp_path):
    thresholds = (0.0, 0.2, 0.4)
    first = slider.range_player(
        [frame(t) for t in thresholds], [f"threshold {t}" for t in thresholds], "Scores", "histogram"
    )
    second = slider.range_player([png(0), plots.picture(np.full((30, 40, 3), 255, np.uint8))], "ab", "Greys", "grey")
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>t</title>{first}{second}{second}", encoding="utf-8")
    page = browser.new_page()
    requests, problems = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(path.as_uri())

    def shown(number):
        return page.locator(".range-player").nth(number).locator("img:visible")

    assert [shown(i).get_attribute("data-label") for i in range(3)] == ["threshold 0.0", "a", "a"]
    assert shown(0).evaluate("image => image.naturalWidth") > 300
    move = page.get_by_role("slider", name="Scores")
    move.focus()
    page.keyboard.press("ArrowRight")
    assert shown(0).count() == 1
    assert shown(0).get_attribute("alt") == "histogram: threshold 0.2"
    assert page.locator(".range-player output").first.inner_text() == "threshold 0.2"
    assert move.get_attribute("aria-valuetext") == "threshold 0.2"
    page.keyboard.press("End")
    assert shown(0).get_attribute("data-label") == "threshold 0.4"
    page.get_by_role("slider", name="Greys").nth(1).fill("1")
    assert [shown(i).get_attribute("data-label") for i in range(3)] == ["threshold 0.4", "a", "b"]
    page.set_viewport_size({"width": 320, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert not problems
    assert all(url.startswith(("file:", "data:")) for url in requests)


def test_names_are_escaped_and_nothing_points_outside():
    nasty = '"><script>alert(1)</script>'
    html = slider.range_player([png(0)], [nasty], nasty, nasty)
    assert "<script" not in html
    assert "http" not in html.replace("data:image", "")
    assert " id=" not in html


def test_twenty_histograms_stay_below_a_megabyte():
    assert len(slider.range_player([frame(0.1)] * 20, ["x"] * 20, "t", "a")) < 1_000_000


@pytest.mark.parametrize(
    ("frames", "labels", "message"),
    [
        ([], [], "no frames"),
        ([b"GIF89a.."], ["a"], "starts with"),
        (["hello"], ["a"], "starts with"),
        ([png(0)], ["a", "b"], "1 frames, 2 labels"),
    ],
)
def test_what_cannot_be_shown_is_refused(frames, labels, message):
    with pytest.raises(ValueError, match=message):
        slider.range_player(frames, labels, "t", "a")


def test_show_is_the_output_of_a_cell():
    assert "range-player" in slider.show([png(0)], ["a"], title="t", alt="a")._repr_html_()


def test_start_chooses_the_frame_shown_at_first():
    svg = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    page = slider.range_player([svg, svg], ["low", "high"], "t", "a", start=1)
    assert 'value="1"' in page
    assert '<output aria-live="off">high</output>' in page
    assert page.count(" hidden>") == 1
    assert page.index(" hidden>") < page.index('data-label="high"')
    with pytest.raises(ValueError, match="start 2 is none of its 2 frames"):
        slider.range_player([svg, svg], ["low", "high"], "t", "a", start=2)
