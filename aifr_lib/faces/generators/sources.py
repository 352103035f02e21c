"""One way to ask for an edited face, whoever draws it: ``render(identity, attribute, α)``.

Three sources: relief faces, whose own parameters are moved; the offline generator (``mobilestylegan``); and a StyleGAN
network that a user brings (``stylegan``). The latter two are generators behind ``EditedSource``: a code from
the identity's seed, moved along a direction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from aifr_lib.faces import relief
from aifr_lib.faces.generators import directions, mobilestylegan
from aifr_lib.faces.generators.directions import Direction, check_alpha, edit
from aifr_lib.faces.relief.parameters import Faces
from aifr_lib.names import choose

# The relief parameter that an attribute moves, and by how much for α = 1: ±5 stays inside every parameter's range.
RELIEF_MOVES = {
    "age": ("age", 6.0),
    "smile": ("au12", 0.1),
    "weight": ("weight", 0.6),
    "yaw": ("yaw", 8.0),
    "gender": ("gender", 0.06),
}
# Beyond the people of every split and set of relief faces, and of the sheets.
RELIEF_IDENTITIES = 2_000_000_000


class Source(Protocol):
    """Where edited faces come from. A person is the same for the same ``identity``, a seed ≥ 0.

    name, version: as records print them. attributes: what can be edited.
    """

    name: str
    version: str

    @property
    def attributes(self) -> tuple[str, ...]: ...

    def render(self, identity: int, attribute: str, alpha: float, *, beyond: bool = False) -> np.ndarray:
        """uint8 [S, S, 3], RGB: the person with the attribute's strength α; at 0 the same picture for all attributes.

        Errors: ConfigError for an attribute it lacks (with the nearest) or, unless ``beyond``, α outside −5 … 5.
        """

    def combined(self, identity: int, alphas: Mapping[str, float], *, beyond: bool = False) -> np.ndarray:
        """Several attributes moved at once; of none, the person at α = 0. Errors: as ``render``."""

    def age(self, identity: int, alphas: Mapping[str, float]) -> float | None:
        """The years that the picture of ``combined`` was drawn with; None where a source knows no ages."""


class Generator(Protocol):
    """A network with a latent space: codes from seeds, pictures from codes.

    name, version: of the network. width: numbers in a code (or in each layer of it). side: of a picture, pixels.
    """

    name: str
    version: str
    width: int
    side: int

    def codes(self, seeds: Sequence[int], psi: float = 0.7) -> np.ndarray:
        """float32 [B, width] (or [B, layers, width]), truncated by ψ; whom a seed gives depends on no other seed."""

    def synthesise(self, codes: np.ndarray) -> np.ndarray:
        """uint8 [B, side, side, 3], RGB, of codes as ``codes`` gives them."""


class EditedSource:
    """Faces of a generator, edited along directions: w(α) = w₀ + α · s · n.

    directions: by attribute. psi: truncation of the people's own codes (.7: ``mobilestylegan``).
    Errors: ValueError for a direction of another width than the generator's.
    """

    def __init__(self, generator: Generator, directions: Mapping[str, Direction], psi: float = 0.7):
        for name, direction in directions.items():
            if len(direction.normal) != generator.width:
                raise ValueError(
                    f"direction {name} has {len(direction.normal)} numbers, codes of {generator.name} {generator.width}"
                )
        self.generator, self.directions, self.psi = generator, dict(directions), psi
        digest = hashlib.sha256(f"{psi:g} {generator.side} {getattr(generator, 'truncated', None)}".encode())
        for name, direction in sorted(self.directions.items()):
            digest.update(f"{name} {direction.scale:.6g}".encode() + direction.normal.tobytes())
        self.name, self.version = generator.name, f"{generator.version}-{digest.hexdigest()[:8]}"

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.directions)

    def render(self, identity: int, attribute: str, alpha: float, *, beyond: bool = False) -> np.ndarray:
        """As ``Source.render``."""
        return self.combined(identity, {attribute: alpha}, beyond=beyond)

    def combined(self, identity: int, alphas: Mapping[str, float], *, beyond: bool = False) -> np.ndarray:
        """As ``Source.combined``: the offsets add."""
        codes = self.generator.codes([identity], self.psi)
        for attribute, alpha in alphas.items():
            codes = edit(codes, choose("attribute", attribute, self.directions), alpha, beyond=beyond)
        picture: np.ndarray = self.generator.synthesise(codes)[0]
        return picture

    def age(self, identity: int, alphas: Mapping[str, float]) -> None:
        """Nobody here was born: a judge may tell how old they look."""


class ReliefSource:
    """Relief faces as a source: a person of 35 to 45 years whose parameters ``RELIEF_MOVES`` names are moved.

    size: side in pixels. frame: "portrait" or "aligned", as ``faces.relief.render`` takes them.
    """

    name = "relief faces"
    version = "relief-v2"

    def __init__(self, size: int = 256, frame: str = "portrait"):
        relief.check_size(size)
        self.size, self.frame = size, frame
        digest = hashlib.sha256(repr((size, frame, sorted(RELIEF_MOVES.items()))).encode())
        self.version = f"{ReliefSource.version}-{digest.hexdigest()[:8]}"

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(RELIEF_MOVES)

    def render(self, identity: int, attribute: str, alpha: float, *, beyond: bool = False) -> np.ndarray:
        """As ``Source.render``; with ``beyond``, ValueError where a parameter would leave its own range."""
        return self.combined(identity, {attribute: alpha}, beyond=beyond)

    def combined(self, identity: int, alphas: Mapping[str, float], *, beyond: bool = False) -> np.ndarray:
        """As ``Source.combined``."""
        face = _person(identity)
        for attribute, alpha in alphas.items():
            parameter, unit = choose("attribute", attribute, RELIEF_MOVES)
            face = face.replaced(parameter, face.column(parameter) + unit * check_alpha(alpha, beyond=beyond))
        return relief.render(face, self.size, frame=self.frame)[0].numpy()

    def age(self, identity: int, alphas: Mapping[str, float]) -> float:
        """The person's own years, moved."""
        _, unit = RELIEF_MOVES["age"]
        return _years(identity) + unit * alphas.get("age", 0.0)


