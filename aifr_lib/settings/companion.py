"""The book's own pages: the tour, photographs, protocols, many people."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief


class Tour(Strict):
    """The one network of the opening notebook: committed weights, or trained on the spot."""

    committed: bool
    train: Recognition


class Real(Strict):
    """Real photographs: which sets, which embedders, how many identities (None: all)."""

    datasets: tuple[Literal["orl", "fgnet"], ...]
    embedders: tuple[Literal["sface", "tour", "pixels"], ...]
    identities: int | None = Field(None, ge=2)


class ManyPeople(Strict):
    """What a margin head takes by the number of its people: of how many it is measured, of how many told on paper."""

    people: tuple[int, ...]
    on_paper: tuple[int, ...] = ()
    embedding: int = Field(512, ge=2)
    batch: int = Field(64, ge=2, description="pictures a step over all processes")


class Protocols(Strict):
    """One network through every protocol: photographs, and relief faces beside them."""

    embedder: Literal["sface", "tour", "pixels"]
    photographs: tuple[Literal["orl", "fgnet"], ...]
    identities: int | None = Field(None, ge=4, description="people of each set of photographs; None: all")
    relief: Relief = Field(description="faces of the pair lists; all relief faces have their size")
    distractors: int = Field(ge=10, description="relief faces among which photographs are sought")
    templates: int = Field(ge=4, description="people of relief-ijb")
    impostors: int = Field(100, ge=1, description="impostor pairs of templates for each genuine pair")
    subjects: int = Field(ge=8, description="subjects of relief-edema")
