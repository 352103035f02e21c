import os
import shutil

# Two test processes share two cores; more threads than cores only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib
import pytest
import torch
from noise_images import make_images

from aifr_lib.data.images import Images

matplotlib.use("Agg")
torch.set_num_threads(1)


@pytest.fixture
def images() -> Images:
    return make_images()


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory, worker_id):
    """Rendered faces and trained networks of this test run, shared by its processes and thrown away with it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "aifr-cache"
    os.environ["AIFR_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium. Closed after each module: while it runs, nothing else in the process may use asyncio."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail("no Chromium: CI must open the pages (apt-get install chromium)")
    if path is None:
        pytest.skip("no Chromium here: built pages are not opened")
    from playwright.sync_api import sync_playwright

    options = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path, args=[*options.split(), "--disable-component-update", "--disable-sync"]
        )
        yield running
        running.close()
