"""The examples in docstrings of losses, models, the training loop and AAD's runs are run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

from aifr_lib import losses, models
from aifr_lib.data import loader
from aifr_lib.experiments.aad import geometry, networks, students, tables
from aifr_lib.training import engine, kept

AAD = (geometry, networks, students, tables)
MODULES = [
    importlib.import_module(f"{package.__name__}.{one.name}")
    for package in (losses, models)
    for one in pkgutil.iter_modules(package.__path__)
    if not one.ispkg
]


@pytest.mark.parametrize(
    "module", [losses, models, loader, engine, kept, *AAD, *MODULES], ids=lambda module: module.__name__
)
def test_examples_of_docstrings(module):
    assert doctest.testmod(module).failed == 0
