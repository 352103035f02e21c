"""Reads pickles of plain data without unpickling: lists, tuples, numbers, strings, bytes, arrays of whole numbers.

A pickle is a program for a little stack machine, and plain ``pickle.load`` lets it call anything. This machine knows
only the instructions that build the types above, as Python 2 and 3 write them in protocols 0 to 5, and five names, none
of which it imports or calls: the two that stand for bytes in old protocols, and numpy's array, dtype and scalar.
``arrays`` reads one kind more, weights by name: a dict of arrays, of numbers with a point too.
Source: the instructions as documented in the standard library's ``pickletools``; numpy's ``__reduce__``.
"""

from __future__ import annotations

import codecs
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from mmap import mmap
from typing import IO, Any, ClassVar, cast

import numpy as np

ADMITTED = "a list, tuple, number, string, bytes, or an array of whole numbers or bool"
WHOLE = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
DTYPES = {name: dtype.newbyteorder("<") for dtype in (*WHOLE, np.dtype(bool)) for name in (dtype.str[1:], dtype.name)}
FLOATS = {name: dtype for one in "248" for dtype in [np.dtype(f"<f{one}")] for name in (dtype.str[1:], dtype.name)}
LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
PYTHON_2_STRINGS = frozenset(("STRING", "BINSTRING", "SHORT_BINSTRING"))
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
IGNORED = frozenset(("PROTO", "FRAME"))
ESCAPED = re.compile(rb"""(?:[^\\]|\\[\\'"nrt]|\\x[0-9a-f]{2})*""", re.DOTALL)
MARK = object()
INSTRUCTIONS = {op.code: op for op in pickletools.opcodes}


class Forbidden(ValueError):
    """A pickle that is damaged, or asks for more than plain data."""


@dataclass(frozen=True)
class Name:
    """Something that the pickle names and this machine builds itself."""

    what: str


@dataclass
class Array:
    """An array whose state comes later (numpy's ``_reconstruct`` and BUILD)."""

    value: np.ndarray | None = None


NAMES = {
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytes"): "bytes",
    ("__builtin__", "bytearray"): "bytes",
    ("builtins", "bytearray"): "bytes",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{
        (f"numpy.{core}.{module}", name): what
        for core in ("core", "_core")
        for module, name, what in (
            ("multiarray", "_reconstruct", "reconstruct"),
            ("multiarray", "scalar", "scalar"),
            ("numeric", "_frombuffer", "frombuffer"),
        )
    },
}


def loads(data: bytes | mmap) -> Any:
    """The value in a pickle.

    Strings of Python 2 come as bytes, as they were. Time and memory stay in proportion to the pickle.
    Errors: Forbidden, with the position in the pickle.
    """
    return _read(data, Machine(room=len(data)))


def arrays(data: bytes | mmap) -> dict[str, np.ndarray]:
    """The arrays in a pickled dict, by name: as ``loads``, with dicts and with numbers that have a point.

    Errors: Forbidden, with the position in the pickle; for what is no dict of names and arrays.
    """
    found = _read(data, Tables(room=len(data)))
    if not isinstance(found, dict):
        raise Forbidden(f"a dict of arrays was expected, found {type(found).__name__}")
    named = {name.decode("latin-1") if isinstance(name, bytes) else name: value for name, value in found.items()}
    for name, value in named.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise Forbidden(
                f"a dict of arrays by name was expected, found {type(value).__name__} as {str(name)[:40]!r}"
            )
    return named


def _read(data: bytes | mmap, machine: Machine) -> Any:
    file = BytesIO(data) if isinstance(data, bytes) else data
    position = 0
    try:
        while machine.running:
            position = file.tell()
            machine.step(*instruction(file))
        return finished(machine.result)
    except Forbidden as error:
        raise Forbidden(f"at byte {position} of the pickle: {error}") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Forbidden(f"the pickle is damaged at byte {position}: {error}") from None