def _years(identity: int) -> float:
    return 40 + float(np.random.default_rng(identity).uniform(-5, 5))


def _person(identity: int) -> Faces:
    seed = [RELIEF_IDENTITIES + identity]
    drawn = Faces.sample(seed, [_years(identity)], seed, au12=0.5, au25=0.0, weight=0.0, yaw=0.0)
    return drawn.replaced("gender", 0.32 + 0.36 * drawn.gender)


SOURCES = ("relief", "latent")


def open_source(name: str) -> Source:
    """A source that needs no file of the user's: "relief", or "latent", the offline generator with its directions.

    Errors: ConfigError with the nearest name; for "latent" those of ``mobilestylegan.open_generator``.
    """
    if choose("source", name, dict.fromkeys(SOURCES, name)) == "relief":
        return ReliefSource()
    return EditedSource(mobilestylegan.open_generator(), directions.found_directions())


def sheet(
    source: Source,
    attribute: str,
    alphas: Sequence[float],
    identities: Sequence[int],
    side: int = 128,
    *,
    beyond: bool = False,
) -> np.ndarray:
    """One picture of many, uint8 [H, W, 3]: a row for each person, a column for each α. Errors: as ``render``.

    ValueError for no person or no strength.
    """
    if not (len(alphas) and len(identities)):
        raise ValueError(f"a sheet of {len(identities)} identities and {len(alphas)} strengths: at least one of each")
    rows = []
    for identity in identities:
        pictures = (source.render(identity, attribute, alpha, beyond=beyond) for alpha in alphas)
        small = [np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BOX)) for p in pictures]
        rows.append(np.hstack(small))
    return np.vstack(rows)
