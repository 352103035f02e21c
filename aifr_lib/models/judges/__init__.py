"""Outside judges: networks nobody here trained, called like a function on uint8 crops."""

from aifr_lib.models.judges.packaged import (
    AGE_SHA256,
    GENDER_SHA256,
    JUDGE_VERSIONS,
    JUDGES,
    AgeJudge,
    GenderJudge,
    Judge,
    age_file,
    build,
    check,
    content,
    file_of,
    raw_pixels,
    sface,
    sface_file,
    sface_map,
)

__all__ = [
    "AGE_SHA256",
    "GENDER_SHA256",
    "JUDGES",
    "JUDGE_VERSIONS",
    "AgeJudge",
    "GenderJudge",
    "Judge",
    "age_file",
    "build",
    "check",
    "content",
    "file_of",
    "raw_pixels",
    "sface",
    "sface_file",
    "sface_map",
]