def instruction(file: BytesIO | mmap) -> tuple[str, Any]:
    """The next instruction's name and argument."""
    code = file.read(1).decode("latin-1")
    if code not in INSTRUCTIONS:
        raise Forbidden(f"no instruction has the code {code!r}" if code else "it ends before its last instruction")
    op = INSTRUCTIONS[code]
    if op.name == "STRING":  # pickletools reads these as ASCII, Python 2 wrote pictures into them
        text = file.readline().strip()[1:-1]
        if not ESCAPED.fullmatch(text):
            raise Forbidden("a string is not written as Python 2 writes strings")
        return op.name, codecs.escape_decode(text)[0]
    if op.arg and op.arg.name.startswith("stringnl_noescape"):  # names: pickletools warns of a backslash in them
        lines = 2 if op.arg.name.endswith("pair") else 1
        return op.name, " ".join(file.readline().rstrip(b"\n").decode("ascii") for _ in range(lines))
    return op.name, op.arg.reader(cast("IO[bytes]", file)) if op.arg else None


class Machine:
    """The stack, the memo, and one method for each instruction that is not a mere literal."""

    dtypes: ClassVar[dict[str, np.dtype]] = DTYPES

    def __init__(self, room: int) -> None:
        self.room = room  # bytes that may still be copied: an honest pickle copies no more than it holds
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.result: Any = None
        self.running = True

    def step(self, name: str, argument: Any) -> None:
        if name in LITERALS:
            self.stack.append(argument)
        elif name in PYTHON_2_STRINGS:
            self.stack.append(argument.encode("latin-1") if isinstance(argument, str) else argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in TUPLES:
            self._tuple_of(TUPLES[name])
        elif name not in IGNORED:
            act: Callable[[Any], None] | None = getattr(self, f"do_{name.lower()}", None)
            if act is None:
                raise Forbidden(f"instruction {name} builds something other than {ADMITTED}")
            act(argument)

    def to_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                taken = self.stack[at + 1 :]
                del self.stack[at:]
                return taken
        raise Forbidden("a mark is missing")

    def do_stop(self, _: Any) -> None:
        self.result = self.stack.pop()
        self.running = False

    def do_mark(self, _: Any) -> None:
        self.stack.append(MARK)

    def do_pop(self, _: Any) -> None:
        self.stack.pop()

    def do_empty_list(self, _: Any) -> None:
        self.stack.append([])

    def do_list(self, _: Any) -> None:
        self.stack.append(self.to_mark())

    def do_append(self, _: Any) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def do_appends(self, _: Any) -> None:
        values = self.to_mark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        if not isinstance(self.stack[-1], list):
            raise Forbidden("something is appended to what is no list")
        top: list[Any] = self.stack[-1]
        return top

    def do_empty_tuple(self, _: Any) -> None:
        self.stack.append(())

    def do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.to_mark()))

    def _tuple_of(self, count: int) -> None:
        values = tuple(self.stack[-count:])
        if len(values) != count:
            raise Forbidden("the stack is empty")
        del self.stack[-count:]
        self.stack.append(values)

    def do_put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    do_binput = do_long_binput = do_put

    def do_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    do_binget = do_long_binget = do_get

    def do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        if (module, name) not in NAMES:
            raise Forbidden(f"it wants {module}.{name}; only {ADMITTED} may be in it")
        self.stack.append(Name(NAMES[module, name]))

    def do_stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Forbidden("a name must be a string")
        self.do_global(f"{module} {name}")

    def do_reduce(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise Forbidden("it calls what is no function")
        built = build(called.what, arguments, self.dtypes)
        if isinstance(built, bytes):
            self.room -= len(built)
        if self.room < 0:
            raise Forbidden("it builds more bytes than it holds")
        self.stack.append(built)

    def do_build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Array):
            _, shape, dtype, fortran, content = state
            target.value = as_array(content, dtype, shape, bool(fortran))
        elif isinstance(target, np.dtype):
            if state[1] not in ("<", "|", b"<", b"|"):
                raise Forbidden(f"numbers of an array must be little-endian, found the order {state[1]!r}")
        else:
            raise Forbidden(f"it sets the state of something other than {ADMITTED}")


