"""The living page in a real browser, opened from a folder with the network off."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from aifr_lib.data.loader import to_input
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.experiments.measure.embedders import tour_network
from aifr_lib.faces.relief import render
from aifr_lib.models.foreign.cards import fit
from aifr_lib.settings.presets import load_preset

ROOT = Path(__file__).resolve().parents[2]
LIVE, ASSETS = ROOT / "book" / "live", ROOT / "book" / "_assets"
sys.path.append(str(LIVE))
import bundle  # noqa: E402
import prepare  # noqa: E402

CLOSE = 1e-3  # of a cosine
INSIDE = ("file:", "data:", "blob:")


@pytest.fixture(scope="module")
def tables():
    with safe_open(LIVE / "faces.safetensors", framework="numpy") as file:
        return {name: file.get_tensor(name) for name in ("faces", "strips")}


@pytest.fixture(scope="module")
def strips():
    """The frames of the strips, uint8 [3 × 16, 48, 48, 3]."""
    sheet = np.asarray(Image.open(LIVE / "strips.png"))
    rows = sheet.reshape(prepare.STRIPS, 48, len(prepare.STRIP_AGES), 48, 3)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, 48, 48, 3)


@pytest.fixture(scope="module")
def network():
    return tour_network(load_preset("classroom"), "cpu")[0]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_what_is_committed_is_what_the_library_draws_and_embeds(tables, strips, network):
    drawn = render(prepare.strip_faces(), 48, frame="aligned").numpy()
    # The last bit of a function may turn a rounding.
    assert np.abs(drawn.astype(int) - strips).max() <= 1
    ours = prepare.rounded(unit(embed(network, strips)))
    assert np.abs(ours.astype(int) - tables["strips"].reshape(ours.shape)).max() <= 1
    _, ours = prepare.measured(prepare.test_faces(2))
    stored = unit(tables["faces"][:2].reshape(ours.shape).astype(float))
    assert np.abs(stored @ stored.T - ours @ ours.T).max() < 0.01  # int8
    assert tables["faces"].shape == (300, 6, 128)
    assert sum(path.stat().st_size for path in LIVE.glob("*.*")) < 1_500_000


def test_weights_in_blocks_are_multiplied_out(tmp_path):
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    levels = np.arange(12, dtype=np.int8).reshape(6, 2)
    scale = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)  # of three rows each
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w", "s"], ["weights"], axis=0, block_size=3),
            helper.make_node("MatMul", ["x", "weights"], ["y"]),
        ],
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [6, 2])],
        [numpy_helper.from_array(levels, "w"), numpy_helper.from_array(scale, "s")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "b.onnx")
    run = onnxruntime.InferenceSession(bundle.dequantised(tmp_path / "b.onnx")).run
    expected = [[levels[i, j] * scale[i // 3, j] for j in range(2)] for i in range(6)]
    assert run(None, {"x": np.eye(6, dtype=np.float32)})[0].tolist() == np.array(expected).tolist()


def test_the_lock_file_pins_the_runtime_by_hash_and_names_no_host():
    lock = (ROOT / "book" / "package-lock.json").read_text(encoding="utf-8")
    assert re.search(r'"node_modules/onnxruntime-web": \{\s+"version": "[\d.]+",\s+"integrity": "sha512-', lock)
    assert "://" not in lock


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The page's own parts as a file, beside its scripts, without the rest of the book."""
    if not shutil.which("npm"):
        if os.environ.get("CI") == "true":
            pytest.fail("no npm: CI must run the living page's network (apt-get install npm)")
        pytest.skip("npm, which fetches onnxruntime-web, is not installed")
    folder = tmp_path_factory.mktemp("site")
    static, page = folder / "_static", folder / "book" / "live"
    bundle.bundle(ROOT / "book" / "_live")
    shutil.copytree(ROOT / "book" / "_live", static)
    for path in [*ASSETS.glob("live_*.js"), ASSETS / "aifr.css"]:
        shutil.copy(path, static)
    page.mkdir(parents=True)
    parts = [(LIVE / name).read_text(encoding="utf-8") for name in ("live.html", "network.html")]
    (page / "faces.html").write_text(f"<!doctype html><meta charset=utf-8>{''.join(parts)}", encoding="utf-8")
    return page / "faces.html"


