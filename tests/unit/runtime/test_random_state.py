"""Which generators are seeded in a forked worker."""

import sys
from types import SimpleNamespace

from aiapi_runtime.runtime import random_state


def test_generators_of_imported_modules_are_seeded(monkeypatch):
    seeded = []
    generator = SimpleNamespace(seed=lambda: seeded.append("torch"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(default_generator=generator))
    numpy_random = SimpleNamespace(seed=lambda: seeded.append("numpy"))
    monkeypatch.setitem(sys.modules, "numpy.random", numpy_random)
    random_state.reseed()
    assert seeded == ["numpy", "torch"]


def test_nothing_is_imported(monkeypatch):
    for name in ("torch", "numpy.random"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    random_state.reseed()
    assert {"torch", "numpy.random"}.isdisjoint(sys.modules)


def test_a_generator_that_cannot_be_seeded_is_logged(monkeypatch, caplog):
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    def refuse():
        raise TypeError("can only re-seed a MT19937 BitGenerator")

    monkeypatch.setitem(sys.modules, "numpy.random", SimpleNamespace(seed=refuse))
    random_state.reseed()
    assert "workers share the random state of numpy.random: can only re-seed" in caplog.text