class Tables(Machine):
    """The machine that also builds dicts, and arrays of numbers with a point."""

    dtypes: ClassVar[dict[str, np.dtype]] = {**DTYPES, **FLOATS}

    def do_empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def do_dict(self, _: Any) -> None:
        self.stack.append(_paired(self.to_mark()))

    def do_setitem(self, _: Any) -> None:
        value, name = self.stack.pop(), self.stack.pop()
        self._dict().update(_paired([name, value]))

    def do_setitems(self, _: Any) -> None:
        values = self.to_mark()
        self._dict().update(_paired(values))

    def _dict(self) -> dict[Any, Any]:
        if not isinstance(self.stack[-1], dict):
            raise Forbidden("something is put under a name into what is no dict")
        top: dict[Any, Any] = self.stack[-1]
        return top


def _paired(values: list[Any]) -> dict[Any, Any]:
    # Only strings are hashed: nested tuples can be built that take forever at it.
    if len(values) % 2 or not all(isinstance(name, (str, bytes)) for name in values[::2]):
        raise Forbidden("the names in a dict must be strings")
    return dict(zip(values[::2], values[1::2], strict=True))


def build(what: str, arguments: tuple[Any, ...], dtypes: dict[str, np.dtype]) -> Any:
    """What numpy or Python would have made of these arguments, if it is plain data."""
    if what == "encode":
        text, encoding = arguments
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise Forbidden("bytes are written as latin1 text, found another encoding")
        return text.encode("latin-1")
    if what == "bytes":
        content = arguments[0] if arguments else b""
        if isinstance(content, str) and len(arguments) == 2:
            return content.encode("latin-1")
        if not isinstance(content, (bytes, bytearray)):
            raise Forbidden(f"bytes were expected, found {type(content).__name__}")
        return bytes(content)
    if what == "dtype":
        code = arguments[0].decode("ascii") if isinstance(arguments[0], bytes) else arguments[0]
        # Only strings are hashed or printed: nested tuples can be built that take forever at both.
        if not isinstance(code, str) or code not in dtypes:
            named = f", found {code[:20]!r}" if isinstance(code, str) else ""
            raise Forbidden(f"arrays must be of {'' if 'f8' in dtypes else 'whole '}numbers or bool{named}")
        return dtypes[code]
    if what == "reconstruct":
        return Array()
    if what == "scalar":
        dtype, content = arguments
        return as_array(content, dtype, (), False).item()
    if what == "frombuffer":
        content, dtype, shape, order = arguments
        return as_array(content, dtype, shape, order == "F")
    raise Forbidden(f"it calls {what}")


def as_array(content: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    """A read-only array over the bytes of the pickle."""
    if isinstance(content, str):
        content = content.encode("latin-1")
    if not isinstance(dtype, np.dtype) or not isinstance(content, (bytes, bytearray)):
        raise Forbidden("an array of numbers or bool was expected, made of bytes")
    if not isinstance(shape, tuple) or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in shape):
        raise Forbidden("the shape of an array must be a tuple of whole numbers")
    array = np.frombuffer(content, dtype) if len(content) else np.empty(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def finished(value: Any, known: dict[int, Any] | None = None) -> Any:
    """``value`` with its arrays in place. A list inside itself, or names left over, are no plain data.

    known: what has been finished, by identity: a part that stands in many places is finished once.
    """
    known = {} if known is None else known
    if isinstance(value, Array):
        if value.value is None:
            raise Forbidden("an array has no content")
        return value.value
    if isinstance(value, (list, tuple, dict)):
        if id(value) not in known:
            known[id(value)] = MARK
            parts = value.values() if isinstance(value, dict) else value
            done = [finished(part, known) for part in parts]
            known[id(value)] = dict(zip(value, done, strict=True)) if isinstance(value, dict) else type(value)(done)
        if known[id(value)] is MARK:
            raise Forbidden("a list or dict holds itself")
        return known[id(value)]
    if isinstance(value, (Name, np.dtype)) or value is MARK:
        raise Forbidden(f"only {ADMITTED} may be in it")
    return value
