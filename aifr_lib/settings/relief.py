"""Which relief faces a run sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aifr_lib.names import Strict

PairList = Literal["relief-lfw", "relief-agedb", "relief-calfw", "relief-cfpfp", "relief-cplfw", "relief-near"]


class Relief(Strict):
    """Which relief faces a run sees (design of the splits: ``data/relief/splits.py``)."""

    size: int = Field(64, ge=16, le=512, description="side of the square pictures in pixels")
    train_identities: int = Field(1000, ge=2)
    train_per_identity: int = Field(20, ge=2)
    span: Literal["narrow", "wide"] = Field("narrow", description="ages of one training identity")
    test_identities: int = Field(1000, ge=10)
    test_per_identity: int = Field(6, ge=2)
    pairs: int = Field(6000, ge=20, description="pairs a verification list")
    pair_lists: tuple[PairList, ...] = ("relief-lfw", "relief-agedb")