@pytest.fixture
def visit(browser, page_file):
    """Open the page from its folder, offline; at the end nothing may have gone wrong on it, or been asked for."""
    troubles, context = [], browser.new_context(offline=True)

    def open_page(before: str = ""):
        page = context.new_page()
        page.add_init_script(before)
        page.on("console", lambda said: said.type == "error" and troubles.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
        page.on("request", lambda sent: sent.url.startswith(INSIDE) or troubles.append(f"outside: {sent.url}"))
        page.goto(page_file.as_uri())
        return page

    yield open_page
    context.close()
    assert troubles == []


@pytest.fixture
def ready(visit):
    page = visit()
    page.click("#live-load")
    page.wait_for_selector("#live-network[data-ready]")
    page.wait_for_function("document.querySelector('#live-strip-said').textContent.includes('in this page')")
    return page


def rates(page):
    return [float(one) for one in re.findall(r"([\d.]+) %", page.locator("#live-said").inner_text())]


@pytest.mark.browser
def test_the_threshold_is_moved_by_keyboard_and_the_rates_are_those_of_the_table(visit, tables):
    page = visit()
    page.select_option("#live-gap", "50")
    page.focus("#live-threshold")
    page.keyboard.press("Home")
    assert rates(page)[0] == 100
    for _ in range(100):
        page.keyboard.press("ArrowRight")
    threshold = float(page.locator("#live-threshold").input_value())
    assert threshold == pytest.approx(0.3)
    rows = unit(tables["faces"].astype(np.float64))
    scores = rows[:, 0] @ rows[:, 5].T
    others = scores[~np.eye(300, dtype=bool)]
    tar, far = 100 * (np.diag(scores) >= threshold).mean(), 100 * (others >= threshold).mean()
    assert rates(page)[:2] == pytest.approx([tar, far], abs=0.06)
    assert page.locator("#live-refused .live-pair").count() == min(4, (np.diag(scores) < threshold).sum())
    assert page.locator("#live-accepted .live-pair").first.inner_text().split()[-1] == f"{others.max():.2f}"
    page.keyboard.press("End")
    assert page.locator("#live-accepted .live-pair").count() == 0


@pytest.mark.browser
def test_a_person_is_found_at_the_rank_that_the_table_says(visit, tables):
    page = visit()
    page.locator("#live-person").fill("17")
    rows = unit(tables["faces"].astype(np.float64))
    scores = rows[:, 0] @ rows[:, 5].T
    ranks = 1 + (scores > np.diag(scores)[:, None]).sum(1)
    assert f"is in place {ranks[16]} of 300" in page.locator("#live-found").inner_text()
    said = re.findall(r"([\d.]+) %", page.locator("#live-rates").inner_text())
    assert [float(one) for one in said] == pytest.approx([100 * (ranks <= k).mean() for k in (1, 10)], abs=0.06)
    page.select_option("#live-among", label="10 years")
    assert "choose two different ages" in page.locator("#live-found").inner_text()


@pytest.mark.browser
def test_cosines_in_the_browser_are_the_librarys(ready, strips, network):
    assert re.search(r"\d\.\d MB, ready after \d+\.\d s", ready.locator("#live-state").inner_text())
    get = """frames => Promise.all(frames.map(async frame => [...await aifrLive.embed(frame)]))"""
    chosen = strips[::5]
    rgba = np.concatenate([chosen, np.full((*chosen.shape[:3], 1), 255, np.uint8)], axis=-1)
    theirs = np.array(ready.evaluate(get, [one.ravel().tolist() for one in rgba]))
    ours = unit(embed(network, chosen))
    assert np.abs(theirs @ theirs.T - ours @ ours.T).max() < CLOSE

    # What the page itself says of the frames at 30 and at 80 years, its pixels taken from its own picture.
    shown = float(ready.locator("[data-cosine]").get_attribute("data-cosine"))
    a, b = unit(embed(network, strips[[5, 15]]))
    assert shown == pytest.approx(a @ b, abs=CLOSE)


@pytest.mark.browser
def test_a_crop_is_made_smaller_as_the_library_does_it(ready):
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 4), dtype=np.uint8)
    theirs = np.array(ready.evaluate("crop => [...aifrLive.smaller(crop, 112)]", crop.ravel().tolist()))
    ours = fit(to_input(torch.from_numpy(crop[None, ..., :3])) * 128 + 127.5, (48, 48))[0].permute(1, 2, 0).numpy()
    assert np.abs(theirs.reshape(48, 48, 4)[..., :3] - ours).max() < 0.01


