"""Anybody's network from its file: ONNX, TorchScript or a plain state dict, behind the card that fits it.

Nothing in a file is run that could do more than compute: ONNX by onnxruntime; TorchScript by torch's own interpreter,
once its code is seen to name no operator that opens files or leaves the process; state dicts through
``torch.load(weights_only=True)`` or safetensors; a pickled dict of arrays by a reader of plain data alone.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aifr_lib.data.formats.safe_pickle import Forbidden, arrays
from aifr_lib.models.foreign.cards import Card, Carded, read_card, settle
from aifr_lib.models.foreign.layouts import find
from aifr_lib.models.foreign.onnx_network import OnnxNetwork
from aifr_lib.models.weights import WeightsError

# Where training programmes keep the state dict in what they save.
HOLDERS = ("state_dict", "model_state_dict", "net_state_dict", "model", "net", "network", "backbone", "weights")
READ = "ONNX, safetensors, TorchScript, what torch.save wrote of a state dict, and a .pkl of arrays by name are read"
# Of torch's operators those with a path or another machine among their arguments; and all of other libraries, whatever
# they do (torchvision's read and write files).
REACHING = re.compile(
    rb"\b(?:from_file|save|rpc_\w+)\b"
    rb"|\bops\s*\.\s*(?!(?:aten|prim|prims|quantized|_quantized|sparse)\b)\w+"
    rb"|\btorch\s*\.\s*classes\s*\.\s*(?!(?:quantized|sparse)\b)\w+"
)
# How files begin that people take for weights.
OTHERS = (
    (b"version https://git-lfs", "a pointer of git-lfs and not the file itself: run 'git lfs pull'"),
    (b"7767517", "a graph of ncnn (.param)"),
    (b"\x12\x01\0\0\0\0\0\0", "parameters of mxnet (.params)"),
    (b"\x89HDF", "weights of Keras (HDF5)"),
    (b"Rar!", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
)
WANTED = re.compile(r"GLOBAL ([\w.]+)")
SAVED = (b"PK", b"\x80")  # a zip archive, a pickle


@dataclass(frozen=True)
class Network:
    """A loaded network. run: pictures as ``to_input`` gives them, of any size, to embeddings, in eval mode.

    kind: what the file holds, in words. left_out: keys of the file that no embedding needs.
    """

    run: Carded
    kind: str
    left_out: tuple[str, ...] = ()

    @property
    def card(self) -> Card:
        return self.run.card


def load(path: str | Path, given: Mapping[str, Any] | None = None) -> Network:
    """The network at ``path`` behind its card: layout's defaults < FILE.yaml < ``given``.

    path: .onnx; .safetensors; anything else is TorchScript or what ``torch.save`` wrote of a state dict, by itself
    or in a checkpoint. given: keys of a Card.
    Errors: FileNotFoundError; ConfigError for a card or ``given`` with an unknown key or a wrong value; WeightsError
    for a damaged file, pickled objects, a state dict of no known layout, weights that are not finite, an ONNX graph
    that is not one batch of pictures in and one embedding out; ImportError, with the command, without onnxruntime.
    """
    path, given = Path(path), dict(given or {})
    if not path.is_file():
        raise FileNotFoundError(f"no file of weights at {path}")
    if other := _other_kind(path):
        raise WeightsError(f"{path} is {other}; {READ}")
    settle({}, {}, given, "the card's values given")
    beside = read_card(path)
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return _from_onnx(path, beside, given)
    if suffix != ".safetensors" and is_torchscript(path):
        return Network(Carded(_torchscript(path), settle({}, beside, given, str(path)), str(path)), "TorchScript")
    match = find(read_state(path), str(path), {**beside, **given}.get("layout"))
    card = settle({**match.card, "layout": match.layout}, beside, given, str(path))
    network = match.network.to_empty(device="cpu").eval()
    network.load_state_dict(match.values)
    _same_size(path, card, getattr(network, "input_hw", None))
    return Network(Carded(network, card, str(path)), str(match), tuple(match.left_out))


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file, in what ``torch.save`` wrote (by itself or in a checkpoint), or in a .pkl
    of arrays by name.

    Floating-point weights come back as float32. Errors: WeightsError for a damaged file, for pickled objects,
    where there is no state dict or there are several, and for weights that are not finite.
    """
    if path.suffix.lower() == ".safetensors":
        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} is not a whole safetensors file ({_short(error)})") from error
    else:
        state = _saved(path)
    for name, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WeightsError(f"{path}: '{name}' holds NaN or infinity")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def _saved(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        head = file.read(2)
    if not head.startswith(SAVED):
        raise WeightsError(f"{path} is no file of weights (it begins with {head.hex(' ')}; ncnn's .bin?); {READ}")
    why = ""
    if path.suffix.lower() == ".pkl" and not head.startswith(b"PK"):
        try:
            return {name: torch.from_numpy(np.array(value)) for name, value in arrays(path.read_bytes()).items()}
        except Forbidden as error:
            why = f"; as a dict of arrays, {error}"
    try:
        return _state_in(torch.load(path, map_location="cpu", weights_only=True), path)
    except WeightsError:
        raise
    except Exception as error:
        # torch's own message advises to load without its safeguard, which is no advice to pass on.
        wants = WANTED.search(str(error))
        holds = f"it holds a pickled {wants[1]}" if wants else "it is damaged, cut short, or holds pickled objects"
        raise WeightsError(
            f"{path} cannot be read as weights alone: {holds}{why}. A file of pickled objects could run any code and "
            f"is refused: where it comes from, use torch.save(model.state_dict(), 'weights.pth')"
        ) from error


def _other_kind(path: Path) -> str | None:
    """What a file is that holds no network of a kind that is read, in words; None where it may hold one."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "empty (0 bytes)"
    if named := next((what for magic, what in OTHERS if head.startswith(magic)), None):
        return named
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64]
    if text.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in text):
        return f"text (it begins with {text[:40].decode()!r}; a saved web page?)"
    return None


def _state_in(loaded: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping):
        tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
        if any("." in name for name in tensors):
            return tensors
        inside = {name: loaded[name] for name in HOLDERS if isinstance(loaded.get(name), Mapping)}
        if len(inside) == 1:
            return _state_in(next(iter(inside.values())), path)
        holds = f"the keys {', '.join(map(str, list(loaded)[:8]))}"
        several = f": several of them may hold it ({', '.join(inside)})" if inside else ""
    else:
        holds, several = f"a {type(loaded).__name__}", ""
    raise WeightsError(
        f"{path} holds {holds} and no state dict{several}. Save the network's alone: "
        f"torch.save(model.state_dict(), 'weights.pth')"
    )


def is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())


def _torchscript(path: Path) -> torch.nn.Module:
    """Errors: WeightsError for a damaged file, and for code that names an operator of REACHING."""
    # Before it is loaded: to load it can run code too (__setstate__).
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if item.filename.endswith(".py") and (found := REACHING.search(archive.read(item))):
                raise WeightsError(
                    f"{path}: the code of this TorchScript names '{found[0].decode()}', which can do more than compute "
                    f"(open files, call other libraries), and is not run. Save the weights: "
                    f"torch.save(model.state_dict(), 'weights.pth')"
                )
    try:
        with warnings.catch_warnings():
            # To make such files is deprecated; people have them all the same.
            warnings.simplefilter("ignore", FutureWarning)
            network: torch.nn.Module = torch.jit.load(str(path), map_location="cpu")
    except RuntimeError as error:
        raise WeightsError(f"{path} is no whole TorchScript file: {_short(error)}") from error
    return network.eval()


def _from_onnx(path: Path, beside: Mapping[str, Any], given: Mapping[str, Any]) -> Network:
    network = OnnxNetwork(path, {**beside, **given}.get("output"))
    card = settle(
        {**network.card, **({"input_hw": network.input_hw} if network.input_hw else {})}, beside, given, str(path)
    )
    _same_size(path, card, network.input_hw)
    return Network(Carded(network, card, str(path)), "ONNX")


def _same_size(path: Path, card: Card, takes: tuple[int, int] | None) -> None:
    if takes is not None and tuple(takes) != card.input_hw:
        raise WeightsError(
            f"{path} takes pictures of {takes[0]}×{takes[1]}, but input_hw says {card.input_hw[0]}×{card.input_hw[1]}"
        )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