@pytest.mark.browser
def test_a_picture_that_the_reader_opens_is_read_and_sent_nowhere(ready, tmp_path):
    faces = prepare.Faces.sample([4, 4, 9], [30.0, 34.0, 40.0], [1, 2, 3])
    for number, picture in enumerate(render(faces, 320).numpy()):
        Image.fromarray(picture).save(tmp_path / f"{number}.jpg")
    sent = []
    ready.on("request", lambda request: sent.append(request.url))
    scores = []
    for pair in ((0, 1), (0, 2)):
        ready.set_input_files("#live-file", [tmp_path / f"{number}.jpg" for number in pair])
        ready.wait_for_function("/Cosine/.test(document.querySelector('#live-own-said').textContent)")
        scores.append(float(re.search(r"Cosine (-?\d\.\d+)", ready.locator("#live-own-said").inner_text())[1]))
        assert ready.locator("#live-own canvas").count() == 2
        ready.locator("#live-own-said").evaluate("node => { node.textContent = ''; }")
    assert scores[0] > scores[1] + 0.2
    assert [url for url in sent if not url.startswith("blob:")] == []


def files(folder: Path) -> dict[str, Path]:
    face = render(prepare.Faces.sample([4], [30.0], [1]), 64).numpy()[0]
    plain = np.full((300, 300, 3), 200, np.uint8)
    small = plain.copy()
    small[100:164, 100:164] = face
    for name, pixels in (("tiny.png", plain[:20, :20]), ("wall.png", plain), ("far.png", small)):
        Image.fromarray(pixels).save(folder / name)
    (folder / "note.txt").write_text("no picture", encoding="utf-8")
    (folder / "none.jpg").write_bytes(b"")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with (folder / "scan.jpg").open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(50_000_000)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.browser
def test_files_that_cannot_be_read_are_said_in_plain_words(ready, tmp_path):
    said = {
        "tiny.png": "too small (20 × 20 pixels)",
        "wall.png": "No face was found in wall.png",
        "far.png": "The face in far.png is too small",
        "note.txt": "no picture that this browser can open",
        "none.jpg": "none.jpg is empty",
        "phone.heic": "HEIC picture, which browsers do not open: save it as JPEG",
        "scan.jpg": "scan.jpg has 50.0 MB, and this page reads up to 25.0 MB",
    }
    there = files(tmp_path)
    for name, words in said.items():
        ready.set_input_files("#live-file", there[name])
        ready.wait_for_function("name => document.querySelector('#live-own-said').textContent.includes(name)", arg=name)
        assert words in ready.locator("#live-own-said").inner_text()
        assert ready.locator("#live-own canvas").count() == 0


@pytest.mark.browser
def test_without_webassembly_the_strip_comes_from_the_stored_table(visit, tables):
    page = visit("delete window.WebAssembly")
    assert "does not run WebAssembly" in page.locator("#live-state").inner_text()
    assert page.locator("#live-file").is_disabled() and page.locator("#live-load").is_disabled()
    page.wait_for_selector("[data-cosine]")
    rows = unit(tables["strips"][0].astype(np.float64))
    shown = float(page.locator("[data-cosine]").get_attribute("data-cosine"))
    assert shown == pytest.approx(rows[5] @ rows[15], abs=1e-5)
    assert "From the stored embeddings" in page.locator("#live-strip-said").inner_text()


@pytest.mark.browser
def test_a_runtime_that_fails_is_said_and_the_tables_stay(visit):
    page = visit("window.DecompressionStream = undefined")
    page.click("#live-load")
    page.wait_for_function("/could not be started/.test(document.querySelector('#live-state').textContent)")
    assert "From the stored embeddings" in page.locator("#live-strip-said").inner_text()
